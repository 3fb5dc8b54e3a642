/* A native plugin. */
#include <stdint.h>

static int64_t calls;

int64_t plugin_init(void) { return 1; }

int64_t add(int64_t a, int64_t b) {
    calls++;
    return a + b;
}

int64_t plugin_calls(void) { return calls; }

int64_t plugin_answer = 42;
