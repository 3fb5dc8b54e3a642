/* Searches for the number whose SHA-256 (FIPS 180-4), as 4 bytes in network order, starts with the most zero bits. Both
 * functions return the number of leading zeros times 2^32 plus the first such number: they are equal. */
#include "compute.h"

#define ROUND_CONSTANTS                                                                                              \
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,      \
        0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,  \
        0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,  \
        0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,  \
        0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,  \
        0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,  \
        0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,  \
        0xc67178f2

#define TEXT_OF(...) #__VA_ARGS__
#define TEXT(...) TEXT_OF(__VA_ARGS__)

static const uint32_t K[64] = {ROUND_CONSTANTS};
static const uint32_t START[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                  0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

static const char shader[] =
    "const K = array<u32, 64>(" TEXT(ROUND_CONSTANTS) ");\n"
    "@group(0) @binding(0) var<storage, read_write> zeros: array<u32>;\n"
    "fn rotate(x: u32, n: u32) -> u32 { return (x >> n) | (x << (32u - n)); }\n"
    "@compute @workgroup_size(64)\n"
    "fn main(@builtin(global_invocation_id) id: vec3<u32>) {\n"
    "    if (id.x >= arrayLength(&zeros)) { return; }\n"
    "    var k = K;\n"
    "    var w = array<u32, 64>();\n"
    "    w[0] = id.x; w[1] = 0x80000000u; w[15] = 32u;\n"
    "    for (var t = 16u; t < 64u; t++) {\n"
    "        let s0 = rotate(w[t - 15u], 7u) ^ rotate(w[t - 15u], 18u) ^ (w[t - 15u] >> 3u);\n"
    "        let s1 = rotate(w[t - 2u], 17u) ^ rotate(w[t - 2u], 19u) ^ (w[t - 2u] >> 10u);\n"
    "        w[t] = w[t - 16u] + s0 + w[t - 7u] + s1;\n"
    "    }\n"
    "    var a = 0x6a09e667u; var b = 0xbb67ae85u; var c = 0x3c6ef372u; var d = 0xa54ff53au;\n"
    "    var e = 0x510e527fu; var f = 0x9b05688cu; var g = 0x1f83d9abu; var h = 0x5be0cd19u;\n"
    "    for (var t = 0u; t < 64u; t++) {\n"
    "        let s1 = rotate(e, 6u) ^ rotate(e, 11u) ^ rotate(e, 25u);\n"
    "        let t1 = h + s1 + ((e & f) ^ (~e & g)) + k[t] + w[t];\n"
    "        let s0 = rotate(a, 2u) ^ rotate(a, 13u) ^ rotate(a, 22u);\n"
    "        let t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));\n"
    "        h = g; g = f; f = e; e = d + t1; d = c; c = b; b = a; a = t1 + t2;\n"
    "    }\n"
    "    zeros[id.x] = countLeadingZeros(a + 0x6a09e667u);\n"
    "}\n";

static uint32_t rotate(uint32_t x, int n) { return (x >> n) | (x << (32 - n)); }

static uint32_t zeros_of(uint32_t number) {
    uint32_t w[64] = {number, 0x80000000}, v[8];
    w[15] = 32;
    for (int t = 16; t < 64; t++) {
        uint32_t s0 = rotate(w[t - 15], 7) ^ rotate(w[t - 15], 18) ^ (w[t - 15] >> 3);
        uint32_t s1 = rotate(w[t - 2], 17) ^ rotate(w[t - 2], 19) ^ (w[t - 2] >> 10);
        w[t] = w[t - 16] + s0 + w[t - 7] + s1;
    }
    for (int n = 0; n < 8; n++) v[n] = START[n];
    for (int t = 0; t < 64; t++) {
        uint32_t s1 = rotate(v[4], 6) ^ rotate(v[4], 11) ^ rotate(v[4], 25);
        uint32_t t1 = v[7] + s1 + ((v[4] & v[5]) ^ (~v[4] & v[6])) + K[t] + w[t];
        uint32_t s0 = rotate(v[0], 2) ^ rotate(v[0], 13) ^ rotate(v[0], 22);
        uint32_t t2 = s0 + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        for (int n = 7; n > 0; n--) v[n] = v[n - 1];
        v[4] += t1;
        v[0] = t1 + t2;
    }
    uint32_t first = v[0] + START[0];
    return first ? (uint32_t)__builtin_clz(first) : 32;
}

#define MOST 65536
static uint32_t zeros[MOST];

static int64_t best(uint32_t count) {
    uint32_t found = 0;
    for (uint32_t n = 1; n < count; n++)
        if (zeros[n] > zeros[found]) found = n;
    return (int64_t)zeros[found] << 32 | found;
}

DYNLOAD_EXPORT(gpu) int64_t gpu(uint32_t count) {
    if (count > MOST) __builtin_trap();
    uint32_t kernel = COMPILE(shader), out = buffer(NULL, count * 4, DYNLOAD_GPU_STORAGE);
    dynload_gpu_binding binding = {0, out, 0, count * 4};
    dispatch(kernel, (count + 63) / 64, 1, &binding, 1);
    MUST(dynload_gpu_read(out, 0, zeros, count * 4));
    return best(count);
}

DYNLOAD_EXPORT(cpu) int64_t cpu(uint32_t count) {
    if (count > MOST) __builtin_trap();
    for (uint32_t n = 0; n < count; n++) zeros[n] = zeros_of(n);
    return best(count);
}
