// Dialogs and short messages.

import { announce, button, fill, h, icon } from "./dom.js";

/** Opens a dialog. `build(close)` gives what is in it; it is gone, with all that it held, when it is closed. */
export function openDialog(title, build, { className = "", signal = null } = {}) {
  const id = `dialog-${Math.random().toString(36).slice(2)}`;
  const heading = h("h2", { id, tabindex: "-1" }, title);
  const close = () => dialog.close();
  const shut = h(
    "button",
    { type: "button", class: "icon-button", "aria-label": "Close", on: { click: close } },
    icon("close"),
  );
  const body = h("div", { class: "dialog-body" });
  const dialog = h(
    "dialog",
    { class: `dialog ${className}`, "aria-labelledby": id },
    h("header", { class: "dialog-head" }, heading, shut),
    body,
  );
  const before = document.activeElement;
  const closed = new Promise((done) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      if (before?.isConnected) before.focus();
      done(dialog.returnValue);
    });
  });
  // A click beside it closes what can be looked at; what asks for something is closed on purpose.
  if (className.includes("sheet")) {
    dialog.addEventListener("click", (event) => event.target === dialog && close());
  }
  signal?.addEventListener("abort", close, { once: true });
  document.body.append(dialog);
  fill(body, build(close, body));
  dialog.showModal();
  (body.querySelector("[autofocus]") ?? heading).focus();
  return { dialog, body, close, closed };
}

/** A message that goes by itself. */
export function toast(text) {
  const element = h("div", { class: "toast" }, h("span", {}, text));
  const gone = () => element.remove();
  element.append(button("Dismiss", gone, { class: "quiet-button" }));
  document.getElementById("toasts").append(element);
  announce(text);
  setTimeout(gone, 8_000);
}
