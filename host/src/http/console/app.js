// The console: signing in, the sections, signing out.

import { charts } from "./charts.js";
import { announce } from "./dom.js";
import { events } from "./events.js";
import { inspector } from "./inspector.js";
import { plugins } from "./plugins.js";
import { openShell } from "./shell.js";
import { askForToken } from "./sign_in.js";
import { tokens } from "./tokens.js";

const root = document.getElementById("root");
let session = null;

// A link to a part of the page is one to its section as well: the target is focused without changing the address.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  document.getElementById("content")?.focus();
});

function start(why = null) {
  document.title = "token-host console";
  askForToken(root, why, end, (entered) => {
    session = entered;
    announce(`Signed in as ${entered.me.actor.id}`);
    openShell(root, entered, [plugins, tokens, inspector, events, charts], () => end(null));
  });
}

function end(why) {
  session?.end();
  session = null;
  start(why);
}

// A page that is left may be kept to be shown again, with all that it holds.
window.addEventListener("pagehide", () => session && end(null));

start();
