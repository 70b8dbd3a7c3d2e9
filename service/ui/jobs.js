/** Jobs: followed by their events, or by polling where events do not come through. */

import { ConnectionError, Problem } from "./api.js";

const MAX_SILENCE_MS = 4000; // without an event, after which the job is polled
const MIN_RETRY_DELAY_MS = 250;
const MAX_RETRY_DELAY_MS = 5000;
const MAX_BUSY_ATTEMPTS = 8;

/** Call `onStatus` with each new status of a job. Resolves with the final status. */
export async function followJob(api, id, onStatus, signal) {
  const path = `v1/jobs/${id}`;
  let lastEventId = 0;
  for (let failures = 0; ; failures += 1) {
    const ended = new AbortController();
    const poll = () => pollStatus(api, path, onStatus, signal).then((status) => status && ended.abort(), () => {});
    const timer = setInterval(poll, MAX_SILENCE_MS);
    try {
      const anySignal = AbortSignal.any([signal, ended.signal]);
      const response = await api.stream(`${path}/events`, { "Last-Event-ID": String(lastEventId) }, anySignal);
      for await (const event of readEvents(response)) {
        lastEventId = event.id;
        failures = 0;
        await pollStatus(api, path, onStatus, signal);
      }
    } catch (error) {
      if (signal.aborted || isFinal(error)) throw error;
    } finally {
      clearInterval(timer);
    }
    try {
      const status = await pollStatus(api, path, onStatus, signal);
      if (status) return status;
    } catch (error) {
      if (signal.aborted || isFinal(error)) throw error;
    }
    await sleep(Math.min(MAX_RETRY_DELAY_MS, MIN_RETRY_DELAY_MS * 2 ** failures));
  }
}

/** Predict at once, or by a job if the server makes one of the request. */
export async function requestPredictions(api, body, signal) {
  const response = await api.post("v1/predictions", body, { signal, headers: { Prefer: "wait=10" } });
  if (response.predictions) return response;
  await followJob(api, response.id, () => {}, signal);
  return { predictions: await fetchResults(api, response.id, signal), win_probability: null, ensemble: null };
}

/** The result of `request`, repeated while the server cannot be reached or is busy. */
export async function withRetries(request, signal) {
  for (let attempt = 1; ; ) {
    try {
      return await request();
    } catch (error) {
      const isBusy = error instanceof Problem && [429, 503].includes(error.status);
      if (!(error instanceof ConnectionError) && !(isBusy && attempt < MAX_BUSY_ATTEMPTS)) throw error;
      if (isBusy) attempt += 1;
      await sleep(1000 * (error.retryAfter || 1));
      signal.throwIfAborted();
    }
  }
}

/** All results of a job, by position in the submitted list. */
export async function fetchResults(api, id, signal) {
  const results = [];
  const path = `v1/jobs/${id}/results`;
  for (let next = `${path}?limit=1000`; next; ) {
    const page = await withRetries(() => api.get(next, { signal }), signal);
    for (const { position, result } of page.results) results[position] = result;
    next = page.results.length && page.next ? path + new URL(page.next, document.baseURI).search : null;
  }
  return results;
}

/** True if another attempt is of no use: the job does not exist, or belongs to somebody else. */
function isFinal(error) {
  return error instanceof Problem && error.status < 500 && error.status !== 429;
}

/** Report the status; return it if it is final, else null. */
async function pollStatus(api, path, onStatus, signal) {
  const status = await api.get(path, { signal });
  onStatus(status);
  return status.finished_at ? status : null;
}

function sleep(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** Server-sent events of a response. `EventSource` cannot be used: it sends no API key. */
async function* readEvents(response) {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const blocks = (buffer + value).split("\n\n");
    buffer = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/:\s?(.*)/s)));
      if (fields.id) yield { id: Number(fields.id), type: fields.event };
    }
  }
}
