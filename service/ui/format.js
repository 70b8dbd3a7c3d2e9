/** Numbers and paths in the form that people read. */

const NO_BREAK_SPACE = "\u00a0";
const NO_NUMBER = "\u2014";
const MINUS = "\u2212";
const SUPERSCRIPTS = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079";
const SUPERSCRIPT_MINUS = "\u207b";

/** A fraction in percent. */
export function percent(fraction, digits = 2) {
  return (100 * fraction).toFixed(digits) + NO_BREAK_SPACE + "%";
}

/** A probability in percent, never rounded to 0 or 100. */
export function probability(value) {
  if (value >= 0.995) return `>${NO_BREAK_SPACE}99${NO_BREAK_SPACE}%`;
  if (value < 0.005) return `<${NO_BREAK_SPACE}1${NO_BREAK_SPACE}%`;
  return percent(value, 0);
}

/** The accuracy of an estimate in percent; a dash from an ensemble that only ranks. */
export function accuracyText({ accuracy }) {
  return accuracy === null ? NO_NUMBER : percent(accuracy);
}

/** The interval of an estimate in percent; a dash from an ensemble that only ranks. */
export function intervalText({ interval }) {
  return interval ? percentRange(interval) : NO_NUMBER;
}

/** Position of a prediction among those of the reference set: random architectures for an ensemble that only ranks. */
export function percentileText({ accuracy, percentile }, size = "") {
  const part = percent(percentile, 1);
  if (accuracy === null) return `ranked above ${part} of random architectures`;
  return `predicted above ${part} of the reference set${size}`;
}

/** Both bounds of an interval in percent. */
export function percentRange({ low, high }) {
  return `${(100 * low).toFixed(2)}\u2013${percent(high)}`;
}

/** A difference of fractions in percentage points, with its sign. */
export function percentagePoints(difference) {
  const text = Math.abs(100 * difference).toFixed(2);
  if (Number(text) === 0) return text;
  return (difference < 0 ? MINUS : "+") + text;
}

/** Four significant digits; powers of ten for very large and very small numbers. */
export function number(value) {
  const size = Math.abs(value);
  if (size < 1e6 && (size >= 1e-3 || size === 0)) return withMinusSign(String(Number(value.toPrecision(4))));
  const [mantissa, exponent] = value.toExponential(3).split("e");
  return withMinusSign(`${mantissa} \u00d7 10${superscript(Number(exponent))}`);
}

/** The text with the hyphen replaced by a minus sign. */
export function withMinusSign(text) {
  return text.replace("-", MINUS);
}

function superscript(integer) {
  return [...String(integer)].map((char) => (char === "-" ? SUPERSCRIPT_MINUS : SUPERSCRIPTS[char])).join("");
}

/** A duration in milliseconds, seconds or minutes. */
export function duration(seconds) {
  if (seconds < 0.9995) return `${Math.max(1, Math.round(1000 * seconds))}${NO_BREAK_SPACE}ms`;
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 1 : 0)}${NO_BREAK_SPACE}s`;
  return `${Math.round(seconds / 60)}${NO_BREAK_SPACE}min`;
}

/** A text of the API without the index of the architecture. */
export function withoutIndex(text) {
  return text.replace(/\barchitectures\[\d+\](: |\.)/g, "");
}

/** The text with its first letter in upper case. */
export function capitalized(text) {
  return text[0].toUpperCase() + text.slice(1);
}

/** "3 networks", "1 network". */
export function count(n, noun) {
  return `${n} ${noun}${n === 1 ? "" : "s"}`;
}
