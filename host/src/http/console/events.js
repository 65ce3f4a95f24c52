// What happens to tokens, as it happens.

import { announce, fill, h, icon } from "./dom.js";
import { checkbox } from "./form.js";
import { head, nothing } from "./shell.js";
import { clock, count, counted, exactly, sentence, shortened } from "./text.js";

const KINDS = {
  token_created: ["Created", "good"],
  token_used: ["Used", "neutral"],
  token_rejected: ["Rejected", "bad"],
  token_expired: ["Expired", "warn"],
  token_updated: ["Updated", "neutral"],
  token_invalidated: ["Invalidated", "warn"],
};

// Beyond that more rows help nobody, and cost the page.
const MOST_ROWS = 500;

export const events = { id: "events", title: "Events", open };

function open(session, main, signal) {
  const log = session.events;
  const state = h("span", { class: "pill", role: "status" });
  const pause = h("button", { type: "button", "aria-pressed": "false" }, icon("pause"), h("span", {}, "Pause"));
  const clear = h("button", { type: "button" }, "Clear");
  const shown = new Set(Object.keys(KINDS));
  const filters = Object.entries(KINDS).map(([kind, [text]]) => {
    const { box, element } = checkbox(text, { checked: true });
    element.classList.add("chip");
    box.addEventListener("change", () => {
      if (box.checked) shown.add(kind);
      else shown.delete(kind);
      redraw();
    });
    return element;
  });
  // This page asks for figures every two seconds, and uses its token for that.
  let isOwnShown = false;
  const own = checkbox("Uses by this console");
  own.element.classList.add("chip");
  own.box.addEventListener("change", () => {
    isOwnShown = own.box.checked;
    redraw();
  });
  const list = h("ol", { class: "events", "aria-label": "Events, the newest first" });
  const empty = h("div", {});
  let isPaused = false;
  let held = 0;

  fill(
    main,
    head("Events", "What happens to tokens, as it happens. The page keeps the latest 500.", state, pause, clear),
    h(
      "fieldset",
      { class: "chips" },
      h("legend", { class: "hidden-text" }, "Kinds that are shown"),
      filters,
      own.element,
    ),
    list,
    empty,
  );

  const isOwn = ({ event: { actor_id: actor, context } }) =>
    actor === session.me.actor.id && context?.path?.startsWith("/api/v1/");
  const isShown = (entry) =>
    (isOwnShown || !(entry.kind === "token_used" && isOwn(entry))) &&
    (entry.kind === "missed" || shown.has(entry.kind) || !(entry.kind in KINDS));
  const showEmpty = () => {
    const isEmpty = list.childElementCount === 0;
    fill(
      empty,
      isEmpty &&
        (log.entries.length === 0
          ? nothing("Nothing has happened yet", "Use a token, or create one, and it shows here.")
          : nothing("Nothing of these kinds", "Choose more kinds above.")),
    );
  };
  const redraw = () => {
    list.replaceChildren(...log.entries.filter(isShown).map(row));
    showEmpty();
  };
  // Many that come at once are drawn once a frame.
  let waiting = [];
  const draw = () => {
    const rows = waiting.filter(isShown).map(row).reverse();
    waiting = [];
    list.prepend(...rows);
    while (list.childElementCount > MOST_ROWS) list.lastElementChild.remove();
    showEmpty();
  };
  const added = ({ detail }) => {
    if (isPaused) {
      held += 1;
      return showState();
    }
    waiting.push(detail);
    if (waiting.length > MOST_ROWS) waiting.shift();
    if (waiting.length === 1) requestAnimationFrame(draw);
  };
  const showState = () => {
    if (isPaused) return fill(state, `Paused, ${count(held)} held back`);
    const { state: now, problem, retryAt } = log;
    state.className = `pill is-${now === "live" ? "serving" : "probing"}`;
    const seconds = Math.max(1, Math.round((retryAt - Date.now()) / 1000));
    const words = { live: "Live", connecting: "Connecting", idle: "Idle", waiting: `Lost, again in ${seconds} s` };
    fill(state, h("span", { class: "dot", "aria-hidden": "true" }), words[now]);
    state.title = problem?.message ?? "";
  };
  pause.addEventListener("click", () => {
    isPaused = !isPaused;
    held = 0;
    pause.setAttribute("aria-pressed", String(isPaused));
    fill(pause, icon(isPaused ? "play" : "pause"), h("span", {}, isPaused ? "Go on" : "Pause"));
    announce(isPaused ? "Paused" : "Live again");
    state.className = "pill is-probing";
    showState();
    if (!isPaused) redraw();
  });
  clear.addEventListener("click", () => log.clear());
  log.addEventListener("added", added, { signal });
  log.addEventListener("cleared", redraw, { signal });
  log.addEventListener("state", showState, { signal });
  log.start();
  showState();
  redraw();
}

function row({ kind, event }) {
  if (kind === "missed") {
    const missed = event.missed ?? event.count;
    const text = missed ? `${counted(missed, "event")} missed` : "Some events missed";
    return h(
      "li",
      { class: "event is-missed" },
      icon("warning"),
      h("span", {}, `${text}: they came faster than this page could take them.`),
    );
  }
  const [text, tone] = KINDS[kind] ?? [kind, "neutral"];
  const { at, handler, actor_id: actor, token_id: id, reason, context, extra } = event;
  const from = context && [context.method, context.host, context.path].filter(Boolean).join(" ");
  const { client_address: client, user_agent: agent, request_id: request } = context ?? {};
  const title = [client, agent, request].filter(Boolean).join(" · ");
  return h(
    "li",
    { class: "event" },
    h("time", { datetime: exactly(at), title: exactly(at) }, Number.isFinite(at) ? clock(at) : "–"),
    h("span", { class: `tag is-${tone}` }, text),
    h(
      "span",
      { class: "wrap event-who" },
      actor !== undefined ? h("b", {}, shortened(actor, 80)) : h("span", { class: "quiet" }, "nobody known"),
      handler && h("span", { class: "quiet" }, ` · ${handler}`),
      id && h("span", { class: "quiet" }, ` · #${shortened(id, 40)}`),
    ),
    h(
      "span",
      { class: "wrap event-why" },
      reason && sentence(shortened(reason, 300)),
      reason && from && " ",
      from && h("span", { class: "quiet", title }, shortened(from, 120)),
      client && [" ", h("span", { class: "quiet" }, `from ${shortened(client, 60)}`)],
      extra && Object.keys(extra).length > 0 && h("code", {}, shortened(JSON.stringify(extra), 200)),
    ),
  );
}
