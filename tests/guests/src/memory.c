/* Grows memory by n pages, and fills, copies and compares blocks of many lengths with bulk operators. */
#include <stdint.h>
#include <string.h>

__attribute__((export_name("run"))) int32_t run(int32_t n) {
    int32_t sum = 0;
    for (int32_t i = 0; i < n; i++) {
        int32_t page = (int32_t)__builtin_wasm_memory_grow(0, 1);
        if (page < 0) return -i - 1;
        uint8_t *new_page = (uint8_t *)(page * 65536);
        size_t length = (size_t)(63 + i * 37 % 4000);
        memset(new_page, i + 1, length);
        memcpy(new_page + 8192, new_page, length);
        memmove(new_page + 1, new_page, 2 * length);
        for (size_t at = 0; at < 10000; at += 61) sum = sum * 17 + new_page[at];
    }
    return sum;
}
