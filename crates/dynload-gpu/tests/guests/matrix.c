/* Multiplies two square matrices of 32-bit numbers, modulo 2^32. Both functions return a hash of the product: they are equal. */
#include "compute.h"

#define MOST 256

static const char shader[] =
    "@group(0) @binding(0) var<storage, read> a: array<u32>;\n"
    "@group(0) @binding(1) var<storage, read> b: array<u32>;\n"
    "@group(0) @binding(2) var<storage, read_write> product: array<u32>;\n"
    "@group(0) @binding(3) var<uniform> size: vec4<u32>;\n"
    "@compute @workgroup_size(8, 8)\n"
    "fn main(@builtin(global_invocation_id) id: vec3<u32>) {\n"
    "    let n = size.x;\n"
    "    if (id.x >= n || id.y >= n) { return; }\n"
    "    var sum = 0u;\n"
    "    for (var k = 0u; k < n; k++) { sum += a[id.y * n + k] * b[k * n + id.x]; }\n"
    "    product[id.y * n + id.x] = sum;\n"
    "}\n";

static uint32_t a[MOST * MOST], b[MOST * MOST], product[MOST * MOST];

static void fill(uint32_t n) {
    if (n > MOST) __builtin_trap();
    uint32_t state = 1;
    for (uint32_t at = 0; at < n * n; at++) {
        a[at] = state = state * 1664525 + 1013904223;
        b[at] = state = state * 1664525 + 1013904223;
    }
}

static int64_t hash(uint32_t n) {
    uint64_t hash = 0;
    for (uint32_t at = 0; at < n * n; at++) hash = (hash ^ product[at]) * 0x100000001b3;
    return (int64_t)hash;
}

DYNLOAD_EXPORT(gpu) int64_t gpu(uint32_t n) {
    fill(n);
    uint32_t size[4] = {n, 0, 0, 0}, bytes = n * n * 4, kernel = COMPILE(shader);
    uint32_t out = buffer(NULL, bytes, DYNLOAD_GPU_STORAGE);
    dynload_gpu_binding bindings[] = {{0, buffer(a, bytes, DYNLOAD_GPU_STORAGE), 0, bytes},
                                      {1, buffer(b, bytes, DYNLOAD_GPU_STORAGE), 0, bytes},
                                      {2, out, 0, bytes},
                                      {3, buffer(size, sizeof size, DYNLOAD_GPU_UNIFORM), 0, sizeof size}};
    dispatch(kernel, (n + 7) / 8, (n + 7) / 8, bindings, 4);
    MUST(dynload_gpu_read(out, 0, product, bytes));
    return hash(n);
}

DYNLOAD_EXPORT(cpu) int64_t cpu(uint32_t n) {
    fill(n);
    for (uint32_t row = 0; row < n; row++)
        for (uint32_t column = 0; column < n; column++) {
            uint32_t sum = 0;
            for (uint32_t k = 0; k < n; k++) sum += a[row * n + k] * b[k * n + column];
            product[row * n + column] = sum;
        }
    return hash(n);
}
