// The section of the plugins: the list of them, reloads, and what the operator should know.

import { Board } from "./board.js";
import { openDialog, toast } from "./dialog.js";
import { fill, h, icon, time } from "./dom.js";
import { problemBox } from "./form.js";
import { failed, head, loading } from "./shell.js";
import { counted } from "./text.js";

const EVERY_MS = 5_000;

export const plugins = { id: "plugins", title: "Plugins", open };

function open(session, main, signal) {
  const generation = h("span", { class: "pill" });
  const reload = h("button", { type: "button" }, icon("reload"), h("span", {}, "Reload"));
  const notices = h("div", { class: "notices" });
  const body = h("div", {}, loading("Asking for the plugins"));
  const told = "A token is shown to the handlers in this order, until one of them knows it.";
  fill(main, head("Plugins", told, generation, reload), notices, body);
  let board = null;
  let shown = new AbortController();

  const load = async () => {
    try {
      const listed = await session.api.get("plugins", {}, signal);
      showListed(listed);
    } catch (error) {
      if (!signal.aborted) fill(body, failed(error, load));
    }
  };
  const showListed = (listed) => {
    showStatus(listed, generation, notices);
    shown.abort();
    shown = new AbortController();
    board = new Board(session, listed, load, AbortSignal.any([signal, shown.signal]));
    fill(body, board.element);
  };
  reload.addEventListener("click", async () => {
    reload.disabled = true;
    try {
      const done = await session.api.post("plugins/reload");
      toast(done.changes.length === 0 ? "Reloaded: nothing has changed." : `Reloaded: ${done.changes.join("; ")}.`);
      await load();
    } catch (error) {
      if (error.name !== "AbortError") openDialog("Not reloaded", () => problemBox(error), { signal: session.signal });
    }
    reload.disabled = false;
  });
  const timer = setInterval(async () => {
    if (!board || document.hidden) return;
    const listed = await session.api.get("plugins", {}, signal).catch(() => null);
    if (!listed || signal.aborted) return;
    if (listed.status.generation === board.generation) board.update(listed.plugins);
    else if (board.draft.isChanged) return board.isOld();
    else return showListed(listed);
    showStatus(listed, generation, notices);
  }, EVERY_MS);
  signal.addEventListener("abort", () => clearInterval(timer));
  load();
}

function showStatus({ status, warnings }, generation, notices) {
  fill(generation, `Generation ${status.generation}`);
  const refused = status.failed_reload;
  const text = JSON.stringify([refused, warnings, status.dropped_events]);
  if (notices.dataset.shown === text) return;
  notices.dataset.shown = text;
  fill(
    notices,
    refused &&
      h(
        "div",
        { class: "problem" },
        h(
          "p",
          {},
          icon("warning"),
          h("span", {}, "The latest reload was refused ", time(refused.at), "; what was there before goes on."),
        ),
        h(
          "ul",
          {},
          refused.findings.map((finding) => h("li", {}, finding)),
        ),
      ),
    warnings?.length > 0 &&
      h(
        "details",
        { class: "warnings" },
        h("summary", {}, icon("warning"), counted(warnings.length, "warning")),
        h(
          "ul",
          {},
          warnings.map((warning) =>
            h("li", {}, typeof warning === "string" ? warning : (warning.message ?? JSON.stringify(warning))),
          ),
        ),
      ),
    status.dropped_events > 0 &&
      h("p", { class: "hint" }, `${counted(status.dropped_events, "event")} did not reach a sink that was too slow.`),
  );
}
