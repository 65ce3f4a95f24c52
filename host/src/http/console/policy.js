// Policy documents, checked as the service checks them, so that a fault shows where it is made.

/** The document in this text, or throws what is wrong with it. */
export function policyIn(text) {
  let document;
  try {
    document = JSON.parse(text);
  } catch (error) {
    throw new Error(`This is no JSON: ${error.message}`);
  }
  const fault = policyFault(document);
  if (fault) throw new Error(fault);
  return document;
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** What is wrong with a document, in the service's words; null: nothing. */
export function policyFault(document) {
  if (!isObject(document)) return "The policy must be a JSON object.";
  if (Object.keys(document).length === 0) return null;
  if (!("resources" in document)) return 'The policy is missing a "resources" section.';
  const { resources } = document;
  if (!isObject(resources)) return 'The policy\'s "resources" section must be a JSON object.';
  if (Object.keys(resources).length === 0) return 'The policy\'s "resources" section must not be empty.';
  for (const [name, items] of Object.entries(resources)) {
    const section = `resources.${name}`;
    if (name === "*") {
      const fault = rulesFault(items, section);
      if (fault) return fault;
      continue;
    }
    if (!isObject(items)) return `The "${section}" section must be a JSON object.`;
    for (const [id, rules] of Object.entries(items)) {
      const fault = rulesFault(rules, `${section}.${id}`);
      if (fault) return fault;
    }
  }
  return null;
}

function rulesFault(rules, section) {
  if (!isObject(rules)) return `The "${section}" section must be a JSON object.`;
  if (!("allow" in rules) && !("block" in rules)) {
    return `The "${section}" section must have "allow" and/or "block" rules.`;
  }
  for (const kind of ["allow", "block"].filter((kind) => kind in rules)) {
    if (!Array.isArray(rules[kind])) return `The "${section}" section's "${kind}" rule must be a list.`;
    if (rules[kind].some((method) => typeof method !== "string")) {
      return `The "${section}" section's "${kind}" rule must be a list of strings.`;
    }
  }
  return null;
}

/** One to begin with: everything may be read. */
export const EXAMPLE = JSON.stringify(
  { resources: { "*": { allow: ["GET", "HEAD", "OPTIONS"], block: ["*"] } } },
  null,
  2,
);
