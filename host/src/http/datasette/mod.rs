//! What Datasette's clients ask for, answered as Datasette 1.0 does: whom a token stands for, and a page that makes one.
//!
//! # Where it is not Datasette's answer
//!
//! - `bearer` in any case, and the other schemes of `[http] schemes`, are looked at; a malformed or second
//!   `Authorization` is 400, not "nobody".
//! - Too many bad tokens are 429; where a handler cannot tell, it is 503. Both with Datasette's body of an error.
//! - Nothing here is ever kept in a cache, also when it is about nobody.
//! - Who is signed in by a header is asked of `[http] user_header`, from trusted proxies alone; a token beside it comes
//!   first.
//! - The form with a mistake in it is 400 (there 200), and what looks like a restriction and is none is a mistake: there it
//!   is passed over, and the token may do more than it was meant to.
//! - The token is made by the first handler in call order that can, which need not be `signed`.
//! - `Sec-Fetch-Site: none` is no page of ours, and neither is `Origin: null`; proxies that are trusted say which host and
//!   scheme the browser sees.

mod actor;
mod answer;
mod asker;
mod create_token;
mod same_origin;
mod token_form;
mod token_page;

use axum::{Router, routing::any};

/// Both paths. Methods are told apart behind them: Datasette has its own answer to wrong ones.
pub(super) fn router() -> Router {
    Router::new().route("/-/actor.json", any(actor::actor)).route("/-/create-token", any(create_token::create_token))
}
