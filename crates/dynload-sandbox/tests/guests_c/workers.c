/* Counts the primes below a number, with the range cut into pieces: `workers PIECES LIMIT`. Exit code: an errno. */
#include <dynload_guest.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int is_prime(unsigned n) {
    if (n < 2)
        return 0;
    for (unsigned d = 2; d * d <= n; d++)
        if (n % d == 0)
            return 0;
    return 1;
}

/* Runs in a worker. Its piece is in the argument: the first number in the upper half, the end in the lower. */
__attribute__((export_name("count"))) int64_t count(int64_t piece) {
    int64_t found = 0;
    for (unsigned n = (uint64_t)piece >> 32; n < (uint32_t)piece; n++)
        found += is_prime(n);
    printf("%lld\n", found);
    fflush(stdout);
    return found;
}

int main(int argc, char **argv) {
    unsigned pieces = atoi(argv[1]), limit = atoi(argv[2]);
    uint32_t threads[64];
    for (unsigned i = 0; i < pieces; i++) {
        uint64_t from = (uint64_t)limit * i / pieces, to = (uint64_t)limit * (i + 1) / pieces;
        int failed = dynload_thread_spawn("count", 5, from << 32 | to, &threads[i]);
        if (failed)
            return failed;
    }
    int64_t sum = 0;
    for (unsigned i = 0; i < pieces; i++) {
        int64_t found;
        int failed = dynload_thread_join(threads[i], &found);
        if (failed)
            return failed;
        sum += found;
    }
    printf("%lld primes\n", sum);
    return 0;
}
