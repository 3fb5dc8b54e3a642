/* A plugin whose constructor stops the hot reloader that is loading it. The reloader's handle is in the environment. */
#include <stdint.h>
#include <stdlib.h>

int64_t vais_hot_reload_stop(int64_t reloader);
int64_t vais_hot_reload_is_running(int64_t reloader);
int64_t vais_load_error_code(void);

static int64_t stopped = -1, code = -1, running = -1;

__attribute__((constructor)) static void stop(void) {
    int64_t reloader = strtoll(getenv("RELOADER"), NULL, 10);
    stopped = vais_hot_reload_stop(reloader);
    code = vais_load_error_code();
    running = vais_hot_reload_is_running(reloader);
}

int64_t result_of_stop(void) { return stopped; }
int64_t code_of_stop(void) { return code; }
int64_t running_after_stop(void) { return running; }
