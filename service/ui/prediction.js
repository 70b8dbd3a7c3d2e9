/** The prediction: accuracy, interval, percentile, estimates of the combiners, warnings. */

import { announce, byId, el, showProblem, table } from "./dom.js";
import { count, forPeople, percent, percentRange } from "./format.js";
import { currentPrediction } from "./live-prediction.js";

const ANNOUNCEMENT_DELAY_MS = 900; // without an edit

export function mountPrediction(store) {
  let announcement = 0;

  store.watch(["prediction", "scored", "architecture", "referenceSet"], (state) => {
    const { item, state: condition, problem } = currentPrediction(state);
    for (const element of [byId("prediction"), byId("combiners"), byId("compact-accuracy")]) {
      element.dataset.state = condition;
      element.ariaBusy = String(["loading", "stale"].includes(condition));
    }
    showProblem(byId("prediction-problem"), problem);
    clearTimeout(announcement);
    if (!item) {
      for (const id of ["accuracy", "compact-accuracy", "interval", "percentile", "source", "combiners", "warnings"]) {
        byId(id).replaceChildren();
      }
      return;
    }
    for (const id of ["accuracy", "compact-accuracy"]) byId(id).textContent = percent(item.accuracy);
    byId("interval").textContent = `${percent(item.interval.level, 0)} interval ${percentRange(item.interval)}`;
    byId("percentile").textContent = percentileText(item, state.referenceSet);
    byId("source").textContent = sourceText(item);
    byId("combiners").replaceChildren(combinerTable(item));
    const warnings = warningItems(item);
    byId("warnings").replaceChildren(...warnings);
    if (condition !== "current") return;
    document.body.dataset.ready = "true";
    const parts = [`Accuracy ${percent(item.accuracy)}`, percentileText(item, state.referenceSet)];
    if (warnings.length) parts.push(count(warnings.length, "warning"));
    announcement = setTimeout(() => announce(parts.join(", ")), ANNOUNCEMENT_DELAY_MS);
  });
}

/** The percentile is among predictions for the reference set, not among its measured accuracies. */
function percentileText(item, referenceSet) {
  const size = referenceSet ? `${referenceSet.size} ` : "";
  return `predicted above ${percent(item.percentile, 1)} of the reference set (${size}trained architectures)`;
}

function sourceText({ combiner, scores }) {
  const n = Object.keys(scores).length;
  return n ? `${combiner}, from structure and ${count(n, "proxy score")}` : "from structure alone";
}

function combinerTable({ combiner, combiners, scores, interval }) {
  const missing = Object.keys(scores).length ? "none" : "needs proxies";
  const rows = Object.entries(combiners).map(([name, estimate]) => {
    const label = name === combiner ? el("strong", {}, name) : name;
    if (!estimate) return [label, el("span", { class: "muted" }, missing), "", ""];
    return [label, percent(estimate.accuracy), percentRange(estimate.interval), percent(estimate.percentile, 1)];
  });
  const headings = ["combiner", "accuracy", `${percent(interval.level, 0)} interval`, "percentile"];
  return table("Estimates of the combiners", headings, rows);
}

function warningItems({ warnings, interval_scale: scale }) {
  const texts = warnings.map(forPeople);
  if (scale > 1) texts.push(`the interval is at least ${scale.toFixed(1)} times as wide as inside the reference set`);
  return texts.map((text) => el("li", {}, text));
}
