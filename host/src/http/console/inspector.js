// The inspector: what each handler says to a token, how long it takes, and what comes of it.

import { fill, h, icon, json, time } from "./dom.js";
import { form, secretField } from "./form.js";
import { restrictionsInWords } from "./restrictions.js";
import { head, loading, nothing } from "./shell.js";
import { counted, duration, moment, sentence } from "./text.js";

export const inspector = { id: "inspector", title: "Inspector", open };

function open(session, main, signal) {
  const token = secretField("Token", {
    hint: "It is judged by the service and forgotten: it is in no address, no log and no answer.",
  });
  token.control.classList.add("large");
  const result = h(
    "section",
    { class: "inspected", "aria-label": "What came of it" },
    nothing("Nothing inspected yet", "Paste a token to see which handler knows it, what each one said, and why."),
  );
  const asking = form(
    { class: "inspect-form" },
    async () => {
      const given = token.control.value.trim();
      token.fail(given === "" ? "Paste a token." : null);
      if (given === "") return;
      token.clear();
      fill(result, loading("Asking the handlers"));
      try {
        const explained = await session.api.post("explain", { token: given });
        if (!signal.aborted) fill(result, explanation(explained));
        result.querySelector("h2")?.focus();
      } catch (error) {
        fill(result);
        throw error;
      }
    },
    token.element,
    h("div", {}, h("button", { type: "submit", class: "primary" }, icon("inspector"), h("span", {}, "Inspect"))),
  );
  fill(main, head("Inspector", "Who knows this token, and what do they say?"), asking.element, result);
}

const VERDICTS = {
  accepted: ["Accepted", "good"],
  rejected: ["Rejected", "bad"],
  not_recognized: ["Not recognized", "neutral"],
  error: ["Cannot tell", "bad"],
};

function explanation(explained) {
  const [title, tone] = VERDICTS[explained.status] ?? [explained.status, "neutral"];
  const { actor } = explained;
  const knows = explained.handlers.find((step) => ["accepted", "rejected", "error"].includes(step.said));
  const by = knows ? [" by ", h("b", {}, knows.handler)] : "";
  const why = explained.reason
    ? sentence(explained.reason)
    : explained.status === "not_recognized"
      ? "No handler knows a token like this."
      : null;
  return [
    h(
      "div",
      { class: `verdict is-${tone}` },
      h("h2", { tabindex: "-1" }, title, by),
      why && h("p", { class: "wrap" }, why),
      h(
        "p",
        { class: "hint" },
        counted(explained.token_bytes, "byte"),
        explained.wrappers.length > 0 && ` · through the wrappers ${explained.wrappers.join(", ")}`,
      ),
    ),
    h("section", {}, h("h3", {}, "What each handler said"), steps(explained.handlers)),
    actor && h("section", {}, h("h3", {}, "Whom it stands for"), facts(actor)),
    actor && h("section", {}, h("h3", {}, "What it may do"), restrictionsInWords(actor._r)),
  ];
}

function steps(handlers) {
  if (handlers.length === 0) return h("p", { class: "quiet" }, "There is no handler.");
  const most = Math.max(...handlers.map((step) => step.took_us ?? 0), 0.001);
  const said = {
    accepted: "accepted it",
    rejected: "rejected it",
    not_recognized: "does not know it",
    error: "failed",
    not_asked: "was not asked",
  };
  return h(
    "ol",
    { class: "steps" },
    handlers.map((step) => {
      const share = step.took_us === null ? 0 : Math.max(0.02, step.took_us / most);
      const bar = h("span", { class: "took-bar", "aria-hidden": "true" });
      bar.style.setProperty("--share", String(share));
      return h(
        "li",
        { class: `step said-${step.said}` },
        h(
          "div",
          {},
          h("p", {}, h("b", {}, step.handler), " ", said[step.said] ?? step.said),
          step.reason && step.said !== "accepted" && h("p", { class: "hint wrap" }, sentence(step.reason)),
          step.plugin !== step.handler && h("p", { class: "hint" }, `of the plugin ${step.plugin}`),
        ),
        h(
          "div",
          { class: "took" },
          bar,
          h("span", { class: "number" }, step.took_us === null ? "–" : duration(step.took_us * 1000)),
        ),
      );
    }),
  );
}

function facts(actor) {
  const { id, token, token_expires: expires, _r: restrictions, ...claims } = actor;
  const claimed = Object.keys(claims).length > 0;
  const row = (term, value) => h("div", {}, h("dt", {}, term), h("dd", { class: "wrap" }, value));
  return [
    h(
      "dl",
      { class: "facts" },
      row("Actor", id),
      row("Kind", token),
      row("Expires", expires ? [time(expires, moment), " (", time(expires), ")"] : "never"),
    ),
    claimed && [
      h("h3", {}, "Claims"),
      h(
        "dl",
        { class: "facts" },
        Object.entries(claims).map(([name, value]) =>
          row(name, typeof value === "object" && value !== null ? json(value) : String(value)),
        ),
      ),
    ],
  ];
}
