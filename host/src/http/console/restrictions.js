// What a token may do: built row by row, and shown in words.

import { announce, fill, h, icon } from "./dom.js";
import { field, input, select } from "./form.js";

const ACTIONS = {
  admin: "admin",
  vi: "view-instance",
  pd: "permissions-debug",
  dm: "debug-menu",
  vd: "view-database",
  vdd: "view-database-download",
  es: "execute-sql",
  ews: "execute-write-sql",
  ct: "create-table",
  cv: "create-view",
  sq: "store-query",
  vt: "view-table",
  ir: "insert-row",
  dr: "delete-row",
  ur: "update-row",
  at: "alter-table",
  sct: "set-column-type",
  dt: "drop-table",
  dv: "drop-view",
  vq: "view-query",
  uq: "update-query",
  dq: "delete-query",
};

/** Rows of actions, each on everything, on a database, or on a resource of one. */
export class RestrictionsBuilder {
  #rows = [];
  #list = h("ul", { class: "rows" });
  #warning = h(
    "p",
    { class: "hint strong", hidden: true },
    icon("warning"),
    "With the action admin, whoever holds the token can do all that this console can.",
  );

  constructor() {
    const known = h(
      "datalist",
      { id: "actions" },
      Object.values(ACTIONS).map((name) => h("option", { value: name })),
    );
    const add = h(
      "button",
      { type: "button", on: { click: () => this.#add(true) } },
      icon("plus"),
      h("span", {}, "Add an action"),
    );
    this.element = h(
      "fieldset",
      { class: "builder" },
      h("legend", {}, "Allowed actions"),
      known,
      this.#list,
      this.#warning,
      add,
    );
    this.#add(false);
  }

  /** The restrictions, or null after it was said beside a row what is missing. */
  value() {
    const restrictions = { a: [], d: {}, r: {} };
    let isWhole = true;
    for (const { on, action, database, resource } of this.#rows) {
      const needed = [
        action,
        ...(on.value === "all" ? [] : [database]),
        ...(on.value === "resource" ? [resource] : []),
      ];
      for (const one of needed) {
        const isEmpty = one.value.trim() === "";
        one.fail(isEmpty ? "Fill this in." : null);
        isWhole &&= !isEmpty;
      }
      const [a, d, r] = [action, database, resource].map((one) => one.value.trim());
      if (on.value === "all") restrictions.a.push(a);
      if (on.value === "database") own(restrictions.d, d, []).push(a);
      if (on.value === "resource") own(own(restrictions.r, d, {}), r, []).push(a);
    }
    return isWhole ? restrictions : null;
  }

  #add(isFocused) {
    const action = field("Action", input({ list: "actions", placeholder: "view-table" }));
    const on = field(
      "On",
      select([
        ["all", "everything"],
        ["database", "a database"],
        ["resource", "a resource"],
      ]),
    );
    const database = field("Database", input());
    const resource = field("Table, view or query", input());
    const remove = h(
      "button",
      { type: "button", class: "icon-button remove", "aria-label": "Remove this action" },
      icon("close"),
    );
    const row = { on: on.control, action, database, resource };
    const element = h("li", {}, action.element, on.element, database.element, resource.element, remove);
    const fit = () => {
      database.element.hidden = on.value === "all";
      resource.element.hidden = on.value !== "resource";
    };
    const warn = () => {
      this.#warning.hidden = !this.#rows.some((one) => one.action.value.trim() === "admin");
    };
    on.control.addEventListener("change", fit);
    action.control.addEventListener("input", warn);
    remove.addEventListener("click", () => {
      this.#rows.splice(this.#rows.indexOf(row), 1);
      element.remove();
      announce("Removed");
      warn();
      if (this.#rows.length === 0) this.#add(false);
      this.#rows[0].action.control.focus();
    });
    fit();
    this.#rows.push(row);
    this.#list.append(element);
    if (isFocused) action.control.focus();
  }
}

function own(of, name, empty) {
  if (!Object.hasOwn(of, name)) Object.defineProperty(of, name, { value: empty, enumerable: true });
  return of[name];
}

/** Restrictions in words. */
export function restrictionsInWords(restrictions) {
  if (restrictions === null || restrictions === undefined) return h("p", {}, "Everything that its actor may do.");
  const named = (actions) => actions.map((action) => ACTIONS[action] ?? action).join(", ");
  const rows = [];
  if (restrictions.a?.length > 0) rows.push(["On everything", named(restrictions.a)]);
  for (const [database, actions] of Object.entries(restrictions.d ?? {})) rows.push([`On ${database}`, named(actions)]);
  for (const [database, resources] of Object.entries(restrictions.r ?? {})) {
    for (const [name, actions] of Object.entries(resources)) rows.push([`On ${database} / ${name}`, named(actions)]);
  }
  if (rows.length === 0) return h("p", {}, "Nothing at all.");
  return fill(
    h("dl", { class: "facts" }),
    rows.map(([term, value]) => h("div", {}, h("dt", {}, term), h("dd", {}, value))),
  );
}
