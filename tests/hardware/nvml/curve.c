/* Curves over time with their integrals in closed form; hardware/power.py has the same formulas. */
#include "standin.h"
#include <math.h>
#include <time.h>

static double step_value(const struct part *part, double at) {
    double step = floor(at / part->a);
    double index = fmod(step, part->level_count);
    return state->levels[part->first_level + (int)(index < 0 ? index + part->level_count : index)];
}

static double step_integral(const struct part *part, double at) {
    double step = floor(at / part->a), turns = floor(step / part->level_count);
    int index = (int)(step - turns * part->level_count);
    const double *levels = state->levels + part->first_level, *sums = levels + part->level_count;
    double whole = turns * sums[part->level_count] + sums[index];
    return whole * part->a + levels[index] * (at - step * part->a);
}

static double part_value(const struct part *part, double at) {
    switch (part->kind) {
    case CONSTANT:
        return part->factor * part->a;
    case LINEAR:
        return part->factor * (part->a + part->b * at);
    case SINE:
        return part->factor * (part->a + part->b * sin(2 * M_PI * at / part->c + part->d));
    default:
        return part->factor * step_value(part, at);
    }
}

static double part_integral(const struct part *part, double at) { /* from 0 */
    switch (part->kind) {
    case CONSTANT:
        return part->factor * part->a * at;
    case LINEAR:
        return part->factor * (part->a + part->b * at / 2) * at;
    case SINE: {
        double swing = cos(part->d) - cos(2 * M_PI * at / part->c + part->d);
        return part->factor * (part->a * at + part->b * part->c / (2 * M_PI) * swing);
    }
    default:
        return part->factor * step_integral(part, at);
    }
}

static const struct piece *piece_at(int curve, double at) {
    const struct piece *pieces = state->pieces + state->curves[curve].first_piece;
    int low = 0, high = state->curves[curve].piece_count;
    while (high - low > 1) { /* the last one that has begun */
        int middle = (low + high) / 2;
        if (pieces[middle].start <= at)
            low = middle;
        else
            high = middle;
    }
    return pieces + low;
}

double curve_value(int curve, double at) {
    const struct piece *piece = piece_at(curve, at);
    double sum = 0;
    for (int i = 0; i < piece->part_count; i++)
        sum += part_value(&state->parts[piece->first_part + i], at);
    return sum;
}

static double from_zero(int curve, double at) {
    const struct piece *piece = piece_at(curve, at);
    double sum = piece->before;
    for (int i = 0; i < piece->part_count; i++) {
        const struct part *part = &state->parts[piece->first_part + i];
        sum += part_integral(part, at) - part_integral(part, piece->start);
    }
    return sum;
}

double curve_integral(int curve, double from, double to) {
    return from_zero(curve, to) - from_zero(curve, from);
}

double now_seconds(void) {
    struct timespec now;
    if (!state->is_real)
        return *(volatile double *)&state->now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9 - state->boottime;
}

uint64_t unix_us(double at) { return (uint64_t)llround((state->epoch + at) * 1e6); }

result gauge(const _Atomic int32_t *curves, int quantity, double scale, unsigned *value) {
    int curve = curves[quantity];
    if (curve < 0)
        return NOT_SUPPORTED;
    *value = (unsigned)(curve_value(curve, now_seconds()) * scale);
    return SUCCESS;
}

double refreshed(const struct board *board) {
    double step = board->refresh_seconds, phase = board->refresh_phase;
    return floor((now_seconds() - phase) / step) * step + phase;
}

result counter(const struct board *board, int quantity, double scale, uint64_t *value) {
    int curve = board->curves[quantity];
    if (curve < 0)
        return NOT_SUPPORTED;
    double since = board->counting_since, at = refreshed(board);
    *value = at <= since ? 0 : (uint64_t)(curve_integral(curve, since, at) * scale);
    return SUCCESS;
}

/* Mean over a window before `at`, as the sensor's own filter gives it. */
double power_at(const struct board *board, int quantity, double at, double window) {
    int curve = board->curves[quantity];
    return board->power_gain * curve_integral(curve, at - window, at) / window;
}
