/* Fibonacci by plain recursion: mostly calls. */
#include <stdint.h>

__attribute__((noinline)) static int32_t fib(int32_t n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

__attribute__((export_name("run"))) int32_t run(int32_t n) { return fib(n); }
