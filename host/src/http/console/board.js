// The plugins in call order, and a draft of another order: by dragging, by buttons, by keys.

import { announce, button, fill, h, icon } from "./dom.js";
import { makeDraggable } from "./drag.js";
import { showProblem } from "./form.js";
import { Draft, groupOf, pluginsOf } from "./order.js";
import { reviewPlan } from "./plan.js";
import { details, figuresOf, kinds, reason, statePill } from "./plugin_facts.js";
import { nothing } from "./shell.js";

/** The list, with a draft of another order. */
export class Board {
  #session;
  #load;
  #items = new Map();
  #list = h("ol", { class: "calls" });
  #bar = h("div", { class: "draft-bar", hidden: true });
  #problem = h("div", { class: "problem", role: "alert", hidden: true });
  #plugins;

  constructor(session, listed, load, signal) {
    this.#session = session;
    this.#load = load;
    this.generation = listed.status.generation;
    this.#plugins = pluginsOf(listed.plugins, listed.entries);
    this.draft = new Draft(this.#plugins);
    for (const plugin of this.#plugins) this.#items.set(plugin.name, this.#item(plugin));
    const hint =
      this.#plugins.some((plugin) => plugin.isEntry) &&
      h(
        "p",
        { class: "hint order-hint" },
        "Drag a plugin, or use its arrows",
        h("span", { class: "for-keys" }, ", or press Alt with an arrow key"),
        ". Nothing is written before you have seen the plan.",
      );
    this.element =
      this.#plugins.length === 0
        ? nothing(
            "No plugins",
            "plugins.toml registers none, so no token can be judged. Add a [[plugin]] entry and reload.",
          )
        : h("div", {}, hint, this.#list, this.#problem, this.#bar);
    fill(
      this.#bar,
      h("p", { role: "status" }, "This order is a draft."),
      h(
        "div",
        { class: "actions" },
        button("Discard", () => this.#discard()),
        button("Review the plan", () => this.#review(), { class: "primary" }),
      ),
    );
    this.#arrange();
    this.update(listed.plugins);
    const figures = () => this.#items.forEach((item) => item.showFigures());
    session.figures.addEventListener("change", figures, { signal });
    figures();
  }

  /** States as they are now. */
  update(rows) {
    for (const row of rows.filter((row) => row.kind === "handler")) this.#items.get(row.plugin)?.showState(row);
  }

  /** The file is another one by now. */
  isOld() {
    if (this.#problem.hidden)
      showProblem(this.#problem, new Error("The configuration was changed meanwhile. Discard the draft to see it."));
  }

  #item(plugin) {
    const handlers = plugin.rows.filter((row) => row.kind === "handler");
    const place = h("span", { class: "place", "aria-hidden": "true" });
    const state = h("div", { class: "state" });
    const figures = h("dl", { class: "figures" });
    const arrow = (by, name) =>
      h(
        "button",
        {
          type: "button",
          class: "icon-button",
          "aria-label": `Move ${plugin.name} ${name}`,
          "data-by": by,
          on: { click: () => this.#move(plugin.name, by, `[data-by="${by}"]`) },
        },
        icon(name),
      );
    const flag = (name, text) => {
      const box = h("input", { type: "checkbox", checked: plugin[name] });
      box.addEventListener("change", () => this.#flag(plugin.name, name, box.checked));
      return h("label", { class: "check small" }, box, h("span", {}, text));
    };
    const element = h(
      "li",
      { class: "call", "data-plugin": plugin.name, tabindex: "-1" },
      h(
        "div",
        { class: "call-place" },
        plugin.isEntry && plugin.isAsked
          ? h("span", { class: "grip", draggable: "true", title: "Drag to another place" }, icon("grip"))
          : h("span", { class: "grip none" }),
        place,
      ),
      h(
        "div",
        { class: "call-name" },
        h("h2", {}, plugin.name),
        h("p", { class: "kinds" }, kinds(plugin)),
        h("p", { class: "hint" }, reason(plugin)),
      ),
      figures,
      state,
      h(
        "div",
        { class: "call-actions" },
        !plugin.isAsked
          ? null
          : plugin.isEntry
            ? [
                h("div", { class: "flags" }, flag("tryfirst", "Call first"), flag("trylast", "Call last")),
                h("div", { class: "arrows" }, arrow(-1, "up"), arrow(1, "down")),
              ]
            : h("p", { class: "hint" }, plugin.file ? "Found in the drop-in folder" : "Linked in"),
      ),
      details(plugin),
    );
    if (plugin.isAsked) {
      element.addEventListener("keydown", (event) => this.#key(event, plugin.name));
      const drop = (item, target) => this.#drop(item.dataset.plugin, target.dataset.plugin);
      makeDraggable(element, element.querySelector(".grip"), drop);
    }
    const showFigures = () => fill(figures, ...figuresOf(this.#session.figures, handlers));
    const showState = (row) => fill(state, statePill(row));
    return { element, place, showFigures, showState };
  }

  #key(event, name) {
    if (!event.altKey || !["ArrowUp", "ArrowDown"].includes(event.key)) return;
    event.preventDefault();
    const by = event.key === "ArrowUp" ? -1 : 1;
    this.#move(name, by, event.target.dataset.by ? `[data-by="${event.target.dataset.by}"]` : null);
  }

  #move(name, by, focused) {
    this.#changed(name, this.draft.move(name, by), focused);
  }

  #flag(name, flag, isSet) {
    const plugin = this.draft.plugin(name);
    plugin[flag] = isSet;
    const box = document.activeElement;
    this.#changed(name, null);
    box.focus();
  }

  #changed(name, why, focused = null, how = {}) {
    this.#arrange();
    const called = this.draft.called;
    const place = called.findIndex((plugin) => plugin.name === name) + 1;
    announce(why ?? `${name} is now ${place} of ${called.length} in the draft`);
    const item = this.#items.get(name).element;
    (focused ? item.querySelector(focused) : item).focus(how);
    if (why) {
      item.classList.remove("stuck");
      requestAnimationFrame(() => item.classList.add("stuck"));
    }
  }

  #arrange() {
    let group = null;
    const shown = [...this.draft.called, ...this.draft.others].flatMap((plugin, place) => {
      const item = this.#items.get(plugin.name);
      item.place.textContent = plugin.isAsked ? String(place + 1) : "";
      const now = !plugin.isAsked ? "other" : plugin.isWrapper ? "wrapper" : groupOf(plugin);
      const title = now !== group && h("li", { class: "group", role: "presentation" }, GROUPS[now]);
      group = now;
      return title ? [title, item.element] : [item.element];
    });
    this.#list.replaceChildren(...shown);
    this.#bar.hidden = !this.draft.isChanged;
    this.#list.classList.toggle("is-draft", this.draft.isChanged);
  }

  #discard() {
    announce("The draft is discarded");
    this.#load();
  }

  async #review() {
    showProblem(this.#problem, null);
    try {
      await reviewPlan(this.#session, this.draft.asked(), { written: this.#load, reread: this.#load });
    } catch (error) {
      if (error.name !== "AbortError") showProblem(this.#problem, error);
    }
  }

  #drop(name, target) {
    const place = this.draft.called.findIndex((plugin) => plugin.name === target);
    if (place < 0) return;
    this.#changed(name, this.draft.moveTo(name, place), null, { preventScroll: true });
  }
}

const GROUPS = {
  wrapper: "Wrappers, around all handlers",
  first: "Called first",
  between: "In the order of the file, the last one first",
  last: "Called last",
  other: "Not asked about tokens",
};
