// The figures of verifications, asked for every two seconds: totals, rates over the last minutes, percentiles.

const EVERY_MS = 2_000;
/** How many points are kept: five minutes. */
export const MOST_POINTS = 150;

/** What verifications come to, in the order of the service's counts. */
export const OUTCOMES = {
  accepted: "Accepted",
  rejected: "Rejected",
  not_recognized: "Not recognized",
  error: "Error",
};

/** The figures as they are, and as they were. */
export class Figures extends EventTarget {
  #api;
  #signal;
  #last = null;

  constructor(api, signal) {
    super();
    this.#api = api;
    this.#signal = signal;
    /** By handler; the name `null` is of tokens that no handler judged. */
    this.handlers = [];
    this.bounds = [];
    this.outcomes = Object.keys(OUTCOMES);
    /** `{ at, rates: Map(handler, [per second for each outcome]) }`, the oldest first. */
    this.points = [];
    this.problem = null;
  }

  async start() {
    while (!this.#signal.aborted) {
      if (!document.hidden) await this.#ask();
      await new Promise((done) => setTimeout(done, EVERY_MS));
    }
  }

  /** The figures of a handler, if it has any. */
  of(handler) {
    return this.handlers.find((one) => one.handler === handler) ?? null;
  }

  async #ask() {
    try {
      const now = await this.#api.get("metrics");
      this.problem = null;
      this.handlers = now.handlers;
      this.bounds = now.latency_bounds_ns;
      this.outcomes = now.outcomes;
      this.#note(performance.now());
    } catch (problem) {
      if (this.#signal.aborted) return;
      this.problem = problem;
      // A rate over the gap would be one that never was.
      this.#last = null;
    }
    this.dispatchEvent(new Event("change"));
  }

  #note(at) {
    const counts = new Map(this.handlers.map((one) => [one.handler, one.outcomes]));
    if (this.#last) {
      const seconds = (at - this.#last.at) / 1000;
      const rates = new Map();
      for (const [handler, outcomes] of counts) {
        const before = this.#last.counts.get(handler) ?? outcomes.map(() => 0);
        // Counts that went back are those of a service that was started anew.
        rates.set(
          handler,
          outcomes.map((now, index) => Math.max(0, now - before[index]) / seconds),
        );
      }
      this.points.push({ at: Date.now() / 1000, rates });
      if (this.points.length > MOST_POINTS) this.points.shift();
    }
    this.#last = { at, counts };
  }
}

/** How many verifications these counts are. */
export const total = (counts) => counts.reduce((sum, one) => sum + one, 0);

/** Nanoseconds within which this share of the verifications was done; null: there were none. */
export function percentile(latencies, bounds, share) {
  const all = total(latencies);
  if (all === 0) return null;
  let [left, lower] = [share * all, 0];
  for (let bucket = 0; bucket < latencies.length; bucket += 1) {
    const upper = bounds[bucket] ?? bounds[bounds.length - 1] * 2;
    if (left <= latencies[bucket]) return lower + (upper - lower) * (left / latencies[bucket]);
    left -= latencies[bucket];
    lower = upper;
  }
  return lower;
}
