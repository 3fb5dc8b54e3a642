/* Counts the ways to place n queens on an n by n board. */
#include <stdint.h>

static int32_t place(uint32_t all, uint32_t columns, uint32_t left, uint32_t right) {
    if (columns == all) return 1;
    int32_t ways = 0;
    for (uint32_t free = all & ~(columns | left | right); free;) {
        uint32_t bit = free & -free;
        free ^= bit;
        ways += place(all, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return ways;
}

__attribute__((export_name("run"))) int32_t run(int32_t n) {
    return n < 1 || n > 15 ? 0 : place((1u << n) - 1, 0, 0, 0);
}
