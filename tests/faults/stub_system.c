/* A disk and clocks that misbehave, put before the C library by LD_PRELOAD. What they do stands in the file that
 * STUB_SYSTEM names and is looked up anew at each call, so that a test may change it while a process runs. Lines:
 *   28 cases.parquet     a write to a file whose path has that text in it fails with that errno (28: no space)
 *   slow 200 .msgpack    an fsync of such a file takes so many ms longer
 *   real -3600           CLOCK_REALTIME stands so many seconds away from the truth
 *   boot 5               CLOCK_BOOTTIME is so many seconds ahead, as after a sleep of the machine */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

/* The whole file by raw calls: the functions of the library may be ours. */
static int rules(char *text, int room) {
    const char *name = getenv("STUB_SYSTEM");
    if (!name) return 0;
    int file = syscall(SYS_openat, AT_FDCWD, name, O_RDONLY | O_CLOEXEC);
    if (file < 0) return 0;
    int n = syscall(SYS_read, file, text, room - 1);
    syscall(SYS_close, file);
    text[n > 0 ? n : 0] = 0;
    return n > 0;
}

static double number(const char *key) {
    char text[2048], word[64];
    double value;
    int kept = errno;
    if (rules(text, sizeof text))
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
            if (sscanf(line, "%63s %lf", word, &value) == 2 && !strcmp(word, key)) { errno = kept; return value; }
    errno = kept;
    return 0;
}

/* The path of an open file. */
static int told(int file, char *path, int room) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    ssize_t n = readlink(link, path, room - 1);
    path[n > 0 ? n : 0] = 0;
    return n > 0;
}

static int refused(int file) {
    char text[2048], path[4096], part[256];
    int number, kept = errno;
    int known = rules(text, sizeof text) && told(file, path, sizeof path);
    errno = kept;
    if (!known) return 0;
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
        if (sscanf(line, "%d %255s", &number, part) == 2 && strstr(path, part)) return number;
    return 0;
}

ssize_t write(int file, const void *data, size_t size) {
    int error = refused(file);
    if (error) { errno = error; return -1; }
    return syscall(SYS_write, file, data, size);
}

ssize_t writev(int file, const struct iovec *parts, int count) {
    int error = refused(file);
    if (error) { errno = error; return -1; }
    return syscall(SYS_writev, file, parts, count);
}

ssize_t pwrite64(int file, const void *data, size_t size, off64_t at) {
    int error = refused(file);
    if (error) { errno = error; return -1; }
    return syscall(SYS_pwrite64, file, data, size, at);
}

ssize_t copy_file_range(int from, off64_t *a, int to, off64_t *b, size_t size, unsigned flags) {
    int error = refused(to);
    if (error) { errno = error; return -1; }
    return syscall(SYS_copy_file_range, from, a, to, b, size, flags);
}

int fsync(int file) {
    char text[2048], path[4096], part[256];
    double ms;
    if (rules(text, sizeof text) && told(file, path, sizeof path))
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
            if (sscanf(line, "slow %lf %255s", &ms, part) == 2 && strstr(path, part)) usleep((useconds_t)(ms * 1000));
    return syscall(SYS_fsync, file);
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    int done = syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME) now->tv_sec += (time_t)number("real");
    if (clock == CLOCK_BOOTTIME) now->tv_sec += (time_t)number("boot");
    return done;
}
