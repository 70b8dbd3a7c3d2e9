/** The jobs that the server has of whoever looks, asked again and again while the list is open. */

import { wasAborted } from "./api.js";
import { byId, el, refill, showProblem, table } from "./dom.js";
import { percent } from "./format.js";
import { results } from "./follow.js";

const PAUSE = 2000; // milliseconds
const MOST = 50;
const HEADINGS = ["created", "what", "state", "progress", "failed", "results", ""];

export function showJobs(store, api) {
  const details = byId("jobs");
  const [problem, place] = [details.querySelector(".problem"), details.querySelector("div")];
  let next = 0;
  let last = "";

  async function look() {
    clearTimeout(next);
    if (!details.open) return;
    try {
      const { jobs } = await api.get(`v1/jobs?limit=${MOST}`);
      show(jobs);
      showProblem(problem, null);
    } catch (error) {
      if (!wasAborted(error)) showProblem(problem, error);
    }
    clearTimeout(next);
    next = setTimeout(look, PAUSE);
  }

  function show(jobs) {
    const text = JSON.stringify(jobs);
    if (text === last) return;
    last = text;
    refill(
      place,
      jobs.length ? table("Jobs, newest first", HEADINGS, jobs.map(row)) : el("p", { class: "muted" }, "There is none."),
    );
  }

  function row({ id, kind, state, counts, progress, created, finished }) {
    const what = `${kind} of ${counts.total}`;
    const name = `job ${id.slice(0, 8)}`;
    const link = { href: `v1/jobs/${id}/results`, "aria-label": `JSON of ${name}`, "data-keep": `json-${id}` };
    const save = (event) => {
      event.preventDefault();
      act(() => download(id));
    };
    const cancel = () => act(() => api.delete(`v1/jobs/${id}`));
    const stop = { type: "button", "aria-label": `Cancel ${name}`, "data-keep": `cancel-${id}`, onclick: cancel };
    return [
      el("time", { datetime: created, title: name }, new Date(created).toLocaleString()),
      what,
      state,
      percent(progress, 0),
      String(counts.failed),
      el("a", { ...link, onclick: save }, "JSON"),
      finished ? "" : el("button", stop, "Cancel"),
    ];
  }

  async function act(work) {
    try {
      await work();
      await look();
    } catch (error) {
      showProblem(problem, error);
    }
  }

  /** With the API key, which a mere link would not send; and all of it, which is more than a page. */
  async function download(id) {
    const text = JSON.stringify({ results: await results(api, id, new AbortController().signal) });
    const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    el("a", { href: url, download: `job-${id}.json` }).click();
    URL.revokeObjectURL(url);
  }

  details.addEventListener("toggle", look);
  store.watch(["job", "epoch"], look);
}
