/* Checks that report where they failed and continue. */
#include <dynload.h>
#include <stdio.h>
#include <string.h>

static int failures;

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            const char *why = get_load_error_str();                                                                    \
            printf("%s:%d: %s (%s)\n", __FILE__, __LINE__, #condition, why != NULL ? why : "no error");               \
            failures++;                                                                                                \
        }                                                                                                              \
    } while (0)

/* The last call succeeded. */
#define FINE CHECK(get_load_error_code() == DYNLOAD_OK && get_load_error() == 0)

/* The last call failed with this code and has a message. */
#define FAILS(code) CHECK(get_load_error_code() == (code) && get_load_error_str() != NULL && get_load_error_str()[0] != '\0')

#define TEXT(text) dynload_address(text)
#define ADDRESS(of) dynload_address(of)
