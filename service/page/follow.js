/** A job until it has ended: by its events as they come, and by asking where no events come through. */

import { Problem } from "./api.js";

const SILENCE = 4000; // milliseconds without an event after which the job is asked itself
const LONGEST_PAUSE = 5000;

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
      if (signal.aborted || (error instanceof Problem && [401, 403, 404].includes(error.status))) throw error;
    } finally {
      clearInterval(watch);
    }
    try {
      const over = await ask(api, path, tell, signal);
      if (over) return over;
    } catch (error) {
      if (signal.aborted || error instanceof Problem) throw error;
    }
    await new Promise((done) => setTimeout(done, Math.min(LONGEST_PAUSE, 250 * 2 ** failures)));
  }
}

/** All results of a job, by position in what was posted. */
export async function results(api, id, signal) {
  const found = [];
  for (let next = `v1/jobs/${id}/results?limit=1000`; next; ) {
    const page = await api.get(next, { signal });
    for (const { position, result } of page.results) found[position] = result;
    next = page.results.length ? page.next : null;
  }
  return found;
}

async function ask(api, path, tell, signal) {
  const card = await api.get(path, { signal });
  tell(card);
  return card.finished ? card : null;
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
