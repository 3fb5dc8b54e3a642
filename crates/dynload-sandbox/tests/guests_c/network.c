/* Uses TCP and UDP: `network connect PORT`, `network serve`, `network datagrams PORT`. Exit code: an errno. */
#include <dynload_guest.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wasi/api.h>

#define TRY(what) do { if (!(what)) { fprintf(stderr, "%s: %s\n", #what, strerror(errno)); return errno; } } while (0)

static const char host[] = "127.0.0.1";

/* Sends a line, and then sends back each line that it receives, until the other end says "bye". */
static int talk(int fd, const char *first) {
    char line[256];
    TRY(write(fd, first, strlen(first)) == (ssize_t)strlen(first));
    for (;;) {
        size_t len = 0;
        do {
            struct pollfd ready = {.fd = fd, .events = POLLIN};
            TRY(poll(&ready, 1, 2000) == 1);
            ssize_t n = read(fd, line + len, sizeof line - len);
            TRY(n >= 0);
            if (n == 0)
                return 0;
            len += n;
        } while (line[len - 1] != '\n' && len < sizeof line);
        if (!strncmp(line, "bye\n", 4)) {
            TRY(shutdown(fd, SHUT_WR) == 0);
            TRY(close(fd) == 0);
            return 0;
        }
        TRY(send(fd, line, len, 0) == (ssize_t)len);
    }
}

int main(int argc, char **argv) {
    dynload_socket it;
    const char *what = argc > 1 ? argv[1] : "";
    unsigned port = argc > 2 ? atoi(argv[2]) : 0;
    if (!strcmp(what, "connect")) {
        int failed = dynload_tcp_connect(argc > 3 ? argv[3] : host, strlen(argc > 3 ? argv[3] : host), port, &it);
        return failed ? failed : talk(it.fd, "hello from the guest\n");
    }
    if (!strcmp(what, "serve")) {
        int failed = dynload_tcp_listen(host, sizeof host - 1, 0, &it);
        if (failed)
            return failed;
        printf("%u\n", it.port);
        fflush(stdout);
        __wasi_fd_t accepted;
        if ((failed = __wasi_sock_accept(it.fd, 0, &accepted)))
            return failed;
        return talk(accepted, "welcome\n");
    }
    if (!strcmp(what, "datagrams")) {
        char text[64];
        int failed = dynload_udp_bind(host, sizeof host - 1, 0, host, sizeof host - 1, port, &it);
        if (failed)
            return failed;
        TRY(send(it.fd, "ping", 4, 0) == 4);
        ssize_t n = recv(it.fd, text, sizeof text, 0);
        TRY(n == 4 && !memcmp(text, "pong", 4));
        return 0;
    }
    if (!strcmp(what, "wait")) {
        int failed = dynload_tcp_connect(host, sizeof host - 1, port, &it);
        if (failed)
            return failed;
        puts("connected");
        fflush(stdout);
        char byte;
        TRY(read(it.fd, &byte, 1) == 1);
        return 0;
    }
    return 100;
}
