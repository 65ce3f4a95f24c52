// The page before somebody has signed in.

import { fill, h } from "./dom.js";
import { form, secretField } from "./form.js";
import { signIn } from "./session.js";

/** Asks for a token until one is good, and gives it to `entered` as a session. `why` says why one is asked again. */
export function askForToken(root, why, ended, entered) {
  const token = secretField("Admin token", {
    hint: "It stays in this page's memory, and is gone when you reload or close it.",
  });
  token.control.classList.add("large");
  const asking = form(
    { class: "sign-in-form" },
    async () => {
      const given = token.control.value;
      try {
        const session = await signIn(given, ended);
        token.clear();
        entered(session);
      } catch (error) {
        if (error.isOffline || error.status === 429 || error.status === 503) throw error;
        token.clear();
        token.fail(reason(error));
      }
    },
    token.element,
    h("button", { type: "submit", class: "primary wide" }, "Sign in"),
  );
  if (why) asking.fail(new Error(why));
  fill(
    root,
    h(
      "main",
      { class: "alone", id: "content", tabindex: "-1" },
      h(
        "div",
        { class: "card sign-in" },
        h("div", { class: "brand large" }, h("span", { class: "mark", "aria-hidden": "true" }), "token-host"),
        h("h1", {}, "Sign in to the console"),
        asking.element,
        h(
          "details",
          { class: "help" },
          h("summary", {}, "Where do I get one?"),
          h("p", {}, "On the machine of the service, with its configuration:"),
          h("pre", { class: "code" }, "token-host create root --all admin"),
          h(
            "p",
            { class: "hint" },
            "A token opens the console only when it names the action ",
            h("code", {}, "admin"),
            ".",
          ),
        ),
      ),
    ),
  );
  token.control.focus();
}

function reason(error) {
  if (error.status === 401) return `This token is not accepted. ${error.message}`;
  if (error.status === 403) return `This token is good, but it is none for the console. ${error.message}`;
  if (error.status === 404) return "The API is switched off: set api = true in [http].";
  return error.message;
}
