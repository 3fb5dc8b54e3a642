/* A plugin whose constructor starts the hot reloader that is loading it. The reloader's handle is in the environment. */
#include <stdint.h>
#include <stdlib.h>

int64_t vais_hot_reload_start(int64_t reloader);
int64_t vais_load_error_code(void);

static int64_t code = -1;

__attribute__((constructor)) static void start(void) {
    vais_hot_reload_start(strtoll(getenv("RELOADER"), NULL, 10));
    code = vais_load_error_code();
}

int64_t code_of_start(void) { return code; }
