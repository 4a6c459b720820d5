/* What the files of the stand-in share: how a call begins and ends, and curves over time. */
#ifndef STANDIN_H
#define STANDIN_H
#define _GNU_SOURCE
#include "functions.h"
#include "state.h"
#include <stddef.h>

/* The values of nvml.h that are used; a test compares them with pynvml's. */
enum {
    SUCCESS = 0,
    UNINITIALIZED = 1,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    NO_PERMISSION = 4,
    NOT_FOUND = 6,
    INSUFFICIENT_SIZE = 7,
    DRIVER_NOT_LOADED = 9,
    TIMEOUT = 10,
    GPU_IS_LOST = 15,
    MEMORY = 20,
    VERSION_MISMATCH = 25,
    UNKNOWN = 999
};
typedef unsigned int result; /* nvmlReturn_t */
typedef void *handle; /* nvmlDevice_t: never followed, only compared */

#define EXPORT __attribute__((visibility("default")))
#define ID(name) F_##name,
enum function { FUNCTIONS(ID) FUNCTION_COUNT };
#undef ID

struct call {
    int function;
    uint64_t begun;
};
struct place { /* what a handle stands for */
    struct board *board;
    struct slice *slice; /* NULL: the whole board */
    int number;
};

extern struct state *state;

struct call call_begin(int function);
void call_end(struct call *call);
result call_ready(void); /* initialised, and the driver is the one of then */
result call_check(const struct call *call); /* ready, and no rule against it */
result call_place(const struct call *call, handle device, struct place *place);
result call_rules(int function, int board, unsigned field);
handle handle_of(int board, int slice);

#define CALL(name)                                                                                 \
    __attribute__((cleanup(call_end))) struct call call = call_begin(F_##name);                    \
    (void)call
#define CHECK()                                                                                    \
    do {                                                                                           \
        result refused = call_check(&call);                                                        \
        if (refused)                                                                               \
            return refused;                                                                        \
    } while (0)
#define READY()                                                                                    \
    do {                                                                                           \
        result refused = call_ready();                                                             \
        if (refused)                                                                               \
            return refused;                                                                        \
    } while (0)
/* A board or one of its slices. */
#define ANY(device)                                                                                \
    struct place place;                                                                            \
    do {                                                                                           \
        result refused = call_place(&call, device, &place);                                        \
        if (refused)                                                                               \
            return refused;                                                                        \
    } while (0);                                                                                   \
    struct board *board = place.board;                                                             \
    (void)board
#define BOARD(device)                                                                              \
    ANY(device);                                                                                   \
    if (place.slice)                                                                               \
    return INVALID_ARGUMENT
#define NEED(pointer)                                                                              \
    if (!(pointer))                                                                                \
    return INVALID_ARGUMENT

double now_seconds(void);
uint64_t unix_us(double at);
double curve_value(int curve, double at);
double curve_integral(int curve, double from, double to);

/* Value now, rounded down, or why there is none. */
result gauge(const _Atomic int32_t *curves, int quantity, double scale, unsigned *value);
/* What came since the driver was loaded, in 1/scale, refreshed every refresh_seconds. */
result counter(const struct board *board, int quantity, double scale, uint64_t *value);
double refreshed(const struct board *board);
double power_at(const struct board *board, int quantity, double at, double window);
result read_field(struct place *place, unsigned field, unsigned scope, unsigned *type,
                  uint64_t *value);
#endif
