/* The state file: what the boards are, what they do over time, and what goes wrong.
 *
 * layout.py mirrors every struct; standin_layout() lets a test compare the two. Python writes whole
 * boards and curves before it shows them, then changes single words, so no lock is needed.
 */
#ifndef STATE_H
#define STATE_H
#include <stdatomic.h>
#include <stdint.h>

#define MAGIC 0x4c4d564eu
enum { BOARDS = 16, SLICES = 8, RULES = 32, CALLS = 96 };
enum { CURVES = 4096, PIECES = 8192, PARTS = 16384, LEVELS = 1 << 18 };

/* What a board does; each is a curve over time. A rate's counter is the curve's integral. */
enum quantity {
    POWER, /* W */
    MODULE_POWER, /* W, of a whole Grace module: processor, memory and GPU */
    MEMORY_POWER, /* W */
    UTILIZATION, /* % */
    MEMORY_UTILIZATION, /* % */
    MEMORY_USED, /* bytes */
    TEMPERATURE, /* degrees Celsius */
    MEMORY_TEMPERATURE, /* degrees Celsius */
    GRAPHICS_CLOCK, /* MHz */
    SM_CLOCK, /* MHz */
    MEMORY_CLOCK, /* MHz */
    VIDEO_CLOCK, /* MHz */
    POWER_LIMIT, /* W */
    EVENT_REASONS, /* bits */
    THROTTLED_POWER, /* share of time, 0 to 1: field 74 is its integral in ns */
    THROTTLED_THERMAL,
    THROTTLED_SYNC_BOOST,
    THROTTLED_BOARD_LIMIT,
    THROTTLED_LOW_UTILIZATION,
    THROTTLED_RELIABILITY, /* field 79 */
    THROTTLED_SW_THERMAL, /* field 269, or 251 */
    THROTTLED_HW_THERMAL,
    THROTTLED_HW_POWER_BRAKE,
    ECC_CORRECTED, /* errors so far */
    ECC_UNCORRECTED,
    PCIE_SENT, /* bytes/s */
    PCIE_RECEIVED,
    PCIE_REPLAYS, /* replays so far */
    NVLINK_SENT, /* bytes/s, all links */
    NVLINK_RECEIVED,
    GPM, /* %; this and the next 13: metric 1 to 13 are at GPM + id */
    QUANTITIES = GPM + 14
};

enum part_kind { CONSTANT, LINEAR, SINE, STEPS };
struct part {
    int32_t kind;
    int32_t first_level, level_count; /* STEPS: the levels, then their sums from 0 on */
    int32_t spare;
    double factor;
    double a, b, c, d; /* a; a + b t; a + b sin(2 pi t / c + d); steps of a seconds */
};
struct piece { /* what holds from `start` on: the sum of its parts */
    double start, before; /* seconds; integral from 0 to start */
    int32_t first_part, part_count;
};
struct curve {
    int32_t first_piece, piece_count;
};

struct slice {
    char uuid[96], name[96];
    _Atomic uint32_t present;
    uint32_t gpu_instance, compute_instance, gpu_slices, compute_slices, multiprocessors;
    uint64_t memory_bytes;
    _Atomic int32_t curves[QUANTITIES]; /* -1: not supported */
};
struct board {
    char uuid[96], name[96], serial[32], bus[32];
    uint32_t domain, bus_number, device, pci_device_id, pci_subsystem_id, minor;
    uint32_t cores, architecture, major, minor_capability;
    uint32_t has_energy, has_average, usage_is_average, has_gpm, has_module_energy;
    uint32_t links, max_slices, sample_count;
    uint64_t memory_bytes, reserved_bytes;
    double min_limit_watts, max_limit_watts, default_limit_watts;
    double refresh_seconds, refresh_phase, instant_seconds, power_gain, energy_gain;
    double counting_since; /* counters are what came after this moment */
    _Atomic uint32_t present, lost, mig, gpm_error;
    _Atomic uint64_t gpm_nan, gpm_error_of; /* bit per metric id */
    _Atomic int32_t curves[QUANTITIES];
    struct slice slices[SLICES];
};

struct count {
    _Atomic uint64_t calls, nanoseconds;
};
struct rule {
    _Atomic uint32_t active;
    int32_t function, board; /* -1: any */
    uint32_t error; /* 0: only hang */
    uint64_t skip, times; /* strike after so many calls, so often; 0: always */
    uint32_t hang_ms, field; /* field: only this field id of nvmlDeviceGetFieldValues */
    _Atomic uint64_t trials, hits;
    _Atomic uint32_t hanging, spare;
};

struct state {
    uint32_t magic, size;
    double now; /* seconds; virtual time */
    double epoch; /* Unix time at 0 */
    double boottime; /* real time: CLOCK_BOOTTIME at 0 */
    uint32_t is_real, board_count, max_field;
    uint32_t throttle_field; /* id of SW_THERMAL's time; it has moved between drivers */
    uint64_t unknown_metrics; /* bit per GPM metric that this driver does not know */
    _Atomic uint32_t driver_loaded, generation, stale_error, order[BOARDS];
    char driver[80], nvml[80];
    struct count counts[CALLS];
    struct rule rules[RULES];
    struct board boards[BOARDS];
    struct curve curves[CURVES];
    struct piece pieces[PIECES];
    struct part parts[PARTS];
    double levels[LEVELS];
};
#endif
