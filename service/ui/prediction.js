/** The prediction: accuracy, interval, percentile, estimates of the combiners, warnings. */

import { announce, byId, el, showProblem, table } from "./dom.js";
import {
  accuracyText,
  capitalized,
  count,
  intervalText,
  number,
  percent,
  percentileText,
  percentRange,
  withoutIndex,
} from "./format.js";
import { currentPrediction } from "./live-prediction.js";
import { editorOf } from "./spaces/index.js";
import { metricLabel, taskText } from "./task.js";

const ANNOUNCEMENT_DELAY_MS = 900; // without an edit
const OUTPUTS = ["accuracy", "compact-accuracy", "interval", "percentile", "source", "combiners"];

export function mountPrediction(store) {
  let announcement = 0;

  store.watch(["task"], (state) => {
    const { task } = state;
    byId("prediction-heading").textContent = task && !task.ensemble ? "Prediction" : `Predicted ${metricLabel(state)}`;
    byId("combiner-estimates").hidden = !task?.ensemble;
    byId("accuracy").hidden = Boolean(task) && !task.ensemble;
    showProblem(byId("ensemble-note"), task && !task.ensemble ? { message: ensembleNote(task) } : null);
  });
  store.watch(["prediction", "scored", "architecture", "task", "referenceSet"], (state) => {
    const { item, state: condition, problem } = currentPrediction(state);
    for (const element of [byId("prediction"), byId("combiners"), byId("compact-accuracy")]) {
      element.dataset.state = condition;
      element.ariaBusy = String(["loading", "stale"].includes(condition));
    }
    showProblem(byId("prediction-problem"), problem);
    clearTimeout(announcement);
    const texts = item ? outputs(item, metricLabel(state), state.referenceSet) : {};
    for (const id of OUTPUTS) byId(id).replaceChildren(texts[id] ?? "");
    byId("warnings").replaceChildren();
    if (!item) return;
    const warnings = warningItems(item, editorOf(state.spaces[state.task.space]));
    byId("warnings").replaceChildren(...warnings);
    if (condition !== "current") return;
    document.body.dataset.ready = "true";
    const parts = item.combiner ? [`${capitalized(metricLabel(state))} ${texts.accuracy}`, texts.percentile] : [texts.source];
    if (warnings.length) parts.push(count(warnings.length, "warning"));
    announcement = setTimeout(() => announce(parts.join(", ")), ANNOUNCEMENT_DELAY_MS);
  });
}

function ensembleNote(task) {
  return `The server has no ensemble of ${taskText(task)}: its architectures are scored, not predicted.`;
}

/** Texts and tables of a prediction by the id of their element; of a validated architecture, its cost. */
function outputs(item, metric, referenceSet) {
  if (!item.combiner) return { source: costText(item) };
  const accuracy = accuracyText(item);
  const size = ` (${referenceSet ? `${referenceSet.size} ` : ""}trained architectures)`;
  return {
    accuracy,
    "compact-accuracy": accuracy,
    interval: item.interval ? `${percent(item.interval.level, 0)} interval ${percentRange(item.interval)}` : "rank only",
    percentile: percentileText(item, size),
    source: sourceText(item),
    combiners: combinerTable(item, metric),
  };
}

/** Parameters and FLOPs of a validated architecture; empty if its space cannot count them. */
export function costText({ parameters, flops }) {
  return parameters == null ? "" : `${number(parameters)} parameters, ${number(flops)} FLOPs`;
}

function sourceText({ combiner, scores }) {
  const n = Object.keys(scores).length;
  return n ? `${combiner}, from structure and ${count(n, "proxy score")}` : "from structure alone";
}

function combinerTable({ combiner, combiners, scores, interval }, metric) {
  const missing = Object.keys(scores).length ? "none" : "needs proxies";
  const rows = Object.entries(combiners).map(([name, estimate]) => {
    const label = name === combiner ? el("strong", {}, name) : name;
    if (!estimate) return [label, el("span", { class: "muted" }, missing)];
    return [label, accuracyText(estimate), intervalText(estimate), percent(estimate.percentile, 1)];
  });
  const level = interval ? `${percent(interval.level, 0)} ` : "";
  const headings = ["combiner", metric, `${level}interval`, "percentile"];
  return table("Estimates of the combiners", headings, rows);
}

function warningItems({ warnings, interval_scale: scale }, editor) {
  const texts = warnings.map((text) => editor.inWords(withoutIndex(text)));
  if (scale > 1) texts.push(`the interval is at least ${scale.toFixed(1)} times as wide as inside the reference set`);
  return texts.map((text) => el("li", {}, text));
}
