/* A reactor: no `main`, ready after `_initialize`. */
#include <stdint.h>

static int64_t total = -1000;

__attribute__((constructor)) static void begin(void) { total = 100; }

__attribute__((export_name("add"))) int64_t add(int64_t number) { return total += number; }
