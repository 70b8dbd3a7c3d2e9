/** Up to four architectures side by side, with the probability for each pair that one is better than the other. */

import { isAbort, Problem } from "./api.js";
import { keyOf } from "./architecture.js";
import { announce, byId, el, replaceKeepingFocus, showProblem, svg, table } from "./dom.js";
import { accuracyText, count, percent, percentileText, percentRange, probability } from "./format.js";
import { requestPredictions } from "./jobs.js";
import { costText } from "./prediction.js";
import { scoreText } from "./proxies.js";
import { editorOf } from "./spaces/index.js";
import { comparedArchitectures, taskKey, usesProxies } from "./task.js";
import { validateAll } from "./validation.js";

const LABELS = ["A", "B", "C", "D"];
const MAX_COMPARED = LABELS.length;

export function mountComparison(store, api, edit, score) {
  const container = byId("comparison");
  let running = new AbortController();
  let retry = 0;

  byId("add-to-comparison").addEventListener("click", () => {
    const { architecture, comparison } = store.state;
    announce(`Added to the comparison as ${LABELS[comparedArchitectures(store.state).length]}`);
    store.set({ comparison: [...comparison, architecture] });
  });

  store.watch(["architecture", "comparison"], (state) => {
    const { architecture } = state;
    const compared = comparedArchitectures(state);
    const isAdded = architecture && compared.some((other) => keyOf(other) === keyOf(architecture));
    const isFull = compared.length >= MAX_COMPARED;
    byId("add-to-comparison").disabled = isAdded || isFull;
    byId("add-to-comparison").textContent = isAdded ? "In the comparison" : "Add to comparison";
    byId("comparison-full").textContent = !isAdded && isFull ? "at most four" : "";
  });

  store.watch(["comparison", "task", "scored", "refreshes"], compare);
  store.watch(["comparison", "compared", "task", "spaces", "job"], render);

  /** Compare from structure until all have been scored, then with the scores, which the server has stored. */
  async function compare(state) {
    running.abort();
    clearTimeout(retry);
    const [architectures, keys] = [comparedArchitectures(state), comparedKeys(state)];
    if (!architectures.length) return store.set({ compared: null });
    const { signal } = (running = new AbortController());
    const withProxies = keys.every((key) => state.scored.has(key));
    try {
      const { items, winProbability } = await request(state.task, architectures, withProxies, signal);
      store.set({ compared: { keys, items, winProbability, withProxies, problem: null } });
    } catch (error) {
      if (isAbort(error)) return;
      const problem = error instanceof Problem ? error : null;
      store.set({ compared: { ...store.state.compared, problem, ...(problem ? { keys: [] } : {}) } });
      if (problem?.retryAfter) retry = setTimeout(() => compare(store.state), 1000 * problem.retryAfter);
    }
  }

  async function request(task, architectures, withProxies, signal) {
    const { ensemble } = task;
    if (!ensemble) return { items: await validateAll(api, task, architectures, signal), winProbability: null };
    const body = { architectures, ensemble, compare: true, ...(withProxies ? {} : { proxies: [] }) };
    const { predictions, win_probability: winProbability } = await requestPredictions(api, body, signal);
    return { items: predictions, winProbability };
  }

  function render(state) {
    const { compared, spaces, task, job, scored } = state;
    const architectures = comparedArchitectures(state);
    showProblem(byId("comparison-problem"), compared?.problem);
    if (!architectures.length) {
      const text = `Up to ${count(MAX_COMPARED, "architecture")} of a search space can be compared side by side.`;
      container.replaceChildren(el("p", { class: "muted" }, text));
      return;
    }
    const keys = comparedKeys(state);
    const isCurrent = compared?.keys?.join() === keys.join();
    // The prediction of an architecture does not depend on the others of the comparison.
    const items = keys.map((key) => compared?.items?.[compared.keys.indexOf(key)]);
    const bounds = items.flatMap((item) => (item?.interval ? [item.interval.low, item.interval.high] : []));
    const range = { low: Math.min(...bounds), high: Math.max(...bounds) };
    const editor = editorOf(spaces[task.space]);
    const cards = architectures.map((architecture, i) => {
      return card(architecture, i, items[i], range, editor.picture(architecture, spaces[task.space]));
    });
    const parts = [el("ul", { class: "cards" }, ...cards)];
    if (isCurrent && compared.winProbability && architectures.length > 1) {
      parts.push(winProbabilityTable(compared.winProbability));
    }
    if (isCurrent && compared.withProxies && !usesProxies(state, task)) {
      parts.push(scoreTable(keys.map((key) => scored.get(key))));
    }
    if (isCurrent) parts.push(scoreAll(architectures, compared.withProxies, job));
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
      ...picture,
      ...itemElements(item, range),
      el("div", { class: "toolbar" }, ...buttons),
    );
  }

  function scoreAll(architectures, withProxies, job) {
    if (withProxies) return el("p", { class: "muted" }, "With the scores of all proxies.");
    const start = () => score(architectures);
    const attributes = { type: "button", disabled: Boolean(job), "data-focus-key": "score-all", onclick: start };
    return el("button", attributes, "Score all with proxies");
  }
}

function comparedKeys(state) {
  return comparedArchitectures(state).map((architecture) => taskKey(state.task, architecture));
}

function button(text, label, onclick) {
  const name = `${text} ${label}`;
  return el("button", { type: "button", "aria-label": name, "data-focus-key": name, onclick }, text);
}

function itemElements(item, range) {
  if (!item) return [el("p", { class: "muted" }, "waiting for the server")];
  if (item.error) return [el("p", { class: "problem" }, new Problem(item.error.status, item.error).message)];
  if (!item.combiner) return [el("p", { class: "muted" }, costText(item))];
  return [
    el("p", { class: "large-number" }, accuracyText(item)),
    ...intervalElements(item, range),
    el("p", { class: "muted" }, `${percentileText(item)}; by ${item.combiner}`),
    ...(item.interval_scale > 1 ? [el("p", { class: "muted" }, "with warnings: outside the reference set")] : []),
  ];
}

function intervalElements(item, range) {
  if (!item.interval) return [el("p", {}, "rank only")];
  const text = el("span", { class: "nowrap" }, percentRange(item.interval));
  return [intervalBar(item, range), el("p", {}, `${percent(item.interval.level, 0)} interval `, text)];
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

/** Scores of all proxies, where no ensemble combines them. */
function scoreTable(items) {
  const name = "Proxy scores by architecture";
  const names = Object.keys(items[0].scores);
  const rows = names.map((proxy) => [proxy, ...items.map(({ scores }) => scoreText(scores[proxy]))]);
  const element = table(name, ["proxy", ...LABELS.slice(0, items.length)], rows);
  const region = { class: "scroll", role: "region", "aria-label": name, tabindex: "0" };
  return el("div", {}, el("h3", {}, name), el("div", region, element));
}
