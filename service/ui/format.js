/** Numbers and places as people read them. */

const NO_BREAK = "\u00a0";
const MINUS = "\u2212";
const RAISED = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079"; // digits

/** A fraction in percent. */
export function percent(fraction, digits = 2) {
  return (100 * fraction).toFixed(digits) + NO_BREAK + "%";
}

/** A probability, which is never all or nothing. */
export function chance(probability) {
  if (probability >= 0.995) return `>${NO_BREAK}99${NO_BREAK}%`;
  if (probability < 0.005) return `<${NO_BREAK}1${NO_BREAK}%`;
  return percent(probability, 0);
}

/** Both ends of an interval in percent. */
export function span({ low, high }) {
  return `${(100 * low).toFixed(2)}\u2013${percent(high)}`;
}

/** Percentage points with their sign. */
export function points(value) {
  const text = Math.abs(value).toFixed(2);
  if (Number(text) === 0) return text;
  return (value < 0 ? MINUS : "+") + text;
}

/** A percentile, which is in percent already. */
export function percentile(value) {
  return value.toFixed(1) + NO_BREAK + "%";
}

/** Four figures; very large and very small numbers by powers of ten. */
export function number(value) {
  const size = Math.abs(value);
  if (size < 1e6 && (size >= 1e-3 || size === 0)) return signed(String(Number(value.toPrecision(4))));
  const [figures, power] = value.toExponential(3).split("e");
  return signed(`${figures} \u00d7 10${raised(Number(power))}`);
}

/** With a minus sign that is one. */
export function signed(text) {
  return text.replace("-", MINUS);
}

function raised(power) {
  return [...String(power)].map((sign) => (sign === "-" ? "\u207b" : RAISED[sign])).join("");
}

/** A duration, of which milliseconds or seconds matter. */
export function duration(seconds) {
  if (seconds < 0.9995) return `${Math.max(1, Math.round(1000 * seconds))}${NO_BREAK}ms`;
  if (seconds < 120) return `${seconds.toFixed(seconds < 10 ? 1 : 0)}${NO_BREAK}s`;
  return `${Math.round(seconds / 60)}${NO_BREAK}min`;
}

/** What the API says of an architecture as people say it: which one it is they see, and layers count from 1. */
export function fromOne(text) {
  const own = text.replace(/\barchitectures\[\d+\](: |\.)/g, "");
  return own.replace(/\blayers\[(\d+)\]/g, (_, layer) => `layer ${Number(layer) + 1}`);
}

/** "3 networks", "1 network". */
export function count(number, what) {
  return `${number} ${what}${number === 1 ? "" : "s"}`;
}
