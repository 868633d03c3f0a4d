/* Loaded into a Mainstay process (LD_PRELOAD). While the file BROKEN_WHILE is there, what is written
 * to a file below BROKEN_FOLDER fails as on a broken disk. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int broken(int file) {
    const char *folder = getenv("BROKEN_FOLDER"), *when = getenv("BROKEN_WHILE");
    int before = errno;
    char link[64], path[4096];
    if (!folder || !when || access(when, F_OK) != 0) {
        errno = before;
        return 0;
    }
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t length = readlink(link, path, sizeof path - 1);
    errno = before;
    if (length < 0)
        return 0;
    path[length] = 0;
    if (strncmp(path, folder, strlen(folder)) != 0)
        return 0;
    errno = EIO;
    return 1;
}

/* The C library's own function, which comes after this one. */
#define OWN(name, result, ...) ((result(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

ssize_t write(int file, const void *bytes, size_t count) {
    return broken(file) ? -1 : OWN("write", ssize_t, int, const void *, size_t)(file, bytes, count);
}

ssize_t pwrite(int file, const void *bytes, size_t count, off_t at) {
    if (broken(file))
        return -1;
    return OWN("pwrite", ssize_t, int, const void *, size_t, off_t)(file, bytes, count, at);
}

ssize_t pwrite64(int file, const void *bytes, size_t count, off64_t at) {
    if (broken(file))
        return -1;
    return OWN("pwrite64", ssize_t, int, const void *, size_t, off64_t)(file, bytes, count, at);
}

int fsync(int file) {
    return broken(file) ? -1 : OWN("fsync", int, int)(file);
}

int fdatasync(int file) {
    return broken(file) ? -1 : OWN("fdatasync", int, int)(file);
}
