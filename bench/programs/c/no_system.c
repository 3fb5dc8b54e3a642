/* The system calls that wasi-libc imports: none of them works except a clock that never advances. So a program has no imports,
   and does the same in every engine. */
#include <stdint.h>

/* `badf`: tells the C library that there are no (more) open files. */
#define BADF 8
#define ABSENT(name, ...) \
    int32_t __imported_wasi_snapshot_preview1_##name(__VA_ARGS__) { return BADF; }

ABSENT(args_get, int32_t a, int32_t b)
ABSENT(args_sizes_get, int32_t a, int32_t b)
ABSENT(clock_res_get, int32_t a, int32_t b)
ABSENT(environ_get, int32_t a, int32_t b)
ABSENT(environ_sizes_get, int32_t a, int32_t b)
ABSENT(fd_close, int32_t a)
ABSENT(fd_fdstat_get, int32_t a, int32_t b)
ABSENT(fd_fdstat_set_flags, int32_t a, int32_t b)
ABSENT(fd_prestat_dir_name, int32_t a, int32_t b, int32_t c)
ABSENT(fd_prestat_get, int32_t a, int32_t b)
ABSENT(fd_read, int32_t a, int32_t b, int32_t c, int32_t d)
ABSENT(fd_renumber, int32_t a, int32_t b)
ABSENT(fd_seek, int32_t a, int64_t b, int32_t c, int32_t d)
ABSENT(fd_write, int32_t a, int32_t b, int32_t c, int32_t d)
ABSENT(path_open, int32_t a, int32_t b, int32_t c, int32_t d, int32_t e, int64_t f, int64_t g, int32_t h, int32_t i)
ABSENT(random_get, int32_t a, int32_t b)

/* Programs derive seeds from the time, and the C library traps if this call fails. */
int32_t __imported_wasi_snapshot_preview1_clock_time_get(int32_t clock, int64_t precision, int32_t time) {
    (void)clock, (void)precision;
    *(uint64_t *)(uintptr_t)time = 1000000000u;
    return 0;
}

_Noreturn void __imported_wasi_snapshot_preview1_proc_exit(int32_t code) {
    (void)code;
    __builtin_trap();
}
