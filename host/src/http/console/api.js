// Asks `/api/v1`, with a token that lives in this object and nowhere else.

import { sentence } from "./text.js";

const BASE = new URL("../api/v1/", import.meta.url);

// Longer than the service itself takes to give up.
const PATIENCE_MS = 40_000;

/** Why something was not done: a problem as RFC 9457 has it, or the service could not be reached. */
export class Problem extends Error {
  constructor(status, detail, { findings = [], retryAfter = null, kind = "" } = {}) {
    super(detail);
    Object.assign(this, { status, findings, retryAfter, kind });
  }

  /** Whether the service could not be reached at all. */
  get isOffline() {
    return this.status === 0;
  }
}

/** What can be asked. */
export class Api {
  #token;
  #signal;
  #refused;

  /** `signal` ends everything; `refused` is called when the token is accepted no more. */
  constructor(token, signal, refused) {
    this.#token = token;
    this.#signal = signal;
    this.#refused = refused;
  }

  get(path, query = {}, signal) {
    return this.#json("GET", path, query, undefined, signal);
  }

  post(path, body = {}) {
    return this.#json("POST", path, {}, body);
  }

  put(path, body) {
    return this.#json("PUT", path, {}, body);
  }

  patch(path, query, body) {
    return this.#json("PATCH", path, query, body);
  }

  /** A response that is read as it comes. */
  stream(path, signal) {
    return this.#fetch("GET", path, {}, undefined, AbortSignal.any([this.#signal, signal]));
  }

  /** Forgets the token. */
  forget() {
    this.#token = null;
  }

  async #json(method, path, query, body, signal) {
    const signals = [this.#signal, AbortSignal.timeout(PATIENCE_MS), ...(signal ? [signal] : [])];
    const response = await this.#fetch(method, path, query, body, AbortSignal.any(signals));
    try {
      return await response.json();
    } catch (error) {
      throw this.#unreachable(error);
    }
  }

  async #fetch(method, path, query, body, signal) {
    const url = new URL(path, BASE);
    for (const [name, value] of Object.entries(query)) {
      const values = Array.isArray(value) ? value : [value];
      const said = values.filter((one) => one !== null && one !== undefined && one !== "");
      said.forEach((one) => url.searchParams.append(name, String(one)));
    }
    const headers = { Authorization: `Bearer ${this.#token}` };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    let response;
    try {
      const how = { cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer" };
      response = await fetch(url, { method, headers, body: body && JSON.stringify(body), signal, ...how });
    } catch (error) {
      throw this.#unreachable(error);
    }
    if (!response.ok) throw await this.#problem(response);
    return response;
  }

  #unreachable(error) {
    if (this.#signal.aborted || error.name === "AbortError") return error;
    return new Problem(
      0,
      error.name === "TimeoutError" ? "The service takes too long to answer." : "The service cannot be reached.",
    );
  }

  async #problem(response) {
    const told = await response.json().catch(() => ({}));
    const retryAfter = Number(response.headers.get("retry-after")) || null;
    const detail = sentence(told.detail ?? told.title ?? `The service answered with status ${response.status}`);
    const findings = Array.isArray(told.findings) ? told.findings : [];
    const problem = new Problem(response.status, detail, { findings, retryAfter, kind: told.type ?? "" });
    if (response.status === 401) this.#refused(problem);
    return problem;
  }
}

/** One segment of a path. Throws where addresses cannot have it: they take `.` and `..` away, however these are written. */
export function segment(text) {
  if (text === "." || text === "..") throw new Error(`Nothing can be asked here about the id “${text}”.`);
  return encodeURIComponent(text);
}
