// What is around the sections: navigation, who is signed in, whether the service answers.

import { button, fill, h, icon } from "./dom.js";

/** The frame of the console. Shows the section that the address names, and the first one else. */
export function openShell(root, session, sections, signOut) {
  const main = h("main", { id: "content", tabindex: "-1" });
  const links = sections.map((section) =>
    h("a", { href: `#${section.id}` }, icon(section.id), h("span", {}, section.title)),
  );
  const offline = h("div", { class: "offline", role: "status", hidden: true });
  const name = session.me.actor.id;
  const who = h(
    "div",
    { class: "who" },
    h("p", { title: name }, h("span", { class: "quiet" }, "Signed in as "), h("b", {}, name)),
    h(
      "button",
      { type: "button", class: "quiet-button", on: { click: signOut } },
      icon("out"),
      h("span", {}, "Sign out"),
    ),
  );
  fill(
    root,
    h(
      "div",
      { class: "shell" },
      h(
        "header",
        { class: "top" },
        h("div", { class: "brand" }, h("span", { class: "mark", "aria-hidden": "true" }), "token-host"),
        h(
          "nav",
          { "aria-label": "Sections" },
          h(
            "ul",
            {},
            links.map((link) => h("li", {}, link)),
          ),
        ),
        who,
      ),
      h("div", { class: "page" }, offline, main),
    ),
  );

  session.figures.addEventListener("change", () => {
    const { problem } = session.figures;
    const isOffline = Boolean(problem);
    if (offline.hidden === !isOffline) return;
    offline.hidden = !isOffline;
    fill(
      offline,
      isOffline && [icon("warning"), h("span", {}, `${problem.message} What you see may be old; it is tried again.`)],
    );
  });

  let view = null;
  const show = (moved) => {
    const wanted = location.hash.slice(1);
    const section = sections.find(({ id }) => id === wanted) ?? sections[0];
    view?.abort();
    view = new AbortController();
    session.signal.addEventListener("abort", () => view.abort(), { once: true });
    links.forEach((link, index) => {
      if (sections[index] === section) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    });
    document.title = `${section.title} – token-host`;
    fill(main);
    main.dataset.section = section.id;
    section.open(session, main, view.signal);
    window.scrollTo(0, 0);
    if (moved) main.querySelector("h1")?.focus();
  };
  const changed = () => location.hash !== "#content" && show(true);
  window.addEventListener("hashchange", changed, { signal: session.signal });
  show(false);
}

/** The head of a section. */
export function head(title, told, ...actions) {
  return h(
    "div",
    { class: "head" },
    h("div", {}, h("h1", { tabindex: "-1" }, title), h("p", { class: "lede" }, told)),
    actions.length > 0 && h("div", { class: "actions" }, actions),
  );
}

/** What stands there while something is awaited. */
export function loading(text) {
  return h("div", { class: "loading", role: "status" }, h("span", { class: "busy", "aria-hidden": "true" }), text);
}

/** What stands there when there is nothing. */
export function nothing(title, told, action = null) {
  return h("div", { class: "nothing" }, h("p", { class: "nothing-title" }, title), h("p", {}, told), action);
}

/** What stands there when it could not be had. */
export function failed(error, again) {
  const text = error.isOffline ? "It could not be loaded." : "The service did not give it.";
  return h(
    "div",
    { class: "nothing", role: "alert" },
    h("p", { class: "nothing-title" }, text),
    h("p", {}, error.message),
    button("Try again", again),
  );
}
