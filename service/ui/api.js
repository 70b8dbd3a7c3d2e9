/** The HTTP API: JSON in and out, and every failure as an error that says what it was. */

import { fromOne } from "./format.js";
import { keep, recall } from "./keep.js";

const KEY = "archrank-key";
const PATIENCE = 15000; // milliseconds until a server that is silent counts as not reached
const LONGEST_PAUSE = 3600; // seconds; a timer that is told to wait for more than 24 days does not wait at all

/** What the server said no with (RFC 9457). The message is for people. */
export class Problem extends Error {
  /** @param {number} status @param {?object} document @param {number} retryAfter seconds; 0: not said */
  constructor(status, document, retryAfter = 0) {
    const said = typeof document?.detail === "string" ? document.detail : `the server answered ${status}`;
    super(fromOne(said));
    this.status = status;
    this.retryAfter = Math.min(Math.max(retryAfter, 0), LONGEST_PAUSE);
  }
}

/** There was no answer. */
export class Unreachable extends Error {
  constructor() {
    super("the server was not reached");
  }
}

/** Whether an error only means that something newer took its place. */
export function wasAborted(error) {
  return error.name === "AbortError";
}

export class Api {
  /** Called with true or false after each request: whether the server was reached. */
  onReached = () => {};

  /** Called where the server wants a key, or another one. */
  onRefused = () => {};

  get key() {
    return recall("session", KEY);
  }

  set key(key) {
    keep("session", KEY, key);
  }

  get(path, options) {
    return this.#json("GET", path, options);
  }

  post(path, body, options = {}) {
    return this.#json("POST", path, { ...options, body });
  }

  delete(path, options) {
    return this.#json("DELETE", path, options);
  }

  /** A response whose body is read as it arrives, however long that takes. */
  stream(path, headers, signal) {
    return this.#send("GET", path, { headers, signal });
  }

  async #json(method, path, { signal, ...options } = {}) {
    const patience = AbortSignal.timeout(PATIENCE);
    const signals = signal ? [signal, patience] : [patience];
    const response = await this.#send(method, path, { ...options, signal: AbortSignal.any(signals) });
    return this.#reached(() => response.json(), signal);
  }

  async #send(method, path, { body, headers = {}, signal } = {}) {
    const sent = { Accept: "application/json", ...headers };
    if (this.key) sent.Authorization = `Bearer ${this.key}`;
    if (body !== undefined) sent["Content-Type"] = "application/json";
    const options = { method, headers: sent, signal, cache: "no-store", body: body && JSON.stringify(body) };
    const response = await this.#reached(() => fetch(address(path), options), signal);
    const isJson = /json/.test(response.headers.get("Content-Type"));
    if ([502, 503, 504].includes(response.status) && !isJson) {
      this.onReached(false); // something in front of the server answered for it
      throw new Unreachable();
    }
    this.onReached(true);
    if (response.ok) return response;
    const retryAfter = Number(response.headers.get("Retry-After")) || 0;
    const problem = new Problem(response.status, isJson ? await readable(response) : null, retryAfter);
    if (problem.status === 401) this.onRefused(problem);
    throw problem;
  }

  async #reached(work, signal) {
    try {
      return await work();
    } catch (error) {
      if (signal?.aborted && signal.reason?.name === "AbortError") throw signal.reason;
      this.onReached(false);
      throw new Unreachable();
    }
  }
}

/** The JSON of a response; null where it is none. */
async function readable(response) {
  try {
    return await response.json();
  } catch (error) {
    if (wasAborted(error)) throw error;
    return null;
  }
}

/** The URL of a path of the API, below wherever the page lies. */
export function address(path) {
  return new URL(path.replace(/^\//, ""), document.baseURI).href;
}
