/** Scoring with proxies: a job, its progress and its results. */

import { isAbort, Problem } from "./api.js";
import { announce, byId, el, showProblem } from "./dom.js";
import { count, duration } from "./format.js";
import { fetchResults, followJob, withRetries } from "./jobs.js";
import { scoredItem, taskKey, usesProxies } from "./task.js";

const ANNOUNCEMENTS = { done: "Scored.", cancelled: "Cancelled.", failed: "The job failed." };

export function mountScoring(store, api) {
  const progress = byId("progress");
  let running = null;

  /** Score architectures of the task; the server takes scores that it knows from its store. */
  async function score(architectures) {
    const { task } = store.state;
    const { signal } = (running = new AbortController());
    store.set({ job: { status: null, architectures }, jobProblem: null });
    try {
      const { id } = await submit(task, architectures, signal);
      announce(`Scoring ${count(architectures.length, "architecture")}`);
      const onStatus = (status) => store.set({ job: { status, architectures } });
      const { state } = await followJob(api, id, onStatus, signal);
      addResults(task, architectures, await fetchResults(api, id, signal));
      announce(ANNOUNCEMENTS[state]);
    } catch (error) {
      if (!isAbort(error)) store.set({ jobProblem: error });
    } finally {
      store.set({ job: null });
    }
  }

  /** Submit the job. Attempts share an idempotency key, so that they create one job. */
  function submit(task, architectures, signal) {
    const { space, settings, ensemble } = task;
    const query = usesProxies(store.state, task) ? { explain: true, ensemble } : { kind: "scores", space, settings };
    const headers = { "Idempotency-Key": crypto.getRandomValues(new Uint32Array(4)).join("-") };
    return withRetries(() => api.post("v1/jobs", { architectures, ...query }, { headers, signal }), signal);
  }

  function addResults(task, architectures, results) {
    const scored = new Map(store.state.scored);
    architectures.forEach((architecture, i) => {
      if (results[i] && !results[i].error) scored.set(taskKey(task, architecture), results[i]);
    });
    const failed = results.find((result) => result?.error)?.error;
    store.set({ scored, jobProblem: failed ? new Problem(failed.status, failed) : null });
  }

  async function cancel() {
    const { status } = store.state.job;
    if (!status) return running.abort();
    try {
      await api.delete(`v1/jobs/${status.id}`);
    } catch (error) {
      store.set({ jobProblem: error });
    }
  }

  const button = el("button", { type: "button", onclick: cancel }, "Cancel");
  const bar = el("progress", { max: 1, "aria-label": "Progress of scoring" });
  const text = el("span", { class: "muted" });
  progress.append(bar, button, text); // the text comes last: its length changes

  byId("score-button").addEventListener("click", () => score([store.state.architecture]));
  store.watch(["architecture", "task"], () => store.set({ jobProblem: null })); // it concerned another architecture
  store.watch(["job", "jobProblem", "architecture", "task", "scored"], (state) => {
    const { job, jobProblem } = state;
    const isScored = Boolean(scoredItem(state));
    byId("score-button").disabled = Boolean(job) || isScored;
    byId("score-button").textContent = isScored ? "Scored with proxies" : "Score with proxies";
    showProblem(byId("score-problem"), jobProblem);
    progress.hidden = !job;
    if (job) showProgress(job.status, bar, text);
  });
  return score;
}

function showProgress(status, bar, text) {
  if (status?.progress) bar.value = status.progress;
  else bar.removeAttribute("value");
  const { total, done, failed, running } = status?.counts ?? {};
  const left = status?.eta_seconds ? `, about ${duration(status.eta_seconds)} left` : "";
  if (!status) text.textContent = "submitting";
  else if (running || done + failed) text.textContent = `${done + failed} of ${total} scored${left}`;
  else text.textContent = `queued${left}`;
}
