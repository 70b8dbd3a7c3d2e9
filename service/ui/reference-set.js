/** Position of the prediction in the reference set: a histogram for each stratum, e.g. number of layers. */

import { byId, svg } from "./dom.js";
import { percent, percentRange } from "./format.js";
import { currentPrediction } from "./live-prediction.js";

const ROW_PX = 40;
const TOP_PX = 22;
const BOTTOM_PX = 24;
const LEFT_PX = 28;
const RIGHT_PX = 10;
const N_BINS = 48;
const MAX_TICKS = 6;
const TICK_STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1];

export function mountReferenceSet(store) {
  const container = byId("reference-set");

  function draw() {
    const { referenceSet, spaces, task } = store.state;
    const { item } = currentPrediction(store.state);
    const predictions = referenceSet && item && referenceSet.combiners[item.combiner];
    const width = container.clientWidth;
    const label = spaces[task?.space]?.stratum_label;
    if (!predictions) container.replaceChildren();
    else if (width) container.replaceChildren(chart(predictions, item, label, width));
    byId("reference-set-caption").textContent =
      `Predictions of the reference set, by ${label}. The line is this architecture, the band its interval.`;
  }

  store.watch(["prediction", "scored", "architecture", "task", "referenceSet"], draw);
  new ResizeObserver(draw).observe(container);
}

function chart({ accuracy, strata }, item, label, width) {
  const numbers = [...new Set(strata)].sort((a, b) => a - b);
  const low = Math.min(accuracy[0], item.interval.low);
  const high = Math.max(accuracy.at(-1), item.interval.high);
  const x = (value) => LEFT_PX + ((value - low) / (high - low)) * (width - LEFT_PX - RIGHT_PX);
  const bottom = TOP_PX + numbers.length * ROW_PX;
  const marker = { low: x(item.interval.low), center: x(item.accuracy), high: x(item.interval.high) };
  const byStratum = new Map(numbers.map((number) => [number, accuracy.filter((_, i) => strata[i] === number)]));
  const histograms = numbers.map((number) => histogram(byStratum.get(number), low, high));
  const largest = Math.max(...histograms.flat());
  const rows = numbers.map((number, i) => {
    const baseline = TOP_PX + (i + 1) * ROW_PX;
    return svg(
      "g",
      { class: number === item.stratum ? "current" : "other" },
      svg("path", { d: outline(histograms[i], largest, baseline, x(low), x(high)), class: "bars" }),
      svg("line", { x1: LEFT_PX, x2: width - RIGHT_PX, y1: baseline, y2: baseline, class: "axis" }),
      svg("text", { x: LEFT_PX - 8, y: baseline - 6, "text-anchor": "end" }, String(number)),
    );
  });
  const anchor = marker.center > width - 40 ? "end" : marker.center < LEFT_PX + 40 ? "start" : "middle";
  const [top, height] = [TOP_PX, bottom - TOP_PX];
  const name = describeChart(accuracy, byStratum, item, label);
  return svg(
    "svg",
    { width, height: bottom + BOTTOM_PX, role: "img", "aria-label": name },
    svg("rect", { x: marker.low, y: top, width: marker.high - marker.low, height, class: "interval" }),
    ...rows,
    ...ticks(low, high).flatMap((value) => tick(x(value), bottom, value)),
    svg("line", { x1: marker.center, x2: marker.center, y1: top - 4, y2: bottom, class: "marker" }),
    svg("text", { x: marker.center, y: top - 8, "text-anchor": anchor, class: "label" }, percent(item.accuracy)),
  );
}

function histogram(values, low, high) {
  const counts = new Array(N_BINS).fill(0);
  for (const value of values) counts[Math.min(N_BINS - 1, Math.floor((N_BINS * (value - low)) / (high - low)))] += 1;
  return counts;
}

/** SVG path of a histogram. */
function outline(counts, largest, baseline, left, right) {
  const binWidth = (right - left) / N_BINS;
  const steps = counts.map((n, i) => `V${baseline - (n / largest) * (ROW_PX - 8)}H${left + (i + 1) * binWidth}`);
  return `M${left} ${baseline}${steps.join("")}V${baseline}Z`;
}

function ticks(low, high) {
  const step = TICK_STEPS.find((candidate) => (high - low) / candidate <= MAX_TICKS) ?? high - low;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
}

function tick(x, bottom, value) {
  return [
    svg("line", { x1: x, x2: x, y1: bottom, y2: bottom + 4, class: "axis" }),
    svg("text", { x, y: bottom + 18, "text-anchor": "middle" }, percent(value, 1)),
  ];
}

/** The chart in words, for screen readers. */
function describeChart(accuracy, byStratum, item, label) {
  const range = percentRange({ low: accuracy[0], high: accuracy.at(-1) });
  const all = `Of ${accuracy.length} trained architectures, predicted at ${range}`;
  const position = `${percent(item.percentile, 1)} are predicted worse than this one at ${percent(item.accuracy)}`;
  const alike = byStratum.get(item.stratum);
  if (!alike) return `${all}, ${position}.`;
  const worse = alike.filter((value) => value < item.accuracy).length / alike.length;
  return `${all}, ${position}; of those whose ${label} is ${item.stratum}, ${percent(worse, 1)}.`;
}
