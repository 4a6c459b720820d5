/* nvmlDeviceGetFieldValues: every field has its own answer. Numbers as in nvml.h of driver 580. */
#include "standin.h"
#include <limits.h>

enum { TYPE_UNSIGNED_INT = 1, TYPE_UNSIGNED_LONG_LONG = 3 };

static result number(double amount, unsigned *type, uint64_t *value) {
    *type = TYPE_UNSIGNED_INT;
    *value = (uint64_t)amount;
    return SUCCESS;
}

static result gauge_field(const struct board *board, int quantity, unsigned *type,
                          uint64_t *value) {
    unsigned reading = 0;
    result bad = gauge(board->curves, quantity, 1, &reading);
    return bad ? bad : number(reading, type, value);
}

static result counter_field(const struct board *board, int quantity, double scale, unsigned *type,
                            uint64_t *value) {
    *type = TYPE_UNSIGNED_LONG_LONG;
    return counter(board, quantity, scale, value);
}

/* Mean of 1 s, or what the sensor's window saw of now. Scopes: 0 GPU, 1 module, 2 memory. */
static result power_field(const struct board *board, unsigned field, unsigned scope, unsigned *type,
                          uint64_t *value) {
    static const int quantities[] = {POWER, MODULE_POWER, MEMORY_POWER};
    if (scope > 2 || board->curves[quantities[scope]] < 0)
        return NOT_SUPPORTED;
    if (field == 185 && !board->has_average)
        return NOT_SUPPORTED;
    double window = field == 185 ? 1.0 : board->instant_seconds;
    return number(power_at(board, quantities[scope], refreshed(board), window) * 1000, type, value);
}

static result energy_field(const struct board *board, unsigned field, unsigned scope,
                           unsigned *type, uint64_t *value) {
    if (!board->has_energy || scope > 1 || (scope == 1 && !board->has_module_energy))
        return NOT_SUPPORTED;
    int quantity = scope == 1 && field == 191 ? MODULE_POWER : POWER;
    return counter_field(board, quantity, board->energy_gain * 1000, type, value);
}

static result ecc_field(const struct board *board, unsigned field, unsigned *type,
                        uint64_t *value) {
    int curve = board->curves[(field - 3) % 2 ? ECC_UNCORRECTED : ECC_CORRECTED];
    if (curve < 0)
        return NOT_SUPPORTED;
    double errors = curve_value(curve, now_seconds());
    if (field < 5) /* volatile: since the driver was loaded */
        errors -= curve_value(curve, board->counting_since);
    *type = TYPE_UNSIGNED_LONG_LONG;
    *value = (uint64_t)errors;
    return SUCCESS;
}

/* KiB or bytes of one link, or of all where the scope is UINT_MAX. */
static result link_field(const struct board *board, int quantity, double unit, unsigned scope,
                         unsigned *type, uint64_t *value) {
    if (board->links == 0)
        return NOT_SUPPORTED;
    if (scope != UINT_MAX && scope >= board->links)
        return INVALID_ARGUMENT;
    double share = scope == UINT_MAX ? 1.0 : 1.0 / board->links;
    return counter_field(board, quantity, share / unit, type, value);
}

result read_field(struct place *place, unsigned field, unsigned scope, unsigned *type,
                  uint64_t *value) {
    const struct board *board = place->board;
    switch (field) {
    case 3 ... 6:
        return ecc_field(board, field, type, value);
    case 74 ... 79:
        return counter_field(board, THROTTLED_POWER + (int)field - 74, 1e9, type, value);
    case 82:
        return gauge_field(board, MEMORY_TEMPERATURE, type, value);
    case 83:
    case 191:
        return energy_field(board, field, scope, type, value);
    case 91:
        return board->links ? number(board->links, type, value) : NOT_SUPPORTED;
    case 94:
        return gauge_field(board, PCIE_REPLAYS, type, value);
    case 138:
    case 140:
        return link_field(board, NVLINK_SENT, 1024, scope, type, value);
    case 139:
    case 141:
        return link_field(board, NVLINK_RECEIVED, 1024, scope, type, value);
    case 185:
    case 186:
        return power_field(board, field, scope, type, value);
    case 187:
        return number(board->min_limit_watts * 1000, type, value);
    case 188:
        return number(board->max_limit_watts * 1000, type, value);
    case 189:
        return number(board->default_limit_watts * 1000, type, value);
    case 190:
    case 192: {
        unsigned milliwatts = 0;
        result bad = gauge(board->curves, POWER_LIMIT, 1000, &milliwatts);
        return bad ? bad : number(milliwatts, type, value);
    }
    case 197:
        return counter_field(board, PCIE_SENT, 1, type, value);
    case 198:
        return counter_field(board, PCIE_RECEIVED, 1, type, value);
    case 202:
        return link_field(board, NVLINK_SENT, 1, scope, type, value);
    case 204:
        return link_field(board, NVLINK_RECEIVED, 1, scope, type, value);
    default:
        break;
    }
    unsigned late = field - state->throttle_field;
    if (late < 3)
        return counter_field(board, THROTTLED_SW_THERMAL + (int)late, 1e9, type, value);
    return NOT_SUPPORTED;
}

static result checked(struct place *place, unsigned field, unsigned scope, unsigned *type,
                      uint64_t *value) {
    if (field == 0 || field > state->max_field) /* a driver that does not know it yet */
        return INVALID_ARGUMENT;
    result bad = call_rules(F_nvmlDeviceGetFieldValues, place->number, field);
    return bad ? bad : read_field(place, field, scope, type, value);
}

struct field { /* nvmlFieldValue_t */
    unsigned id, scope;
    long long timestamp, latency;
    unsigned type, error;
    union {
        double real;
        unsigned number;
        unsigned long long room;
    } value;
};
_Static_assert(sizeof(struct field) == 40, "nvmlFieldValue_t");

EXPORT result nvmlDeviceGetFieldValues(handle device, int count, struct field *fields) {
    CALL(nvmlDeviceGetFieldValues);
    BOARD(device);
    NEED(fields && count >= 0);
    for (int i = 0; i < count; i++) {
        struct field *field = &fields[i];
        uint64_t value = 0;
        field->error = checked(&place, field->id, field->scope, &field->type, &value);
        field->timestamp = (long long)unix_us(now_seconds());
        field->latency = 0;
        if (field->error)
            continue; /* the caller's memory stays as it was, as with the real driver */
        field->value.room = 0;
        if (field->type == TYPE_UNSIGNED_INT)
            field->value.number = (unsigned)value;
        else
            field->value.room = value;
    }
    return SUCCESS;
}
