/* GPM: two samples of cycle counters, and the ratios between them. */
#include "standin.h"
#include <math.h>
#include <stdlib.h>

#define SAMPLE_MAGIC 0x47504d21u
enum { LAST_RATIO = 13, METRICS = 64 };

/* Metrics that are MiB/s of a link. */
static const struct {
    int id, quantity;
    const char *name;
} traffic[] = {{20, PCIE_SENT, "PCIE_TX_PER_SEC"},
               {21, PCIE_RECEIVED, "PCIE_RX_PER_SEC"},
               {60, NVLINK_RECEIVED, "NVLINK_TOTAL_RX_PER_SEC"},
               {61, NVLINK_SENT, "NVLINK_TOTAL_TX_PER_SEC"}};


struct gpm_sample {
    uint32_t magic;
    int board, gpu_instance; /* -1: nothing sampled yet; whole board */
    double at;
    double sums[METRICS]; /* integral of each metric, % s or MiB; NaN: not supported */
};
struct metric { /* nvmlGpmMetric_t */
    unsigned id, error;
    double value;
    const char *short_name, *long_name, *unit;
};
struct metrics_get { /* nvmlGpmMetricsGet_t; only `count` metrics are the caller's for sure */
    unsigned version, count;
    struct gpm_sample *first, *second;
    struct metric metrics[];
};
_Static_assert(sizeof(struct metric) == 40 && sizeof(struct metrics_get) == 24, "nvml.h");

static const char *names[LAST_RATIO + 1] = {
    "",          "GRAPHICS_UTIL", "SM_UTIL",   "SM_OCCUPANCY", "INTEGER_UTIL",
    "ANY_TENSOR_UTIL", "DFMA_TENSOR_UTIL", "HMMA_TENSOR_UTIL", "DMMA_TENSOR_UTIL",
    "IMMA_TENSOR_UTIL", "DRAM_BW_UTIL", "FP64_UTIL", "FP32_UTIL", "FP16_UTIL",
};

EXPORT result nvmlGpmSampleAlloc(struct gpm_sample **sample) {
    CALL(nvmlGpmSampleAlloc);
    CHECK();
    NEED(sample);
    *sample = calloc(1, sizeof **sample);
    if (!*sample)
        return MEMORY;
    (*sample)->magic = SAMPLE_MAGIC;
    (*sample)->board = -1;
    return SUCCESS;
}

EXPORT result nvmlGpmSampleFree(struct gpm_sample *sample) {
    CALL(nvmlGpmSampleFree);
    NEED(sample && sample->magic == SAMPLE_MAGIC);
    sample->magic = 0;
    free(sample);
    return SUCCESS;
}

static result take(struct place *place, const _Atomic int32_t *curves, int gpu_instance,
                   struct gpm_sample *sample) {
    if (!place->board->has_gpm)
        return NOT_SUPPORTED;
    NEED(sample && sample->magic == SAMPLE_MAGIC);
    sample->board = place->number;
    sample->gpu_instance = gpu_instance;
    sample->at = now_seconds();
    for (int id = 0; id < METRICS; id++)
        sample->sums[id] = NAN;
    for (int id = 1; id <= LAST_RATIO; id++) {
        int curve = curves[GPM + id];
        if (curve >= 0)
            sample->sums[id] = curve_integral(curve, 0, sample->at);
    }
    for (int i = 0; i < 4; i++) {
        int curve = curves[traffic[i].quantity];
        if (curve >= 0)
            sample->sums[traffic[i].id] = curve_integral(curve, 0, sample->at) / 1048576;
    }
    return SUCCESS;
}

EXPORT result nvmlGpmSampleGet(handle device, struct gpm_sample *sample) {
    CALL(nvmlGpmSampleGet);
    BOARD(device);
    return take(&place, board->curves, -1, sample);
}

EXPORT result nvmlGpmMigSampleGet(handle device, unsigned gpu_instance, struct gpm_sample *sample) {
    CALL(nvmlGpmMigSampleGet);
    BOARD(device);
    if (!board->mig)
        return NOT_SUPPORTED;
    for (int i = 0; i < SLICES; i++) {
        struct slice *slice = &board->slices[i];
        if (slice->present && slice->gpu_instance == gpu_instance)
            return take(&place, slice->curves, (int)gpu_instance, sample);
    }
    return INVALID_ARGUMENT;
}

static void describe(struct metric *metric) {
    if (metric->id <= LAST_RATIO) {
        metric->short_name = metric->long_name = names[metric->id];
        metric->unit = "%";
    }
    for (int i = 0; i < 4; i++) {
        if (metric->id == (unsigned)traffic[i].id) {
            metric->short_name = metric->long_name = traffic[i].name;
            metric->unit = "MiB/s";
        }
    }
}

static void fill(struct metric *metric, const struct gpm_sample *first,
                 const struct gpm_sample *second) {
    const struct board *board = &state->boards[first->board];
    double seconds = second->at - first->at;
    metric->error = NOT_SUPPORTED;
    metric->value = 0;
    if (metric->id >= METRICS || isnan(second->sums[metric->id]))
        return;
    describe(metric);
    if (board->gpm_error_of >> metric->id & 1) {
        metric->error = board->gpm_error;
        return;
    }
    metric->error = SUCCESS;
    /* samples closer than the counters' refresh tell nothing */
    metric->value = (second->sums[metric->id] - first->sums[metric->id]) / seconds;
    if (seconds < 0.1 || board->gpm_nan >> metric->id & 1)
        metric->value = NAN;
}

EXPORT result nvmlGpmMetricsGet(struct metrics_get *get) {
    CALL(nvmlGpmMetricsGet);
    READY();
    NEED(get && get->first && get->second);
    if (get->version != 1)
        return VERSION_MISMATCH;
    NEED(get->first->magic == SAMPLE_MAGIC && get->second->magic == SAMPLE_MAGIC);
    NEED(get->first->board >= 0 && get->first->board == get->second->board);
    NEED(get->first->gpu_instance == get->second->gpu_instance);
    result bad = call_rules(F_nvmlGpmMetricsGet, get->first->board, 0);
    if (bad)
        return bad;
    for (unsigned i = 0; i < get->count; i++)
        if (get->metrics[i].id < METRICS && state->unknown_metrics >> get->metrics[i].id & 1)
            return INVALID_ARGUMENT;
    for (unsigned i = 0; i < get->count; i++)
        fill(&get->metrics[i], get->first, get->second);
    return SUCCESS;
}

struct gpm_support { /* nvmlGpmSupport_t */
    unsigned version, is_supported;
};

EXPORT result nvmlGpmQueryDeviceSupport(handle device, struct gpm_support *support) {
    CALL(nvmlGpmQueryDeviceSupport);
    BOARD(device);
    NEED(support);
    if (support->version != 1)
        return VERSION_MISMATCH;
    support->is_supported = board->has_gpm;
    return SUCCESS;
}
