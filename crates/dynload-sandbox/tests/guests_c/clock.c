/* Sleeps for a number of milliseconds and reads the clock before and after. Exit code: 0, or what went wrong. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int main(int argc, char **argv) {
    long ms = atol(argv[1]);
    struct timespec before, after, wall, pause = {ms / 1000, ms % 1000 * 1000000};
    if (clock_gettime(CLOCK_MONOTONIC, &before))
        return errno;
    if (nanosleep(&pause, NULL))
        return errno;
    if (clock_gettime(CLOCK_MONOTONIC, &after) || clock_gettime(CLOCK_REALTIME, &wall))
        return errno;
    long long slept = (after.tv_sec - before.tv_sec) * 1000LL + (after.tv_nsec - before.tv_nsec) / 1000000;
    printf("%lld %lld\n", slept, (long long)wall.tv_sec);
    return slept >= ms && slept < ms + 500 ? 0 : 101;
}
