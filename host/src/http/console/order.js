// The call order: pluggy's law, and a draft of another order of the entries.

/** The call order of registrations, in the order of their registration: names, wrappers first. */
export function callOrder(registrations) {
  const orderOf = (isWrapper) => {
    // pluggy keeps them in reverse call order, and inserts each in turn.
    const reverse = [];
    for (const one of registrations.filter((one) => one.isWrapper === isWrapper)) {
      let place = reverse.findLastIndex((earlier) => !earlier.tryfirst) + 1;
      if (one.trylast) place = 0;
      else if (one.tryfirst) place = reverse.length;
      reverse.splice(place, 0, one);
    }
    return reverse.reverse().map((one) => one.name);
  };
  return [...orderOf(true), ...orderOf(false)];
}

/** Where a plugin is among the others by its flags. */
export const groupOf = (plugin) => (plugin.trylast ? "last" : plugin.tryfirst ? "first" : "between");

const GROUPS = { first: "those called first", between: "those in between", last: "those called last" };

/** The plugins of a listing, each with its rows, in the order of their registration. */
export function pluginsOf(rows, entries) {
  const plugins = new Map();
  for (const row of rows) {
    const plugin = plugins.get(row.plugin) ?? newPlugin(row);
    plugin.rows.push(row);
    plugins.set(row.plugin, plugin);
  }
  const written = entries && new Set(entries.map((entry) => entry.name));
  const all = [...plugins.values()];
  for (const plugin of all) {
    const kinds = plugin.rows.map((row) => row.kind);
    plugin.isWrapper = kinds.includes("wrapper") && !kinds.includes("handler");
    plugin.isEntry = written ? written.has(plugin.name) : false;
    plugin.isAsked = kinds.includes("wrapper") || kinds.includes("handler");
  }
  return all.sort((one, other) => one.registered - other.registered);
}

function newPlugin(row) {
  // `registered 3rd; tryfirst from config`
  const registered = Number(/^registered (\d+)/.exec(row.reason)?.[1] ?? 0);
  const { plugin: name, reason, tryfirst, trylast, file, sha256, version } = row;
  return { name, reason, registered, tryfirst, trylast, file, sha256, version, rows: [] };
}

/** An order of the entries that is wanted, and not written yet. */
export class Draft {
  #before;

  /** `plugins` in the order of their registration. */
  constructor(plugins) {
    this.#before = plugins.map(({ name, tryfirst, trylast }) => ({ name, tryfirst, trylast }));
    this.plugins = plugins.map((plugin) => ({ ...plugin }));
  }

  /** Whether anything is to be written. */
  get isChanged() {
    return this.plugins.some((plugin, place) => {
      const before = this.#before[place];
      return plugin.name !== before.name || plugin.tryfirst !== before.tryfirst || plugin.trylast !== before.trylast;
    });
  }

  /** The plugins that are asked about tokens, in call order. */
  get called() {
    return this.#ordered.filter((plugin) => plugin.isAsked);
  }

  /** All others, in the same order. */
  get others() {
    return this.#ordered.filter((plugin) => !plugin.isAsked);
  }

  get #ordered() {
    return callOrder(this.plugins).map((name) => this.plugin(name));
  }

  plugin(name) {
    return this.plugins.find((plugin) => plugin.name === name);
  }

  /** Moves an entry by one place in the call order, -1 towards the first. Says why not, or gives null. */
  move(name, by) {
    const called = this.called;
    const place = called.findIndex((plugin) => plugin.name === name);
    const [plugin, other] = [called[place], called[place + by]];
    if (!plugin.isEntry) return `${name} is no entry of plugins.toml: it stays where it is`;
    const edge = by < 0 ? "first" : "last";
    if (!other || other.isWrapper !== plugin.isWrapper) {
      return `${name} is the ${edge} ${plugin.isWrapper ? "wrapper" : "one"} already`;
    }
    if (groupOf(other) !== groupOf(plugin)) {
      return `${name} is the ${edge} of ${GROUPS[groupOf(plugin)]}: change its flags to move it further`;
    }
    if (!other.isEntry) return `${other.name} is no entry of plugins.toml: it stays where it is`;
    const [one, two] = [this.plugins.indexOf(plugin), this.plugins.indexOf(other)];
    [this.plugins[one], this.plugins[two]] = [other, plugin];
    return null;
  }

  /** Moves an entry to a place in the call order, as far as it goes. Says why no further, or gives null. */
  moveTo(name, target) {
    for (;;) {
      const place = this.called.findIndex((plugin) => plugin.name === name);
      if (place === target) return null;
      const why = this.move(name, Math.sign(target - place));
      if (why) return why;
    }
  }

  /** The order as the service wants it: entries in the order of the file; flags that stay are null. */
  asked() {
    return this.plugins
      .filter((plugin) => plugin.isEntry)
      .map(({ name, tryfirst, trylast }) => {
        const before = this.#before.find((plugin) => plugin.name === name);
        const flag = (now, then) => (now === then ? null : now);
        return { name, tryfirst: flag(tryfirst, before.tryfirst), trylast: flag(trylast, before.trylast) };
      });
  }
}
