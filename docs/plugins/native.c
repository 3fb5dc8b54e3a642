#include "dynload_plugin.h"
#include <stdio.h>
#include <string.h>

static char greeting[64] = "Hello";

int32_t dynload_plugin_configure(const char *name, size_t name_length, const char *value, size_t value_length) {
    (void)name_length;
    if (strcmp(name, "greeting") == 0) {
        if (value_length >= sizeof greeting) return 1;
        memcpy(greeting, value, value_length + 1);
    }
    return 0;
}

DYNLOAD_PLUGIN("text", "1.0.0", NULL, NULL);

DYNLOAD_EXPORT int32_t greet(const char *name, char *to, size_t room) {
    return snprintf(to, room, "%s, %s!", greeting, name);
}
