/* Upper-cases standard input to standard output; arguments and variables go to standard error. Exit code: their number. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

extern char **environ;

int main(int argc, char **argv) {
    int c;
    while ((c = getchar()) != EOF)
        putchar(toupper(c));
    for (int i = 1; i < argc; i++)
        fprintf(stderr, "%s\n", argv[i]);
    for (char **variable = environ; variable && *variable; variable++)
        fprintf(stderr, "%s\n", *variable);
    return argc - 1;
}
