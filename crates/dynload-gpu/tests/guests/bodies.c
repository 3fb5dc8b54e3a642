/* Bodies that attract each other: some steps, whose state stays on the device. Both functions return the sum of the distances
 * from the origin, in thousandths. */
#include "compute.h"

#define MOST 1024
#define STEPS 10

typedef struct body {
    float x, y, z, mass, vx, vy, vz, unused;
} body;

static const char shader[] =
    "struct Body { place: vec3<f32>, mass: f32, speed: vec3<f32>, unused: f32 }\n"
    "@group(0) @binding(0) var<storage, read> before: array<Body>;\n"
    "@group(0) @binding(1) var<storage, read_write> after: array<Body>;\n"
    "@compute @workgroup_size(64)\n"
    "fn main(@builtin(global_invocation_id) id: vec3<u32>) {\n"
    "    let count = arrayLength(&before);\n"
    "    if (id.x >= count) { return; }\n"
    "    var body = before[id.x];\n"
    "    for (var n = 0u; n < count; n++) {\n"
    "        let to = before[n].place - body.place;\n"
    "        let square = dot(to, to) + 0.01;\n"
    "        body.speed += to * (before[n].mass * 0.001 / (square * sqrt(square)));\n"
    "    }\n"
    "    body.place += body.speed * 0.001;\n"
    "    after[id.x] = body;\n"
    "}\n";

static body bodies[2][MOST];

static void fill(uint32_t count) {
    if (count > MOST) __builtin_trap();
    uint32_t state = 7;
    float *number = &bodies[0][0].x;
    for (uint32_t at = 0; at < count * 8; at++) {
        state = state * 1664525 + 1013904223;
        number[at] = at % 8 < 4 ? (float)(state >> 8) / 16777216.0f : 0;
    }
}

static int64_t sum(const body *list, uint32_t count) {
    double sum = 0;
    for (uint32_t n = 0; n < count; n++)
        sum += __builtin_sqrtf(list[n].x * list[n].x + list[n].y * list[n].y + list[n].z * list[n].z);
    return (int64_t)(sum * 1000);
}

DYNLOAD_EXPORT(gpu) int64_t gpu(uint32_t count) {
    fill(count);
    uint32_t bytes = count * sizeof(body), kernel = COMPILE(shader);
    uint32_t both[] = {buffer(bodies[0], bytes, DYNLOAD_GPU_STORAGE), buffer(NULL, bytes, DYNLOAD_GPU_STORAGE)};
    for (uint32_t step = 0; step < STEPS; step++) {
        dynload_gpu_binding bindings[] = {{0, both[step % 2], 0, bytes}, {1, both[1 - step % 2], 0, bytes}};
        dispatch(kernel, (count + 63) / 64, 1, bindings, 2);
    }
    MUST(dynload_gpu_read(both[STEPS % 2], 0, bodies[0], bytes));
    return sum(bodies[0], count);
}

DYNLOAD_EXPORT(cpu) int64_t cpu(uint32_t count) {
    fill(count);
    for (uint32_t step = 0; step < STEPS; step++) {
        const body *before = bodies[step % 2];
        for (uint32_t n = 0; n < count; n++) {
            body moved = before[n];
            for (uint32_t m = 0; m < count; m++) {
                float x = before[m].x - moved.x, y = before[m].y - moved.y, z = before[m].z - moved.z;
                float square = x * x + y * y + z * z + 0.01f;
                float pull = before[m].mass * 0.001f / (square * __builtin_sqrtf(square));
                moved.vx += x * pull;
                moved.vy += y * pull;
                moved.vz += z * pull;
            }
            moved.x += moved.vx * 0.001f;
            moved.y += moved.vy * 0.001f;
            moved.z += moved.vz * 0.001f;
            bodies[1 - step % 2][n] = moved;
        }
    }
    return sum(bodies[STEPS % 2], count);
}
