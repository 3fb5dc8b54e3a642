/* Primes below n by the sieve of Eratosthenes, at most a million; returns their number. */
#include <stdint.h>
#include <string.h>

static uint8_t composite[1000000];

__attribute__((export_name("run"))) int32_t run(int32_t n) {
    if (n > 1000000) n = 1000000;
    if (n < 2) return 0;
    memset(composite, 0, (size_t)n);
    int32_t count = 0;
    for (int32_t i = 2; i < n; i++) {
        if (composite[i]) continue;
        count++;
        for (int64_t j = (int64_t)i * i; j < n; j += i) composite[j] = 1;
    }
    return count;
}
