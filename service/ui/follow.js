/** What takes long: a job until it has ended: by its events as they come, and by asking where no events come through. */

import { Problem, Unreachable } from "./api.js";

const SILENCE = 4000; // milliseconds without an event after which the job is asked itself
const LONGEST_PAUSE = 5000;
const TRIES = 8; // with a server that is there, but busy

/** Call `tell` with the job's card whenever it has changed. Resolves with the card of the job that has ended. */
export async function follow(api, id, tell, signal) {
  const path = `v1/jobs/${id}`;
  let last = 0;
  for (let failures = 0; ; failures += 1) {
    const ended = new AbortController();
    const watch = setInterval(() => ask(api, path, tell, signal).then((over) => over && ended.abort(), () => {}), SILENCE);
    try {
      const either = AbortSignal.any([signal, ended.signal]);
      const response = await api.stream(`${path}/events`, { "Last-Event-ID": String(last) }, either);
      for await (const event of events(response)) {
        last = event.id;
        failures = 0;
        await ask(api, path, tell, signal);
      }
    } catch (error) {
      if (signal.aborted || isFinal(error)) throw error;
    } finally {
      clearInterval(watch);
    }
    try {
      const over = await ask(api, path, tell, signal);
      if (over) return over;
    } catch (error) {
      if (signal.aborted || isFinal(error)) throw error;
    }
    await pause(Math.min(LONGEST_PAUSE, 250 * 2 ** failures));
  }
}

/** What the server predicts, at once or, if it makes a job of it, when that has ended. */
export async function predicted(api, body, signal) {
  const answer = await api.post("v1/predictions", body, { signal, headers: { Prefer: "wait=10" } });
  if (answer.predictions) return answer;
  await follow(api, answer.id, () => {}, signal);
  return { predictions: await results(api, answer.id, signal), beats: null, ensemble: null };
}

/** What `work` makes, tried again while the server is away or busy. */
export async function patiently(work, signal) {
  for (let tries = 1; ; ) {
    try {
      return await work();
    } catch (error) {
      const busy = error instanceof Problem && [429, 503].includes(error.status);
      if (!(error instanceof Unreachable) && !(busy && tries < TRIES)) throw error;
      if (busy) tries += 1;
      await pause(1000 * (error.retryAfter || 1));
      signal.throwIfAborted();
    }
  }
}

/** All results of a job, by position in what was posted. */
export async function results(api, id, signal) {
  const found = [];
  const path = `v1/jobs/${id}/results`;
  for (let next = `${path}?limit=1000`; next; ) {
    const page = await patiently(() => api.get(next, { signal }), signal);
    for (const { position, result } of page.results) found[position] = result;
    next = page.results.length && page.next ? path + new URL(page.next, document.baseURI).search : null;
  }
  return found;
}

/** Whether it is of no use to go on: the job is not there, or not for us. */
function isFinal(error) {
  return error instanceof Problem && error.status < 500 && error.status !== 429;
}

async function ask(api, path, tell, signal) {
  const card = await api.get(path, { signal });
  tell(card);
  return card.finished ? card : null;
}

function pause(milliseconds) {
  return new Promise((done) => setTimeout(done, milliseconds));
}

/** Server-sent events of a response. */
async function* events(response) {
  if (!response.body) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    const parts = (text + value).split("\n\n");
    text = parts.pop();
    for (const part of parts) {
      const fields = Object.fromEntries(part.split("\n").map((line) => line.split(/:\s?(.*)/s)));
      if (fields.id) yield { id: Number(fields.id), kind: fields.event };
    }
  }
}
