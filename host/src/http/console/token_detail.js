// One token: what is known of it, its note, and its end.

import { openDialog, toast } from "./dialog.js";
import { fill, h, json, lines, time } from "./dom.js";
import { field, form } from "./form.js";
import { invalidateOne } from "./invalidate.js";
import { restrictionsInWords } from "./restrictions.js";
import { segment } from "./api.js";
import { moment } from "./text.js";
import { statePill } from "./tokens.js";

/** Shows a token beside the list. `changed` is called with its record when that is another one. */
export function showToken(session, token, handler, changed) {
  const path = () => `tokens/${segment(token.id)}`;
  const asked = async () => session.api.get(path(), { handler });
  const sheet = openDialog(
    `Token ${token.hint ?? token.id}`,
    (close, body) => {
      const draw = (now) => fill(body, content(session, now, { save, end }));
      const showNow = (now) => {
        changed(now);
        draw(now);
      };
      const save = async (note) => {
        showNow(await session.api.patch(path(), { handler }, { note }));
        toast("The note is saved.");
      };
      const end = (now) =>
        invalidateOne(session, now, handler, async () => {
          // It is done by now: what goes wrong from here is no failure of it.
          await asked().then(showNow, (error) => error.name !== "AbortError" && toast(error.message));
          sheet.dialog.querySelector("h2").focus();
        });
      // The list may be older than the token.
      asked().then(
        (now) => sheet.dialog.isConnected && JSON.stringify(now) !== JSON.stringify(token) && showNow(now),
        () => {},
      );
      return content(session, token, { save, end });
    },
    { className: "sheet", signal: session.signal },
  );
}

function content(session, token, { save, end }) {
  const at = (seconds) =>
    seconds && [
      time(seconds, moment),
      " ",
      h("span", { class: "quiet" }, "("),
      time(seconds),
      h("span", { class: "quiet" }, ")"),
    ];
  const facts = [
    ["State", statePill(token)],
    ["Actor", token.actor_id],
    ["Id", token.id],
    ["Generator", token.token_generator_id],
    ["Made", at(token.created_at)],
    ["Changed", at(token.updated_at)],
    ["Last used", at(token.last_used_at)],
    ["Expires", at(token.expires_at) ?? "never"],
    ["Invalidated", at(token.invalid_at)],
    ["Reason", token.invalid_reason && h("span", { class: "lines" }, lines(token.invalid_reason))],
    ["Made by", token.auto_generated && "a program, not by hand"],
  ];
  const shown = facts.filter(([, value]) => value !== null && value !== undefined && value !== false && value !== 0);
  const note = field("Note", h("textarea", { rows: "3", maxlength: "10000", value: token.note ?? "", dir: "auto" }));
  const noting = form(
    { class: "note-form" },
    () => save(note.value),
    note.element,
    h("button", { type: "submit" }, "Save the note"),
  );
  return [
    h(
      "dl",
      { class: "facts" },
      shown.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))),
    ),
    noting.element,
    h("h3", {}, "What it may do"),
    restrictionsInWords(token.restrictions),
    token.policy !== undefined && [
      h("h3", {}, "Policy"),
      json(token.policy),
      h("p", { class: "hint" }, `What it does not name is ${token.policy_default === "deny" ? "denied" : "allowed"}.`),
    ],
    token.extra && Object.keys(token.extra).length > 0 && [h("h3", {}, "More"), json(token.extra)],
    token.valid &&
      h(
        "div",
        { class: "dialog-actions" },
        h("button", { type: "button", class: "danger", on: { click: () => end(token) } }, "Invalidate…"),
      ),
  ];
}
