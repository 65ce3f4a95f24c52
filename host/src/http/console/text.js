// How things are said: text from outside made visible, times, durations and numbers.

// Characters that do not show, or turn around what does.
const UNSEEN = new RegExp(
  [
    // C0 and C1, and halves of characters.
    "[\\u0000-\\u001f\\u007f-\\u009f]|\\p{Cs}",
    // Directions, widths of nothing, separators, annotations, tags.
    "[\\u00ad\\u061c\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb\\u{e0000}-\\u{e007f}]",
  ].join("|"),
  "gu",
);

/** Text from outside, with what does not show written out: `\u{202e}`. */
export function visible(text) {
  return String(text).replace(UNSEEN, (letter) => `\\u{${letter.codePointAt(0).toString(16)}}`);
}

/** The same for text whose lines are to stay lines. */
export function visibleLines(text) {
  return String(text).split("\n").map(visible).join("\n");
}

/** Text that is cut when it is longer. */
export function shortened(text, most) {
  const letters = [...String(text)];
  return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : String(text);
}

const COUNT = new Intl.NumberFormat("en");
const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** A message of the service, as a sentence. */
export function sentence(text) {
  const whole = String(text).trim();
  const capital = whole.charAt(0).toUpperCase() + whole.slice(1);
  return /[.!?]$/.test(capital) ? capital : `${capital}.`;
}

/** A number with its thousands apart. */
export const count = (number) => COUNT.format(number);

/** A number in few characters: `12.3K`. */
export const compact = (number) => (number < 10_000 ? COUNT.format(number) : COMPACT.format(number));

/** `1 token`, `2 tokens`. */
export const counted = (number, one, many = `${one}s`) => `${count(number)} ${number === 1 ? one : many}`;

/** A rate: `0.5`, `12`, `1.2K`. */
export function rate(perSecond) {
  if (perSecond === 0) return "0";
  return perSecond < 10 ? perSecond.toFixed(1) : compact(Math.round(perSecond));
}

/** Nanoseconds, in the unit that suits them. */
export function duration(ns) {
  if (ns === null || !Number.isFinite(ns)) return "–";
  const units = [
    [1e9, "s"],
    [1e6, "ms"],
    [1e3, "µs"],
    [1, "ns"],
  ];
  const [size, unit] = units.find(([size]) => ns >= size) ?? units[3];
  const value = ns / size;
  return `${value >= 100 ? Math.round(value) : Number(value.toPrecision(2))} ${unit}`;
}

const DATE = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });
const CLOCK = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "always" });

// Of a time that no date can say, the number is told.
const dated = (seconds, told) => {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? String(seconds) : told(date);
};

/** A time in Unix seconds, as the reader's clock has it. */
export const moment = (seconds) => dated(seconds, (date) => DATE.format(date));

/** The time of day. */
export const clock = (seconds) => dated(seconds, (date) => CLOCK.format(date));

/** The same in UTC, to the second. */
export const exactly = (seconds) => dated(seconds, (date) => date.toISOString().replace(".000Z", "Z"));

const STEPS = [
  [60, "second", 1],
  [3600, "minute", 60],
  [86_400, "hour", 3600],
  [2_629_800, "day", 86_400],
];
const LONGER = [
  [31_557_600, "month", 2_629_800],
  [Infinity, "year", 31_557_600],
];

/** How far a time in Unix seconds is from now: `3 days ago`, `in 2 hours`. */
export function relative(seconds, now = Date.now() / 1000) {
  const away = seconds - now;
  if (Math.abs(away) < 1) return "now";
  const [, unit, size] = [...STEPS, ...LONGER].find(([below]) => Math.abs(away) < below);
  return RELATIVE.format(Math.round(away / size), unit);
}
