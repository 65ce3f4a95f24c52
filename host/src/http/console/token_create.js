// A new token: asked for, and shown once.

import { openDialog } from "./dialog.js";
import { announce, button, fill, h, icon, time } from "./dom.js";
import { checkbox, copyButton, field, form, input, select } from "./form.js";
import { EXAMPLE, policyIn } from "./policy.js";
import { RestrictionsBuilder } from "./restrictions.js";
import { moment } from "./text.js";

const UNITS = { 60: "minutes", 3600: "hours", 86400: "days" };

/** Asks what the token is to be, makes it, and shows it. `done` is called when it is there. */
export function createToken(session, done) {
  openDialog(
    "New token",
    (close, body) => {
      const actor = field("Actor", input({ autofocus: true, placeholder: "ann" }), {
        hint: "Whom the token stands for.",
      });
      const handler = field("Made by", select([["", "First handler that can"]]));
      session.api
        .get("plugins")
        .then(({ plugins }) => {
          const names = plugins.filter((row) => row.kind === "handler").map((row) => row.name);
          handler.control.append(...names.map((name) => h("option", { value: name }, name)));
        })
        .catch(() => {});
      const lives = field("Lives for", input({ inputmode: "numeric", value: "30", class: "number" }));
      const unit = field("Unit", select(Object.entries(UNITS), { value: "86400" }), { className: "no-label" });
      unit.control.value = "86400";
      const usual = checkbox("As long as its handler lets it");
      usual.box.addEventListener("change", () => {
        for (const control of [lives.control, unit.control]) control.disabled = usual.box.checked;
        lives.fail(null);
      });
      const may = choice("What it may do", [
        ["all", "All that its actor may"],
        ["some", "Only some actions"],
        ["policy", "What a policy says"],
      ]);
      const builder = new RestrictionsBuilder();
      const policy = field(
        "Policy document",
        h("textarea", { rows: "9", class: "mono", spellcheck: "false", value: EXAMPLE }),
        {
          hint: "JSON: for each resource, and each of its items, the methods that are allowed and blocked.",
        },
      );
      policy.control.addEventListener("change", () => policy.fail(faultOf(policy.value)));
      const note = field("Note", input({ maxlength: "10000", placeholder: "for the nightly export" }), {
        hint: "Kept by handlers that keep tokens.",
      });
      const fit = () => {
        builder.element.hidden = may.value() !== "some";
        policy.element.hidden = may.value() !== "policy";
      };
      may.element.addEventListener("change", fit);
      fit();

      const asked = () => {
        const request = { actor_id: actor.value.trim(), handler: handler.value || null, note: note.value || null };
        actor.fail(request.actor_id === "" ? "Say whom it stands for." : null);
        if (!usual.box.checked) {
          const number = /^\d{1,9}$/.test(lives.value.trim()) ? Number(lives.value) : 0;
          lives.fail(number > 0 ? null : "A whole number above 0.");
          request.expires_after = number * Number(unit.value);
        }
        if (may.value() === "some") request.restrictions = builder.value();
        const fault = may.value() === "policy" ? faultOf(policy.value) : null;
        policy.fail(fault);
        if (may.value() === "policy" && !fault) request.policy = policyIn(policy.value);
        return body.querySelector('[aria-invalid="true"]:not([hidden])') || request.restrictions === null
          ? null
          : request;
      };
      const making = form(
        { class: "stack" },
        async () => {
          const request = asked();
          if (!request) return;
          const made = await session.api.post("tokens", request);
          showOnce(body, made, request, close);
          done();
        },
        h("div", { class: "pair" }, actor.element, handler.element),
        h("div", { class: "life" }, h("div", { class: "joined-fields" }, lives.element, unit.element), usual.element),
        may.element,
        builder.element,
        policy.element,
        note.element,
        h(
          "div",
          { class: "dialog-actions" },
          button("Cancel", close),
          h("button", { type: "submit", class: "primary" }, "Create the token"),
        ),
      );
      return making.element;
    },
    { className: "broad", signal: session.signal },
  );
}

function showOnce(body, made, request, close) {
  const text = h("textarea", { class: "mono once", rows: "3", readonly: true, spellcheck: "false", value: made.token });
  const token = field(`The token for ${request.actor_id}`, text);
  fill(
    body,
    h(
      "p",
      { class: "callout" },
      icon("warning"),
      h("span", {}, h("b", {}, "Copy it now. "), "It is shown this once, and nobody can tell it again."),
    ),
    token.element,
    h(
      "p",
      { class: "hint" },
      made.expires_at ? ["It expires ", time(made.expires_at, moment), "."] : "It never expires.",
      made.id && ` The store knows it by the id ${made.id}.`,
    ),
    h("div", { class: "dialog-actions" }, copyButton(text), button("Done", close)),
  );
  announce("The token is made. Copy it now: it is shown this once.");
  body.querySelector(".primary").focus();
  // With the dialog the text of the token goes, too.
  body.closest("dialog").addEventListener(
    "close",
    () => {
      text.value = "";
    },
    { once: true },
  );
}

function faultOf(text) {
  try {
    policyIn(text);
    return null;
  } catch (error) {
    return error.message;
  }
}

function choice(title, options) {
  const name = `choice-${Math.random().toString(36).slice(2)}`;
  const boxes = options.map(([value]) => h("input", { type: "radio", name, value }));
  boxes[0].checked = true;
  const element = h(
    "fieldset",
    { class: "choice" },
    h("legend", {}, title),
    h(
      "div",
      { class: "segments" },
      options.map(([, text], index) => h("label", {}, boxes[index], h("span", {}, text))),
    ),
  );
  return { element, value: () => boxes.find((box) => box.checked).value };
}
