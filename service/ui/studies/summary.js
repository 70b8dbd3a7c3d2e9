/** Definition and state of the study, its notes, export and deletion. */

import { announce, byId, el, saveFile } from "../dom.js";
import { count } from "../format.js";
import { taskText } from "../task.js";
import { confirmDeletion } from "./confirm.js";
import { metricText, timeText } from "./format.js";
import { perform } from "./submit.js";

const EXPORT_TIMEOUT_MS = 60000;

export function mountSummary(store, api, close) {
  store.watch(["study"], ({ study }) => {
    document.title = study ? `${study.name} \u2013 archrank` : "Studies \u2013 archrank";
    if (!study) return;
    byId("study-heading").textContent = study.name;
    byId("definition").replaceChildren(
      ...Object.entries(facts(study)).flatMap(([term, text]) => [el("dt", {}, term), el("dd", {}, text)]),
    );
    byId("notes").replaceChildren(...study.notes.map((note) => el("li", {}, note)));
    const basis = basisText(study);
    if (byId("basis").textContent !== basis) byId("basis").textContent = basis;
  });

  byId("export").addEventListener("click", ({ target }) => {
    perform(store, target, byId("summary-errors"), async () => {
      const { id, name } = store.state.study;
      const document = await api.get(`${studyPath(id)}/export`, { timeoutMs: EXPORT_TIMEOUT_MS });
      saveFile(`${name.replaceAll(/[^\w.-]+/g, "-")}.json`, JSON.stringify(document), "application/json");
    });
  });

  byId("delete").addEventListener("click", ({ target }) => {
    perform(store, target, byId("summary-errors"), async (isOpen) => {
      const { id, name, observations } = store.state.study;
      const question = `Delete the study ${name} with its ${count(observations.total, "observation")}?`;
      if (!(await confirmDeletion(`${question} An export is the only way to restore it.`))) return;
      await api.delete(studyPath(id));
      announce(`The study ${name} was deleted`);
      if (isOpen()) close();
    });
  });
}

/** Path of a study in the API. */
export function studyPath(id) {
  return `v1/studies/${encodeURIComponent(id)}`;
}

/** Number of observations that the latest predictor does not include yet. */
export function pendingCount({ observations, fitted }) {
  return observations.total - (fitted?.observations ?? 0);
}

function facts(study) {
  const { observations, task, metric, sources, created_at: created, updated_at: updated } = study;
  const { total, trained, failed, running, architectures } = observations;
  return {
    "search space": taskText(study),
    ...(task ? { task } : {}),
    metric: metricText(metric),
    sources: sources.join(", ") || "none",
    observations: `${total}: ${trained} trained, ${failed} failed, ${running} running, ${count(architectures, "architecture")}`,
    created: timeText(created),
    updated: timeText(updated),
  };
}

function basisText(study) {
  const { fitted, quality } = study;
  const pending = pendingCount(study);
  const waiting = pending > 0 ? `; ${pending} newer ${pending === 1 ? "is" : "are"} pending` : "";
  if (!fitted) return `The predictor is not fitted yet${waiting}.`;
  const estimate = quality ? "" : "; its quality is not estimated yet";
  return `The predictor rests on ${count(fitted.observations, "observation")}${waiting}${estimate}.`;
}
