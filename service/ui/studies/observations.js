/** All observations of the study: loaded page by page, listed, and deleted where they are mistaken. */

import { isAbort, Problem } from "../api.js";
import { announce, byId, el, replaceKeepingFocus, showProblem, table } from "../dom.js";
import { count, duration } from "../format.js";
import { architectureLink } from "./architecture-link.js";
import { confirmDeletion } from "./confirm.js";
import { valueText } from "./format.js";
import { perform } from "./submit.js";
import { studyPath } from "./summary.js";

const PAGE_SIZE = 500;
const ROWS_AT_ONCE = 50;

export function mountObservations(store, api) {
  const [details, container, more] = [byId("observations"), byId("observation-list"), byId("more-observations")];
  let running = new AbortController();
  let loaded = ""; // state of the study when they were loaded
  let shown = ROWS_AT_ONCE;

  store.watch(["study"], ({ study }) => {
    const { id, updated_at: updated, observations, fitted, quality } = study ?? {};
    const state = JSON.stringify([id, updated, observations, fitted, quality?.observations]);
    if (state === loaded) return;
    loaded = state;
    load(id);
  });

  async function load(id) {
    running.abort();
    const { signal } = (running = new AbortController());
    if (!id) return store.set({ observations: null });
    try {
      const path = `${studyPath(id)}/observations`;
      const observations = [];
      for (let next = `${path}?limit=${PAGE_SIZE}`; next; ) {
        const page = await api.get(next, { signal });
        observations.push(...page.observations);
        next = page.next && path + new URL(page.next, document.baseURI).search;
      }
      store.set({ observations });
      showProblem(byId("observations-problem"), null);
    } catch (error) {
      if (isAbort(error)) return;
      loaded = ""; // the next state loads them again
      if (error instanceof Problem) showProblem(byId("observations-problem"), error);
    }
  }

  function render(state) {
    const { observations, study } = state;
    if (!observations || !study || !details.open) {
      container.replaceChildren();
      more.hidden = true;
      return;
    }
    const newest = observations.toReversed();
    const headings = ["architecture", study.metric.name, "predicted, held out", "time", "epochs", ""];
    const rows = newest.slice(0, shown).map((observation) => row(observation, state));
    const content = rows.length ? table("Observations, newest first", headings, rows) : el("p", { class: "muted" }, "None yet.");
    replaceKeepingFocus(container, content);
    more.hidden = newest.length <= shown;
    more.textContent = `Show ${Math.min(ROWS_AT_ONCE, newest.length - shown)} more of ${newest.length}`;
  }

  function row(observation, state) {
    const { id, architecture, predicted, seconds, epochs } = observation;
    const { metric } = state.study;
    const remove = ({ target }) => perform(store, target, byId("observation-errors"), () => deleteObservation(observation));
    const name = `Delete observation ${id.slice(0, 8)}`;
    const attributes = { type: "button", "aria-label": name, "data-focus-key": id, onclick: remove };
    return [
      architectureLink(architecture, state.study, state),
      outcome(observation, metric),
      valueText(predicted, metric),
      seconds === null ? "" : duration(seconds),
      epochs === null ? "" : String(epochs),
      el("button", attributes, "Delete"),
    ];
  }

  async function deleteObservation(observation) {
    const { study } = store.state;
    const { id, value } = observation;
    const ended = isRunning(observation) ? "curve of a running training" : "failed training";
    const what = value === null ? ended : `observation of ${valueText(value, study.metric)}`;
    if (!(await confirmDeletion(`Delete the ${what}? The study forgets it.`))) return;
    await api.delete(`${studyPath(study.id)}/observations/${encodeURIComponent(id)}`);
    announce("The observation was deleted");
    store.set({ changes: store.state.changes + 1 });
  }

  store.watch(["id"], () => (shown = ROWS_AT_ONCE));
  details.addEventListener("toggle", () => render(store.state));
  more.addEventListener("click", () => {
    shown += ROWS_AT_ONCE;
    render(store.state);
  });
  store.watch(["observations", "spaces"], render);
  store.watch(["study"], ({ study }) => {
    byId("observations-heading").textContent = study ? count(study.observations.total, "observation") : "Observations";
  });
}

/** A curve with neither value nor error is that of a training that still runs. */
function isRunning({ value, error, curve }) {
  return value === null && error === null && Boolean(curve?.length);
}

function outcome(observation, metric) {
  const { value, error, curve } = observation;
  if (isRunning(observation)) return `running: ${valueText(curve.at(-1), metric)} after ${count(curve.length, "value")}`;
  return value === null ? el("span", { class: "failed" }, `failed: ${error ?? "no reason given"}`) : valueText(value, metric);
}
