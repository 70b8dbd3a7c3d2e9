/** What predictions rest on: the ensemble's data, its measured errors, its limits. */

import { byId, el, table } from "./dom.js";
import { percent, signed } from "./format.js";

const inPoints = (value) => (100 * value).toFixed(2);
const MEASURES = {
  spearman: ["Spearman's \u03c1", (value) => value.toFixed(3)],
  within_depth: ["\u03c1 within a depth", (value) => value.toFixed(3)],
  pairwise: ["pairs in order", (value) => percent(value, 1)],
  mae: ["mean error, points", inPoints],
  coverage: ["intervals that hold", (value) => percent(value, 1)],
  width: ["interval's width, points", inPoints],
};

export function showCard(store) {
  const place = byId("card").querySelector("div");
  store.watch(["card", "ensemble"], ({ card }) => {
    place.replaceChildren(...(card ? about(card) : [el("p", { class: "muted" }, "Nothing is known yet.")]));
  });
}

function about({ name, benchmark, features, baselines, measured, method, seed, limits }) {
  const depths = Object.entries(benchmark.by_depth).map(([depth, networks]) => `${networks} of ${depth} layers`);
  const [worst, best] = benchmark.accuracy;
  const kinds = Object.entries(features).map(([kind, how]) => `${how} of ${kind}`);
  const facts = {
    ensemble: name,
    data: `${benchmark.name}: ${benchmark.architectures} trained architectures, ${depths.join(", ")}`,
    "their accuracy": `${percent(worst)} to ${percent(best)}`,
    features: kinds.join(", "),
    "weights and draws": `seed ${seed}`,
  };
  const rows = Object.entries(measured).map(([row, errors]) => {
    const label = baselines.includes(row) ? `${row} (baseline)` : row;
    return [label, ...Object.entries(MEASURES).map(([measure, [, write]]) => cell(errors[measure], write))];
  });
  const headings = ["by", ...Object.values(MEASURES).map(([heading]) => heading)];
  const how = method ? `${method.repeats} \u00d7 ${method.folds}-fold cross-validation, mean \u00b1 standard deviation` : "";
  const errors = table("Measured errors", headings, rows);
  return [
    el("dl", {}, ...Object.entries(facts).flatMap(([term, what]) => [el("dt", {}, term), el("dd", {}, what)])),
    el("h3", {}, "Measured errors"),
    el("p", { class: "muted" }, how),
    el("div", { class: "scroll", role: "region", "aria-label": "Measured errors", tabindex: "0" }, errors),
    el("h3", {}, "What it is not good for"),
    el("ul", {}, ...limits.map((limit) => el("li", {}, limit))),
  ];
}

function cell(summary, write) {
  return summary ? signed(`${write(summary.mean)} \u00b1 ${write(summary.sd)}`) : "\u2013";
}
