/** Up to four architectures side by side, with the probability for each pair that one is better than the other. */

import { isAbort, Problem } from "./api.js";
import { describe, serialize } from "./architecture.js";
import { announce, byId, el, replaceKeepingFocus, showProblem, svg, table } from "./dom.js";
import { count, percent, percentRange, probability } from "./format.js";
import { requestPredictions } from "./jobs.js";

const LABELS = ["A", "B", "C", "D"];
const MAX_COMPARED = LABELS.length;
const CELL_PX = 10;

export function mountComparison(store, api, edit, score) {
  const container = byId("comparison");
  let running = new AbortController();
  let retry = 0;

  byId("add-to-comparison").addEventListener("click", () => {
    const { architecture, comparison } = store.state;
    store.set({ comparison: [...comparison, architecture] });
    announce(`Added to the comparison as ${LABELS[comparison.length]}`);
  });

  store.watch(["architecture", "comparison"], ({ architecture, comparison }) => {
    const isAdded = architecture && comparison.some((other) => serialize(other) === serialize(architecture));
    const isFull = comparison.length >= MAX_COMPARED;
    byId("add-to-comparison").disabled = isAdded || isFull;
    byId("add-to-comparison").textContent = isAdded ? "In the comparison" : "Add to comparison";
    byId("comparison-full").textContent = !isAdded && isFull ? "at most four" : "";
  });

  store.watch(["comparison", "scored", "refreshes"], compare);
  store.watch(["comparison", "compared", "spaces", "job"], render);

  /** Compare from structure until all have been scored, then with the scores, which the server has stored. */
  async function compare({ comparison, scored }) {
    running.abort();
    clearTimeout(retry);
    if (!comparison.length) return store.set({ compared: null });
    const { signal } = (running = new AbortController());
    const withProxies = comparison.every((architecture) => scored.has(serialize(architecture)));
    const body = { architectures: comparison, compare: true, ...(withProxies ? {} : { proxies: [] }) };
    try {
      const { predictions: items, win_probability: winProbability } = await requestPredictions(api, body, signal);
      store.set({ compared: { architectures: comparison, items, winProbability, withProxies, problem: null } });
    } catch (error) {
      if (isAbort(error)) return;
      const problem = error instanceof Problem ? error : null;
      store.set({ compared: { ...store.state.compared, problem, ...(problem ? { architectures: null } : {}) } });
      if (problem?.retryAfter) retry = setTimeout(() => compare(store.state), 1000 * problem.retryAfter);
    }
  }

  function render({ comparison, compared, spaces, job }) {
    showProblem(byId("comparison-problem"), compared?.problem);
    if (!comparison.length) {
      const text = `Up to ${count(MAX_COMPARED, "architecture")} can be compared side by side.`;
      container.replaceChildren(el("p", { class: "muted" }, text));
      return;
    }
    const isCurrent = compared?.architectures === comparison;
    const items = comparison.map((architecture) => lastItem(architecture, compared));
    const bounds = items.flatMap((item) => (item?.interval ? [item.interval.low, item.interval.high] : []));
    const range = { low: Math.min(...bounds), high: Math.max(...bounds) };
    const rows = Math.max(...comparison.map(({ layers }) => layers.length)); // the same height for all: cards line up
    const cards = comparison.map((architecture, i) => {
      return card(architecture, i, items[i], range, thumbnail(architecture, spaces[architecture.space], rows));
    });
    const parts = [el("ul", { class: "cards" }, ...cards)];
    if (isCurrent && compared.winProbability && comparison.length > 1) {
      parts.push(winProbabilityTable(compared.winProbability));
    }
    if (isCurrent) parts.push(scoreAll(comparison, compared.withProxies, job));
    replaceKeepingFocus(container, ...parts);
  }

  function card(architecture, i, item, range, picture) {
    const label = LABELS[i];
    const remove = () => {
      store.set({ comparison: store.state.comparison.filter((other) => other !== architecture) });
      announce(`${label} was removed from the comparison`);
    };
    const buttons = [button("Edit", label, () => edit(architecture)), button("Remove", label, remove)];
    return el(
      "li",
      {},
      el("h3", {}, label),
      picture,
      ...itemElements(item, range),
      el("div", { class: "toolbar" }, ...buttons),
    );
  }

  function scoreAll(comparison, withProxies, job) {
    if (withProxies) return el("p", { class: "muted" }, "With the scores of all proxies.");
    const start = () => score(comparison);
    return el("button", { type: "button", disabled: Boolean(job), onclick: start }, "Score all with proxies");
  }
}

/** The last prediction of an architecture, which does not depend on the others of the comparison. */
function lastItem(architecture, compared) {
  const index = compared?.architectures?.findIndex((other) => serialize(other) === serialize(architecture)) ?? -1;
  return index < 0 ? null : compared.items[index];
}

function button(text, label, onclick) {
  const name = `${text} ${label}`;
  return el("button", { type: "button", "aria-label": name, "data-focus-key": name, onclick }, text);
}

function itemElements(item, range) {
  if (!item) return [el("p", { class: "muted" }, "predicting")];
  if (item.error) return [el("p", { class: "problem" }, new Problem(item.error.status, item.error).message)];
  const { level } = item.interval;
  const position = `predicted above ${percent(item.percentile, 1)} of the reference set; by ${item.combiner}`;
  return [
    el("p", { class: "large-number" }, percent(item.accuracy)),
    intervalBar(item, range),
    el("p", {}, `${percent(level, 0)} interval `, el("span", { class: "nowrap" }, percentRange(item.interval))),
    el("p", { class: "muted" }, position),
    ...(item.interval_scale > 1 ? [el("p", { class: "muted" }, "with warnings: outside the reference set")] : []),
  ];
}

/** The interval on an axis that all cards share; the text beside it says the same. */
function intervalBar({ accuracy, interval: { low, high } }, range) {
  const position = (value) => (100 * (value - range.low)) / (range.high - range.low);
  const [left, right, center] = [position(low), position(high), `${position(accuracy)}%`];
  return svg(
    "svg",
    { width: "100%", height: 12, "aria-hidden": "true" },
    svg("rect", { x: `${left}%`, y: 2, width: `${right - left}%`, height: 8, class: "interval" }),
    svg("line", { x1: center, x2: center, y1: 0, y2: 12, class: "marker" }),
  );
}

/** The grid as a small picture. */
function thumbnail(architecture, { modules }, rows) {
  const cells = architecture.layers.flatMap((layer, y) =>
    modules.map((module, x) => {
      const state = layer.includes(module) ? "on" : "off";
      return svg("rect", { x: x * CELL_PX, y: y * CELL_PX, width: CELL_PX - 2, height: CELL_PX - 2, class: state });
    }),
  );
  const size = { width: modules.length * CELL_PX, height: rows * CELL_PX };
  return svg("svg", { ...size, role: "img", "aria-label": describe(architecture) }, ...cells);
}

function winProbabilityTable(winProbability) {
  const labels = LABELS.slice(0, winProbability.length);
  const rows = winProbability.map((row, i) => [
    labels[i],
    ...row.map((value, j) => (i === j || value === null ? "" : probability(value))),
  ]);
  const name = "Probability that one is better than another";
  const element = table(name, ["", ...labels.map((label) => `than ${label}`)], rows);
  return el("div", {}, el("h3", {}, name), element);
}
