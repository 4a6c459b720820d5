/* Makes reads of a simulated machine fail, from outside the process that reads; and writes to its
 * disk, and its clock.
 *
 * Put in with LD_PRELOAD; WATTLAS_FAULTS names the control table, which hardware/faults.py writes
 * and which may change while this process runs. Only paths below the table's root are touched.
 * A reading is a read at offset 0, as with the kernel's own files: what follows it up to the end of
 * the file belongs to the same reading. A write is whatever changes a file that was opened for
 * writing, its name or its length; a sync is fsync and fdatasync. Linux with glibc, 64 bits.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define MAGIC 0x544c4657u
#define RULES 32
#define DESCRIPTORS 1024
#define NAME 256

enum on { ON_READ, ON_OPEN, ON_WRITE, ON_SYNC };
enum { READS = 1, WRITES = 2 }; /* what a descriptor was opened for */

/* hardware/faults.py packs the same layout. */
struct rule {
    _Atomic uint32_t active;
    int32_t error;
    uint32_t per_mille;
    uint32_t hang_ms;
    int32_t short_bytes; /* -1: off */
    int32_t garbage_bytes; /* -1: off */
    uint32_t on; /* enum on */
    uint32_t spare;
    uint64_t seed;
    _Atomic uint64_t trials;
    _Atomic uint64_t hits;
    unsigned char garbage[64];
    char pattern[192];
};
struct table {
    uint32_t magic;
    uint32_t spare;
    _Atomic int64_t wall_offset_ms;
    char root[496];
    struct rule rules[RULES];
};
_Static_assert(sizeof(struct rule) == 312, "the layout of faults.py");
_Static_assert(sizeof(long) == 8, "64 bits");

static struct table *table;
static size_t root_length;
static _Atomic unsigned char is_tracked[DESCRIPTORS];
static char names[DESCRIPTORS][NAME]; /* relative to the root */

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("WATTLAS_FAULTS");
    if (!path)
        return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0)
        return;
    struct stat status;
    if (fstat(fd, &status) == 0 && status.st_size >= (off_t)sizeof(struct table)) {
        void *map = mmap(NULL, sizeof(struct table), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (map != MAP_FAILED && ((struct table *)map)->magic == MAGIC) {
            table = map;
            root_length = strnlen(table->root, sizeof table->root);
        }
    }
    syscall(SYS_close, fd);
}

static uint64_t mix(uint64_t x) { /* splitmix64 */
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

/* Copy what follows the root; 0 if the path lies elsewhere. */
static int below_root(const char *path, char *name) {
    if (strncmp(path, table->root, root_length) != 0 || path[root_length] != '/')
        return 0;
    size_t length = strlen(path + root_length + 1);
    if (length >= NAME)
        return 0;
    memcpy(name, path + root_length + 1, length + 1);
    return 1;
}

static int name_of(int directory, const char *path, char *name) {
    char full[PATH_MAX + NAME], base[PATH_MAX] = "";
    if (!table)
        return 0;
    if (path[0] == '/')
        return below_root(path, name);
    if (directory == AT_FDCWD) {
        if (!getcwd(base, sizeof base))
            return 0;
    } else {
        char link[64];
        snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
        ssize_t length = readlink(link, base, sizeof base - 1);
        if (length < 0)
            return 0;
        base[length] = 0;
    }
    if (snprintf(full, sizeof full, "%s/%s", base, path) >= (int)sizeof full)
        return 0;
    return below_root(full, name);
}

static int matches(const char *pattern, const char *name) {
    if (strpbrk(pattern, "*?["))
        return fnmatch(pattern, name, 0) == 0;
    return strstr(name, pattern) != NULL;
}

static struct rule *decide(const char *name, enum on on) {
    for (int i = 0; i < RULES; i++) {
        struct rule *rule = &table->rules[i];
        if (!atomic_load(&rule->active) || rule->on != on || !matches(rule->pattern, name))
            continue;
        uint64_t trial = atomic_fetch_add(&rule->trials, 1);
        if (mix(mix(rule->seed) ^ trial) % 1000 < rule->per_mille) {
            atomic_fetch_add(&rule->hits, 1);
            return rule;
        }
    }
    return NULL;
}

/* Hang until the time is over or the rule is taken away. */
static void hang(struct rule *rule) {
    struct timespec begin, now, slice = {0, 5000000};
    clock_gettime(CLOCK_MONOTONIC, &begin);
    while (atomic_load(&rule->active)) {
        clock_gettime(CLOCK_MONOTONIC, &now);
        int64_t ms = (now.tv_sec - begin.tv_sec) * 1000 + (now.tv_nsec - begin.tv_nsec) / 1000000;
        if (ms >= rule->hang_ms)
            return;
        nanosleep(&slice, NULL);
    }
}

/* Let a rule strike that can only hang or fail; tell whether it failed. */
static int struck(const char *name, enum on on) {
    struct rule *rule = decide(name, on);
    if (!rule)
        return 0;
    hang(rule);
    if (rule->error)
        errno = rule->error;
    return rule->error != 0;
}

static int open_below(int directory, const char *path, int flags, mode_t mode) {
    char name[NAME];
    int is_below = name_of(directory, path, name);
    int only_reads = (flags & O_ACCMODE) == O_RDONLY;
    /* a disk that cannot be written still lets a file be opened that is there */
    if (is_below && only_reads && struck(name, ON_OPEN))
        return -1;
    if (is_below && (flags & (O_CREAT | O_TRUNC)) && struck(name, ON_WRITE))
        return -1;
    int fd = (int)syscall(SYS_openat, directory, path, flags, mode);
    if (fd >= 0 && fd < DESCRIPTORS) {
        if (is_below)
            strcpy(names[fd], name);
        atomic_store(&is_tracked[fd], is_below ? only_reads ? READS : WRITES : 0);
    }
    return fd;
}

static ssize_t faulty(int fd, void *buffer, size_t count, off_t offset, int positioned) {
    struct rule *rule = decide(names[fd], ON_READ);
    if (rule) {
        hang(rule);
        if (rule->error) {
            errno = rule->error;
            return -1;
        }
        if (rule->short_bytes >= 0 && count > (size_t)rule->short_bytes)
            count = (size_t)rule->short_bytes;
    }
    ssize_t got = positioned ? syscall(SYS_pread64, fd, buffer, count, offset)
                             : syscall(SYS_read, fd, buffer, count);
    if (rule && got >= 0 && rule->garbage_bytes >= 0) {
        got = (size_t)rule->garbage_bytes < count ? rule->garbage_bytes : (ssize_t)count;
        memcpy(buffer, rule->garbage, (size_t)got);
    }
    return got;
}

static int tracked(int fd, unsigned char what) {
    return table && fd >= 0 && fd < DESCRIPTORS && atomic_load(&is_tracked[fd]) == what;
}

static int cannot_write(int fd) { return tracked(fd, WRITES) && struck(names[fd], ON_WRITE); }

static int cannot_sync(int fd) {
    return (tracked(fd, WRITES) || tracked(fd, READS)) && struck(names[fd], ON_SYNC);
}

static int cannot_change(int directory, const char *path) {
    char name[NAME];
    return name_of(directory, path, name) && struck(name, ON_WRITE);
}

#define MODE_FROM(flags, mode)                                                                     \
    mode_t mode = 0;                                                                               \
    if (((flags) & O_CREAT) || ((flags) & O_TMPFILE) == O_TMPFILE) {                               \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode = (mode_t)va_arg(rest, int);                                                          \
        va_end(rest);                                                                              \
    }

int open(const char *path, int flags, ...) {
    MODE_FROM(flags, mode)
    return open_below(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...) {
    MODE_FROM(flags, mode)
    return open_below(AT_FDCWD, path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...) {
    MODE_FROM(flags, mode)
    return open_below(directory, path, flags, mode);
}

int openat64(int directory, const char *path, int flags, ...) {
    MODE_FROM(flags, mode)
    return open_below(directory, path, flags, mode);
}

int close(int fd) {
    if (fd >= 0 && fd < DESCRIPTORS)
        atomic_store(&is_tracked[fd], 0);
    return (int)syscall(SYS_close, fd);
}

ssize_t read(int fd, void *buffer, size_t count) {
    if (tracked(fd, READS) && syscall(SYS_lseek, fd, 0, SEEK_CUR) == 0)
        return faulty(fd, buffer, count, 0, 0);
    return syscall(SYS_read, fd, buffer, count);
}

ssize_t pread(int fd, void *buffer, size_t count, off_t offset) {
    if (tracked(fd, READS) && offset == 0)
        return faulty(fd, buffer, count, 0, 1);
    return syscall(SYS_pread64, fd, buffer, count, offset);
}

ssize_t pread64(int fd, void *buffer, size_t count, off64_t offset) {
    return pread(fd, buffer, count, offset);
}

ssize_t write(int fd, const void *buffer, size_t count) {
    return cannot_write(fd) ? -1 : syscall(SYS_write, fd, buffer, count);
}

ssize_t pwrite(int fd, const void *buffer, size_t count, off_t offset) {
    return cannot_write(fd) ? -1 : syscall(SYS_pwrite64, fd, buffer, count, offset);
}

ssize_t pwrite64(int fd, const void *buffer, size_t count, off64_t offset) {
    return pwrite(fd, buffer, count, offset);
}

int ftruncate(int fd, off_t length) {
    return cannot_write(fd) ? -1 : (int)syscall(SYS_ftruncate, fd, length);
}

int ftruncate64(int fd, off64_t length) { return ftruncate(fd, length); }

int fsync(int fd) { return cannot_sync(fd) ? -1 : (int)syscall(SYS_fsync, fd); }

int fdatasync(int fd) { return cannot_sync(fd) ? -1 : (int)syscall(SYS_fdatasync, fd); }

int unlink(const char *path) {
    return cannot_change(AT_FDCWD, path) ? -1 : (int)syscall(SYS_unlinkat, AT_FDCWD, path, 0);
}

int rename(const char *from, const char *to) {
    if (cannot_change(AT_FDCWD, from) || cannot_change(AT_FDCWD, to))
        return -1;
    return (int)syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, 0);
}

/* The wall clock, which may be set; those that energy is measured by never are. */
int clock_gettime(clockid_t which, struct timespec *at) {
    int failed = (int)syscall(SYS_clock_gettime, which, at);
    int64_t ms = table && which == CLOCK_REALTIME ? atomic_load(&table->wall_offset_ms) : 0;
    if (failed || ms == 0)
        return failed;
    int64_t ns = at->tv_nsec + ms % 1000 * 1000000;
    at->tv_sec += ms / 1000 + ns / 1000000000 - (ns % 1000000000 < 0);
    at->tv_nsec = (ns % 1000000000 + 1000000000) % 1000000000;
    return 0;
}
