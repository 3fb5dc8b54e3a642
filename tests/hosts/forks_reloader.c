/* What a child of fork can do with a hot reloader that the parent started, and with its own. Argument: a writable path whose
   name ends in .wat. */
#include "check.h"
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *path;

static void save(int version) {
    FILE *file = fopen(path, "w");
    CHECK(file != NULL);
    fprintf(file, "(module (func (export \"version\") (result i64) (i64.const %d)))", version);
    CHECK(fclose(file) == 0);
}

static int64_t call(HotReloader r) { return wasm_call_str(hot_reloader_wasm(r), "version"); }

static void await(HotReloader r, int version) {
    while (call(r) != version) {
        FINE;
        CHECK(hot_reloader_check(r) == 1 || get_load_error_code() == DYNLOAD_OK);
        poll(NULL, 0, 1);
    }
}

static HotReloader started(void) {
    HotReloadConfig config = hot_reload_config_str(path);
    config.debounce_ms = 0;
    HotReloader r = hot_reloader_start(hot_reloader_with_config(config));
    FINE;
    CHECK(r.version == 1 && r.running == 1);
    return r;
}

static void use_in_child(HotReloader inherited, int version) {
    CHECK(call(inherited) == version);
    HotReloader r = hot_reloader_stop(inherited);
    FAILS(DYNLOAD_ERROR_BUILD);
    CHECK(r.handle == inherited.handle && r.running == 0);
    hot_reloader_start(inherited);
    FAILS(DYNLOAD_ERROR_BUILD);
    CHECK(hot_reloader_check(inherited) == 0);
    FAILS(DYNLOAD_ERROR_BUILD);
    CHECK(call(inherited) == version);

    HotReloader own = started();
    save(version + 1);
    await(own, version + 1);
    CHECK(hot_reloader_stop(own).running == 0);
    FINE;
    CHECK(hot_reloader_start(own).running == 1);
    FINE;
    CHECK(hot_reloader_destroy(own) == 1);
    CHECK(hot_reloader_destroy(inherited) == 1);
    FINE;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    setvbuf(stdout, NULL, _IONBF, 0);
    path = argv[1];
    int version = 1;
    save(version);
    HotReloader r = started();
    HotReloader never_started = hot_reloader_new_str(path);
    for (int round = 0; round < 5; round++, version++) {
        await(r, version);
        pid_t child = fork();
        if (child == 0) {
            use_in_child(r, version);
            /* A reloader that was never started belongs to no process yet. */
            CHECK(hot_reloader_start(never_started).running == 1);
            FINE;
            CHECK(hot_reloader_destroy(never_started) == 1);
            exit(failures);
        }
        int status = -1;
        CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
    }
    await(r, version);
    CHECK(hot_reloader_stop(r).running == 0);
    FINE;
    CHECK(hot_reloader_destroy(r) == 1 && hot_reloader_destroy(never_started) == 1);
    printf("%d failures\n", failures);
    return failures != 0;
}
