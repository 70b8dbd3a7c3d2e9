/** The prediction from structure, which follows every edit. */

import { Problem, wasAborted } from "./api.js";
import { written } from "./architecture.js";
import { predicted } from "./follow.js";

/** What is known of the edited architecture: its scores' prediction where there is one, or the one from structure. */
export function shown({ architecture, scored, prediction }) {
  const ofScores = architecture && scored.get(written(architecture));
  return ofScores ? { item: ofScores, state: "current", problem: null } : prediction;
}

/** What is to be said of its reasons and edits, and whether it is of the architecture as it is now. */
export function explained({ architecture, scored, explanation }) {
  const of = architecture && written(architecture);
  const ofScores = scored.get(of);
  return ofScores ? { item: ofScores, current: true } : { item: explanation?.item, current: explanation?.of === of };
}

/** Predict whenever the architecture changes, and again when the server is back. */
export function keepPredicting(store, api) {
  let running = new AbortController();
  let again = 0;

  async function predict() {
    const { architecture, prediction } = store.state;
    running.abort();
    clearTimeout(again);
    if (!architecture) return;
    const { signal } = (running = new AbortController());
    const state = prediction.item ? "stale" : "loading";
    store.set({ prediction: { ...prediction, state } });
    try {
      const { item, ensemble } = await ask(architecture, false, signal);
      store.set({ prediction: { item, state: "current", problem: null }, ensemble: ensemble ?? store.state.ensemble });
      measure();
    } catch (error) {
      if (!wasAborted(error)) failed(error);
      return;
    }
    try { // afterwards, as it takes several times as long
      const { item } = await ask(architecture, true, signal);
      store.set({ explanation: { item, of: written(architecture), problem: null } });
    } catch (error) {
      if (error instanceof Problem) store.set({ explanation: { item: null, of: null, problem: error } });
    }
  }

  /** A number of another architecture, or of a server that is gone, is not shown as if it were this one's. */
  function failed(problem) {
    const { prediction } = store.state;
    if (!(problem instanceof Problem)) {
      store.set({ prediction: { ...prediction, state: prediction.item ? "stale" : "loading", problem: null } });
      return;
    }
    store.set({ prediction: { item: null, state: "error", problem }, explanation: null });
    if (problem.retryAfter) again = setTimeout(predict, 1000 * problem.retryAfter);
  }

  async function ask(architecture, explain, signal) {
    const body = { architectures: [architecture], proxies: [], explain };
    const answer = await predicted(api, body, signal);
    const [item] = answer.predictions;
    if (item.error) throw new Problem(item.error.status, item.error);
    return { item, ensemble: answer.ensemble };
  }

  store.watch(["architecture", "epoch"], predict);
}

/** From the edit to the picture that shows what came of it. */
function measure() {
  const [edit] = performance.getEntriesByName("edit", "mark").slice(-1);
  if (!edit) return;
  performance.clearMarks("edit");
  requestAnimationFrame(() => performance.measure("prediction", { start: edit.startTime, end: performance.now() }));
}
