/* run(n): compresses n KiB of text with LZ4, fast and at level 9, and decompresses them. */
#include <stdlib.h>
#include <string.h>

#include "input.h"
#include "lz4.h"
#include "lz4hc.h"

EXPORT("run") int32_t run(int32_t n) {
    int size = n * 1024, bound = LZ4_compressBound(size);
    char *text = malloc(size), *packed = malloc(bound), *back = malloc(size);
    uint32_t sum = 0;
    if (!text || !packed || !back) return -1;
    input_text(text, size);
    for (int level = 0; level < 2; level++) {
        int length = level ? LZ4_compress_HC(text, packed, size, bound, 9)
                           : LZ4_compress_default(text, packed, size, bound);
        if (length <= 0 || LZ4_decompress_safe(packed, back, length, size) != size) return -2;
        if (memcmp(text, back, size) != 0) return -3;
        sum = sum * 31 + input_sum(packed, length);
    }
    free(text), free(packed), free(back);
    return (int32_t)sum;
}
