// The one way in which the page is built: elements, attributes, and text that stays text. There is no HTML in here.

import { visible, visibleLines, moment, exactly, relative } from "./text.js";

const SVG = "http://www.w3.org/2000/svg";

// Attributes whose text people read.
const READ = new Set(["title", "aria-label", "placeholder", "aria-description"]);

/** An element. `on` holds listeners; false and null leave an attribute out; strings and numbers become text. */
export function h(tag, attributes = {}, ...children) {
  return dressed(document.createElement(tag), attributes, children);
}

/** An element of a drawing. */
export function s(tag, attributes = {}, ...children) {
  return dressed(document.createElementNS(SVG, tag), attributes, children);
}

/** What is in an element, replaced. */
export function fill(element, ...children) {
  element.replaceChildren(...nodes(children));
  return element;
}

/** Text whose lines stay lines. */
export function lines(text) {
  return document.createTextNode(visibleLines(text));
}

/** JSON, to be read. */
export function json(value) {
  return h("pre", { class: "json", tabindex: "0" }, lines(JSON.stringify(value, null, 2)));
}

/** A time in Unix seconds. */
export function time(seconds, how = relative) {
  if (seconds === null || seconds === undefined) return h("span", { class: "quiet" }, "–");
  const title = how === moment ? exactly(seconds) : `${moment(seconds)} (${exactly(seconds)})`;
  return h("time", { datetime: exactly(seconds), title }, how(seconds));
}

/** A small drawing beside words, for eyes alone. */
export function icon(name) {
  const path = s("path", { d: ICONS[name] });
  return s("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" }, path);
}

/** A button. */
export function button(text, click, attributes = {}) {
  return h("button", { type: "button", on: { click }, ...attributes }, text);
}

/** Says something to those who do not see it. */
export function announce(text) {
  const said = document.getElementById("said");
  said.textContent = "";
  // In the next frame, so that the same words are said again.
  requestAnimationFrame(() => {
    said.textContent = visible(text);
  });
}

function dressed(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name === "on") {
      Object.entries(value).forEach(([event, listener]) => element.addEventListener(event, listener));
    } else if (name === "value" || name === "checked" || name === "disabled") {
      element[name] = value;
    } else {
      element.setAttribute(name, value === true ? "" : READ.has(name) ? visible(value) : value);
    }
  }
  element.append(...nodes(children));
  return element;
}

function nodes(children) {
  const shown = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  return shown.map((child) => (child instanceof Node ? child : document.createTextNode(visible(child))));
}

const ICONS = {
  plugins: "M4 7h10M4 12h16M4 17h7M18 4v6M15 7h6",
  tokens: "M14.5 9.5a4.5 4.5 0 1 0-4.2 4.5L12 15.7h2.5V18H17v2.5h3.5V17l-6.2-6.2M8.5 8.5h.01",
  inspector: "M12 3l7.5 2.8v5.4c0 4.6-3.1 7.9-7.5 9.8-4.4-1.9-7.5-5.2-7.5-9.8V5.8ZM9 11.8l2.2 2.2 4-4.2",
  search: "M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13ZM20 20l-4.7-4.7",
  events: "M3 12h4l3-8 4 16 3-8h4",
  charts: "M4 20V4M4 20h16M8 16v-4M12.5 16V8M17 16v-6",
  out: "M10 4H5v16h5M14 8l4 4-4 4M8.5 12H18",
  grip: "M9 6h.01M15 6h.01M9 12h.01M15 12h.01M9 18h.01M15 18h.01",
  up: "M6 15l6-6 6 6",
  down: "M6 9l6 6 6-6",
  reload: "M20 11a8 8 0 1 0-2.3 6.3M20 5v6h-6",
  plus: "M12 5v14M5 12h14",
  close: "M6 6l12 12M18 6L6 18",
  copy: "M9 9h11v11H9zM5 15H4V4h11v1",
  shown:
    "M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12ZM12 14.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5Z",
  pause: "M8 5v14M16 5v14",
  play: "M7 5l11 7-11 7Z",
  right: "M9 6l6 6-6 6",
  warning: "M12 4L2.8 19.5h18.4ZM12 10v4.5M12 17h.01",
};
