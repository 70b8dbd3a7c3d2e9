/** The ensemble's card: its data, metrics and limitations. */

import { byId, el, table } from "./dom.js";
import { percent, withMinusSign } from "./format.js";
import { metricLabel, taskText } from "./task.js";

const inPoints = (value) => (100 * value).toFixed(2);
const COLUMNS = [
  ["Spearman\u2019s \u03c1", (metrics) => metrics.spearman, (value) => value.toFixed(3)],
  ["\u03c1 within a stratum", (metrics) => metrics.within_stratum_spearman, (value) => value.toFixed(3)],
  ["pairwise accuracy", (metrics) => metrics.pairwise_accuracy, (value) => percent(value, 1)],
  ["mean absolute error, points", (metrics) => metrics.mae, inPoints],
  ["interval coverage", (metrics) => metrics.coverage?.overall, (value) => percent(value, 1)],
  ["interval width, points", (metrics) => metrics.interval_width?.overall, inPoints],
];

export function mountCard(store) {
  const content = byId("card").querySelector("div");
  store.watch(["task", "ensembles"], (state) => {
    const { task, ensembles, spaces } = state;
    const card = task && ensembles[task.ensemble];
    const note = task ? `The server has no ensemble of ${taskText(task)}.` : "Not loaded yet.";
    const elements = card ? cardElements(card, spaces[task.space], metricLabel(state)) : [el("p", { class: "muted" }, note)];
    content.replaceChildren(...elements);
  });
}

function cardElements(card, { stratum_label: stratumLabel }, metric) {
  const { name, benchmark, features, sources, baselines, metrics, method, seed, limitations } = card;
  const strata = Object.entries(benchmark.by_stratum).map(([stratum, n]) => `${n} at ${stratum}`);
  const { accuracy_range: range } = benchmark;
  const facts = {
    ensemble: name,
    benchmark: `${benchmark.name}: ${benchmark.size} trained architectures`,
    [stratumLabel]: strata.join(", "),
    [`range of ${metric}`]: range ? `${percent(range[0])} to ${percent(range[1])}` : "",
    ...(sources.length ? { sources: sources.map((source) => source.name).join(", ") } : {}),
    features: Object.entries(features).map(([kind, n]) => `${n} of ${kind}`).join(", "),
    "weights and random draws": `seed ${seed}`,
  };
  const rows = Object.entries(metrics).map(([row, values]) => {
    const label = baselines.includes(row) ? `${row} (baseline)` : row;
    return [label, ...COLUMNS.map(([, select, format]) => cellText(select(values), format))];
  });
  const metricTable = table("Metrics", ["combiner", ...COLUMNS.map(([heading]) => heading)], rows);
  const methodText = method
    ? `${method.repeats} \u00d7 ${method.folds}-fold cross-validation, mean \u00b1 standard deviation`
    : "";
  return [
    el("dl", {}, ...Object.entries(facts).flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)])),
    el("h3", {}, "Metrics"),
    el("p", { class: "muted" }, methodText),
    el("div", { class: "scroll", role: "region", "aria-label": "Metrics", tabindex: "0" }, metricTable),
    el("h3", {}, "Limitations"),
    el("ul", {}, ...limitations.map((text) => el("li", {}, text))),
  ];
}

function cellText(summary, format) {
  return summary ? withMinusSign(`${format(summary.mean)} \u00b1 ${format(summary.std)}`) : "\u2013";
}
