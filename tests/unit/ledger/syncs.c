/* Writes down when a process flushes a file to the disk: put in with LD_PRELOAD by test_writer.py. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void note(void) {
    const char *path = getenv("SYNCS");
    FILE *out = path ? fopen(path, "a") : NULL;
    if (!out)
        return;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    fprintf(out, "%ld.%09ld\n", (long)now.tv_sec, now.tv_nsec);
    fclose(out);
}

int fsync(int fd) {
    note();
    return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd) {
    note();
    return (int)syscall(SYS_fdatasync, fd);
}
