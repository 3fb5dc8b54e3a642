/* n calls through a table of functions. */
#include <stdint.h>

typedef int32_t (*step)(int32_t, int32_t);

static int32_t add(int32_t a, int32_t b) { return a + b; }
static int32_t xor_shift(int32_t a, int32_t b) { return (int32_t)((uint32_t)a << 5 ^ (uint32_t)a >> 3 ^ (uint32_t)b); }
static int32_t mix(int32_t a, int32_t b) { return (int32_t)((uint32_t)a * 31u + (uint32_t)b); }
static int32_t larger(int32_t a, int32_t b) { return a > b ? a : b ^ a; }
static int32_t count(int32_t a, int32_t b) {
    int32_t bits = 0;
    for (uint32_t x = (uint32_t)(a ^ b); x; x &= x - 1) bits++;
    return a - bits;
}

static step steps[] = {add, xor_shift, mix, larger, count, add, mix, xor_shift};

__attribute__((export_name("run"))) int32_t run(int32_t n) {
    int32_t a = 1;
    for (int32_t i = 0; i < n; i++) a = steps[(a ^ i) & 7](a, i);
    return a;
}
