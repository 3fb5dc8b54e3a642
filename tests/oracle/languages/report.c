/* Reports what a program of C sees and does through wasi-libc. The other programs print the same. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#define CHECK(condition)                                                 \
    do {                                                                 \
        if (!(condition)) {                                              \
            fprintf(stderr, "%s: %s\n", #condition, strerror(errno));    \
            exit(1);                                                     \
        }                                                                \
    } while (0)

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

static int by_number(const void *a, const void *b) {
    uint32_t left = *(const uint32_t *)a, right = *(const uint32_t *)b;
    return (left > right) - (left < right);
}

static uint32_t numbers(void) {
    enum { EACH = 25000, ALL = 4 * EACH };
    uint32_t *all = malloc(ALL * sizeof *all), hash = 0;
    CHECK(all);
    for (uint32_t part = 0; part < 4; part++) {
        uint32_t state = part;
        for (int n = 0; n < EACH; n++) all[part * EACH + n] = state = state * 1664525 + 1013904223;
    }
    qsort(all, ALL, sizeof *all, by_number);
    for (int n = 0; n < ALL; n++) hash = hash * 31 + all[n];
    free(all);
    return hash;
}

static const char *word(int condition) { return condition ? "true" : "false"; }

static void list(void) {
    char *names[64];
    int count = 0;
    DIR *directory = opendir("/data");
    CHECK(directory);
    for (struct dirent *entry; (entry = readdir(directory));) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
        CHECK(count < 64 && (names[count++] = strdup(entry->d_name)));
    }
    closedir(directory);
    qsort(names, count, sizeof *names, by_text);
    for (int n = 0; n < count; n++) {
        char path[256];
        struct stat status;
        snprintf(path, sizeof path, "/data/%s", names[n]);
        CHECK(!lstat(path, &status));
        const char *kind = S_ISLNK(status.st_mode) ? "symlink" : S_ISDIR(status.st_mode) ? "directory" : "file";
        printf("%s %s\n", kind, names[n]);
    }
}

int main(int argc, char **argv) {
    printf("arguments: ");
    for (int n = 1; n < argc; n++) printf("%s%s", n > 1 ? "|" : "", argv[n]);
    int variables = 0;
    while (environ[variables]) variables++;
    qsort(environ, variables, sizeof *environ, by_text);
    printf("\nenvironment:");
    for (int n = 0; n < variables; n++) printf(" %s", environ[n]);
    char text[64] = {0};
    CHECK(fread(text, 1, sizeof text - 1, stdin) > 0);
    printf("\ninput: %s\n", text);

    list();
    FILE *file = fopen("/data/link/deep", "r");
    CHECK(file && fgets(text, sizeof text, file));
    fclose(file);
    printf("through a symlink: %s\n", text);
    CHECK(!fopen("/data/missing", "r"));
    printf("missing: %s\n", word(errno == ENOENT));
    printf("outside: refused %s\n", word(!fopen("/data/outside/secret", "r")));
    CHECK(mkdir("/data/directory", 0777));
    printf("exists: %s\n", word(errno == EEXIST));

    CHECK(!mkdir("/data/made", 0777) && !mkdir("/data/made/inner", 0777));
    CHECK((file = fopen("/data/made/inner/lines", "w")));
    for (int n = 0; n < 1000; n++) fprintf(file, "line %d\n", n);
    CHECK(!fclose(file));
    CHECK(!rename("/data/made/inner/lines", "/data/made/lines") && !rmdir("/data/made/inner"));
    CHECK((file = fopen("/data/made/lines", "a")) && fputs("end\n", file) >= 0 && !fclose(file));
    struct stat status;
    CHECK(!stat("/data/made/lines", &status) && (file = fopen("/data/made/lines", "r")));
    int lines = 0;
    for (int c; (c = fgetc(file)) != EOF;) lines += c == '\n';
    fclose(file);
    printf("lines: %d bytes: %lld\n", lines, (long long)status.st_size);
    CHECK(!truncate("/data/made/lines", 7));

    printf("numbers: %u\n", numbers());
    struct timespec before, after, pause = {.tv_nsec = 1000000};
    CHECK(!clock_gettime(CLOCK_MONOTONIC, &before) && !nanosleep(&pause, NULL) && !clock_gettime(CLOCK_MONOTONIC, &after));
    long long slept = (after.tv_sec - before.tv_sec) * 1000000000LL + after.tv_nsec - before.tv_nsec;
    printf("slept: %s\n", word(slept >= 1000000));
    unsigned char random[32], zero[32] = {0};
    CHECK(!getentropy(random, sizeof random));
    printf("random: %s\n", word(memcmp(random, zero, sizeof zero)));
    fprintf(stderr, "to standard error\n");
    return 7;
}
