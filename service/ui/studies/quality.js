/** Quality of the study over its number of trained architectures: a chart, and the table behind it. */

import { byId, el, svg, table } from "../dom.js";
import { axes, axisTicks, drawAtWidth, makeScale, MARGIN, spaced } from "./chart.js";
import { correlation, fraction } from "./format.js";

const HEIGHT_PX = 300;
const MIN_LOG_RATIO = 6; // largest to smallest n, from which on the axis is logarithmic
const SERIES = [
  { field: "spearman", name: "\u03c1 of the study", mark: "study" },
  { field: "sources_spearman", name: "\u03c1 of the sources alone", mark: "sources" },
  { field: "stratum_spearman", mark: "stratum" }, // named by the space
  { field: "coverage", name: "coverage of the intervals", mark: "coverage" },
];

export function mountQuality(store) {
  const redraw = drawAtWidth(byId("quality-chart"), (width) => {
    const { study, spaces } = store.state;
    const curve = study?.quality?.curve ?? [];
    return curve.length ? [chart(curve, seriesOf(study, spaces), width)] : [];
  });

  store.watch(["study", "spaces"], ({ study, spaces }) => {
    if (!study) return;
    const { quality } = study;
    const curve = quality?.curve ?? [];
    const series = seriesOf(study, spaces);
    byId("quality-text").textContent = quality ? qualityText(quality, series) : "Not estimated yet.";
    byId("quality-legend").replaceChildren(...series.filter(({ field }) => hasValues(curve, field)).map(legendItem));
    byId("quality-details").hidden = !curve.length;
    byId("quality-table").replaceChildren(table("Quality by number of trained architectures", headings(series), rows(curve)));
    redraw();
  });
}

function seriesOf({ space }, spaces) {
  const stratum = spaces[space]?.stratum_label ?? "stratum";
  return SERIES.map((series) => ({ name: `\u03c1 of the ${stratum} alone`, ...series }));
}

function hasValues(curve, field) {
  return curve.some((point) => point[field] !== null);
}

function headings(series) {
  return ["n", ...series.map(({ name }) => name)];
}

function rows(curve) {
  return curve.map((point) => [
    String(point.n),
    ...SERIES.map(({ field }) => (field === "coverage" ? fraction : correlation)(point[field])),
  ]);
}

function qualityText(quality, series) {
  const isDefined = ({ field }) => quality[field] !== null;
  const text = ({ name, field }) => `${name} ${(field === "coverage" ? fraction : correlation)(quality[field])}`;
  const basis = `Held out, by cross-validation on ${quality.observations} observations of this study`;
  if (!series.some(isDefined)) return "Not defined yet: too few trained architectures.";
  return `${basis}: ${series.filter(isDefined).map(text).join("; ")}.`;
}

function legendItem({ name, mark }) {
  const line = svg("line", { x1: 0, x2: 28, y1: 7, y2: 7 });
  const sample = svg("svg", { width: 28, height: 14, "aria-hidden": "true", class: `series ${mark}` }, line, dot(14, 7, mark));
  return el("li", {}, sample, name);
}

function chart(curve, series, width) {
  const numbers = curve.map(({ n }) => n);
  const values = curve.flatMap((point) => SERIES.map(({ field }) => point[field])).filter((value) => value !== null);
  const low = Math.min(0, Math.floor(5 * Math.min(...values)) / 5);
  const isLog = numbers.at(-1) / numbers[0] >= MIN_LOG_RATIO;
  const x = makeScale([numbers[0], numbers.at(-1)], [MARGIN.left + 8, width - MARGIN.right], isLog ? Math.log : undefined);
  const y = makeScale([low, 1], [HEIGHT_PX - MARGIN.bottom, MARGIN.top]);
  const yTicks = axisTicks("y", [low, 1], HEIGHT_PX);
  const names = { xName: `trained architectures n${isLog ? " (logarithmic)" : ""}`, yName: "held-out \u03c1, coverage" };
  const frame = { width, height: HEIGHT_PX, x, y, xTicks: spaced(numbers, x), yTicks, ...names };
  const label = `Held-out quality by the number of trained architectures, from ${numbers[0]} to ${numbers.at(-1)}.`;
  return svg(
    "svg",
    { width, height: HEIGHT_PX, role: "img", "aria-label": `${label} The table below has the same numbers.` },
    ...axes(frame),
    ...series.map(({ field, mark }) => line(curve, field, mark, x, y)),
  );
}

/** Line through the points that have a value: it is interrupted at those that have none. */
function line(curve, field, mark, x, y) {
  const path = curve.map((point, i) => {
    if (point[field] === null) return "";
    const isStart = i === 0 || curve[i - 1][field] === null;
    return `${isStart ? "M" : "L"}${x(point.n)} ${y(point[field])}`;
  });
  const dots = curve.filter((point) => point[field] !== null).map((point) => dot(x(point.n), y(point[field]), mark));
  return svg("g", { class: `series ${mark}` }, svg("path", { d: path.join("") }), ...dots);
}

function dot(x, y, mark) {
  if (mark === "study") return svg("circle", { cx: x, cy: y, r: 3.5 });
  if (mark === "stratum") return svg("path", { d: `M${x - 4} ${y + 3.5}L${x} ${y - 4}L${x + 4} ${y + 3.5}Z`, class: "dot" });
  if (mark === "coverage") return svg("path", { d: `M${x - 4} ${y}H${x + 4}M${x} ${y - 4}V${y + 4}`, class: "cross" });
  return svg("rect", { x: x - 3, y: y - 3, width: 6, height: 6 });
}
