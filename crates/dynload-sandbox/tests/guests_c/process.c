/* Runs a program: `process PROGRAM INPUT ARGS...`, and prints its output and its status. Exit code: an errno. */
#include <dynload_guest.h>
#include <stdio.h>
#include <string.h>

_Static_assert(sizeof(dynload_process) == 52, "the size in the header");

static char output[4096], errors[4096], args[4096];

int main(int argc, char **argv) {
    size_t len = 0;
    for (int i = 3; i < argc; i++) {
        size_t more = strlen(argv[i]) + 1;
        memcpy(args + len, argv[i], more);
        len += more;
    }
    dynload_process process = {
        .program = argv[1],
        .program_len = strlen(argv[1]),
        .args = args,
        .args_len = len,
        .input = argv[2],
        .input_len = strlen(argv[2]),
        .output = output,
        .output_room = sizeof output - 1,
        .errors = errors,
        .errors_room = sizeof errors - 1,
    };
    int failed = dynload_process_run(&process);
    if (failed)
        return failed;
    printf("%d|%u|%s|%u|%s", process.status, process.output_len, output, process.errors_len, errors);
    return 0;
}
