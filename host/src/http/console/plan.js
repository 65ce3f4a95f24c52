// The plan of another order: shown first, then written on confirmation.

import { openDialog, toast } from "./dialog.js";
import { button, fill, h } from "./dom.js";
import { showProblem } from "./form.js";
import { counted } from "./text.js";

/** Shows what an order would change, and writes it when that is confirmed. `written` is called after that; `reread`
 * when the file is another one by now. */
export async function reviewPlan(session, order, { written, reread }) {
  const plan = await session.api.post("plugins/plan", { order });
  openDialog(
    "What would change",
    (close) => {
      const problem = h("div", { class: "problem", role: "alert", hidden: true });
      const write = button(
        "Write plugins.toml",
        async () => {
          write.disabled = true;
          showProblem(problem, null);
          try {
            const done = await session.api.put("plugins/order", { order, text_sha256: plan.text_sha256 });
            close();
            toast(`plugins.toml is written; generation ${done.generation} is serving.`);
            written();
          } catch (error) {
            refused(error);
          }
        },
        { class: "primary" },
      );
      const actions = h("div", { class: "dialog-actions" }, button("Cancel", close), write);
      const refused = (error) => {
        if (error.name === "AbortError") return;
        showProblem(problem, error);
        write.disabled = false;
        if (error.status !== 409) return;
        const told = h("p", {}, "Nothing was written. Look at the file as it is now, and make your change again.");
        problem.append(told);
        const again = button(
          "Show the file as it is now",
          () => {
            close();
            reread();
          },
          { class: "primary" },
        );
        fill(actions, button("Cancel", close), again);
        again.focus();
      };
      return [
        h(
          "p",
          { class: "lede" },
          plan.changes.length === 0
            ? "The call order stays as it is; only the file is written differently."
            : "plugins.toml is written and reloaded at once. Comments stay with their entries.",
        ),
        plan.changes.length > 0 &&
          h(
            "section",
            { class: "changes" },
            h("h3", {}, counted(plan.changes.length, "change")),
            h(
              "ul",
              {},
              plan.changes.map((change) => h("li", {}, change)),
            ),
          ),
        h(
          "div",
          { class: "before-after" },
          outline("Call order now", plan.before, plan.after),
          outline("Afterwards", plan.after, plan.before),
        ),
        problem,
        actions,
      ];
    },
    { className: "broad", signal: session.signal },
  );
}

function outline(title, shown, other) {
  const keyOf = (row) => `${row.kind} ${row.plugin}`;
  const places = new Map(other.rows.map((row, place) => [keyOf(row), place]));
  const rows = shown.rows.map((row, place) => {
    const isMoved = places.get(keyOf(row)) !== place;
    return h(
      "li",
      { class: isMoved ? "moved" : "" },
      h(
        "span",
        { class: "outline-name" },
        h("b", {}, row.plugin),
        h("span", { class: "quiet" }, KINDS[row.kind] ?? row.kind),
      ),
      h("span", { class: "hint" }, row.reason),
      isMoved && h("span", { class: "hidden-text" }, "at another place"),
    );
  });
  return h("section", {}, h("h3", {}, title), h("ol", {}, rows));
}

/** What the kinds of hooks are called. */
export const KINDS = {
  wrapper: "wrapper",
  handler: "handler",
  event_sink: "event sink",
  token_generator: "token generator",
  store: "store",
};
