/** The requester's jobs, polled while the list is open. */

import { isAbort } from "./api.js";
import { byId, el, replaceKeepingFocus, saveFile, showProblem, table } from "./dom.js";
import { percent } from "./format.js";
import { fetchResults } from "./jobs.js";

const POLL_INTERVAL_MS = 2000;
const MAX_JOBS = 50;
const HEADINGS = ["created", "kind", "state", "progress", "failed", "results", ""];

export function mountJobList(store, api) {
  const details = byId("jobs");
  const [problem, container] = [details.querySelector(".problem"), details.querySelector("div")];
  let running = new AbortController();
  let timer = 0;
  let lastText = "";

  async function poll() {
    running.abort(); // its list would replace a newer one
    clearTimeout(timer);
    if (!details.open) return;
    const { signal } = (running = new AbortController());
    try {
      const { jobs } = await api.get(`v1/jobs?limit=${MAX_JOBS}`, { signal });
      render(jobs);
      showProblem(problem, null);
    } catch (error) {
      if (isAbort(error)) return;
      showProblem(problem, error);
    }
    timer = setTimeout(poll, POLL_INTERVAL_MS);
  }

  function render(jobs) {
    const text = JSON.stringify(jobs);
    if (text === lastText) return;
    lastText = text;
    const content = jobs.length
      ? table("Jobs, newest first", HEADINGS, jobs.map(row))
      : el("p", { class: "muted" }, "There are no jobs.");
    replaceKeepingFocus(container, content);
  }

  function row({ id, kind, state, counts, progress, created_at: created, finished_at: finished }) {
    const name = `job ${id.slice(0, 8)}`;
    const link = { href: `v1/jobs/${id}/results`, "aria-label": `JSON of ${name}`, "data-focus-key": `json-${id}` };
    const save = (event) => {
      event.preventDefault();
      perform(() => download(id));
    };
    const onclick = () => perform(() => api.delete(`v1/jobs/${id}`));
    const cancel = { type: "button", "aria-label": `Cancel ${name}`, "data-focus-key": `cancel-${id}`, onclick };
    return [
      el("time", { datetime: created, title: name }, new Date(created).toLocaleString()),
      `${kind} of ${counts.total}`,
      state,
      percent(progress, 0),
      String(counts.failed),
      el("a", { ...link, onclick: save }, "JSON"),
      finished ? "" : el("button", cancel, "Cancel"),
    ];
  }

  async function perform(action) {
    try {
      await action();
      await poll();
    } catch (error) {
      showProblem(problem, error);
    }
  }

  /** Save all results. A link would send no API key, and would give one page of them. */
  async function download(id) {
    const text = JSON.stringify({ results: await fetchResults(api, id, new AbortController().signal) });
    saveFile(`job-${id}.json`, text, "application/json");
  }

  details.addEventListener("toggle", poll);
  store.watch(["job", "refreshes"], poll);
}
