/* Every call: counted and timed, refused where a rule or a fault says so. */
#include "standin.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct state *state;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic unsigned opened; /* how often NVML was initialised and not shut down */
static _Atomic unsigned generation; /* of the driver when it was */

/* Map a state file; 0 if that went well. One that may not be written is mapped as a copy. */
EXPORT int standin_open(const char *path) {
    struct stat status;
    int flags = MAP_SHARED, fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0) {
        flags = MAP_PRIVATE;
        fd = open(path, O_RDONLY | O_CLOEXEC);
    }
    if (fd < 0)
        return -1;
    void *map = MAP_FAILED;
    if (fstat(fd, &status) == 0 && status.st_size >= (off_t)sizeof(struct state))
        map = mmap(NULL, sizeof(struct state), PROT_READ | PROT_WRITE, flags, fd, 0);
    close(fd);
    if (map == MAP_FAILED || ((struct state *)map)->magic != MAGIC)
        return -1;
    state = map; /* the old one stays: another thread may be reading it */
    opened = 0;
    return 0;
}

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("WATTLAS_NVML_STATE");
    char beside[4096];
    Dl_info self;
    if (!path && dladdr((void *)standin_open, &self) && self.dli_fname) {
        const char *slash = strrchr(self.dli_fname, '/');
        int length = slash ? (int)(slash - self.dli_fname) : 1;
        snprintf(beside, sizeof beside, "%.*s/nvml.state", length, slash ? self.dli_fname : ".");
        path = beside;
    }
    if (path)
        standin_open(path);
}

EXPORT void standin_layout(uint64_t *sizes) {
    uint64_t all[] = {sizeof(struct state), sizeof(struct board), sizeof(struct slice),
                      sizeof(struct rule), sizeof(struct part), sizeof(struct piece),
                      offsetof(struct state, levels), offsetof(struct board, curves),
                      FUNCTION_COUNT, QUANTITIES};
    memcpy(sizes, all, sizeof all);
}

static uint64_t clock_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

struct call call_begin(int function) { return (struct call){function, state ? clock_ns() : 0}; }

void call_end(struct call *call) {
    if (!state)
        return;
    struct count *count = &state->counts[call->function];
    atomic_fetch_add(&count->calls, 1);
    atomic_fetch_add(&count->nanoseconds, clock_ns() - call->begun);
}

/* Hang until the time is over or the rule is taken away. */
static void hang(struct rule *rule) {
    const struct timespec slice = {0, 1000000};
    uint64_t end = clock_ns() + (uint64_t)rule->hang_ms * 1000000u;
    atomic_fetch_add(&rule->hanging, 1);
    while (atomic_load(&rule->active) && clock_ns() < end)
        nanosleep(&slice, NULL);
    atomic_fetch_sub(&rule->hanging, 1);
}

result call_rules(int function, int board, unsigned field) {
    for (int i = 0; i < RULES; i++) {
        struct rule *rule = &state->rules[i];
        if (!atomic_load(&rule->active) || rule->field != field)
            continue;
        if (rule->function >= 0 && rule->function != function)
            continue;
        if (rule->board >= 0 && rule->board != board)
            continue;
        uint64_t trial = atomic_fetch_add(&rule->trials, 1);
        if (trial < rule->skip || (rule->times && trial >= rule->skip + rule->times))
            continue;
        atomic_fetch_add(&rule->hits, 1);
        if (rule->hang_ms)
            hang(rule);
        if (rule->error)
            return rule->error;
    }
    return SUCCESS;
}

result call_ready(void) {
    if (!state || !opened)
        return UNINITIALIZED;
    if (!state->driver_loaded || generation != state->generation)
        return state->stale_error;
    return SUCCESS;
}

result call_check(const struct call *call) {
    result bad = call_ready();
    return bad ? bad : call_rules(call->function, -1, 0);
}

/* A handle holds the driver's generation, the board and the slice: old ones are told apart. */
#define HANDLE_MARK 0x5a00000000000000u

handle handle_of(int board, int slice) {
    uint64_t word = HANDLE_MARK | (uint64_t)generation << 16 | (uint64_t)board << 8;
    return (handle)(uintptr_t)(word | (uint64_t)(slice + 1));
}

result call_place(const struct call *call, handle device, struct place *place) {
    uint64_t word = (uint64_t)(uintptr_t)device;
    unsigned board = word >> 8 & 0xff, slice = word & 0xff;
    result bad = call_ready();
    if (bad)
        return bad;
    if ((word & 0xff00000000000000u) != HANDLE_MARK || board >= state->board_count ||
        slice > SLICES || (word >> 16 & 0xffffffffu) != generation)
        return INVALID_ARGUMENT;
    place->board = &state->boards[board];
    place->slice = slice ? &place->board->slices[slice - 1] : NULL;
    place->number = (int)board;
    bad = call_rules(call->function, (int)board, 0);
    if (bad)
        return bad;
    if (place->board->lost || !place->board->present)
        return GPU_IS_LOST;
    if (place->slice && (!place->board->mig || !place->slice->present))
        return INVALID_ARGUMENT;
    return SUCCESS;
}

static result initialize(int function) {
    if (!state)
        return DRIVER_NOT_LOADED;
    result bad = call_rules(function, -1, 0);
    if (bad)
        return bad;
    if (!state->driver_loaded)
        return DRIVER_NOT_LOADED;
    pthread_mutex_lock(&lock);
    if (opened == 0)
        generation = state->generation;
    opened++;
    pthread_mutex_unlock(&lock);
    return SUCCESS;
}

EXPORT result nvmlInitWithFlags(unsigned flags) {
    CALL(nvmlInitWithFlags);
    (void)flags;
    return initialize(F_nvmlInitWithFlags);
}

EXPORT result nvmlInit_v2(void) {
    CALL(nvmlInit_v2);
    return initialize(F_nvmlInit_v2);
}

EXPORT result nvmlShutdown(void) {
    CALL(nvmlShutdown);
    result bad = SUCCESS;
    pthread_mutex_lock(&lock);
    if (!opened)
        bad = UNINITIALIZED;
    else
        opened--;
    pthread_mutex_unlock(&lock);
    return bad;
}
