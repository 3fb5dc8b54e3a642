/* run(n): compresses n KiB of text with zlib at level 6, and decompresses them. */
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "zlib.h"

EXPORT("run") int32_t run(int32_t n) {
    uLong size = (uLong)n * 1024, length = compressBound(size), got = size;
    Bytef *text = malloc(size), *packed = malloc(length), *back = malloc(size);
    if (!text || !packed || !back) return -1;
    input_text((char *)text, size);
    if (compress2(packed, &length, text, size, 6) != Z_OK) return -2;
    if (uncompress(back, &got, packed, length) != Z_OK || got != size) return -3;
    if (memcmp(text, back, size) != 0) return -4;
    uint32_t sum = input_sum(packed, length);
    free(text), free(packed), free(back);
    return (int32_t)sum;
}
