/* A core PMU for machines that have none, put in front of perf_event_open with LD_PRELOAD.
 *
 * The process calls syscall(), as it does on any machine. With WATTLAS_PERF_ERROR=N every call to
 * perf_event_open fails with that errno. With WATTLAS_PERF_COUNTERS=N an event of the core PMU
 * (PERF_TYPE_RAW, or the type in WATTLAS_PERF_TYPE) becomes the kernel's own software event
 * cpu-clock on the same CPU, which counts one a nanosecond: real descriptors, real groups, real
 * reads, and a truth that is known. A group of more than N of them is refused with EINVAL, as
 * validate_group of arch/x86/events/core.c does. WATTLAS_PERF_FILES=N: the Nth and all later calls
 * fail with EMFILE. Linux, 64 bits, glibc.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DESCRIPTORS 4096

static int members[DESCRIPTORS]; /* of the group that this descriptor leads */
static int calls;

static long setting(const char *name) {
    const char *text = getenv(name);
    return text ? atol(text) : -1;
}

long syscall(long number, ...) {
    static long (*real)(long, ...);
    if (!real)
        real = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    va_list rest;
    va_start(rest, number);
    long a = va_arg(rest, long), b = va_arg(rest, long), c = va_arg(rest, long);
    long d = va_arg(rest, long), e = va_arg(rest, long), f = va_arg(rest, long);
    va_end(rest);
    if (number != SYS_perf_event_open)
        return real(number, a, b, c, d, e, f);
    long error = setting("WATTLAS_PERF_ERROR"), files = setting("WATTLAS_PERF_FILES");
    if (files >= 0 && ++calls >= files)
        error = EMFILE;
    if (error > 0) {
        errno = (int)error;
        return -1;
    }
    struct perf_event_attr attributes = *(struct perf_event_attr *)a;
    long counters = setting("WATTLAS_PERF_COUNTERS"), type = setting("WATTLAS_PERF_TYPE");
    int leader = (int)d;
    if (counters >= 0 && attributes.type == (type >= 0 ? type : PERF_TYPE_RAW)) {
        if (leader >= 0 && leader < DESCRIPTORS && members[leader] >= counters) {
            errno = EINVAL;
            return -1;
        }
        attributes.type = PERF_TYPE_SOFTWARE;
        attributes.config = PERF_COUNT_SW_CPU_CLOCK;
    }
    long descriptor = real(number, &attributes, (int)b, (int)c, leader, e);
    if (descriptor >= 0 && descriptor < DESCRIPTORS)
        members[descriptor] = 1;
    if (descriptor >= 0 && leader >= 0 && leader < DESCRIPTORS)
        members[leader]++;
    return descriptor;
}
