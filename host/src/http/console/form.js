// Forms: fields with labels, hints and errors beside them.

import { announce, fill, h, icon } from "./dom.js";

let last = 0;

/** A field with its label. `control` is what is filled in; `field.fail(text)` says what is wrong with it. */
export function field(label, control, { hint = null, className = "" } = {}) {
  const id = `field-${++last}`;
  control.id = id;
  const error = h("p", { class: "field-error", id: `${id}-error`, hidden: true });
  const told = hint && h("p", { class: "hint", id: `${id}-hint` }, hint);
  const described = [`${id}-error`, ...(told ? [`${id}-hint`] : [])].join(" ");
  control.setAttribute("aria-describedby", described);
  const element = h("div", { class: `field ${className}` }, h("label", { for: id }, label), control, error, told);
  const fail = (text) => {
    error.hidden = !text;
    error.textContent = "";
    if (text) fill(error, text);
    if (text) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  };
  control.addEventListener("input", () => fail(null));
  return {
    element,
    control,
    fail,
    get value() {
      return control.value;
    },
  };
}

/** A line of text. */
export function input(attributes = {}) {
  return h("input", { type: "text", autocomplete: "off", autocapitalize: "off", spellcheck: "false", ...attributes });
}

/** One of several: `[[value, text], ...]`. */
export function select(options, attributes = {}) {
  const element = h("select", attributes);
  element.append(...options.map(([value, text]) => h("option", { value }, text)));
  return element;
}

/** A box to check, with its words. */
export function checkbox(text, attributes = {}) {
  const box = h("input", { type: "checkbox", ...attributes });
  return { box, element: h("label", { class: "check" }, box, h("span", {}, text)) };
}

// Of a field for passwords browsers ask whether to keep what was typed; so it is one for text that is covered.
const COVERED_TYPE = CSS.supports("-webkit-text-security", "disc") ? "text" : "password";

/** A field for a secret: covered, with a button that shows it, and never remembered by the browser. */
export function secretField(label, options = {}) {
  const control = input({
    type: COVERED_TYPE,
    class: "secret covered",
    "data-1p-ignore": true,
    "data-lpignore": "true",
  });
  const made = field(label, control, options);
  const show = h("button", { type: "button", class: "quiet-button", "aria-pressed": "false" }, icon("shown"), "Show");
  const set = (isShown) => {
    control.type = isShown ? "text" : COVERED_TYPE;
    control.classList.toggle("covered", !isShown);
    show.setAttribute("aria-pressed", String(isShown));
    show.lastChild.textContent = isShown ? "Hide" : "Show";
  };
  show.addEventListener("click", () => set(control.classList.contains("covered")));
  const row = h("div", { class: "joined" });
  control.replaceWith(row);
  row.append(control, show);
  return {
    ...made,
    control,
    clear: () => {
      control.value = "";
      set(false);
    },
  };
}

/** A form that does something when it is sent, once at a time, and says what went wrong. */
export function form(attributes, send, ...children) {
  const problem = h("div", { class: "problem", role: "alert", hidden: true });
  const element = h("form", { novalidate: true, ...attributes }, ...children, problem);
  const fail = (error) => showProblem(problem, error);
  element.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (element.getAttribute("aria-busy") === "true") return;
    element.setAttribute("aria-busy", "true");
    fail(null);
    try {
      await send(event);
      const wrong = element.querySelector('[aria-invalid="true"]');
      if (wrong) wrong.focus();
    } catch (error) {
      if (error.name !== "AbortError") fail(error);
    } finally {
      element.removeAttribute("aria-busy");
    }
  });
  return { element, fail };
}

/** What went wrong, with all that was found. */
export function showProblem(element, error) {
  element.hidden = !error;
  if (!error) return fill(element);
  const findings = error.findings ?? [];
  const retry = error.retryAfter ? ` Try again in ${error.retryAfter} s.` : "";
  return fill(
    element,
    h("p", {}, icon("warning"), h("span", {}, `${error.message}${retry}`)),
    findings.length > 0 &&
      h(
        "ul",
        {},
        findings.map((finding) => h("li", {}, finding)),
      ),
  );
}

/** What went wrong, as an element of its own. */
export const problemBox = (error) => showProblem(h("div", { class: "problem", role: "alert" }), error);

/** Copies what stands in a field, and says so on the button. */
export function copyButton(source) {
  const element = h("button", { type: "button", class: "primary" }, icon("copy"), h("span", {}, "Copy"));
  element.addEventListener("click", async () => {
    const isCopied = await copied(source);
    element.lastChild.textContent = isCopied ? "Copied" : "Press Ctrl+C";
    announce(isCopied ? "Copied" : "It is selected. Copy it with the keyboard.");
  });
  return element;
}

async function copied(source) {
  try {
    await navigator.clipboard.writeText(source.value);
    return true;
  } catch {
    // Browsers keep the clipboard from pages that came without TLS.
    source.select();
    return document.execCommand("copy");
  }
}
