/** What is predicted: accuracy, interval, percentile, each combiner's word, warnings. */

import { announce, byId, el, showProblem, table } from "./dom.js";
import { count, fromOne, percent, percentile, span } from "./format.js";
import { shown } from "./predict.js";

const QUIET = 900; // milliseconds without an edit after which a prediction is read out

export function showAnswer(store) {
  let reading = 0;

  store.watch(["prediction", "scored", "architecture", "population"], (state) => {
    const { item, state: condition, problem } = shown(state);
    for (const place of [byId("prediction"), byId("combiners"), byId("glance")]) {
      place.dataset.state = condition;
      place.ariaBusy = String(["loading", "stale"].includes(condition));
    }
    showProblem(byId("problem"), problem);
    clearTimeout(reading);
    if (!item) {
      for (const id of ["accuracy", "glance", "interval", "percentile", "source", "combiners", "warnings"]) {
        byId(id).replaceChildren();
      }
      return;
    }
    for (const id of ["accuracy", "glance"]) byId(id).textContent = percent(item.accuracy);
    byId("interval").textContent = `90 % interval ${span(item.interval)}`;
    byId("percentile").textContent = placed(item, state.population);
    byId("source").textContent = source(item);
    byId("combiners").replaceChildren(combiners(item));
    const warned = warnings(item);
    byId("warnings").replaceChildren(...warned);
    if (condition !== "current") return;
    document.body.dataset.ready = "true";
    const parts = [`Accuracy ${percent(item.accuracy)}`, placed(item, state.population)];
    if (warned.length) parts.push(count(warned.length, "warning"));
    reading = setTimeout(() => announce(parts.join(", ")), QUIET);
  });
}

/** Among predictions of the trained architectures, not among what they reached. */
function placed(item, population) {
  const what = population ? `the ${population.number} trained architectures` : "the trained architectures";
  return `predicted above ${percentile(item.percentile)} of ${what}`;
}

function source({ combiner, scores }) {
  const number = Object.keys(scores).length;
  return number ? `${combiner}, from structure and ${count(number, "proxy score")}` : "from structure alone";
}

function combiners({ combiner, combiners: all, scores }) {
  const nothing = Object.keys(scores).length ? "none" : "needs proxies";
  const rows = Object.entries(all).map(([name, estimate]) => {
    const label = name === combiner ? el("strong", {}, name) : name;
    if (!estimate) return [label, el("span", { class: "muted" }, nothing), "", ""];
    return [label, percent(estimate.accuracy), span(estimate.interval), percentile(estimate.percentile)];
  });
  return table("What each combiner says", ["combiner", "accuracy", "90 % interval", "percentile"], rows);
}

function warnings({ warnings: texts, stretch }) {
  const all = texts.map(fromOne);
  if (stretch > 1) all.push(`the interval is at least ${stretch.toFixed(1)} times as wide as for one like the trained`);
  return all.map((text) => el("li", {}, text));
}
