/* A signal handler that interrupts whatever runs, at any moment while instances are created, called, reset and destroyed:
   nothing blocks. Argument: a Wasm plugin. */
#define _DEFAULT_SOURCE
#include "check.h"
#include <errno.h>
#include <signal.h>
#include <sys/time.h>
#include <time.h>

static volatile WasmInstance current;
static volatile sig_atomic_t handled;

static void interrupt(int number) {
    (void)number;
    WasmInstance now = {current.handle, current.sandbox};
    errno = 77;
    wasm_interrupt(now);
    vais_wasm_interrupt(now.handle);
    if (errno == 77) handled++;
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    struct sigaction action, before[65], after;
    for (int number = 1; number <= 64; number++) {
        memset(&before[number], 0, sizeof before[number]);
        sigaction(number, NULL, &before[number]);
    }
    sigset_t mask_before, mask_after;
    sigprocmask(SIG_SETMASK, NULL, &mask_before);

    int64_t wasm = load_wasm_file_str(argv[1]);
    int64_t len = get_wasm_size(wasm);
    WasmSandbox sandbox = sandbox_with_limits(permissive_limits());
    WasmInstance kept = sandbox_load(sandbox, wasm, len);
    FINE;
    memset(&action, 0, sizeof action);
    action.sa_handler = interrupt;
    action.sa_flags = SA_RESTART;
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    const struct itimerval often = {{0, 150}, {0, 150}}, never = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &often, NULL);
    double end = seconds() + 3;
    int interrupted = 0;
    for (int round = 0; round < 1000000 && seconds() < end; round++) {
        WasmInstance one = sandbox_load(sandbox, wasm, len);
        if (one.handle == 0) {
            FAILS(DYNLOAD_ERROR_INTERRUPTED);
            continue;
        }
        current.handle = round % 2 ? one.handle : kept.handle;
        wasm_call_str(one, "answer");
        wasm_call_str(kept, "nothing");
        if (round % 64 == 0) {
            /* Only the handler ends this call. */
            current.handle = one.handle;
            CHECK(wasm_call_str(one, "spin") == 0);
            interrupted += get_load_error_code() == DYNLOAD_ERROR_INTERRUPTED;
        }
        wasm_reset(kept);
        int64_t before = get_load_error_code();
        CHECK(wasm_instance_destroy(one) == 1);
        CHECK(get_load_error_code() == before);
    }
    setitimer(ITIMER_REAL, &never, NULL);
    CHECK(handled > 0 && interrupted > 0);
    CHECK(wasm_interrupt(kept) == 1);
    CHECK(sandbox_destroy(sandbox) == 1 && wasm_interrupt(kept) == 0);
    /* Interrupting leaves the last error as it is. */
    CHECK(sandbox_destroy(sandbox) == 0);
    CHECK(wasm_interrupt(kept) == 0);
    FAILS(DYNLOAD_ERROR_INVALID_HANDLE);
    free_wasm_file(wasm);

    for (int number = 1; number <= 64; number++) {
        memset(&after, 0, sizeof after);
        sigaction(number, NULL, &after);
        CHECK(number == SIGALRM || after.sa_handler == before[number].sa_handler);
    }
    sigprocmask(SIG_SETMASK, NULL, &mask_after);
    CHECK(memcmp(&mask_before, &mask_after, sizeof mask_before) == 0);
    printf("%d failures\n", failures);
    return failures != 0;
}
