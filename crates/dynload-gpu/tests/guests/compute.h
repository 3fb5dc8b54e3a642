/* What the demonstrations share: one kernel, buffers in the order of their bindings, one dispatch after the other. */
#include "dynload_guest.h"

#define MUST(call)                                                                                                   \
    do {                                                                                                             \
        if ((call) != 0) __builtin_trap();                                                                           \
    } while (0)

static inline uint32_t compile(const char *source, size_t len) {
    static char message[1024];
    dynload_gpu_shader shader = {source, len, "main", 4, message, sizeof message, 0, {0}, 0};
    MUST(dynload_gpu_kernel(0, &shader));
    return shader.kernel;
}
#define COMPILE(source) compile(source, sizeof source - 1)

static inline uint32_t buffer(const void *bytes, size_t len, uint32_t usage) {
    uint32_t handle;
    MUST(dynload_gpu_buffer(0, len, usage, &handle));
    if (bytes) MUST(dynload_gpu_write(handle, 0, bytes, len));
    return handle;
}

static inline void dispatch(uint32_t kernel, uint32_t x, uint32_t y, const dynload_gpu_binding *bindings, uint32_t count) {
    dynload_gpu_dispatch dispatch = {kernel, x, y, 1, bindings, count, 0};
    MUST(dynload_gpu_submit(0, &dispatch, 1));
}
