/**
 * The prediction from structure, updated after every edit. Without an ensemble, the item is the validated architecture
 * with its cost.
 */

import { isAbort, Problem } from "./api.js";
import { requestPredictions } from "./jobs.js";
import { scoredItem, taskKey, usesProxies } from "./task.js";
import { validate } from "./validation.js";

const NOTHING = { item: null, state: "loading", problem: null };

/** Prediction of the edited architecture: with proxies if it was scored, else from structure. */
export function currentPrediction(state) {
  const item = usesProxies(state, state.task) && scoredItem(state);
  if (item) return { item, state: "current", problem: null };
  return state.prediction.task === state.task ? state.prediction : NOTHING;
}

/** Item with the explanation, and whether it belongs to the edited architecture. */
export function currentExplanation(state) {
  const { task, architecture, explanation } = state;
  const item = usesProxies(state, task) && scoredItem(state);
  if (item) return { item, isCurrent: true };
  if (!explanation || explanation.task !== task) return { item: null, isCurrent: false };
  return { item: explanation.item, isCurrent: explanation.key === taskKey(task, architecture) };
}

/** Predict whenever the architecture changes, and again when the server is back. */
export function startPredicting(store, api) {
  let running = new AbortController();
  let retry = 0;

  async function predict() {
    const { architecture, task, prediction } = store.state;
    running.abort();
    clearTimeout(retry);
    if (!architecture) return;
    const { signal } = (running = new AbortController());
    const item = prediction.task === task ? prediction.item : null;
    store.set({ prediction: { item, task, state: item ? "stale" : "loading", problem: null } });
    try {
      const newItem = await request(task, architecture, false, signal);
      store.set({ prediction: { item: newItem, task, state: "current", problem: null } });
      measure();
    } catch (error) {
      if (!isAbort(error)) handleError(error);
      return;
    }
    if (!task.ensemble) return;
    // Explain in a second request, which takes several times as long.
    try {
      const explained = await request(task, architecture, true, signal);
      store.set({ explanation: { item: explained, task, key: taskKey(task, architecture), problem: null } });
    } catch (error) {
      if (error instanceof Problem) store.set({ explanation: { item: null, task, key: null, problem: error } });
    }
  }

  /** Mark the prediction as stale where the server cannot be reached; remove it where the server refuses. */
  function handleError(problem) {
    const { prediction } = store.state;
    if (!(problem instanceof Problem)) {
      store.set({ prediction: { ...prediction, state: prediction.item ? "stale" : "loading", problem: null } });
      return;
    }
    store.set({ prediction: { ...prediction, item: null, state: "error", problem }, explanation: null });
    if (problem.retryAfter) retry = setTimeout(predict, 1000 * problem.retryAfter);
  }

  async function request(task, architecture, explain, signal) {
    if (!task.ensemble) return validate(api, task, architecture, signal);
    const body = { architectures: [architecture], proxies: [], explain, ensemble: task.ensemble };
    const { predictions } = await requestPredictions(api, body, signal);
    const [item] = predictions;
    if (item.error) throw new Problem(item.error.status, item.error);
    return item;
  }

  store.watch(["architecture", "task", "refreshes"], predict);
}

/** Measure the time from the edit to the frame that shows the prediction. */
function measure() {
  const [edit] = performance.getEntriesByName("edit", "mark").slice(-1);
  if (!edit) return;
  performance.clearMarks("edit");
  requestAnimationFrame(() => performance.measure("prediction", { start: edit.startTime, end: performance.now() }));
}
