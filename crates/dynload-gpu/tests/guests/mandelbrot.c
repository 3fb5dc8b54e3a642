/* The Mandelbrot set. Both functions return the sum of the iterations; `different` returns how many pixels differ, which some
 * do because a GPU may round floating-point numbers differently. */
#include "compute.h"

#define MOST 512
#define LIMIT 200

static const char shader[] =
    "@group(0) @binding(0) var<uniform> width: vec4<u32>;\n"
    "@group(0) @binding(1) var<storage, read_write> pixels: array<u32>;\n"
    "@compute @workgroup_size(8, 8)\n"
    "fn main(@builtin(global_invocation_id) id: vec3<u32>) {\n"
    "    if (id.x >= width.x || id.y >= width.x) { return; }\n"
    "    let c = vec2(f32(id.x) / f32(width.x) * 3.0 - 2.0, f32(id.y) / f32(width.x) * 3.0 - 1.5);\n"
    "    var z = vec2(0.0, 0.0);\n"
    "    var n = 0u;\n"
    "    while (n < 200u && z.x * z.x + z.y * z.y <= 4.0) {\n"
    "        z = vec2(z.x * z.x - z.y * z.y + c.x, 2.0 * z.x * z.y + c.y);\n"
    "        n++;\n"
    "    }\n"
    "    pixels[id.y * width.x + id.x] = n;\n"
    "}\n";

static uint32_t pixels[MOST * MOST], others[MOST * MOST];

static void on_gpu(uint32_t width, uint32_t *to) {
    uint32_t size[4] = {width, 0, 0, 0}, bytes = width * width * 4;
    uint32_t kernel = COMPILE(shader), uniform = buffer(size, sizeof size, DYNLOAD_GPU_UNIFORM);
    uint32_t out = buffer(NULL, bytes, DYNLOAD_GPU_STORAGE);
    dynload_gpu_binding bindings[] = {{0, uniform, 0, sizeof size}, {1, out, 0, bytes}};
    dispatch(kernel, (width + 7) / 8, (width + 7) / 8, bindings, 2);
    MUST(dynload_gpu_read(out, 0, to, bytes));
}

static void on_cpu(uint32_t width, uint32_t *to) {
    for (uint32_t row = 0; row < width; row++)
        for (uint32_t column = 0; column < width; column++) {
            float cx = (float)column / (float)width * 3.0f - 2.0f, cy = (float)row / (float)width * 3.0f - 1.5f;
            float x = 0, y = 0;
            uint32_t n = 0;
            while (n < LIMIT && x * x + y * y <= 4.0f) {
                float next = x * x - y * y + cx;
                y = 2.0f * x * y + cy;
                x = next;
                n++;
            }
            to[row * width + column] = n;
        }
}

static int64_t sum(uint32_t width) {
    int64_t sum = 0;
    for (uint32_t n = 0; n < width * width; n++) sum += pixels[n];
    return sum;
}

DYNLOAD_EXPORT(gpu) int64_t gpu(uint32_t width) {
    if (width > MOST) __builtin_trap();
    on_gpu(width, pixels);
    return sum(width);
}

DYNLOAD_EXPORT(cpu) int64_t cpu(uint32_t width) {
    if (width > MOST) __builtin_trap();
    on_cpu(width, pixels);
    return sum(width);
}

DYNLOAD_EXPORT(different) int64_t different(uint32_t width) {
    if (width > MOST) __builtin_trap();
    on_gpu(width, pixels);
    on_cpu(width, others);
    int64_t count = 0;
    for (uint32_t n = 0; n < width * width; n++) count += pixels[n] != others[n];
    return count;
}
