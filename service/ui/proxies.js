/** Each proxy's value, what it took, and where it lies among those of the trained architectures. */

import { written } from "./architecture.js";
import { byId, el, table } from "./dom.js";
import { duration, number, percentile } from "./format.js";

export function showProxies(store) {
  const place = byId("proxies");
  store.watch(["architecture", "scored", "population"], ({ architecture, scored, population }) => {
    const item = architecture && scored.get(written(architecture));
    if (!item) {
      place.replaceChildren(el("p", { class: "muted" }, "Not scored yet: a network is built and measured for that."));
      return;
    }
    const rows = Object.entries(item.scores).map(([name, score]) => row(name, score, population?.proxies[name]));
    place.replaceChildren(table("Proxy scores", ["proxy", "value", "percentile", "took"], rows));
  });
}

function row(name, score, quantiles) {
  if (score.status !== "ok") return [name, el("span", { class: "failed" }, `failed: ${score.error}`), "", ""];
  const value = score.log ?? score.value;
  const text = score.log === null ? number(value) : `log ${number(value)}`;
  return [name, text, quantiles ? percentile(place(value, quantiles)) : "", duration(score.seconds)];
}

/** Percent of the population below a value, by interpolation in its quantiles from 0 to 100 %. */
export function place(value, quantiles) {
  const last = quantiles.length - 1;
  if (value <= quantiles[0]) return 0;
  if (value >= quantiles[last]) return 100;
  const above = quantiles.findIndex((quantile) => quantile > value);
  const [low, high] = [quantiles[above - 1], quantiles[above]];
  return (100 * (above - 1 + (value - low) / (high - low))) / last;
}
