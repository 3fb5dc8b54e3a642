/* A map from strings to counts with open addressing, grown as it fills: the words of n generated lines. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    char *key;
    int32_t count;
};

static struct entry *entries;
static uint32_t capacity, used;

static uint32_t hash(const char *key) {
    uint32_t h = 2166136261u;
    for (; *key; key++) h = (h ^ (uint8_t)*key) * 16777619u;
    return h;
}

static struct entry *find(struct entry *in, uint32_t size, const char *key) {
    uint32_t at = hash(key) & (size - 1);
    while (in[at].key && strcmp(in[at].key, key)) at = (at + 1) & (size - 1);
    return &in[at];
}

static int add(const char *key) {
    if (used * 4 >= capacity * 3) {
        uint32_t size = capacity ? capacity * 2 : 16;
        struct entry *larger = calloc(size, sizeof *larger);
        if (!larger) return 0;
        for (uint32_t i = 0; i < capacity; i++)
            if (entries[i].key) *find(larger, size, entries[i].key) = entries[i];
        free(entries);
        entries = larger;
        capacity = size;
    }
    struct entry *entry = find(entries, capacity, key);
    if (!entry->key) {
        size_t length = strlen(key) + 1;
        entry->key = malloc(length);
        if (!entry->key) return 0;
        memcpy(entry->key, key, length);
        used++;
    }
    entry->count++;
    return 1;
}

__attribute__((export_name("run"))) int32_t run(int32_t n) {
    uint32_t seed = 7;
    char word[8];
    for (int32_t i = 0; i < n; i++)
        for (int k = 0; k < 8; k++) {
            seed = seed * 1664525u + 1013904223u;
            int length = 1 + (seed >> 30);
            for (int c = 0; c < length; c++) word[c] = (char)('a' + (seed >> (4 + 5 * c)) % 26);
            word[length] = 0;
            if (!add(word)) return -1;
        }
    int32_t sum = (int32_t)used;
    for (uint32_t i = 0; i < capacity; i++) {
        if (!entries[i].key) continue;
        sum += (int32_t)hash(entries[i].key) ^ entries[i].count;
        free(entries[i].key);
    }
    free(entries);
    entries = 0;
    capacity = used = 0;
    return sum;
}
