/* Four threads on the same objects: calls into one instance, grants, loads, interrupts, per-thread errors, and a sandbox that
   is destroyed while they use it. Arguments: a native plugin, a Wasm plugin, one that imports env.twice. */
#include "check.h"
#include <pthread.h>
#include <semaphore.h>
#include <time.h>

enum { THREADS = 4, ROUNDS = 200 };

static WasmSandbox shared;
static WasmInstance counter, spinner, one, two;
static int64_t wasm, wasm_len;
static const char *plugin;
static pthread_barrier_t together;

#define TEXT_OF(number, buffer) (snprintf(buffer, sizeof buffer, "/no/such/%d", number), buffer)

/* Calls the other instance. Two threads may each be inside one instance and call the other, so neither may block. */
static int64_t twice(int64_t userdata, int64_t instance, const int64_t *args, int64_t nargs, int64_t *results,
                     int64_t nresults) {
    (void)userdata, (void)nargs, (void)nresults;
    WasmInstance other = instance == one.handle ? two : one;
    int64_t answer = wasm_call1_str(other, "inner", args[0]);
    int64_t code = get_load_error_code();
    CHECK(answer == args[0] + 1 || code == DYNLOAD_ERROR_BUSY);
    results[0] = 2 * args[0];
    return 0;
}

static void *work(void *argument) {
    int number = (int)(intptr_t)argument;
    char path[32];
    pthread_barrier_wait(&together);
    for (int round = 0; round < ROUNDS; round++) {
        CHECK(wasm_call_str(counter, "count") > 0);
        /* Each thread has its own error. */
        CHECK(load_module_str(TEXT_OF(number, path)).handle == 0);
        CHECK(get_load_error_str() != NULL && strstr(get_load_error_str(), path) != NULL);
        WasmSandbox s = sandbox_grant(shared, number % 2 ? CAP_TIME : CAP_RANDOM);
        CHECK(s.handle == shared.handle);
        sandbox_revoke(shared, number % 2 ? CAP_TIME : CAP_RANDOM);
        FINE;
        if (round % 20 == 0) {
            CHECK(sandbox_set_fuel(shared, 1000000 + round) == 1);
            WasmInstance p = sandbox_load(shared, wasm, wasm_len);
            CHECK(wasm_call1_str(p, "deep", 10) == 10 && wasm_instance_destroy(p) == 1);
            ModuleHandle m = load_module_str(plugin);
            CHECK(m.loaded == 1 && get_function_str(m, "add") != 0 && unload_module(m) == 1);
        }
        CHECK(wasm_call1_str(number % 2 ? one : two, "run", round) == 2 * round);
        FINE;
    }
    pthread_barrier_wait(&together);
    if (number == 0) {
        /* Runs until another thread interrupts it. */
        CHECK(wasm_call_str(spinner, "spin") == 0);
        FAILS(DYNLOAD_ERROR_INTERRUPTED);
        CHECK(wasm_is_valid(spinner) == 0);
    } else if (number == 1) {
        while (wasm_is_valid(spinner) == 1) CHECK(wasm_interrupt(spinner) == 1);
    }
    pthread_barrier_wait(&together);
    if (number == 0) CHECK(sandbox_destroy(shared) == 1);
    for (int round = 0; round < 50; round++) {
        int64_t result = wasm_call1_str(counter, "deep", 30);
        int64_t code = get_load_error_code();
        CHECK(result == 30 || code == DYNLOAD_ERROR_INVALID_HANDLE || code == DYNLOAD_ERROR_INTERRUPTED ||
              code == DYNLOAD_ERROR_POISONED);
    }
    return NULL;
}

static ModuleHandle before, after[THREADS];

static void *reload(void *argument) {
    int number = (int)(intptr_t)argument;
    pthread_barrier_wait(&together);
    after[number] = reload_module(before);
    /* A reload that came too late found a stale handle. */
    CHECK(after[number].loaded == 1 || get_load_error_code() == DYNLOAD_ERROR_INVALID_HANDLE);
    return NULL;
}

/* All threads reload the same module at the same time: the newest handle is valid, whichever thread received it. */
static void reload_together(void) {
    before = load_module_str(plugin);
    pthread_t threads[THREADS];
    for (int n = 0; n < THREADS; n++) CHECK(pthread_create(&threads[n], NULL, reload, (void *)(intptr_t)n) == 0);
    ModuleHandle newest = {0};
    for (int n = 0; n < THREADS; n++) {
        CHECK(pthread_join(threads[n], NULL) == 0);
        if (after[n].version > newest.version) newest = after[n];
    }
    CHECK(newest.loaded == 1 && get_function_str(newest, "add") != 0);
    CHECK(unload_module(newest) == 1);
}

static sem_t starting;

static int64_t started(int64_t userdata, int64_t instance, const int64_t *args, int64_t nargs, int64_t *results,
                       int64_t nresults) {
    (void)userdata, (void)instance, (void)args, (void)nargs, (void)results, (void)nresults;
    return sem_post(&starting);
}

/* Loads a plugin whose start function never returns. */
static void *load_endless(void *argument) {
    /* (module (import "env" "started" (func)) (start 1) (func (call 0) (loop (br 0)))) */
    static const unsigned char endless[] = {0,   'a', 's', 'm', 1,   0,   0,    0,    1, 4, 1, 0x60, 0, 0, 2,  15, 1, 3,
                                            'e', 'n', 'v', 7,   's', 't', 'a',  'r',  't', 'e', 'd', 0, 0, 3,  2,  1, 0,
                                            8,   1,   1,   10,  11,  1,   9,    0,    0x10, 0, 3, 0x40, 12, 0, 11, 11};
    WasmSandbox *s = argument;
    CHECK(sandbox_load(*s, ADDRESS(endless), sizeof endless).handle == 0);
    FAILS(DYNLOAD_ERROR_INTERRUPTED);
    return NULL;
}

/* Changes a sandbox that is loading, which blocks until it is destroyed, or that is already destroyed: either way nothing is
   changed. */
static void *change(void *argument) {
    WasmSandbox *s = argument;
    CHECK(sandbox_allow_env_str(*s, "HOME", "/") == 0);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);
    return NULL;
}

static void destroy_while_it_starts(void) {
    ResourceLimits limits = default_limits();
    limits.max_time_ms = 3600000;
    WasmSandbox s = sandbox_with_limits(limits);
    CHECK(sandbox_host_function_str(s, "env", "started", "->", started, 0, CAP_NONE) == 1);
    CHECK(sem_init(&starting, 0, 0) == 0);
    pthread_t loads, changes;
    CHECK(pthread_create(&loads, NULL, load_endless, &s) == 0);
    while (sem_wait(&starting) != 0) {}
    CHECK(pthread_create(&changes, NULL, change, &s) == 0);
    const struct timespec soon = {0, 100000000};
    nanosleep(&soon, NULL);
    CHECK(sandbox_destroy(s) == 1);
    CHECK(pthread_join(loads, NULL) == 0 && pthread_join(changes, NULL) == 0);
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    setvbuf(stdout, NULL, _IONBF, 0);
    plugin = argv[1];
    wasm = load_wasm_file_str(argv[2]);
    wasm_len = get_wasm_size(wasm);
    int64_t imports = load_wasm_file_str(argv[3]);
    ResourceLimits limits = permissive_limits();
    shared = sandbox_with_limits(limits);
    CHECK(sandbox_host_function_str(shared, "env", "twice", "i64 -> i64", twice, 0, CAP_NONE) == 1);
    counter = sandbox_load(shared, wasm, wasm_len);
    spinner = sandbox_load(shared, wasm, wasm_len);
    one = sandbox_load(shared, imports, get_wasm_size(imports));
    two = sandbox_load(shared, imports, get_wasm_size(imports));
    FINE;
    CHECK(pthread_barrier_init(&together, NULL, THREADS) == 0);
    pthread_t threads[THREADS];
    for (int n = 0; n < THREADS; n++) CHECK(pthread_create(&threads[n], NULL, work, (void *)(intptr_t)n) == 0);
    for (int n = 0; n < THREADS; n++) CHECK(pthread_join(threads[n], NULL) == 0);
    for (int round = 0; round < 100; round++) reload_together();
    destroy_while_it_starts();
    CHECK(wasm_call_str(counter, "count") == 0);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);
    CHECK(free_wasm_file(wasm) == 1 && free_wasm_file(imports) == 1);
    printf("%d failures\n", failures);
    return failures != 0;
}
