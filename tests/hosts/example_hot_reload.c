/* Hot reload: the example from the specification, completed. Arguments: a C source that defines `int64_t answer(void)`, which
   this program changes. */
#include <dynload.h>
#include <stdio.h>
#include <time.h>

static void write_source(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    if (file == NULL) exit(3);
    fputs(text, file);
    fclose(file);
}

static int64_t answer(HotReloader reloader) {
    int64_t (*function)(void) = (int64_t (*)(void))hot_reloader_get_function_str(reloader, "answer");
    return function != NULL ? function() : -1;
}

/* The main loop of the example: waits until a reload succeeds or fails, at most a minute. */
static int64_t wait_for_change(HotReloader reloader) {
    const struct timespec pause = {0, 5000000};
    for (int turn = 0; turn < 12000; turn++) {
        int64_t changed = hot_reloader_check(reloader);
        if (changed == 1 || get_load_error_code() != DYNLOAD_OK) return changed;
        nanosleep(&pause, NULL);
    }
    printf("no change was reported\n");
    exit(4);
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    HotReloader reloader = hot_reloader_new_str(argv[1]);
    reloader = hot_reloader_start(reloader);
    printf("running %d, version %d, answer %d\n", (int)reloader.running, (int)reloader.version, (int)answer(reloader));
    printf("checked %d\n", (int)hot_reloader_check(reloader));

    write_source(argv[1], "#include <stdint.h>\nint64_t answer(void) { return 2; }\n");
    int64_t changed = wait_for_change(reloader);
    printf("changed %d, version %d, answer %d\n", (int)changed, (int)hot_reloader_version(reloader), (int)answer(reloader));

    write_source(argv[1], "int64_t answer(void) { this is not C }\n");
    changed = wait_for_change(reloader);
    const char *error = get_load_error_str();
    printf("changed %d, compiler error %d\n", (int)changed, error != NULL);
    printf("version %d, answer %d\n", (int)hot_reloader_version(reloader), (int)answer(reloader));

    ModuleHandle module = hot_reloader_module(reloader);
    printf("module %d, version %d\n", (int)module_is_loaded(module), (int)module_version(module));
    printf("unload %d, ", (int)unload_module(module));
    printf("invalid handle %d\n", get_load_error_code() == DYNLOAD_ERROR_INVALID_HANDLE);

    reloader = hot_reloader_stop(reloader);
    printf("running %d, answer %d\n", (int)reloader.running, (int)answer(reloader));
    printf("destroyed %d\n", (int)hot_reloader_destroy(reloader));
    return 0;
}
