/** List of the requester's studies. */

import { byId, el, replaceKeepingFocus, table } from "../dom.js";
import { taskText } from "../task.js";
import { correlation, metricText, timeText } from "./format.js";

const HEADINGS = ["study", "search space", "task", "metric", "trained", "failed", "held-out \u03c1", "updated"];

export function mountList(store) {
  store.watch(["studies"], ({ studies }) => {
    const content = studies?.length
      ? table("Studies", HEADINGS, studies.map(row))
      : el("p", { class: "muted" }, studies ? "There are no studies yet." : "Not loaded yet.");
    replaceKeepingFocus(byId("study-list"), content);
  });
}

function row(study) {
  const { id, name, task, metric, observations, quality, updated_at: updated } = study;
  return [
    el("a", { href: `#${encodeURIComponent(id)}`, "data-focus-key": id }, name),
    taskText(study),
    task || "\u2013",
    metricText(metric),
    String(observations.trained),
    String(observations.failed),
    correlation(quality?.spearman ?? null),
    el("time", { datetime: updated }, timeText(updated)),
  ];
}
