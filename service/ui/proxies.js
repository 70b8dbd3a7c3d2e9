/** Proxy scores, with their computing time and their percentile in the reference set. */

import { byId, el, table } from "./dom.js";
import { duration, number, percent } from "./format.js";
import { scoredItem } from "./task.js";

export function mountProxies(store) {
  const container = byId("proxies");
  store.watch(["architecture", "task", "scored", "referenceSet"], (state) => {
    const { referenceSet } = state;
    const item = scoredItem(state);
    if (!item) {
      container.replaceChildren(el("p", { class: "muted" }, "Not scored yet: scoring builds and measures a network."));
      return;
    }
    const rows = Object.entries(item.scores).map(([name, score]) => row(name, score, referenceSet?.proxies[name]));
    container.replaceChildren(table("Proxy scores", ["proxy", "value", "percentile", "time"], rows));
  });
}

/** Value of a score; the reason where there is none. */
export function scoreText({ status, value, log, note, error }) {
  if (status === "not_applicable") return el("span", { class: "muted reason" }, `not applicable: ${note}`);
  if (status !== "ok") return el("span", { class: "failed" }, `failed: ${error}`);
  return log === null ? number(value) : `log ${number(log)}`;
}

function row(name, score, quantiles) {
  if (score.status !== "ok") return [name, scoreText(score)];
  const value = score.log ?? score.value;
  return [name, scoreText(score), quantiles ? percent(percentile(value, quantiles), 1) : "", duration(score.seconds)];
}

/** Fraction of the reference set below a value, interpolated in its evenly spaced quantiles from 0 to 1. */
function percentile(value, quantiles) {
  const last = quantiles.length - 1;
  if (value <= quantiles[0]) return 0;
  if (value >= quantiles[last]) return 1;
  const above = quantiles.findIndex((quantile) => quantile > value);
  const [low, high] = [quantiles[above - 1], quantiles[above]];
  return (above - 1 + (value - low) / (high - low)) / last;
}
