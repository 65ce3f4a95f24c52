// The tokens that handlers keep: searched, page by page.

import { button, fill, h, icon, time } from "./dom.js";
import { field, form, input, select } from "./form.js";
import { invalidateMany } from "./invalidate.js";
import { failed, head, loading, nothing } from "./shell.js";
import { counted, shortened } from "./text.js";
import { createToken } from "./token_create.js";
import { showToken } from "./token_detail.js";

const PAGE = 50;
const DAY = 86_400;

export const tokens = { id: "tokens", title: "Tokens", open };

function open(session, main, signal) {
  const create = h("button", { type: "button", class: "primary" }, icon("plus"), h("span", {}, "New token"));
  create.addEventListener("click", () => createToken(session, search));
  const whose = field(
    "Whose",
    select([
      ["everyone", "Everyone’s"],
      ["these", "Of these actors"],
    ]),
  );
  const actors = field("Actors", input({ placeholder: "ann, bob" }), { hint: "Separated by commas." });
  const note = field("Note contains", input({ type: "search" }));
  const state = field(
    "State",
    select([
      ["", "Any"],
      ["live", "Valid and not expired"],
      ["invalid", "Invalidated"],
      ["expired", "Expired"],
    ]),
  );
  const unused = field(
    "Not used for",
    select([
      ["", "Any time"],
      ["7", "7 days"],
      ["30", "30 days"],
      ["90", "90 days"],
      ["180", "180 days"],
      ["365", "A year"],
    ]),
  );
  const handler = field("Kept by", select([["", "First that can"]]));
  const results = h("section", { class: "results", "aria-label": "Found tokens" });
  const fit = () => {
    actors.element.hidden = whose.value !== "these";
  };
  whose.control.addEventListener("change", fit);
  fit();

  const filter = () => {
    const names = actors.value
      .split(",")
      .map((name) => name.trim())
      .filter(Boolean);
    const isEmpty = whose.value === "these" && names.length === 0;
    actors.fail(isEmpty ? "Name at least one actor, or search everyone’s tokens." : null);
    if (isEmpty) return null;
    const states = { live: { valid: true, expired: false }, invalid: { valid: false }, expired: { expired: true } };
    const wanted = { actors: whose.value === "these" ? { these: names } : "everyone", ...states[state.value] };
    if (note.value !== "") wanted.note_contains = note.value;
    if (unused.value !== "") wanted.unused_since = Math.floor(Date.now() / 1000) - Number(unused.value) * DAY;
    return wanted;
  };
  const search = async () => {
    const wanted = filter();
    if (!wanted) return;
    try {
      await showFound(session, wanted, handler.value || null, results, signal, search);
    } catch (error) {
      if (signal.aborted || error.name === "AbortError") return;
      fill(results, error.status === 501 ? notKept() : failed(error, search));
    }
  };
  const searching = form(
    { class: "search", role: "search" },
    search,
    h(
      "div",
      { class: "search-fields" },
      whose.element,
      actors.element,
      note.element,
      state.element,
      unused.element,
      handler.element,
    ),
    h("div", { class: "search-actions" }, h("button", { type: "submit" }, icon("search"), h("span", {}, "Search"))),
  );
  fill(
    main,
    head("Tokens", "Those that a handler keeps. Signed tokens are kept nowhere, and cannot be listed.", create),
    searching.element,
    results,
  );
  session.api
    .get("plugins", {}, signal)
    .then(({ plugins }) => {
      const names = plugins.filter((row) => row.kind === "handler").map((row) => row.name);
      handler.control.append(...names.map((name) => h("option", { value: name }, name)));
    })
    .catch(() => {});
  search();
}

/** Asks for one page of tokens. */
export function page(session, filter, handler, after, limit, signal) {
  const { actors, ...conditions } = filter;
  const whose = actors === "everyone" ? { everyone: true } : { actor: actors.these };
  return session.api.get("tokens", { ...conditions, ...whose, handler, after, limit }, signal);
}

async function showFound(session, filter, handler, results, signal, again) {
  fill(results, loading("Looking for tokens"));
  const first = await page(session, filter, handler, null, PAGE, signal);
  if (first.tokens.length === 0) {
    fill(results, nothing("No tokens found", "None fits what you asked for. Ask for less, or create one."));
    return;
  }
  const body = h("tbody", {});
  const columns = ["Token", "Actor", "Note", "Made", "Last used", "Expires", "State"];
  const table = h(
    "table",
    { class: "cards" },
    h(
      "thead",
      {},
      h(
        "tr",
        {},
        columns.map((column) => h("th", { scope: "col" }, column)),
      ),
    ),
    body,
  );
  const shown = h("p", { class: "hint", role: "status" });
  const more = button("Show more", () => load());
  const many = button("Invalidate all of these…", () => invalidateMany(session, filter, handler, again), {
    class: "danger",
  });
  let next = null;
  const add = (found) => {
    next = found.next;
    body.append(...found.tokens.map((token) => row(session, token, handler)));
    fill(shown, next ? `The first ${counted(body.children.length, "token")}` : counted(body.children.length, "token"));
    more.hidden = !next;
  };
  const load = async () => {
    more.disabled = true;
    try {
      add(await page(session, filter, handler, next, PAGE, signal));
    } catch (error) {
      if (error.name !== "AbortError") fill(shown, error.message);
    }
    more.disabled = false;
  };
  add(first);
  fill(results, h("div", { class: "results-head" }, shown, many), table, h("div", { class: "more" }, more));
}

const notKept = () =>
  nothing(
    "Nothing keeps tokens here",
    "No handler of this service keeps a list of its tokens. The database plugin does.",
  );

function row(session, token, handler) {
  const element = h("tr", {});
  const draw = (now) => {
    const cell = (label, ...content) => h("td", { "data-label": label }, ...content);
    const look = button(now.hint ?? `#${now.id}`, () => showToken(session, now, handler, draw), { class: "link" });
    fill(
      element,
      h("th", { scope: "row" }, look),
      cell("Actor", h("span", { class: "wrap" }, shortened(now.actor_id, 60))),
      cell(
        "Note",
        now.note ? h("span", { class: "wrap" }, shortened(now.note, 80)) : h("span", { class: "quiet" }, "–"),
      ),
      cell("Made", time(now.created_at)),
      cell("Last used", time(now.last_used_at)),
      cell("Expires", now.expires_at ? time(now.expires_at) : h("span", { class: "quiet" }, "never")),
      cell("State", statePill(now)),
    );
  };
  draw(token);
  return element;
}

/** What a token is by now. */
export function statePill(token) {
  const isExpired = token.expires_at && token.expires_at <= Date.now() / 1000;
  const [name, text] = !token.valid
    ? ["tripped", "Invalidated"]
    : isExpired
      ? ["probing", "Expired"]
      : ["serving", "Valid"];
  return [
    h("span", { class: `pill is-${name}` }, h("span", { class: "dot", "aria-hidden": "true" }), text),
    token.deprecated &&
      token.valid &&
      h("span", { class: "pill is-probing", title: "Its generator is deprecated: replace it" }, "Deprecated"),
  ];
}
