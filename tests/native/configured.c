/* A native plugin that adds its settings up, and refuses 13. */
#include <stdint.h>
#include <stdlib.h>

static int64_t sum;

int32_t dynload_plugin_configure(const char *name, size_t name_length, const char *value, size_t value_length) {
    (void)name;
    (void)name_length;
    (void)value_length;
    sum += atoi(value);
    return sum == 13;
}

int64_t total(void) { return sum; }
