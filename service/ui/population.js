/** Where a prediction lies among those of the trained architectures: a histogram for each number of layers. */

import { byId, svg } from "./dom.js";
import { percent, percentile, span } from "./format.js";
import { shown } from "./predict.js";

const ROW = 40;
const TOP = 22;
const BOTTOM = 24;
const LEFT = 62;
const RIGHT = 10;
const BINS = 48;
const STEPS = [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1];

export function showPopulation(store) {
  const place = byId("population");

  function draw() {
    const { population, architecture } = store.state;
    const { item } = shown(store.state);
    const known = population && item && population.combiners[item.combiner];
    const width = place.clientWidth;
    if (!known || !width) {
      if (!known) place.replaceChildren();
      return;
    }
    place.replaceChildren(picture(known, item, architecture.layers.length, width));
  }

  store.watch(["prediction", "scored", "architecture", "population"], draw);
  new ResizeObserver(draw).observe(place);
}

function picture({ accuracy, layers }, item, depth, width) {
  const depths = [...new Set(layers)].sort((a, b) => a - b);
  const low = Math.min(accuracy[0], item.interval.low);
  const high = Math.max(accuracy.at(-1), item.interval.high);
  const x = (value) => LEFT + ((value - low) / (high - low)) * (width - LEFT - RIGHT);
  const bottom = TOP + depths.length * ROW;
  const own = { low: x(item.interval.low), at: x(item.accuracy), high: x(item.interval.high) };
  const byDepth = new Map(depths.map((number) => [number, accuracy.filter((_, i) => layers[i] === number)]));
  const most = Math.max(...depths.map((number) => Math.max(...histogram(byDepth.get(number), low, high))));
  const rows = depths.map((number, i) => {
    const line = TOP + (i + 1) * ROW;
    const shape = outline(histogram(byDepth.get(number), low, high), most, line, x(low), x(high));
    const kind = number === depth ? "own" : "other";
    return svg(
      "g",
      { class: kind },
      svg("path", { d: shape, class: "bars" }),
      svg("line", { x1: LEFT, x2: width - RIGHT, y1: line, y2: line, class: "axis" }),
      svg("text", { x: LEFT - 8, y: line - 6, "text-anchor": "end" }, `${number} layers`),
    );
  });
  const anchor = own.at > width - 40 ? "end" : own.at < LEFT + 40 ? "start" : "middle";
  const text = inWords(accuracy, byDepth, item, depth);
  return svg(
    "svg",
    { width, height: bottom + BOTTOM, role: "img", "aria-label": text },
    svg("rect", { x: own.low, y: TOP, width: own.high - own.low, height: bottom - TOP, class: "interval" }),
    ...rows,
    ...ticks(low, high).flatMap((value) => tick(x(value), bottom, value)),
    svg("line", { x1: own.at, x2: own.at, y1: TOP - 4, y2: bottom, class: "marker" }),
    svg("text", { x: own.at, y: TOP - 8, "text-anchor": anchor, class: "label" }, percent(item.accuracy)),
  );
}

function histogram(values, low, high) {
  const counts = new Array(BINS).fill(0);
  for (const value of values) counts[Math.min(BINS - 1, Math.floor((BINS * (value - low)) / (high - low)))] += 1;
  return counts;
}

function outline(counts, most, line, from, to) {
  const each = (to - from) / BINS;
  const steps = counts.map((number, i) => `V${line - (number / most) * (ROW - 8)}H${from + (i + 1) * each}`);
  return `M${from} ${line}${steps.join("")}V${line}Z`;
}

function ticks(low, high) {
  const step = STEPS.find((one) => (high - low) / one <= 6) ?? high - low;
  const first = Math.ceil(low / step);
  return Array.from({ length: Math.floor(high / step) - first + 1 }, (_, i) => (first + i) * step);
}

function tick(at, bottom, value) {
  return [
    svg("line", { x1: at, x2: at, y1: bottom, y2: bottom + 4, class: "axis" }),
    svg("text", { x: at, y: bottom + 18, "text-anchor": "middle" }, percent(value, 1)),
  ];
}

function inWords(accuracy, byDepth, item, depth) {
  const like = byDepth.get(depth);
  const all = `Of ${accuracy.length} trained architectures, predicted at ${span({ low: accuracy[0], high: accuracy.at(-1) })}`;
  const own = `${percentile(item.percentile)} are predicted worse than this one at ${percent(item.accuracy)}`;
  if (!like) return `${all}, ${own}.`;
  const worse = like.filter((value) => value < item.accuracy).length / like.length;
  return `${all}, ${own}; of those with ${depth} layers, ${percentile(100 * worse)}.`;
}
