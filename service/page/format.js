/** Numbers and places as people read them. */

const NO_BREAK = "\u00a0";
const MINUS = "\u2212";

/** A fraction in percent. */
export function percent(fraction, digits = 2) {
  return (100 * fraction).toFixed(digits) + NO_BREAK + "%";
}

/** Both ends of an interval in percent. */
export function span({ low, high }) {
  return `${(100 * low).toFixed(2)} to ${percent(high)}`;
}

/** Percentage points with their sign. */
export function points(value) {
  const text = Math.abs(value).toFixed(2);
  if (Number(text) === 0) return text;
  return (value < 0 ? MINUS : "+") + text;
}

/** A percentile, which is never quite 0 or 100. */
export function percentile(value) {
  return value.toFixed(1) + NO_BREAK + "%";
}

/** Four figures. */
export function number(value) {
  const size = Math.abs(value);
  const scientific = size >= 1e6 || (size > 0 && size < 1e-3);
  const notation = scientific ? "scientific" : "standard";
  return new Intl.NumberFormat("en", { maximumSignificantDigits: 4, notation, useGrouping: false })
    .format(value)
    .replace("-", MINUS);
}

/** A duration, of which milliseconds or seconds matter. */
export function duration(seconds) {
  if (seconds < 0.9995) return `${Math.max(1, Math.round(1000 * seconds))}${NO_BREAK}ms`;
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 1 : 0)}${NO_BREAK}s`;
  return `${Math.round(seconds / 60)}${NO_BREAK}min`;
}

/** The API counts layers from 0, people from 1. */
export function fromOne(text) {
  return text.replace(/layers\[(\d+)\]/g, (_, layer) => `layer ${Number(layer) + 1}`);
}

/** "3 networks", "1 network". */
export function count(number, what) {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
