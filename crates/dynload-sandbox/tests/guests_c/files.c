/* Works on a tree of files below /data: `files WHAT`. Exit code: 0 on success, otherwise the errno. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TRY(what) do { if (!(what)) { fprintf(stderr, "%s: %s\n", #what, strerror(errno)); return errno; } } while (0)

static int make_tree(void) {
    char path[64], text[64];
    for (int d = 0; d < 10; d++) {
        snprintf(path, sizeof path, "/data/d%d", d);
        TRY(mkdir(path, 0777) == 0);
        for (int f = 0; f < 10; f++) {
            snprintf(path, sizeof path, "/data/d%d/f%d.txt", d, f);
            FILE *file = fopen(path, "w");
            TRY(file);
            int len = snprintf(text, sizeof text, "directory %d, file %d\n", d, f);
            TRY(fwrite(text, 1, len, file) == (size_t)len);
            TRY(fclose(file) == 0);
        }
    }
    return 0;
}

/* Counts the files of the whole tree, and their bytes. */
static int walk(const char *path, int *files, long *bytes) {
    DIR *dir = opendir(path);
    TRY(dir);
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        char below[256];
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        struct stat st;
        TRY(lstat(below, &st) == 0);
        if (S_ISDIR(st.st_mode)) {
            int failed = walk(below, files, bytes);
            if (failed)
                return failed;
        } else {
            ++*files;
            *bytes += st.st_size;
        }
    }
    closedir(dir);
    return 0;
}

static int copy(const char *from, const char *to) {
    char buffer[777];
    FILE *in = fopen(from, "rb"), *out = fopen(to, "wb");
    TRY(in && out);
    size_t n;
    while ((n = fread(buffer, 1, sizeof buffer, in)) > 0)
        TRY(fwrite(buffer, 1, n, out) == n);
    TRY(!ferror(in));
    TRY(fclose(in) == 0 && fclose(out) == 0);
    return 0;
}

static int remove_tree(const char *path) {
    DIR *dir = opendir(path);
    TRY(dir);
    struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
            continue;
        char below[256];
        snprintf(below, sizeof below, "%s/%s", path, entry->d_name);
        struct stat st;
        TRY(lstat(below, &st) == 0);
        int failed = S_ISDIR(st.st_mode) ? remove_tree(below) : (unlink(below) ? errno : 0);
        if (failed)
            return failed;
    }
    closedir(dir);
    TRY(rmdir(path) == 0);
    return 0;
}

static int compare(const void *a, const void *b) {
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

/* Writes unsorted numbers, reads them back, sorts them, writes them again, and checks the order. */
static int sort(void) {
    enum { COUNT = 100000 };
    uint32_t *numbers = malloc(COUNT * sizeof *numbers), state = 12345;
    TRY(numbers);
    for (int i = 0; i < COUNT; i++)
        numbers[i] = state = state * 1664525 + 1013904223;
    int fd = open("/data/numbers", O_RDWR | O_CREAT | O_TRUNC, 0666);
    TRY(fd >= 0);
    TRY(write(fd, numbers, COUNT * sizeof *numbers) == COUNT * sizeof *numbers);
    memset(numbers, 0, COUNT * sizeof *numbers);
    TRY(pread(fd, numbers, COUNT * sizeof *numbers, 0) == COUNT * sizeof *numbers);
    qsort(numbers, COUNT, sizeof *numbers, compare);
    TRY(pwrite(fd, numbers, COUNT * sizeof *numbers, 0) == COUNT * sizeof *numbers);
    TRY(ftruncate(fd, COUNT / 2 * sizeof *numbers) == 0);
    TRY(lseek(fd, 0, SEEK_END) == COUNT / 2 * sizeof *numbers);
    TRY(lseek(fd, 0, SEEK_SET) == 0);
    uint32_t last = 0, next;
    for (int i = 0; i < 1000; i++) {
        TRY(read(fd, &next, sizeof next) == sizeof next);
        if (next < last)
            return 99;
        last = next;
    }
    TRY(close(fd) == 0);
    return 0;
}

static int work(void) {
    int failed, files = 0;
    long bytes = 0;
    if ((failed = make_tree()) || (failed = walk("/data", &files, &bytes)))
        return failed;
    printf("%d files, %ld bytes\n", files, bytes);
    if ((failed = copy("/data/d3/f4.txt", "/data/copy.txt")))
        return failed;
    TRY(rename("/data/copy.txt", "/data/d9/renamed.txt") == 0);
    TRY(rename("/data/d0", "/data/moved") == 0);
    TRY(link("/data/d1/f1.txt", "/data/second-name") == 0);
    TRY(symlink("d2/f2.txt", "/data/link") == 0);
    char target[32] = {0};
    TRY(readlink("/data/link", target, sizeof target) == 9 && !strcmp(target, "d2/f2.txt"));
    struct stat st;
    TRY(stat("/data/second-name", &st) == 0 && st.st_nlink == 2);
    struct timespec times[2] = {{1000, 5}, {2000, 7}};
    TRY(utimensat(AT_FDCWD, "/data/d1/f1.txt", times, 0) == 0);
    TRY(stat("/data/d1/f1.txt", &st) == 0 && st.st_mtim.tv_sec == 2000 && st.st_mtim.tv_nsec == 7);
    FILE *appended = fopen("/data/d1/f1.txt", "a");
    TRY(appended && fputs("more\n", appended) >= 0 && fclose(appended) == 0);
    TRY(stat("/data/d1/f1.txt", &st) == 0 && st.st_size == 25);
    if ((failed = sort()) || (failed = remove_tree("/data/d5")))
        return failed;
    files = 0, bytes = 0;
    if ((failed = walk("/data", &files, &bytes)))
        return failed;
    printf("%d files\n", files);
    return 0;
}

/* Writes lines until it fails, and returns the errno. */
static int endless(void) {
    for (;;) {
        int fd = open("/data/lines", O_WRONLY | O_CREAT | O_APPEND, 0666);
        if (fd < 0 || write(fd, "line\n", 5) != 5)
            return errno;
        close(fd);
    }
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    int files = 0;
    long bytes = 0;
    if (!strcmp(what, "work"))
        return work();
    if (!strcmp(what, "make"))
        return make_tree();
    if (!strcmp(what, "walk"))
        return walk("/data", &files, &bytes);
    if (!strcmp(what, "endless"))
        return endless();
    return 100;
}
