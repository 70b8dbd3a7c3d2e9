/** Client of the HTTP API: JSON requests and responses, failures as errors. */

import { load, save } from "./browser-storage.js";
import { withoutIndex } from "./format.js";

const KEY_NAME = "archrank-key";
const TIMEOUT_MS = 15000;
const MAX_RETRY_AFTER_S = 3600; // a timer of more than 24 days fires at once

/** Error response (RFC 9457). The message is for people; `errors` are the refused values with their fields. */
export class Problem extends Error {
  /**
   * @param {number} status
   * @param {?object} document
   * @param {number} retryAfter seconds; 0 if not stated
   */
  constructor(status, document, retryAfter = 0) {
    const detail = typeof document?.detail === "string" ? document.detail : `the server answered ${status}`;
    super(withoutIndex(detail));
    this.status = status;
    this.errors = Array.isArray(document?.errors) ? document.errors : [];
    this.retryAfter = Math.min(Math.max(retryAfter, 0), MAX_RETRY_AFTER_S);
  }
}

/** No response from the server. */
export class ConnectionError extends Error {
  constructor() {
    super("the server cannot be reached");
  }
}

/** True for the error of a request that a newer one replaced. */
export function isAbort(error) {
  return error.name === "AbortError";
}

export class Api {
  /** Called after each request with true if the server was reached, else false. */
  onConnectivity = () => {};

  /** Called when the server refuses the API key, or the lack of one. */
  onUnauthorized = () => {};

  get key() {
    return load("session", KEY_NAME);
  }

  set key(key) {
    save("session", KEY_NAME, key);
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

  /** A response whose body is read as it arrives, without a timeout. */
  stream(path, headers, signal) {
    return this.#send("GET", path, { headers, signal });
  }

  async #json(method, path, { signal, timeoutMs = TIMEOUT_MS, ...options } = {}) {
    const timeout = AbortSignal.timeout(timeoutMs);
    const signals = signal ? [signal, timeout] : [timeout];
    const response = await this.#send(method, path, { ...options, signal: AbortSignal.any(signals) });
    if (response.status === 204) return null;
    return this.#translateErrors(() => response.json(), signal);
  }

  async #send(method, path, { body, headers: extra = {}, signal } = {}) {
    const headers = { Accept: "application/json", ...extra };
    if (this.key) headers.Authorization = `Bearer ${this.key}`;
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const options = { method, headers, signal, cache: "no-store", body: body && JSON.stringify(body) };
    const response = await this.#translateErrors(() => fetch(absoluteUrl(path), options), signal);
    const isJson = /json/.test(response.headers.get("Content-Type"));
    if ([502, 503, 504].includes(response.status) && !isJson) {
      this.onConnectivity(false); // a reverse proxy answered for the server
      throw new ConnectionError();
    }
    this.onConnectivity(true);
    if (response.ok) return response;
    const retryAfter = Number(response.headers.get("Retry-After")) || 0;
    const problem = new Problem(response.status, isJson ? await jsonOrNull(response) : null, retryAfter);
    if (problem.status === 401) this.onUnauthorized(problem);
    throw problem;
  }

  async #translateErrors(request, signal) {
    try {
      return await request();
    } catch (error) {
      if (signal?.aborted && signal.reason?.name === "AbortError") throw signal.reason;
      this.onConnectivity(false);
      throw new ConnectionError();
    }
  }
}

async function jsonOrNull(response) {
  try {
    return await response.json();
  } catch (error) {
    if (isAbort(error)) throw error;
    return null;
  }
}

/** URL of a path of the API, relative to the page. */
export function absoluteUrl(path) {
  return new URL(path.replace(/^\//, ""), document.baseURI).href;
}
