#include <stdint.h>

int64_t answer(void) { return 41; }
