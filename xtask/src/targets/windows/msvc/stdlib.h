/* What dynload.h uses of <stdlib.h>. */
char *getenv(const char *name);
