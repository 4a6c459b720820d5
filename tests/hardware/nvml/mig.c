/* MIG: a board cut into slices. Events: none ever come. */
#include "standin.h"
#include <time.h>

EXPORT result nvmlDeviceGetMigMode(handle device, unsigned *current, unsigned *pending) {
    CALL(nvmlDeviceGetMigMode);
    BOARD(device);
    NEED(current && pending);
    if (board->max_slices == 0)
        return NOT_SUPPORTED;
    *current = *pending = board->mig;
    return SUCCESS;
}

EXPORT result nvmlDeviceIsMigDeviceHandle(handle device, unsigned *is_slice) {
    CALL(nvmlDeviceIsMigDeviceHandle);
    ANY(device);
    NEED(is_slice);
    *is_slice = place.slice != NULL;
    return SUCCESS;
}

EXPORT result nvmlDeviceGetMaxMigDeviceCount(handle device, unsigned *count) {
    CALL(nvmlDeviceGetMaxMigDeviceCount);
    BOARD(device);
    NEED(count);
    *count = board->max_slices;
    return SUCCESS;
}

EXPORT result nvmlDeviceGetMigDeviceHandleByIndex(handle device, unsigned index, handle *slice) {
    CALL(nvmlDeviceGetMigDeviceHandleByIndex);
    BOARD(device);
    NEED(slice);
    if (board->max_slices == 0)
        return NOT_SUPPORTED;
    NEED(index < board->max_slices);
    for (int i = 0; board->mig && i < SLICES; i++) {
        if (board->slices[i].present && index-- == 0) {
            *slice = handle_of(place.number, i);
            return SUCCESS;
        }
    }
    return NOT_FOUND;
}

#define OF_SLICE(name, member)                                                                     \
    EXPORT result name(handle device, unsigned *value) {                                           \
        CALL(name);                                                                                \
        ANY(device);                                                                               \
        NEED(place.slice && value);                                                                \
        *value = place.slice->member;                                                              \
        return SUCCESS;                                                                            \
    }

OF_SLICE(nvmlDeviceGetGpuInstanceId, gpu_instance)
OF_SLICE(nvmlDeviceGetComputeInstanceId, compute_instance)

struct attributes { /* nvmlDeviceAttributes_t */
    unsigned multiprocessors, copy_engines, decoders, encoders, jpegs, ofas, gpu_slices,
        compute_slices;
    unsigned long long memory_mib;
};
_Static_assert(sizeof(struct attributes) == 40, "nvmlDeviceAttributes_t");

EXPORT result nvmlDeviceGetAttributes_v2(handle device, struct attributes *attributes) {
    CALL(nvmlDeviceGetAttributes_v2);
    ANY(device);
    NEED(attributes);
    const struct slice *slice = place.slice;
    if (!slice)
        return NOT_SUPPORTED; /* "for MIG devices" (nvml.h) */
    *attributes = (struct attributes){.multiprocessors = slice->multiprocessors,
                                      .copy_engines = slice->gpu_slices,
                                      .gpu_slices = slice->gpu_slices,
                                      .compute_slices = slice->compute_slices,
                                      .memory_mib = slice->memory_bytes >> 20};
    return SUCCESS;
}

EXPORT result nvmlDeviceGetDeviceHandleFromMigDeviceHandle(handle slice, handle *device) {
    CALL(nvmlDeviceGetDeviceHandleFromMigDeviceHandle);
    ANY(slice);
    NEED(place.slice && device);
    *device = handle_of(place.number, -1);
    return SUCCESS;
}

EXPORT result nvmlDeviceGetSupportedEventTypes(handle device, unsigned long long *types) {
    CALL(nvmlDeviceGetSupportedEventTypes);
    BOARD(device);
    NEED(types);
    *types = 8; /* nvmlEventTypeXidCriticalError */
    return SUCCESS;
}

static int event_set;

EXPORT result nvmlEventSetCreate(void **set) {
    CALL(nvmlEventSetCreate);
    CHECK();
    NEED(set);
    *set = &event_set;
    return SUCCESS;
}

EXPORT result nvmlDeviceRegisterEvents(handle device, unsigned long long types, void *set) {
    CALL(nvmlDeviceRegisterEvents);
    BOARD(device);
    NEED(set == &event_set);
    return types & ~8ull ? NOT_SUPPORTED : SUCCESS;
}

EXPORT result nvmlEventSetWait_v2(void *set, void *data, unsigned timeout_ms) {
    CALL(nvmlEventSetWait_v2);
    CHECK();
    NEED(set == &event_set && data);
    struct timespec rest = {timeout_ms / 1000, (long)(timeout_ms % 1000) * 1000000};
    nanosleep(&rest, NULL);
    return TIMEOUT;
}

EXPORT result nvmlEventSetFree(void *set) {
    CALL(nvmlEventSetFree);
    NEED(set == &event_set);
    return SUCCESS;
}
