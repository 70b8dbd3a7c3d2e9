/** Scoring with proxies: a job, its progress, and what came of it. */

import { Problem, wasAborted } from "./api.js";
import { written } from "./architecture.js";
import { announce, byId, el, showProblem } from "./dom.js";
import { count, duration } from "./format.js";
import { follow, patiently, results } from "./follow.js";

const ENDS = { done: "Scored.", cancelled: "Cancelled.", failed: "The job failed." };

export function showScoring(store, api) {
  const progress = byId("progress");
  let following = null;

  /** Have architectures scored; what is known already the server takes from its store. */
  async function score(architectures) {
    const { signal } = (following = new AbortController());
    store.set({ job: { card: null, of: architectures }, jobProblem: null });
    try {
      const card = await submitted(architectures, signal);
      announce(`Scoring ${count(architectures.length, "architecture")}`);
      const over = await follow(api, card.id, (now) => store.set({ job: { card: now, of: architectures } }), signal);
      take(architectures, await results(api, card.id, signal));
      announce(ENDS[over.state]);
    } catch (error) {
      if (!wasAborted(error)) store.set({ jobProblem: error });
    } finally {
      store.set({ job: null });
    }
  }

  /** The job's card. Posted again until the server has it: with the same key it is the same job. */
  function submitted(architectures, signal) {
    const headers = { "Idempotency-Key": crypto.getRandomValues(new Uint32Array(4)).join("-") };
    return patiently(() => api.post("v1/jobs", { architectures, explain: true }, { headers, signal }), signal);
  }

  function take(architectures, items) {
    const scored = new Map(store.state.scored);
    architectures.forEach((architecture, i) => {
      if (items[i] && !items[i].error) scored.set(written(architecture), items[i]);
    });
    const failed = items.find((item) => item?.error)?.error;
    store.set({ scored, jobProblem: failed ? new Problem(failed.status, failed) : null });
  }

  async function cancel() {
    const { card } = store.state.job;
    if (!card) return following.abort();
    try {
      await api.delete(`v1/jobs/${card.id}`);
    } catch (error) {
      store.set({ jobProblem: error });
    }
  }

  const button = el("button", { type: "button", onclick: cancel }, "Cancel");
  const bar = el("progress", { max: 1, "aria-label": "Progress of scoring" });
  const text = el("span", { class: "muted" });
  progress.append(bar, button, text); // the text changes its length, and moves nothing

  byId("score").addEventListener("click", () => score([store.state.architecture]));
  store.watch(["architecture"], () => store.set({ jobProblem: null })); // it was about another one
  store.watch(["job", "jobProblem", "architecture", "scored"], ({ job, jobProblem, architecture, scored }) => {
    const known = architecture && scored.has(written(architecture));
    byId("score").disabled = Boolean(job) || known;
    byId("score").textContent = known ? "Scored with proxies" : "Score with proxies";
    showProblem(byId("score-problem"), jobProblem);
    progress.hidden = !job;
    if (job) report(job.card, bar, text);
  });
  return score;
}

function report(card, bar, text) {
  if (card?.progress) bar.value = card.progress;
  else bar.removeAttribute("value");
  const { total, done, failed, running } = card?.counts ?? {};
  const left = card?.eta_seconds ? `, about ${duration(card.eta_seconds)} left` : "";
  if (!card) text.textContent = "handing over";
  else if (running || done + failed) text.textContent = `${done + failed} of ${total} scored${left}`;
  else text.textContent = `waiting for its turn${left}`;
}
