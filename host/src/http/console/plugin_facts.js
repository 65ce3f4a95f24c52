// What is shown of a plugin: its kinds, the reason for its place, its state, figures and details.

import { h } from "./dom.js";
import { percentile, total } from "./figures.js";
import { KINDS } from "./plan.js";
import { compact, count, counted, duration, shortened } from "./text.js";

export function kinds(plugin) {
  const kinds = Map.groupBy(plugin.rows, (row) => row.kind);
  return [...kinds].map(([kind, rows], index) => {
    const names = rows.map((row) => row.name).filter((name) => name !== plugin.name);
    const word = `${KINDS[kind] ?? kind}${rows.length > 1 ? "s" : ""}`;
    const title = index === 0 ? word.charAt(0).toUpperCase() + word.slice(1) : ` · ${word}`;
    return h("span", {}, title, names.length > 0 && [" ", h("b", {}, names.join(", "))]);
  });
}

export const reason = (plugin) => plugin.reason.charAt(0).toUpperCase() + plugin.reason.slice(1);

export function statePill(row) {
  const words = { serving: "Serving", tripped: "Switched off", probing: "Being tried" };
  const state = row.state ?? "serving";
  const told = row.failures_in_a_row > 0 && counted(row.failures_in_a_row, "failure in a row", "failures in a row");
  return [
    h("span", { class: `pill is-${state}` }, h("span", { class: "dot", "aria-hidden": "true" }), words[state] ?? state),
    told && h("span", { class: "hint" }, told),
    state !== "serving" && row.last_failure && h("span", { class: "hint" }, shortened(row.last_failure, 200)),
  ];
}

export function figuresOf(figures, handlers) {
  if (handlers.length === 0) return [];
  const known = handlers.map((row) => figures.of(row.name)).filter(Boolean);
  const sum = (key) => known.reduce((all, one) => one[key].map((value, index) => value + (all[index] ?? 0)), []);
  const [outcomes, latencies] = [sum("outcomes"), sum("latencies")];
  const errors = outcomes[figures.outcomes.indexOf("error")] ?? 0;
  const one = (term, value, title, className = "") =>
    h("div", { class: className, title }, h("dt", {}, term), h("dd", {}, value));
  return [
    one("Verified", compact(total(outcomes)), `${count(total(outcomes))} verifications since the start`),
    one("Errors", compact(errors), `${count(errors)} errors since the start`, errors > 0 ? "bad" : ""),
    one(
      "p50",
      duration(percentile(latencies, figures.bounds, 0.5)),
      "Half of the verifications took at most that long",
    ),
    one("p99", duration(percentile(latencies, figures.bounds, 0.99)), "99 of 100 verifications took at most that long"),
  ];
}

export function details(plugin) {
  const handler = plugin.rows.find((row) => row.kind === "handler") ?? plugin.rows[0];
  const facts = [
    ["File", plugin.file],
    ["SHA-256", plugin.sha256],
    ["Version", plugin.version],
    ["Compiler", handler.rustc],
    ["ABI level", handler.abi_level],
    ["Runs", handler.execution],
    ["Deadline", handler.deadline_ms && `${count(handler.deadline_ms)} ms`],
    ["On an error", handler.on_error],
    ["Claims", handler.claims?.join(", ")],
    ["Slow calls", handler.slow_calls],
    ["Since generation", handler.generation],
    ["Last failure", handler.last_failure],
  ];
  const shown = facts.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h(
    "details",
    { class: "call-details" },
    h("summary", {}, "Details", h("span", { class: "hidden-text" }, ` of ${plugin.name}`)),
    h(
      "dl",
      { class: "facts" },
      shown.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))),
    ),
  );
}
