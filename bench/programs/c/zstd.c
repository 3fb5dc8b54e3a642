/* run(n): compresses n KiB of text with zstd at level 3, and decompresses them. */
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "zstd.h"

EXPORT("run") int32_t run(int32_t n) {
    size_t size = (size_t)n * 1024, bound = ZSTD_compressBound(size);
    char *text = malloc(size), *packed = malloc(bound), *back = malloc(size);
    if (!text || !packed || !back) return -1;
    input_text(text, size);
    size_t length = ZSTD_compress(packed, bound, text, size, 3);
    if (ZSTD_isError(length) || ZSTD_decompress(back, size, packed, length) != size) return -2;
    if (memcmp(text, back, size) != 0) return -3;
    uint32_t sum = input_sum(packed, length);
    free(text), free(packed), free(back);
    return (int32_t)sum;
}
