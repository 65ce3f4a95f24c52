// The end of tokens: of one, or of all that fit, after it was said how many those are.

import { openDialog, toast } from "./dialog.js";
import { button, fill, h } from "./dom.js";
import { field, form, input, problemBox } from "./form.js";
import { loading } from "./shell.js";
import { count, counted } from "./text.js";
import { page } from "./tokens.js";

const PAGE = 500;
// Beyond that they are said to be more.
const MOST_COUNTED = 10_000;

/** Asks for a reason, and invalidates a token. */
export function invalidateOne(session, token, handler, done) {
  openDialog(
    "Invalidate this token?",
    (close) => {
      const told = ["It is refused from now on, everywhere, and cannot be made valid from here."];
      return asking(close, told, null, "Invalidate", async (reason) => {
        await session.api.post("tokens/invalidate", { handler, tokens: { id: token.id }, reason });
        close();
        toast("The token is invalidated.");
        await done();
      });
    },
    { signal: session.signal },
  );
}

/** Counts the tokens that fit, asks for a reason, and invalidates them. */
export function invalidateMany(session, filter, handler, done) {
  openDialog(
    "Invalidate all of these?",
    (close, body) => {
      counting(session, filter, handler)
        .then(({ number, isMore }) => {
          const many = `${isMore ? "more than " : ""}${counted(number, "token")}`;
          if (number === 0) {
            fill(
              body,
              h("p", {}, "None that is still valid fits what you searched for."),
              h("div", { class: "dialog-actions" }, button("Close", close)),
            );
            return;
          }
          const told = [
            h("b", {}, many),
            ` that ${number === 1 ? "is" : "are"} still valid will be refused from now on. `,
            h("span", {}, inWords(filter)),
          ];
          fill(
            body,
            asking(close, told, String(number), `Invalidate ${many}`, async (reason) => {
              const wanted = { ...filter, valid: true };
              const ended = await session.api.post("tokens/invalidate", {
                handler,
                tokens: { filter: wanted },
                reason,
              });
              close();
              toast(`${counted(ended.tokens.length, "token")} invalidated.`);
              await done();
            }),
          );
          body.querySelector("input, textarea")?.focus();
        })
        .catch((error) => error.name !== "AbortError" && fill(body, problemBox(error)));
      return loading("Counting them");
    },
    { signal: session.signal },
  );
}

function asking(close, told, number, text, send) {
  const reason = field("Reason", input({ maxlength: "1000", placeholder: "left the team", autofocus: true }), {
    hint: "It is kept with the token, and in the audit trail.",
  });
  const typed = number && field(`Type ${number} to confirm`, input({ inputmode: "numeric" }));
  const made = form(
    {},
    async () => {
      const isEmpty = reason.value.trim() === "";
      reason.fail(isEmpty ? "Say why: somebody will ask." : null);
      const isWrong = typed && typed.value.replace(/\D/g, "") !== number;
      typed?.fail(isWrong ? `Type the number of tokens, ${count(Number(number))}.` : null);
      if (!isEmpty && !isWrong) await send(reason.value.trim());
    },
    h("p", {}, told),
    reason.element,
    typed?.element,
    h(
      "div",
      { class: "dialog-actions" },
      button("Cancel", close),
      h("button", { type: "submit", class: "danger filled" }, text),
    ),
  );
  return made.element;
}

async function counting(session, filter, handler) {
  let [number, after] = [0, null];
  // Those that are invalid by now stay as they are.
  const valid = { ...filter, valid: true };
  if (filter.valid === false) return { number: 0, isMore: false };
  do {
    const found = await page(session, valid, handler, after, PAGE, session.signal);
    number += found.tokens.length;
    after = found.next;
  } while (after && number < MOST_COUNTED);
  return { number, isMore: Boolean(after) };
}

function inWords(filter) {
  const parts = [filter.actors === "everyone" ? "everyone’s" : `of ${filter.actors.these.join(", ")}`];
  if (filter.note_contains) parts.push(`with “${filter.note_contains}” in the note`);
  if (filter.unused_since) parts.push("not used for the time you chose");
  if (filter.expired === true) parts.push("expired");
  if (filter.expired === false) parts.push("not expired");
  return `You searched for: ${parts.join("; ")}.`;
}
