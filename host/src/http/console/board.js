// The plugins in call order, and a draft of another order: by dragging, by buttons, by keys.

import { announce, button, fill, h, icon } from "./dom.js";
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
  #dragged = null;
  #isDragging = false;

  constructor(session, listed, load, signal) {
    this.#session = session;
    this.#load = load;
    this.generation = listed.status.generation;
    this.#plugins = pluginsOf(listed.plugins, listed.entries);
    this.draft = new Draft(this.#plugins);
    for (const plugin of this.#plugins) this.#items.set(plugin.name, this.#item(plugin));
    const hint = this.#plugins.some((plugin) => plugin.isEntry) && h("p", { class: "hint order-hint" },
      "Drag a plugin, or use its arrows", h("span", { class: "for-keys" }, ", or press Alt with an arrow key"),
      ". Nothing is written before you have seen the plan.");
    this.element = this.#plugins.length === 0
      ? nothing("No plugins", "plugins.toml registers none, so no token can be judged. Add a [[plugin]] entry and reload.")
      : h("div", {}, hint, this.#list, this.#problem, this.#bar);
    fill(this.#bar,
      h("p", { role: "status" }, "This order is a draft."),
      h("div", { class: "actions" },
        button("Discard", () => this.#discard()),
        button("Review the plan", () => this.#review(), { class: "primary" })));
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
    if (this.#problem.hidden) showProblem(this.#problem, new Error("The configuration was changed meanwhile. Discard the draft to see it."));
  }

  #item(plugin) {
    const handlers = plugin.rows.filter((row) => row.kind === "handler");
    const place = h("span", { class: "place", "aria-hidden": "true" });
    const state = h("div", { class: "state" });
    const figures = h("dl", { class: "figures" });
    const arrow = (by, name) => h("button", {
      type: "button", class: "icon-button", "aria-label": `Move ${plugin.name} ${name}`, "data-by": by,
      on: { click: () => this.#move(plugin.name, by, `[data-by="${by}"]`) },
    }, icon(name));
    const flag = (name, text) => {
      const box = h("input", { type: "checkbox", checked: plugin[name] });
      box.addEventListener("change", () => this.#flag(plugin.name, name, box.checked));
      return h("label", { class: "check small" }, box, h("span", {}, text));
    };
    const element = h("li", { class: "call", "data-plugin": plugin.name, tabindex: "-1" },
      h("div", { class: "call-place" },
        plugin.isEntry && plugin.isAsked ? h("span", { class: "grip", draggable: "true", title: "Drag to another place" }, icon("grip")) : h("span", { class: "grip none" }),
        place),
      h("div", { class: "call-name" },
        h("h2", {}, plugin.name),
        h("p", { class: "kinds" }, kinds(plugin)),
        h("p", { class: "hint" }, reason(plugin))),
      figures,
      state,
      h("div", { class: "call-actions" },
        !plugin.isAsked ? null : plugin.isEntry
          ? [h("div", { class: "flags" }, flag("tryfirst", "Call first"), flag("trylast", "Call last")),
            h("div", { class: "arrows" }, arrow(-1, "up"), arrow(1, "down"))]
          : h("p", { class: "hint" }, plugin.file ? "Found in the drop-in folder" : "Linked in")),
      details(plugin),
    );
    if (plugin.isAsked) {
      element.addEventListener("keydown", (event) => this.#key(event, plugin.name));
      this.#dragging(element, plugin);
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

  #changed(name, why, focused = null) {
    this.#arrange();
    const called = this.draft.called;
    const place = called.findIndex((plugin) => plugin.name === name) + 1;
    announce(why ?? `${name} is now ${place} of ${called.length} in the draft`);
    const item = this.#items.get(name).element;
    (focused ? item.querySelector(focused) : item).focus({ preventScroll: this.#isDragging });
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

  #dragging(element, plugin) {
    const grip = element.querySelector(".grip");
    grip.addEventListener("dragstart", (event) => {
      this.#dragged = plugin.name;
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", plugin.name);
      event.dataTransfer.setDragImage(element, 16, 16);
      element.classList.add("dragged");
    });
    grip.addEventListener("dragend", () => {
      element.classList.remove("dragged");
      this.#dragged = null;
    });
    // A finger or a pen drags as well: without the browser's own way, which there is none of on phones.
    grip.addEventListener("pointerdown", (event) => {
      if (event.pointerType === "mouse" || !plugin.isEntry) return;
      const drag = new AbortController();
      this.#isDragging = true;
      element.classList.add("dragged");
      const over = () => {
        drag.abort();
        this.#isDragging = false;
        element.classList.remove("dragged");
      };
      // At the window: the grip is taken out of the page and put back at each move.
      const listen = (kind, listener) => window.addEventListener(kind, listener, { signal: drag.signal });
      listen("pointermove", (moved) => {
        const target = document.elementFromPoint(moved.clientX, moved.clientY)?.closest(".call");
        if (target && this.draft.plugin(target.dataset.plugin).isAsked) this.#dropOn(plugin.name, target.dataset.plugin);
      });
      listen("pointerup", over);
      listen("pointercancel", over);
    });
    element.addEventListener("dragover", (event) => {
      if (this.#dragged === null) return;
      event.preventDefault();
      element.classList.add("over");
    });
    element.addEventListener("dragleave", () => element.classList.remove("over"));
    element.addEventListener("drop", (event) => {
      event.preventDefault();
      element.classList.remove("over");
      if (this.#dragged !== null) this.#dropOn(this.#dragged, plugin.name);
    });
  }

  #dropOn(name, target) {
    if (name === target) return;
    const place = this.draft.called.findIndex((plugin) => plugin.name === target);
    this.#changed(name, this.draft.moveTo(name, place));
  }
}

const GROUPS = {
  wrapper: "Wrappers, around all handlers",
  first: "Called first",
  between: "In the order of the file, the last one first",
  last: "Called last",
  other: "Not asked about tokens",
};
