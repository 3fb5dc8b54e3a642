/* A host with the default disposition of SIGPIPE, and guests that write to pipes without readers: the host survives, and the
   state of the signal is unchanged. */
#include "check.h"
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char path[4096];
static volatile sig_atomic_t done;

/* Opens and closes the reading end repeatedly. */
static void *read_now_and_then(void *unused) {
    (void)unused;
    while (!done) {
        int fd = open(path, O_RDONLY | O_NONBLOCK);
        if (fd >= 0) close(fd);
    }
    return NULL;
}

static int is_blocked(int signal) {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    return sigismember(&mask, signal);
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    snprintf(path, sizeof path, "%s/pipe", argv[2]);
    CHECK(mkfifo(path, 0600) == 0);
    signal(SIGPIPE, SIG_DFL);

    WasmSandbox s = sandbox_grant(sandbox_new(), CAP_CONSOLE | CAP_FS_READ | CAP_FS_WRITE);
    CHECK(sandbox_allow_dir_str(s, argv[2], "/data", 1) == 1);
    int64_t bytes = load_wasm_file_str(argv[1]);
    WasmInstance plugin = sandbox_load(s, bytes, get_wasm_size(bytes));
    FINE;

    pthread_t reader;
    pthread_create(&reader, NULL, read_now_and_then, NULL);
    int broken = 0;
    for (int n = 0; n < 200000 && broken < 200; n++) {
        int64_t errno_of_guest = wasm_call_str(plugin, "write");
        FINE;
        if (errno_of_guest == 64) broken++;
    }
    done = 1;
    pthread_join(reader, NULL);
    CHECK(broken > 0);

    /* The console and the guest's standard streams, which are the host's own. */
    int ends[2], out = dup(1), err = dup(2);
    CHECK(pipe(ends) == 0);
    close(ends[0]);
    fflush(stdout);
    dup2(ends[1], 1);
    dup2(ends[1], 2);
    for (int n = 0; n < 10; n++) {
        wasm_call_str(plugin, "print");
        wasm_call1_str(plugin, "out", 1);
        wasm_call1_str(plugin, "out", 2);
    }
    dup2(out, 1);
    dup2(err, 2);

    CHECK(!is_blocked(SIGPIPE) && !is_blocked(SIGXFSZ));
    sigset_t pending;
    sigpending(&pending);
    CHECK(!sigismember(&pending, SIGPIPE) && !sigismember(&pending, SIGXFSZ));
    sandbox_destroy(s);
    printf("%d failures\n", failures);
    return 0;
}
