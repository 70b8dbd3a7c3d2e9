/** Observed values against the predictions of models that have not seen them. */

import { byId, svg } from "../dom.js";
import { axes, axisTicks, domainOf, drawAtWidth, makeScale, MARGIN } from "./chart.js";
import { valueText } from "./format.js";

const MAX_HEIGHT_PX = 420;

export function mountScatter(store) {
  const redraw = drawAtWidth(byId("scatter-chart"), (width) => {
    const points = heldOut(store.state.observations);
    return points.length ? [chart(points, store.state.study.metric, width)] : [];
  });
  store.watch(["observations", "study"], ({ observations }) => {
    const n = heldOut(observations).length;
    byId("scatter-text").textContent = n
      ? `${n} trained architectures. On the line, observed and predicted are equal. The list of observations has the numbers.`
      : "No held-out predictions yet: too few trained architectures.";
    redraw();
  });
}

function heldOut(observations) {
  return (observations ?? []).filter(({ value, predicted }) => value !== null && predicted !== null);
}

function chart(points, metric, width) {
  const height = Math.min(MAX_HEIGHT_PX, Math.round(0.8 * width));
  const [low, high] = domainOf(points.flatMap(({ value, predicted }) => [value, predicted]));
  const x = makeScale([low, high], [MARGIN.left, width - MARGIN.right]);
  const y = makeScale([low, high], [height - MARGIN.bottom, MARGIN.top]);
  const xTicks = axisTicks("x", [low, high], width);
  const yTicks = axisTicks("y", [low, high], height);
  const range = (values) => `${valueText(Math.min(...values), metric)} to ${valueText(Math.max(...values), metric)}`;
  const observed = range(points.map(({ value }) => value));
  const predicted = range(points.map((point) => point.predicted));
  const label = `${metric.name} of ${points.length} trained architectures, observed ${observed}, predicted held out ${predicted}.`;
  // One path of points without length: thousands of elements would be slow.
  const path = points.map((point) => `M${x(point.predicted)} ${y(point.value)}h0`).join("");
  const name = metric.unit === "percent" ? `${metric.name} in %` : metric.name;
  const names = { xName: `predicted ${name}, held out`, yName: `observed ${name}` };
  return svg(
    "svg",
    { width, height, role: "img", "aria-label": label },
    ...axes({ width, height, x, y, xTicks, yTicks, ...names }),
    svg("line", { x1: x(low), y1: y(low), x2: x(high), y2: y(high), class: "diagonal" }),
    svg("path", { d: path, class: "points" }),
  );
}
