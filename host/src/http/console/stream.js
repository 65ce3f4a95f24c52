// The live stream of events: read, kept up to a bound, begun again when it breaks.

const MOST = 500;
const FIRST_PAUSE_MS = 1_000;
const LONGEST_PAUSE_MS = 30_000;

/** The latest events, and how the stream is doing. */
export class EventLog extends EventTarget {
  #api;
  #signal;
  #isStarted = false;

  constructor(api, signal) {
    super();
    this.#api = api;
    this.#signal = signal;
    /** The newest first. */
    this.entries = [];
    /** `idle`, `connecting`, `live`, or `waiting`, then until `retryAt`. */
    this.state = "idle";
    this.retryAt = 0;
    this.problem = null;
    this.number = 0;
  }

  /** Listens from now on, until the session ends. */
  start() {
    if (this.#isStarted) return;
    this.#isStarted = true;
    this.#listen();
  }

  clear() {
    this.entries = [];
    this.dispatchEvent(new Event("cleared"));
  }

  async #listen() {
    let pause = FIRST_PAUSE_MS;
    while (!this.#signal.aborted) {
      this.#become("connecting");
      try {
        const response = await this.#api.stream("events", this.#signal);
        this.problem = null;
        this.#become("live");
        await read(response.body, (kind, data) => {
          pause = FIRST_PAUSE_MS;
          this.#add(kind, data);
        });
      } catch (problem) {
        if (this.#signal.aborted) return;
        this.problem = problem;
        pause = Math.max(pause, (problem.retryAfter ?? 0) * 1000);
      }
      // Not all at the same moment, when the service is there again.
      const wait = pause * (0.75 + Math.random() / 2);
      this.retryAt = Date.now() + wait;
      this.#become("waiting");
      await new Promise((done) => setTimeout(done, wait));
      pause = Math.min(pause * 2, LONGEST_PAUSE_MS);
    }
  }

  #become(state) {
    this.state = state;
    this.dispatchEvent(new Event("state"));
  }

  #add(kind, data) {
    let event;
    try {
      event = JSON.parse(data);
    } catch {
      event = {};
    }
    const entry = { number: ++this.number, kind, event: event ?? {} };
    this.entries.unshift(entry);
    this.entries.length = Math.min(this.entries.length, MOST);
    this.dispatchEvent(new CustomEvent("added", { detail: entry }));
  }
}

/** Reads server-sent events to their end. */
async function read(body, each) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let [left, kind, data] = ["", "message", []];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    const lines = (left + value).split(/\r\n|\n|\r/);
    left = lines.pop();
    for (const line of lines) {
      if (line === "") {
        if (data.length > 0) each(kind, data.join("\n"));
        [kind, data] = ["message", []];
        continue;
      }
      const [, field, text] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
      if (field === "event") kind = text;
      if (field === "data") data.push(text);
    }
  }
}
