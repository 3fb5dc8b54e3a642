/* What portable.c uses of <stdio.h>: the headers of Visual C++ may not be passed on. */
#include <stddef.h>
typedef struct file FILE;
#define EOF (-1)
FILE *fopen(const char *path, const char *mode);
int fgetc(FILE *file);
int fputc(int byte, FILE *file);
int fclose(FILE *file);
int fflush(FILE *file);
int printf(const char *format, ...);
