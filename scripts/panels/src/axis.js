// Ticks of a time axis in UTC, for the panels that this tool draws itself.

const MINUTE = 60e3;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const STEPS = [
  1e3, 2e3, 5e3, 10e3, 15e3, 30e3, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR,
  2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR, DAY, 2 * DAY, 7 * DAY, 14 * DAY, 30 * DAY, 90 * DAY, 365 * DAY,
];

/** [{at, text}]: about one tick for each 90 pixels between two times in milliseconds. */
export function timeTicks(from, to, pixels) {
  const wanted = (to - from) / Math.max(1, pixels / 90);
  const step = STEPS.find((one) => one >= wanted) ?? STEPS.at(-1);
  const ticks = [];
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    const text = new Date(at).toISOString();
    const shown = step < MINUTE ? text.slice(11, 19) : text.slice(11, 16);
    ticks.push({ at, text: step >= DAY || (to - from > DAY && at % DAY === 0) ? text.slice(5, 10).replace('-', '/') : shown });
  }
  return ticks;
}
