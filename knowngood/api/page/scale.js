// From values to pixels, with round numbers at the ticks.

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const STEPS = [1, 2, 5, 10, 15, 30]
  .map((n) => n * SECOND)
  .concat(
    [1, 2, 5, 10, 15, 30].map((n) => n * MINUTE),
    [1, 2, 3, 6, 12, 24, 48, 96, 192].map((n) => n * HOUR),
  );

/** Return a function from [low, high] onto [from, to]. */
export function linear(low, high, from, to) {
  const factor = (to - from) / (high - low || 1);
  return (value) => from + (value - low) * factor;
}

/** Return at most `most` times (ms) between two times that are round in the viewer's zone. */
export function timeTicks(start, end, most) {
  const step = STEPS.find((each) => (end - start) / each <= most) ?? STEPS.at(-1);
  const offset = new Date(start).getTimezoneOffset() * MINUTE;
  const ticks = [];
  for (let tick = Math.ceil((start - offset) / step) * step + offset; tick <= end; tick += step)
    ticks.push(tick);
  return ticks;
}

/** Return the round numbers from 0 to at least `high`, about `many` of them. */
export function valueTicks(high, many = 3) {
  if (high <= 0) return [0, 1];
  const raw = high / many;
  const magnitude = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((n) => n * magnitude).find((each) => each >= raw);
  const ticks = [];
  for (let n = 0; n === 0 || ticks.at(-1) < high; n += 1) ticks.push(n * step);
  return ticks;
}
