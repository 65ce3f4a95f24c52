// Verifications by outcome over time, and how long they take, by handler.

import { fill, h } from "./dom.js";
import { OUTCOMES, percentile, total } from "./figures.js";
import { field, select } from "./form.js";
import { failed, head, loading, nothing } from "./shell.js";
import { histogram, lineChart } from "./svg.js";
import { clock, count, counted, duration, rate } from "./text.js";

export const charts = { id: "charts", title: "Charts", open };

const NOBODY = "no handler";

function open(session, main, signal) {
  const { figures } = session;
  const handler = field("Handler", select([["*", "All of them"]]), { className: "inline" });
  const time = h("div", {});
  const latency = h("div", { class: "latencies" });
  const isOpen = { time: false };
  fill(
    main,
    head("Charts", "Verifications through this service. Rates are kept for five minutes, while this page is open."),
    h(
      "section",
      { class: "card" },
      h("div", { class: "card-head" }, h("h2", {}, "Verifications a second"), handler.element),
      time,
    ),
    h(
      "section",
      {},
      h("h2", {}, "How long they take"),
      h("p", { class: "hint" }, "Since the service was started. Each bar is a range of times; the ranges grow."),
      latency,
    ),
  );

  const draw = () => {
    if (figures.handlers.length === 0) {
      const state = figures.problem ? failed(figures.problem, () => {}) : loading("Asking for figures");
      fill(time, state);
      fill(latency);
      return;
    }
    const names = figures.handlers.map((one) => one.handler);
    for (const name of names.slice(handler.control.length - 1)) {
      handler.control.append(h("option", { value: name === null ? "" : `=${name}` }, name ?? NOBODY));
    }
    drawTime(figures, handler.value, time, isOpen);
    drawLatency(figures, latency);
  };
  handler.control.addEventListener("change", draw);
  figures.addEventListener("change", draw, { signal });
  window.addEventListener("resize", draw, { signal });
  draw();
}

function drawTime(figures, chosen, element, isOpen) {
  const isChosen = (name) => chosen === "*" || chosen === (name === null ? "" : `=${name}`);
  const times = figures.points.map((point) => point.at);
  const series = figures.outcomes.map((key, outcome) => {
    const sum = (point) =>
      [...point.rates].reduce((all, [name, rates]) => all + (isChosen(name) ? rates[outcome] : 0), 0);
    return { key, title: OUTCOMES[key] ?? key, values: figures.points.map(sum) };
  });
  if (times.length < 2) {
    fill(element, loading("Two more looks, and there is a line"));
    return;
  }
  const legend = h(
    "ul",
    { class: "legend" },
    series.map((one) =>
      h(
        "li",
        { class: `is-${one.key}` },
        h("span", { class: "swatch", "aria-hidden": "true" }),
        one.title,
        h("b", { class: "number" }, rate(one.values.at(-1))),
      ),
    ),
  );
  const latest = [...times.keys()].reverse().slice(0, 30);
  const table = h(
    "details",
    { class: "as-table" },
    h("summary", {}, "The same as a table"),
    h(
      "div",
      { class: "scrolled", tabindex: "0", role: "region", "aria-label": "Verifications a second" },
      h(
        "table",
        {},
        h(
          "thead",
          {},
          h(
            "tr",
            {},
            h("th", { scope: "col" }, "Time"),
            series.map((one) => h("th", { scope: "col" }, one.title)),
          ),
        ),
        h(
          "tbody",
          {},
          latest.map((index) =>
            h(
              "tr",
              {},
              h("th", { scope: "row" }, clock(times[index])),
              series.map((one) => h("td", { class: "number" }, rate(one.values[index]))),
            ),
          ),
        ),
      ),
    ),
  );
  // What is drawn anew each two seconds stays as the reader left it.
  table.open = isOpen.time;
  table.addEventListener("toggle", () => {
    isOpen.time = table.open;
  });
  const focused = element.contains(document.activeElement) ? document.activeElement.tagName : null;
  fill(
    element,
    legend,
    lineChart("Verifications a second", series, times, Math.max(240, element.clientWidth || 720)),
    table,
  );
  if (focused) element.querySelector(focused.toLowerCase())?.focus();
}

function drawLatency(figures, element) {
  const judged = figures.handlers.filter((one) => total(one.latencies) > 0);
  if (judged.length === 0) {
    fill(element, nothing("No token was judged yet", "Verify one, and see how long it takes."));
    return;
  }
  fill(
    element,
    judged.map((one) => {
      const name = one.handler ?? NOBODY;
      const at = (share) => percentile(one.latencies, figures.bounds, share);
      const marks = [
        ["p50", at(0.5)],
        ["p99", at(0.99)],
      ];
      const all = total(one.latencies);
      const rows = [
        ["p50", at(0.5)],
        ["p90", at(0.9)],
        ["p99", at(0.99)],
        ["Mean", one.total_ns / all],
      ];
      const said = rows.map(([term, ns]) => `${term} ${duration(ns)}`).join(", ");
      return h(
        "section",
        { class: "card latency" },
        h(
          "div",
          { class: "card-head" },
          h("h3", {}, name),
          h("span", { class: "quiet number" }, counted(all, "verification")),
        ),
        histogram(`Latencies of ${name}: ${said}`, one.latencies, figures.bounds, marks),
        h(
          "dl",
          { class: "figures" },
          rows.map(([term, ns]) => h("div", {}, h("dt", {}, term), h("dd", {}, duration(ns)))),
        ),
        errorsOf(figures, one),
      );
    }),
  );
}

function errorsOf(figures, one) {
  const parts = figures.outcomes
    .map((key, index) => [OUTCOMES[key] ?? key, one.outcomes[index]])
    .filter(([, number]) => number > 0);
  return h("p", { class: "hint" }, parts.map(([title, number]) => `${title} ${count(number)}`).join(" · "));
}
