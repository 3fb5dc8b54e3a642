/* Ackermann(2, n): deep recursion, and a loop where the compiler turns a tail call into one. */
#include <stdint.h>

__attribute__((noinline)) static int32_t ackermann(int32_t m, int32_t n) {
    if (!m) return n + 1;
    if (!n) return ackermann(m - 1, 1);
    return ackermann(m - 1, ackermann(m, n - 1));
}

__attribute__((export_name("run"))) int32_t run(int32_t n) { return ackermann(2, n); }
