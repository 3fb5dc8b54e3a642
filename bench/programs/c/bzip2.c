/* run(n): compresses n KiB of text with bzip2, and decompresses them. */
#include <stdlib.h>
#include <string.h>

#include "bzlib.h"
#include "input.h"

/* The library calls this on an internal error when it is built without stdio. */
void bz_internal_error(int code) {
    (void)code;
    __builtin_trap();
}

EXPORT("run") int32_t run(int32_t n) {
    unsigned size = (unsigned)n * 1024, length = size + size / 100 + 600, got = size;
    char *text = malloc(size), *packed = malloc(length), *back = malloc(size);
    if (!text || !packed || !back) return -1;
    input_text(text, size);
    if (BZ2_bzBuffToBuffCompress(packed, &length, text, size, 5, 0, 0) != BZ_OK) return -2;
    if (BZ2_bzBuffToBuffDecompress(back, &got, packed, length, 0, 0) != BZ_OK || got != size) return -3;
    if (memcmp(text, back, size) != 0) return -4;
    uint32_t sum = input_sum(packed, length);
    free(text), free(packed), free(back);
    return (int32_t)sum;
}
