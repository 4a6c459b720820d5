/* What a board is, and its simple readings. */
#include "standin.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

static result text(const char *from, char *to, unsigned length) {
    NEED(to);
    if (strlen(from) >= length)
        return INSUFFICIENT_SIZE;
    strcpy(to, from);
    return SUCCESS;
}

/* Numbers follow the order of the slots and skip what is not there; -1: no such board. */
static int board_at(unsigned index) {
    for (unsigned i = 0; i < state->board_count; i++) {
        unsigned board = state->order[i];
        if (state->boards[board].present && index-- == 0)
            return (int)board;
    }
    return -1;
}

static result found(const struct call *call, int board, handle *device) {
    struct place place;
    if (board < 0)
        return NOT_FOUND;
    result bad = call_place(call, handle_of(board, -1), &place);
    if (!bad)
        *device = handle_of(board, -1);
    return bad;
}

EXPORT const char *nvmlErrorString(result error) {
    CALL(nvmlErrorString);
    switch (error) {
    case SUCCESS:
        return "The operation was successful";
    case UNINITIALIZED:
        return "NVML was not first initialized with nvmlInit()";
    case GPU_IS_LOST:
        return "The GPU has fallen off the bus or has otherwise become inaccessible";
    default:
        return "Error";
    }
}

EXPORT result nvmlSystemGetDriverVersion(char *version, unsigned length) {
    CALL(nvmlSystemGetDriverVersion);
    CHECK();
    return text(state->driver, version, length);
}

EXPORT result nvmlSystemGetNVMLVersion(char *version, unsigned length) {
    CALL(nvmlSystemGetNVMLVersion);
    CHECK();
    return text(state->nvml, version, length);
}

EXPORT result nvmlSystemGetCudaDriverVersion_v2(int *version) {
    CALL(nvmlSystemGetCudaDriverVersion_v2);
    CHECK();
    NEED(version);
    *version = 13000;
    return SUCCESS;
}

EXPORT result nvmlDeviceGetCount_v2(unsigned *count) {
    CALL(nvmlDeviceGetCount_v2);
    CHECK();
    NEED(count);
    *count = 0;
    for (unsigned i = 0; i < state->board_count; i++)
        *count += state->boards[i].present != 0;
    return SUCCESS;
}

EXPORT result nvmlDeviceGetHandleByIndex_v2(unsigned index, handle *device) {
    CALL(nvmlDeviceGetHandleByIndex_v2);
    READY();
    NEED(device);
    int board = board_at(index);
    return board < 0 ? INVALID_ARGUMENT : found(&call, board, device);
}

EXPORT result nvmlDeviceGetHandleByUUID(const char *uuid, handle *device) {
    CALL(nvmlDeviceGetHandleByUUID);
    READY();
    NEED(uuid && device);
    for (unsigned i = 0; i < state->board_count; i++) {
        struct board *board = &state->boards[i];
        if (board->present && strcmp(board->uuid, uuid) == 0)
            return found(&call, (int)i, device);
        for (int j = 0; board->present && board->mig && j < SLICES; j++) {
            if (board->slices[j].present && strcmp(board->slices[j].uuid, uuid) == 0) {
                *device = handle_of((int)i, j);
                return SUCCESS;
            }
        }
    }
    return NOT_FOUND;
}

EXPORT result nvmlDeviceGetHandleByPciBusId_v2(const char *bus, handle *device) {
    CALL(nvmlDeviceGetHandleByPciBusId_v2);
    READY();
    NEED(bus && device);
    for (unsigned i = 0; i < state->board_count; i++)
        if (state->boards[i].present && strcasecmp(state->boards[i].bus, bus) == 0)
            return found(&call, (int)i, device);
    return NOT_FOUND;
}

EXPORT result nvmlDeviceGetName(handle device, char *name, unsigned length) {
    CALL(nvmlDeviceGetName);
    ANY(device);
    return text(place.slice ? place.slice->name : board->name, name, length);
}

EXPORT result nvmlDeviceGetUUID(handle device, char *uuid, unsigned length) {
    CALL(nvmlDeviceGetUUID);
    ANY(device);
    return text(place.slice ? place.slice->uuid : board->uuid, uuid, length);
}

EXPORT result nvmlDeviceGetSerial(handle device, char *serial, unsigned length) {
    CALL(nvmlDeviceGetSerial);
    BOARD(device);
    return board->serial[0] ? text(board->serial, serial, length) : NOT_SUPPORTED;
}

EXPORT result nvmlDeviceGetIndex(handle device, unsigned *index) {
    CALL(nvmlDeviceGetIndex);
    ANY(device);
    NEED(index);
    unsigned number = 0;
    if (place.slice) {
        for (struct slice *each = board->slices; each < place.slice; each++)
            number += each->present != 0;
    } else {
        while (board_at(number) != place.number)
            number++;
    }
    *index = number;
    return SUCCESS;
}

#define SIMPLE(name, type, expression)                                                             \
    EXPORT result name(handle device, type *value) {                                               \
        CALL(name);                                                                                \
        BOARD(device);                                                                             \
        NEED(value);                                                                               \
        *value = (type)(expression);                                                               \
        return SUCCESS;                                                                            \
    }

SIMPLE(nvmlDeviceGetMinorNumber, unsigned, board->minor)
SIMPLE(nvmlDeviceGetNumGpuCores, unsigned, board->cores)
SIMPLE(nvmlDeviceGetArchitecture, unsigned, board->architecture)
SIMPLE(nvmlDeviceGetPersistenceMode, unsigned, 1)
SIMPLE(nvmlDeviceGetPerformanceState, unsigned, 0)
SIMPLE(nvmlDeviceGetPowerManagementDefaultLimit, unsigned, board->default_limit_watts * 1000)

struct pci { /* nvmlPciInfo_t */
    char legacy[16];
    unsigned domain, bus, device, device_id, subsystem_id;
    char id[32];
};

EXPORT result nvmlDeviceGetPciInfo_v3(handle device, struct pci *info) {
    CALL(nvmlDeviceGetPciInfo_v3);
    BOARD(device);
    NEED(info);
    memset(info, 0, sizeof *info);
    snprintf(info->legacy, sizeof info->legacy, "%04X:%02X:%02X.0", board->domain & 0xffffu,
             board->bus_number & 0xffu, board->device & 0xffu);
    memcpy(info->id, board->bus, sizeof info->id);
    info->domain = board->domain;
    info->bus = board->bus_number;
    info->device = board->device;
    info->device_id = board->pci_device_id;
    info->subsystem_id = board->pci_subsystem_id;
    return SUCCESS;
}

EXPORT result nvmlDeviceGetCudaComputeCapability(handle device, int *major, int *minor) {
    CALL(nvmlDeviceGetCudaComputeCapability);
    BOARD(device);
    NEED(major && minor);
    *major = (int)board->major;
    *minor = (int)board->minor_capability;
    return SUCCESS;
}

struct memory { /* nvmlMemory_t, and nvmlMemory_v2_t below */
    unsigned long long total, free, used;
};
struct memory_v2 {
    unsigned version;
    unsigned long long total, reserved, free, used;
};

static result memory(struct place *place, struct memory_v2 *info) {
    const struct board *board = place->board;
    const struct slice *slice = place->slice;
    int curve = slice ? slice->curves[MEMORY_USED] : board->curves[MEMORY_USED];
    if (curve < 0)
        return NOT_SUPPORTED;
    info->total = slice ? slice->memory_bytes : board->memory_bytes;
    info->reserved = slice ? 0 : board->reserved_bytes;
    info->used = (unsigned long long)curve_value(curve, now_seconds());
    info->free = info->total - info->reserved - info->used;
    return SUCCESS;
}

EXPORT result nvmlDeviceGetMemoryInfo(handle device, struct memory *info) {
    CALL(nvmlDeviceGetMemoryInfo);
    ANY(device);
    NEED(info);
    struct memory_v2 full;
    result bad = memory(&place, &full);
    if (!bad) /* the first version counts what is reserved as used */
        *info = (struct memory){full.total, full.free, full.used + full.reserved};
    return bad;
}

EXPORT result nvmlDeviceGetMemoryInfo_v2(handle device, struct memory_v2 *info) {
    CALL(nvmlDeviceGetMemoryInfo_v2);
    ANY(device);
    NEED(info);
    if (info->version != (sizeof *info | 2u << 24))
        return VERSION_MISMATCH;
    return memory(&place, info);
}
