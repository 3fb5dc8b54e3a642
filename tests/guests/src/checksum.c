/* CRC-32 (table computed at run time) and Adler-32 (RFC 1950) over n kilobytes. */
#include <stdint.h>

static uint32_t table[256];

static void make_table(void) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int bit = 0; bit < 8; bit++) c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
        table[i] = c;
    }
}

__attribute__((export_name("run"))) int64_t run(int32_t n) {
    static uint8_t bytes[1024];
    make_table();
    uint32_t crc = 0xffffffffu, a = 1, b = 0;
    for (int32_t k = 0; k < n; k++) {
        for (int i = 0; i < 1024; i++) bytes[i] = (uint8_t)(i * 7 + k);
        for (int i = 0; i < 1024; i++) crc = table[(crc ^ bytes[i]) & 0xff] ^ (crc >> 8);
        for (int i = 0; i < 1024; i++) {
            a = (a + bytes[i]) % 65521;
            b = (b + a) % 65521;
        }
    }
    return (int64_t)(((uint64_t)(crc ^ 0xffffffffu) << 32) | (b << 16 | a));
}
