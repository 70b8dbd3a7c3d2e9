/** Values, studies and predictions in the form that people read. */

import { number, percent, withMinusSign } from "../format.js";

const NONE = "\u2013";

/** A metric's value in its unit, as it is written in an observation. */
export function valueText(value, { unit }) {
  if (value === null) return NONE;
  if (unit === "number") return number(value);
  return unit === "percent" ? percent(value / 100) : value.toFixed(4);
}

/** A prediction interval with its level. */
export function intervalText(interval, metric) {
  if (!interval) return NONE;
  const { low, high, level } = interval;
  return `${valueText(low, metric)} to ${valueText(high, metric)} (${percent(level, 0)})`;
}

/** A rank correlation; a dash where it is not defined. */
export function correlation(value) {
  return value === null ? NONE : withMinusSign(value.toFixed(3));
}

/** A fraction in percent; a dash where it is not defined. */
export function fraction(value, digits = 0) {
  return value === null ? NONE : percent(value, digits);
}

/** A metric in words, e.g. "accuracy (fraction, maximize)". */
export function metricText({ name, unit, direction }) {
  return `${name} (${unit}, ${direction})`;
}

/** A time of the API in the reader's time zone. */
export function timeText(time) {
  return new Date(time).toLocaleString();
}
