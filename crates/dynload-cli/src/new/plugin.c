/* Build: {build} */

#include <stdint.h>

__attribute__((export_name("add"))) int64_t add(int64_t a, int64_t b) { return a + b; }
