// What is there between signing in and signing out: who it is, what can be asked, and what goes on behind the sections.

import { Api } from "./api.js";
import { Figures } from "./figures.js";
import { EventLog } from "./stream.js";

// RFC 6750's characters of a bearer token, and none besides: others cannot stand in a header.
const TOKEN = /^[\x21-\x7e]+$/;

/** Signs in with a token, or throws why not. `ended` is called with a message when the token is accepted no more. */
export async function signIn(token, ended) {
  const given = token.trim();
  if (given === "") throw new Error("Paste a token.");
  if (!TOKEN.test(given)) throw new Error("That is no token: it has spaces or letters that a token cannot have.");
  const session = new Session(given, ended);
  try {
    session.me = await session.api.get("me");
  } catch (problem) {
    session.end();
    throw problem;
  }
  session.figures.start();
  return session;
}

/** Between signing in and signing out. */
class Session {
  #ending = new AbortController();

  constructor(token, ended) {
    const refused = (problem) => {
      if (this.me && !this.signal.aborted) ended(`The token is accepted no more. ${problem.message}`);
    };
    this.me = null;
    this.api = new Api(token, this.#ending.signal, refused);
    this.figures = new Figures(this.api, this.signal);
    this.events = new EventLog(this.api, this.signal);
  }

  /** Aborted at its end. */
  get signal() {
    return this.#ending.signal;
  }

  /** Forgets the token, and ends everything that goes on. */
  end() {
    this.api.forget();
    this.#ending.abort();
  }
}
