/* What dynload.h uses of <string.h>. */
#include <stddef.h>
size_t strlen(const char *text);
