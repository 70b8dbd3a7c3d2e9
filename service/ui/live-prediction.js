/** The prediction from structure, updated after every edit. */

import { isAbort, Problem } from "./api.js";
import { serialize } from "./architecture.js";
import { requestPredictions } from "./jobs.js";

/** Prediction of the edited architecture: with proxies if it was scored, else from structure. */
export function currentPrediction({ architecture, scored, prediction }) {
  const item = architecture && scored.get(serialize(architecture));
  return item ? { item, state: "current", problem: null } : prediction;
}

/** Item with the explanation, and whether it belongs to the edited architecture. */
export function currentExplanation({ architecture, scored, explanation }) {
  const key = architecture && serialize(architecture);
  const item = scored.get(key);
  return item ? { item, isCurrent: true } : { item: explanation?.item, isCurrent: explanation?.key === key };
}

/** Predict whenever the architecture changes, and again when the server is back. */
export function startPredicting(store, api) {
  let running = new AbortController();
  let retry = 0;

  async function predict() {
    const { architecture, prediction } = store.state;
    running.abort();
    clearTimeout(retry);
    if (!architecture) return;
    const { signal } = (running = new AbortController());
    const state = prediction.item ? "stale" : "loading";
    store.set({ prediction: { ...prediction, state } });
    try {
      const { item, ensemble } = await request(architecture, false, signal);
      store.set({ prediction: { item, state: "current", problem: null }, ensemble: ensemble ?? store.state.ensemble });
      measure();
    } catch (error) {
      if (!isAbort(error)) handleError(error);
      return;
    }
    // Explain in a second request, which takes several times as long.
    try {
      const { item } = await request(architecture, true, signal);
      store.set({ explanation: { item, key: serialize(architecture), problem: null } });
    } catch (error) {
      if (error instanceof Problem) store.set({ explanation: { item: null, key: null, problem: error } });
    }
  }

  /** Mark the prediction as stale where the server cannot be reached; remove it where the server refuses. */
  function handleError(problem) {
    const { prediction } = store.state;
    if (!(problem instanceof Problem)) {
      store.set({ prediction: { ...prediction, state: prediction.item ? "stale" : "loading", problem: null } });
      return;
    }
    store.set({ prediction: { item: null, state: "error", problem }, explanation: null });
    if (problem.retryAfter) retry = setTimeout(predict, 1000 * problem.retryAfter);
  }

  async function request(architecture, explain, signal) {
    const body = { architectures: [architecture], proxies: [], explain };
    const response = await requestPredictions(api, body, signal);
    const [item] = response.predictions;
    if (item.error) throw new Problem(item.error.status, item.error);
    return { item, ensemble: response.ensemble };
  }

  store.watch(["architecture", "refreshes"], predict);
}

/** Measure the time from the edit to the frame that shows the prediction. */
function measure() {
  const [edit] = performance.getEntriesByName("edit", "mark").slice(-1);
  if (!edit) return;
  performance.clearMarks("edit");
  requestAnimationFrame(() => performance.measure("prediction", { start: edit.startTime, end: performance.now() }));
}
