/* An LZ77 compressor with a hash of three bytes, and its decompressor: the round trip of n kilobytes of text must be
   the identity. Returns the compressed size times 1000 plus a sum, or -1 when the round trip fails. */
#include <stdint.h>
#include <string.h>

#define SIZE 16384
static uint8_t plain[SIZE], packed[2 * SIZE], back[SIZE];
static int32_t latest[4096];

static uint32_t seed;
static uint32_t next(void) { return seed = seed * 1664525u + 1013904223u; }

static void fill(int size) {
    static const char *words[8] = {"plugin ", "sandbox ", "fuel ", "memory ", "the ", "limit ", "of ", "stack "};
    for (int at = 0; at < size;) {
        const char *word = words[next() >> 29];
        while (*word && at < size) plain[at++] = (uint8_t)*word++;
    }
}

/* Literal: its byte, 0 escaped as 0 0 0. Match: 0, length, two bytes of distance. */
static int pack(int size) {
    int out = 0;
    for (int i = 0; i < 4096; i++) latest[i] = -1;
    for (int at = 0; at < size;) {
        int length = 0, distance = 0;
        if (at + 3 < size) {
            uint32_t hash = (plain[at] * 2654435761u ^ plain[at + 1] * 40503u ^ plain[at + 2] * 97u) >> 7 & 4095;
            int from = latest[hash];
            latest[hash] = at;
            if (from >= 0)
                while (at + length < size && length < 255 && plain[from + length] == plain[at + length]) length++;
            distance = at - from;
        }
        if (length >= 5) {
            packed[out++] = 0;
            packed[out++] = (uint8_t)length;
            packed[out++] = (uint8_t)(distance >> 8);
            packed[out++] = (uint8_t)distance;
            at += length;
        } else {
            packed[out++] = plain[at];
            if (!plain[at++]) packed[out++] = 0;
        }
    }
    return out;
}

static int unpack(int size) {
    int out = 0;
    for (int at = 0; at < size;) {
        if (packed[at]) {
            back[out++] = packed[at++];
        } else if (!packed[at + 1]) {
            back[out++] = 0;
            at += 2;
        } else {
            int length = packed[at + 1], distance = packed[at + 2] << 8 | packed[at + 3];
            for (int i = 0; i < length; i++, out++) back[out] = back[out - distance];
            at += 4;
        }
    }
    return out;
}

__attribute__((export_name("run"))) int32_t run(int32_t n) {
    int32_t sum = 0;
    seed = 1;
    for (int32_t left = n; left > 0; left -= SIZE / 1024) {
        int size = left < SIZE / 1024 ? left * 1024 : SIZE;
        fill(size);
        int small = pack(size);
        if (unpack(small) != size || memcmp(plain, back, (size_t)size)) return -1;
        sum += small * 1000 + back[size / 2];
    }
    return sum;
}
