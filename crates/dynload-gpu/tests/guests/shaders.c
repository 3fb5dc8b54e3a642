/* Runs the shader that it is called with, on one storage buffer of 1024 bytes. Its result is the buffer, or the errno and the
 * compiler's message. */
#include "dynload_guest.h"

static uint32_t x = 1, y = 1;

DYNLOAD_EXPORT(set_groups) void set_groups(uint32_t columns, uint32_t rows) {
    x = columns;
    y = rows;
}

static char message[4096];

static int32_t failed(int32_t errno, size_t len) {
    char number[] = {(char)('0' + errno / 10), (char)('0' + errno % 10), ' '};
    dynload_bytes parts[] = {{number, 3}, {message, len}};
    return dynload_error(dynload_join(parts, 2));
}

static int32_t run(dynload_bytes source) {
    dynload_gpu_shader shader = {source.data, source.len, "main", 4, message, sizeof message, 0, {0}, 0};
    int32_t errno = dynload_gpu_kernel(0, &shader);
    if (errno) return failed(errno, shader.message_len);
    uint32_t buffer;
    errno = dynload_gpu_buffer(0, 1024, DYNLOAD_GPU_STORAGE, &buffer);
    dynload_gpu_binding binding = {0, buffer, 0, 1024};
    dynload_gpu_dispatch dispatch = {shader.kernel, x, y, 1, &binding, 1, 0};
    if (!errno) errno = dynload_gpu_submit(0, &dispatch, 1);
    dynload_bytes result = {(char *)dynload_alloc(1024), 1024};
    if (!errno) errno = dynload_gpu_read(buffer, 0, result.data, result.len);
    return errno ? failed(errno, 0) : dynload_ok(result);
}
DYNLOAD_EXPORT_BYTES(run);

/* Creates buffers of 4 MiB and writes to each of them, until the limit. Its result is their number. */
DYNLOAD_EXPORT(fill) int32_t fill(void) {
    static char zeros[4 << 20];
    for (int32_t count = 0;; count++) {
        uint32_t buffer;
        if (dynload_gpu_buffer(0, sizeof zeros, DYNLOAD_GPU_STORAGE, &buffer)) return count;
        if (dynload_gpu_write(buffer, 0, zeros, sizeof zeros)) return -1;
    }
}
