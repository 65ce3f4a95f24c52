// Drawings of figures: lines over time, and a histogram. No library, and no more than these two.

import { fill, h, s } from "./dom.js";
import { clock, count, duration, rate } from "./text.js";

const HIGH = 220;
const EDGE = { left: 44, right: 8, top: 12, bottom: 26 };

/** Lines over time, so many pixels wide: `series` are `{ key, title, values }`, `times` Unix seconds. Shows values
 * where one points. */
export function lineChart(title, series, times, wide) {
  const readout = h("p", { class: "readout", "aria-hidden": "true" });
  const most = niceMost(Math.max(1, ...series.flatMap((one) => one.values)));
  const [first, last] = [times[0] ?? 0, times.at(-1) ?? 1];
  const x = (time) => EDGE.left + ((time - first) / Math.max(1, last - first)) * (wide - EDGE.left - EDGE.right);
  const y = (value) => HIGH - EDGE.bottom - (value / most) * (HIGH - EDGE.top - EDGE.bottom);
  const grid = [0, 0.25, 0.5, 0.75, 1].map((share) =>
    s(
      "g",
      { class: share === 0 ? "axis" : "grid" },
      s("line", { x1: EDGE.left, x2: wide - EDGE.right, y1: y(most * share), y2: y(most * share) }),
      share % 0.5 === 0 &&
        s("text", { x: EDGE.left - 8, y: y(most * share) + 4, "text-anchor": "end" }, rate(most * share)),
    ),
  );
  const ticks =
    times.length < 2
      ? []
      : [0, 0.5, 1].map((share) =>
          s(
            "text",
            {
              x: x(first + (last - first) * share),
              y: HIGH - 6,
              "text-anchor": share === 0 ? "start" : share === 1 ? "end" : "middle",
            },
            clock(first + (last - first) * share),
          ),
        );
  const lines = series.map(({ key, values }) => {
    const path = values.map(
      (value, index) => `${index === 0 ? "M" : "L"}${x(times[index]).toFixed(1)} ${y(value).toFixed(1)}`,
    );
    return s("path", { class: `line is-${key}`, d: path.join("") || "M0 0" });
  });
  const cursor = s("line", { class: "cursor", y1: EDGE.top, y2: HIGH - EDGE.bottom, visibility: "hidden" });
  const summary = series.map((one) => `${one.title}: ${rate(one.values.at(-1) ?? 0)} a second`).join("; ");
  const drawing = s(
    "svg",
    { class: "chart", viewBox: `0 0 ${wide} ${HIGH}`, role: "img", "aria-label": `${title}. Now: ${summary}.` },
    grid,
    ticks,
    lines,
    cursor,
  );
  const point = (event) => {
    if (times.length === 0) return;
    const box = drawing.getBoundingClientRect();
    const at =
      first +
      ((((event.clientX - box.left) / box.width) * wide - EDGE.left) / (wide - EDGE.left - EDGE.right)) *
        (last - first);
    const index = times.reduce(
      (best, time, place) => (Math.abs(time - at) < Math.abs(times[best] - at) ? place : best),
      0,
    );
    cursor.setAttribute("visibility", "visible");
    for (const end of ["x1", "x2"]) cursor.setAttribute(end, x(times[index]));
    fill(
      readout,
      `${clock(times[index])}  `,
      series.map((one) => h("span", {}, `${one.title} ${rate(one.values[index])}  `)),
    );
  };
  drawing.addEventListener("pointermove", point);
  drawing.addEventListener("pointerleave", () => {
    cursor.setAttribute("visibility", "hidden");
    fill(readout);
  });
  return h("div", { class: "drawing" }, drawing, readout);
}

/** A histogram of latencies, bucket by bucket, with marks at percentiles: `[[text, ns], ...]`. */
export function histogram(title, latencies, bounds, marks) {
  const [wide, high, base] = [360, 96, 74];
  const most = Math.max(1, ...latencies);
  const step = wide / latencies.length;
  const bars = latencies.map((number, bucket) => {
    const tall = number === 0 ? 0 : Math.max(2, (number / most) * (base - 14));
    const upper = bounds[bucket];
    const range = upper === undefined ? `more than ${duration(bounds.at(-1))}` : `up to ${duration(upper)}`;
    return s(
      "rect",
      { class: "bar", x: bucket * step + 1.5, y: base - tall, width: step - 3, height: tall, rx: 2 },
      s("title", {}, `${range}: ${count(number)}`),
    );
  });
  // Buckets are as wide as each other, whatever they span.
  const x = (ns) => {
    const bucket = bounds.findIndex((bound) => ns <= bound);
    if (bucket < 0) return wide - step / 2;
    const lower = bounds[bucket - 1] ?? 0;
    return (bucket + (ns - lower) / (bounds[bucket] - lower)) * step;
  };
  const flags = marks
    .filter(([, ns]) => ns !== null)
    .map(([text, ns], place) => {
      const at = Math.min(Math.max(x(ns), 1), wide - 1);
      // The first one before its mark, so that two that are near each other can be read.
      const anchor = (place === 0 && at > 24) || at > wide - 24 ? "end" : "start";
      return s(
        "g",
        { class: "percentile" },
        s("line", { x1: at, x2: at, y1: 4, y2: base }),
        s("text", { x: at + (anchor === "end" ? -4 : 4), y: 11, "text-anchor": anchor }, text),
      );
    });
  const ticks = [1, 4, 7, 9, 12]
    .filter((bucket) => bucket < bounds.length)
    .map((bucket) =>
      s(
        "text",
        { class: "tick", x: (bucket + 1) * step, y: high - 6, "text-anchor": "middle" },
        duration(bounds[bucket]),
      ),
    );
  return s(
    "svg",
    { class: "chart small", viewBox: `0 0 ${wide} ${high}`, role: "img", "aria-label": title },
    s("line", { class: "axis-line", x1: 0, x2: wide, y1: base, y2: base }),
    bars,
    flags,
    ticks,
  );
}

function niceMost(most) {
  const size = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 4, 5, 10].map((step) => step * size).find((step) => step >= most);
}
