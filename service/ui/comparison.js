/** Up to four architectures side by side, and how probably each is better than each other. */

import { Problem, wasAborted } from "./api.js";
import { described, written } from "./architecture.js";
import { announce, byId, el, refill, showProblem, svg, table } from "./dom.js";
import { predicted } from "./follow.js";
import { chance, percent, percentile, span } from "./format.js";

const NAMES = ["A", "B", "C", "D"];
const MOST = NAMES.length;
const CELL = 10;

export function showComparison(store, api, edit, score) {
  const place = byId("comparison");
  let running = new AbortController();
  let again = 0;

  byId("add").addEventListener("click", () => {
    const { architecture, comparison } = store.state;
    store.set({ comparison: [...comparison, architecture] });
    announce(`Added to the comparison as ${NAMES[comparison.length]}`);
  });

  store.watch(["architecture", "comparison"], ({ architecture, comparison }) => {
    const there = architecture && comparison.some((one) => written(one) === written(architecture));
    byId("add").disabled = there || comparison.length >= MOST;
    byId("add").textContent = there ? "In the comparison" : "Add to comparison";
    byId("full").textContent = !there && comparison.length >= MOST ? "no more than four" : "";
  });

  store.watch(["comparison", "scored", "epoch"], compare);
  store.watch(["comparison", "compared", "spaces", "job"], show);

  /** From structure alone, until all have been scored; then with the scores, which the server has. */
  async function compare({ comparison, scored }) {
    running.abort();
    clearTimeout(again);
    if (!comparison.length) return store.set({ compared: null });
    const { signal } = (running = new AbortController());
    const withProxies = comparison.every((one) => scored.has(written(one)));
    const body = { architectures: comparison, compare: true, ...(withProxies ? {} : { proxies: [] }) };
    try {
      const { predictions, beats } = await predicted(api, body, signal);
      store.set({ compared: { of: comparison, items: predictions, beats, withProxies, problem: null } });
    } catch (error) {
      if (wasAborted(error)) return;
      const problem = error instanceof Problem ? error : null;
      store.set({ compared: { ...store.state.compared, problem, ...(problem ? { of: null } : {}) } });
      if (problem?.retryAfter) again = setTimeout(() => compare(store.state), 1000 * problem.retryAfter);
    }
  }

  function show({ comparison, compared, spaces, job }) {
    showProblem(byId("comparison-problem"), compared?.problem);
    if (!comparison.length) {
      place.replaceChildren(el("p", { class: "muted" }, `Up to ${MOST} architectures can be compared side by side.`));
      return;
    }
    const current = compared?.of === comparison;
    const items = comparison.map((one) => known(one, compared));
    const ends = items.flatMap((item) => (item?.interval ? [item.interval.low, item.interval.high] : []));
    const range = { low: Math.min(...ends), high: Math.max(...ends) };
    const rows = Math.max(...comparison.map(({ layers }) => layers.length)); // of all pictures: what is below lines up
    const picture = (one) => small(one, spaces[one.space], rows);
    const cards = comparison.map((one, i) => card(one, i, items[i], range, picture(one)));
    const parts = [el("ul", { class: "cards" }, ...cards)];
    if (current && compared.beats && comparison.length > 1) parts.push(pairs(compared.beats));
    if (current) parts.push(scoring(comparison, compared.withProxies, job));
    refill(place, ...parts);
  }

  function card(architecture, i, item, range, picture) {
    const name = NAMES[i];
    const remove = () => {
      store.set({ comparison: store.state.comparison.filter((one) => one !== architecture) });
      announce(`${name} was removed from the comparison`);
    };
    return el(
      "li",
      { "data-name": name },
      el("h3", {}, name),
      picture,
      ...numbers(item, range),
      el("div", { class: "tools" }, button("Edit", name, () => edit(architecture)), button("Remove", name, remove)),
    );
  }

  function scoring(comparison, withProxies, job) {
    if (withProxies) return el("p", { class: "muted" }, "With the scores of all proxies.");
    const start = () => score(comparison);
    return el("button", { type: "button", disabled: Boolean(job), onclick: start }, "Score all with proxies");
  }
}

/** What was last said of an architecture; what it was compared with does not matter to that. */
function known(architecture, compared) {
  const at = compared?.of?.findIndex((one) => written(one) === written(architecture)) ?? -1;
  return at < 0 ? null : compared.items[at];
}

function button(text, name, onclick) {
  const label = `${text} ${name}`;
  return el("button", { type: "button", "aria-label": label, "data-keep": label, onclick }, text);
}

function numbers(item, range) {
  if (!item) return [el("p", { class: "muted" }, "predicting")];
  if (item.error) return [el("p", { class: "problem" }, new Problem(item.error.status, item.error).message)];
  return [
    el("p", { class: "figure" }, percent(item.accuracy)),
    interval(item, range),
    el("p", {}, "90 % interval ", el("span", { class: "whole" }, span(item.interval))),
    el("p", { class: "muted" }, `predicted above ${percentile(item.percentile)} of the trained; by ${item.combiner}`),
    ...(item.stretch > 1 ? [el("p", { class: "muted" }, "with warnings: unlike those that were trained")] : []),
  ];
}

/** The interval on an axis that all that are compared share; the text beside it says the same. */
function interval({ accuracy, interval: { low, high } }, range) {
  const at = (value) => (100 * (value - range.low)) / (range.high - range.low);
  return svg(
    "svg",
    { class: "range", width: "100%", height: 12, "aria-hidden": "true" },
    svg("rect", { x: `${at(low)}%`, y: 2, width: `${at(high) - at(low)}%`, height: 8, class: "interval" }),
    svg("line", { x1: `${at(accuracy)}%`, x2: `${at(accuracy)}%`, y1: 0, y2: 12, class: "marker" }),
  );
}

/** The grid as a picture. */
function small(architecture, { modules }, rows) {
  const cells = architecture.layers.flatMap((layer, y) =>
    modules.map((module, x) => {
      const kind = layer.includes(module) ? "on" : "off";
      return svg("rect", { x: x * CELL, y: y * CELL, width: CELL - 2, height: CELL - 2, class: kind });
    }),
  );
  const size = { width: modules.length * CELL, height: rows * CELL };
  return svg("svg", { ...size, role: "img", "aria-label": described(architecture) }, ...cells);
}

function pairs(beats) {
  const names = NAMES.slice(0, beats.length);
  const rows = beats.map((row, i) => [
    names[i],
    ...row.map((probability, j) => (i === j || probability === null ? "" : chance(probability))),
  ]);
  const name = "How probably each is better than each other";
  const found = table(name, ["", ...names.map((other) => `than ${other}`)], rows);
  return el("div", {}, el("h3", {}, name), found);
}
