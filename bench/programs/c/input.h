/* Input for programs: the same text on every machine, which compresses about as well as prose. */
#include <stddef.h>
#include <stdint.h>

static uint32_t input_state = 1;

static uint32_t input_next(void) {
    input_state = input_state * 1664525u + 1013904223u;
    return input_state >> 8;
}

/* Writes words of a small vocabulary, short words more often than long ones. */
static void input_text(char *to, size_t size) {
    static const char syllables[] = "kalomiretusanovide";
    size_t at = 0;
    input_state = 1;
    while (at < size) {
        uint32_t word = input_next() % 64 * (input_next() % 16);
        uint32_t length = 1 + word % 4;
        for (uint32_t n = 0; n < length && at + 1 < size; n++) {
            uint32_t syllable = (word + n * 7) % 9;
            to[at++] = syllables[2 * syllable];
            to[at++] = syllables[2 * syllable + 1];
        }
        if (at < size) to[at++] = input_next() % 12 ? ' ' : '\n';
    }
}

/* Returns a number that depends on every byte. */
static uint32_t input_sum(const void *bytes, size_t size) {
    uint32_t sum = 2166136261u;
    for (size_t n = 0; n < size; n++) sum = (sum ^ ((const uint8_t *)bytes)[n]) * 16777619u;
    return sum;
}

#define EXPORT(name) __attribute__((export_name(name)))
