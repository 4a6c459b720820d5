/* What a board draws and does: one call for one reading. */
#include "standin.h"
#include <string.h>

EXPORT result nvmlDeviceGetPowerUsage(handle device, unsigned *milliwatts) {
    CALL(nvmlDeviceGetPowerUsage);
    BOARD(device);
    NEED(milliwatts);
    uint64_t value;
    unsigned type;
    /* GA100 and older: instantaneous; later ones: mean of 1 s (nvml.h) */
    result bad = read_field(&place, board->usage_is_average ? 185 : 186, 0, &type, &value);
    if (!bad)
        *milliwatts = (unsigned)value;
    return bad;
}

EXPORT result nvmlDeviceGetTotalEnergyConsumption(handle device, unsigned long long *millijoules) {
    CALL(nvmlDeviceGetTotalEnergyConsumption);
    BOARD(device);
    NEED(millijoules);
    uint64_t value;
    unsigned type;
    result bad = read_field(&place, 83, 0, &type, &value);
    if (!bad)
        *millijoules = value;
    return bad;
}

struct sample { /* nvmlSample_t with nvmlValue_t */
    unsigned long long timestamp;
    union {
        unsigned number;
        unsigned long long room;
    } value;
};

/* The driver's own buffer: a reading per refresh, the newest `sample_count` of them. */
EXPORT result nvmlDeviceGetSamples(handle device, unsigned kind, unsigned long long last,
                                   unsigned *type, unsigned *count, struct sample *samples) {
    CALL(nvmlDeviceGetSamples);
    BOARD(device);
    NEED(type && count);
    int quantity = kind == 0 ? POWER : kind == 7 ? MODULE_POWER : -1;
    if (quantity < 0 || board->curves[quantity] < 0 || board->sample_count == 0)
        return NOT_SUPPORTED;
    double newest = refreshed(board);
    unsigned fresh = 0;
    while (fresh < board->sample_count && newest - fresh * board->refresh_seconds >= 0 &&
           unix_us(newest - fresh * board->refresh_seconds) > last)
        fresh++;
    if (fresh == 0)
        return NOT_FOUND;
    *type = 1; /* NVML_VALUE_TYPE_UNSIGNED_INT */
    if (!samples) {
        *count = fresh;
        return SUCCESS;
    }
    if (*count > fresh)
        *count = fresh;
    for (unsigned i = 0; i < *count; i++) {
        double at = newest - (fresh - 1 - i) * board->refresh_seconds;
        double watts = power_at(board, quantity, at, board->instant_seconds);
        memset(&samples[i], 0, sizeof samples[i]);
        samples[i].timestamp = unix_us(at);
        samples[i].value.number = (unsigned)(watts * 1000);
    }
    return SUCCESS;
}

struct utilization {
    unsigned gpu, memory;
};

EXPORT result nvmlDeviceGetUtilizationRates(handle device, struct utilization *rates) {
    CALL(nvmlDeviceGetUtilizationRates);
    ANY(device);
    NEED(rates);
    if (board->mig)
        return NOT_SUPPORTED;
    result bad = gauge(board->curves, UTILIZATION, 1, &rates->gpu);
    return bad ? bad : gauge(board->curves, MEMORY_UTILIZATION, 1, &rates->memory);
}

EXPORT result nvmlDeviceGetProcessUtilization(handle device, void *samples, unsigned *count,
                                              unsigned long long since) {
    CALL(nvmlDeviceGetProcessUtilization);
    ANY(device);
    NEED(count);
    (void)samples;
    (void)since;
    *count = 0;
    return board->mig ? NOT_SUPPORTED : NOT_FOUND; /* nothing runs here */
}

EXPORT result nvmlDeviceGetComputeRunningProcesses_v3(handle device, unsigned *count, void *all) {
    CALL(nvmlDeviceGetComputeRunningProcesses_v3);
    ANY(device);
    NEED(count);
    (void)all;
    *count = 0;
    return SUCCESS;
}

EXPORT result nvmlDeviceGetTemperature(handle device, unsigned sensor, unsigned *degrees) {
    CALL(nvmlDeviceGetTemperature);
    BOARD(device);
    NEED(degrees && sensor == 0);
    return gauge(board->curves, TEMPERATURE, 1, degrees);
}

struct temperature { /* nvmlTemperature_v1_t */
    unsigned version, sensor;
    int degrees;
};

EXPORT result nvmlDeviceGetTemperatureV(handle device, struct temperature *temperature) {
    CALL(nvmlDeviceGetTemperatureV);
    BOARD(device);
    NEED(temperature);
    if (temperature->version != (sizeof *temperature | 1u << 24))
        return VERSION_MISMATCH;
    NEED(temperature->sensor == 0);
    unsigned degrees = 0;
    result bad = gauge(board->curves, TEMPERATURE, 1, &degrees);
    temperature->degrees = (int)degrees;
    return bad;
}

static const int clocks[] = {GRAPHICS_CLOCK, SM_CLOCK, MEMORY_CLOCK, VIDEO_CLOCK};

EXPORT result nvmlDeviceGetClockInfo(handle device, unsigned kind, unsigned *megahertz) {
    CALL(nvmlDeviceGetClockInfo);
    BOARD(device);
    NEED(megahertz && kind < 4);
    return gauge(board->curves, clocks[kind], 1, megahertz);
}

EXPORT result nvmlDeviceGetMaxClockInfo(handle device, unsigned kind, unsigned *megahertz) {
    CALL(nvmlDeviceGetMaxClockInfo);
    BOARD(device);
    NEED(megahertz && kind < 4);
    int curve = board->curves[clocks[kind]];
    if (curve < 0)
        return NOT_SUPPORTED;
    *megahertz = (unsigned)curve_value(curve, 0); /* the stand-in starts at full clocks */
    return SUCCESS;
}

EXPORT result nvmlDeviceGetEnforcedPowerLimit(handle device, unsigned *milliwatts) {
    CALL(nvmlDeviceGetEnforcedPowerLimit);
    BOARD(device);
    NEED(milliwatts);
    return gauge(board->curves, POWER_LIMIT, 1000, milliwatts);
}

EXPORT result nvmlDeviceGetPowerManagementLimit(handle device, unsigned *milliwatts) {
    CALL(nvmlDeviceGetPowerManagementLimit);
    BOARD(device);
    NEED(milliwatts);
    return gauge(board->curves, POWER_LIMIT, 1000, milliwatts);
}

EXPORT result nvmlDeviceGetPowerManagementLimitConstraints(handle device, unsigned *lowest,
                                                           unsigned *highest) {
    CALL(nvmlDeviceGetPowerManagementLimitConstraints);
    BOARD(device);
    NEED(lowest && highest);
    *lowest = (unsigned)(board->min_limit_watts * 1000);
    *highest = (unsigned)(board->max_limit_watts * 1000);
    return SUCCESS;
}

static result reasons(const struct board *board, unsigned long long *bits) {
    unsigned value = 0;
    NEED(bits);
    result bad = gauge(board->curves, EVENT_REASONS, 1, &value);
    *bits = value;
    return bad;
}

EXPORT result nvmlDeviceGetCurrentClocksEventReasons(handle device, unsigned long long *bits) {
    CALL(nvmlDeviceGetCurrentClocksEventReasons);
    BOARD(device);
    return reasons(board, bits);
}

EXPORT result nvmlDeviceGetCurrentClocksThrottleReasons(handle device, unsigned long long *bits) {
    CALL(nvmlDeviceGetCurrentClocksThrottleReasons);
    BOARD(device);
    return reasons(board, bits);
}

EXPORT result nvmlDeviceGetTotalEccErrors(handle device, unsigned error, unsigned kind,
                                          unsigned long long *count) {
    CALL(nvmlDeviceGetTotalEccErrors);
    BOARD(device);
    NEED(count && error < 2 && kind < 2);
    uint64_t value;
    unsigned type;
    /* fields 3 to 6: corrected and uncorrected since the driver was loaded, then for ever */
    result bad = read_field(&place, 3 + error + 2 * kind, 0, &type, &value);
    if (!bad)
        *count = value;
    return bad;
}

EXPORT result nvmlDeviceGetEccMode(handle device, unsigned *current, unsigned *pending) {
    CALL(nvmlDeviceGetEccMode);
    BOARD(device);
    NEED(current && pending);
    if (board->curves[ECC_CORRECTED] < 0)
        return NOT_SUPPORTED;
    *current = *pending = 1;
    return SUCCESS;
}

EXPORT result nvmlDeviceGetPcieThroughput(handle device, unsigned kind, unsigned *kilobytes) {
    CALL(nvmlDeviceGetPcieThroughput);
    BOARD(device);
    NEED(kilobytes && kind < 2);
    return gauge(board->curves, kind == 0 ? PCIE_SENT : PCIE_RECEIVED, 1e-3, kilobytes);
}

EXPORT result nvmlDeviceGetPcieReplayCounter(handle device, unsigned *count) {
    CALL(nvmlDeviceGetPcieReplayCounter);
    BOARD(device);
    NEED(count);
    return gauge(board->curves, PCIE_REPLAYS, 1, count);
}

EXPORT result nvmlDeviceGetNvLinkState(handle device, unsigned link, unsigned *active) {
    CALL(nvmlDeviceGetNvLinkState);
    BOARD(device);
    NEED(active);
    if (board->links == 0)
        return NOT_SUPPORTED;
    NEED(link < board->links);
    *active = 1;
    return SUCCESS;
}

EXPORT result nvmlDeviceGetNvLinkErrorCounter(handle device, unsigned link, unsigned kind,
                                              unsigned long long *count) {
    CALL(nvmlDeviceGetNvLinkErrorCounter);
    BOARD(device);
    NEED(count && kind < 5);
    if (board->links == 0)
        return NOT_SUPPORTED;
    NEED(link < board->links);
    *count = 0;
    return SUCCESS;
}
