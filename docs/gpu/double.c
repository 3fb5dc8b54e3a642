/* Doubles numbers of 32 bits on a GPU: the plugin of docs/gpu.md. */
#include "dynload_guest.h"

static const char shader[] =
    "@group(0) @binding(0) var<storage, read_write> numbers: array<u32>;\n"
    "\n"
    "@compute @workgroup_size(64)\n"
    "fn double(@builtin(global_invocation_id) id: vec3<u32>) {\n"
    "    if (id.x < arrayLength(&numbers)) {\n"
    "        numbers[id.x] *= 2u;\n"
    "    }\n"
    "}\n";

static char message[512];

static int32_t doubled(dynload_bytes numbers) {
    if (numbers.len == 0) return dynload_ok(numbers);
    if (numbers.len % 4 != 0) return dynload_error(dynload_text("pass numbers of 4 bytes"));
    dynload_gpu_shader compiled = {shader, sizeof shader - 1, "double", 6, message, sizeof message, 0, {0}, 0};
    if (dynload_gpu_kernel(0, &compiled) != 0) {
        dynload_bytes why = {message, compiled.message_len};
        return dynload_error(why.len ? why : dynload_text("no GPU"));
    }
    uint32_t buffer;
    if (dynload_gpu_buffer(0, numbers.len, DYNLOAD_GPU_STORAGE, &buffer) != 0)
        return dynload_error(dynload_text("more numbers than the GPU has memory for"));
    dynload_gpu_binding binding = {0, buffer, 0, numbers.len};
    dynload_gpu_dispatch dispatch = {compiled.kernel, (uint32_t)(numbers.len / 4 + 63) / 64, 1, 1, &binding, 1, 0};
    int32_t failed = dynload_gpu_write(buffer, 0, numbers.data, numbers.len);
    if (!failed) failed = dynload_gpu_submit(0, &dispatch, 1);
    if (!failed) failed = dynload_gpu_read(buffer, 0, numbers.data, numbers.len);
    dynload_gpu_free(buffer);
    dynload_gpu_free(compiled.kernel);
    return failed ? dynload_error(dynload_text("the GPU failed")) : dynload_ok(numbers);
}
DYNLOAD_EXPORT_BYTES(doubled);
