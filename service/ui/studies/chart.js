/** Scales, axes and marks of charts, as SVG elements. */

import { svg } from "../dom.js";
import { number } from "../format.js";

export const MARGIN = { top: 12, right: 16, bottom: 44, left: 52 }; // pixels
const STEPS = [1, 2, 5, 10];
const TICK_PX = { x: 64, y: 44 }; // least distances
const CHARACTER_PX = 7;

/**
 * Function from values to pixels.
 *
 * @param {[number, number]} domain lowest and highest value
 * @param {[number, number]} range their pixels
 * @param {(value: number) => number} transform e.g. a logarithm
 */
export function makeScale([low, high], [start, end], transform = (value) => value) {
  const [first, last] = [transform(low), transform(high)];
  return (value) => start + ((transform(value) - first) / (last - first || 1)) * (end - start);
}

/** Round values, at most `max`, from `low` to `high`. */
function ticks(low, high, max) {
  const power = 10 ** Math.floor(Math.log10((high - low) / max || 1));
  const step = power * STEPS.find((candidate) => (high - low) / (candidate * power) <= max);
  const first = Math.ceil(low / step - 1e-9);
  return Array.from({ length: Math.floor(high / step + 1e-9) - first + 1 }, (_, i) => (first + i) * step);
}

/** Domain of values, extended a little; of a single value, around it. */
export function domainOf(values) {
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const padding = (high - low) * 0.05 || Math.abs(high) * 0.05 || 1;
  return [low - padding, high + padding];
}

/** Ticks that fit on an axis of a chart of this size. */
export function axisTicks(axis, [low, high], size) {
  const margin = axis === "x" ? MARGIN.left + MARGIN.right : MARGIN.top + MARGIN.bottom;
  return ticks(low, high, Math.max(2, Math.floor((size - margin) / TICK_PX[axis])));
}

/** Positions whose labels do not overlap, the last always. */
export function spaced(values, x) {
  const kept = [];
  for (const value of values.toReversed()) {
    const next = kept.at(-1);
    const room = (CHARACTER_PX * (String(value).length + String(next).length)) / 2 + CHARACTER_PX;
    if (next === undefined || x(next) - x(value) >= room) kept.push(value);
  }
  return kept.toReversed();
}

/** Axes with their ticks and names. */
export function axes({ width, height, x, y, xTicks, yTicks, xName, yName }) {
  const bottom = height - MARGIN.bottom;
  const right = width - MARGIN.right;
  return [
    ...yTicks.flatMap((value) => [
      svg("line", { x1: MARGIN.left, x2: right, y1: y(value), y2: y(value), class: "axis" }),
      svg("text", { x: MARGIN.left - 8, y: y(value) + 4, "text-anchor": "end" }, number(value)),
    ]),
    ...xTicks.flatMap((value) => [
      svg("line", { x1: x(value), x2: x(value), y1: bottom, y2: bottom + 4, class: "axis" }),
      svg("text", { x: x(value), y: bottom + 18, "text-anchor": "middle" }, number(value)),
    ]),
    svg("line", { x1: MARGIN.left, x2: right, y1: bottom, y2: bottom, class: "axis" }),
    svg("text", { x: (MARGIN.left + right) / 2, y: height - 6, "text-anchor": "middle" }, xName),
    svg("text", { x: -(MARGIN.top + bottom) / 2, y: 12, "text-anchor": "middle", transform: "rotate(-90)" }, yName),
  ];
}

/** Show the elements that `draw` makes for the container's width, again when it changes and when the result is called. */
export function drawAtWidth(container, draw) {
  const redraw = () => {
    if (container.clientWidth) container.replaceChildren(...draw(container.clientWidth));
  };
  new ResizeObserver(redraw).observe(container);
  return redraw;
}
