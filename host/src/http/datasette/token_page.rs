//! The page on which somebody makes a token: plain HTML, whose fields are those of Datasette's form.

use ::http::{HeaderValue, Response, StatusCode, header};
use serde_json::json;
use token_plugin_api::{CreateToken, CreatedToken, action_names};

use super::token_form::{ROWS, TokenForm};
use crate::page::{escaped, page};

/// What happened before the page is shown.
pub(super) enum Before<'b> {
    /// Nothing.
    Nothing,
    /// A form with these mistakes in it came.
    Mistakes(&'b [String], &'b TokenForm),
    /// A token was made, at this time in Unix seconds.
    Made(&'b CreateToken, &'b CreatedToken, u64),
}

/// The page for this user.
pub(super) fn token_page(user: &str, before: &Before<'_>) -> Response<Vec<u8>> {
    let empty = TokenForm::default();
    let (status, told, form) = match before {
        Before::Nothing => (StatusCode::OK, String::new(), &empty),
        Before::Mistakes(mistakes, form) => (StatusCode::BAD_REQUEST, mistakes_told(mistakes), *form),
        Before::Made(wanted, made, now) => (StatusCode::OK, token_told(wanted, made, *now), &empty),
    };
    let user = escaped(user);
    let fields = form_fields(form);
    let body = format!(
        "<h1>Create an API token</h1>\
         <p>This token will allow API access with the same abilities as your current user, <strong>{user}</strong>.</p>\
         {told}<form method=\"post\" autocomplete=\"off\">{fields}<button>Create token</button></form>"
    );
    let mut response = page(status, "Create an API token", &body, "'self'");
    // Without a referrer the form would say that it comes from nowhere, and old browsers say nothing else of it.
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    response
}

fn mistakes_told(mistakes: &[String]) -> String {
    let told: String = mistakes.iter().map(|mistake| format!("<p>{}.</p>", escaped(mistake))).collect();
    format!("<div role=\"alert\">{told}</div>")
}

/// The token, this once.
fn token_told(wanted: &CreateToken, made: &CreatedToken, now: u64) -> String {
    let (token, life) = (escaped(&made.token), life(made.expires_at, now));
    let details = json!({
        "actor_id": wanted.actor_id,
        "id": made.id,
        "expires_at": made.expires_at,
        "restrictions": wanted.restrictions,
    });
    let details = escaped_lines(&serde_json::to_string_pretty(&details).unwrap_or_default());
    format!(
        "<div role=\"status\"><h2><label for=\"token\">Your API token</label></h2>\
         <p><input type=\"text\" class=\"copyable\" id=\"token\" readonly spellcheck=\"false\" value=\"{token}\"></p>\
         <p>Copy it now: it is not shown again. {life}</p>\
         <details><summary>Token details</summary><pre>{details}</pre></details></div>\
         <h2>Create another token</h2>"
    )
}

fn life(expires_at: Option<u64>, now: u64) -> String {
    let Some(expires_at) = expires_at else { return "It never expires.".to_owned() };
    let seconds = expires_at.saturating_sub(now);
    let (number, unit) = match seconds {
        0..120 => (seconds, "seconds"),
        120..7200 => (seconds.saturating_add(30) / 60, "minutes"),
        7200..172_800 => (seconds.saturating_add(1800) / 3600, "hours"),
        _ => (seconds.saturating_add(43_200) / 86_400, "days"),
    };
    format!("It expires in about {number} {unit}.")
}

/// JSON has line breaks that are to be kept; in its texts there are none.
fn escaped_lines(text: &str) -> String {
    text.lines().map(escaped).collect::<Vec<_>>().join("\n")
}

fn form_fields(form: &TokenForm) -> String {
    let units = [
        ("", "Token never expires"),
        ("minutes", "Expires after so many minutes"),
        ("hours", "Expires after so many hours"),
        ("days", "Expires after so many days"),
    ];
    let units: String = units
        .iter()
        .map(|(unit, text)| {
            let selected = if form.value("expire_type") == *unit { " selected" } else { "" };
            format!("<option value=\"{unit}\"{selected}>{text}</option>")
        })
        .collect();
    let duration = escaped(form.value("expire_duration"));
    let boxes: String = action_names().map(|action| ticked_box(form, action)).collect();
    let rows: String = ROWS.map(|row| row_fields(form, row)).collect();
    let actions: String = action_names().map(|action| format!("<option value=\"{action}\">")).collect();
    format!(
        "<fieldset><legend>Life</legend><div class=\"fields\">\
         <label>When it expires <select name=\"expire_type\">{units}</select></label>\
         <label>How many <input name=\"expire_duration\" inputmode=\"numeric\" maxlength=\"10\" value=\"{duration}\"></label>\
         </div></fieldset>\
         <p>Without a choice below, the token may do all that you may. With one, it may do that alone.</p>\
         <fieldset><legend>Everywhere</legend><div class=\"fields\">{boxes}</div></fieldset>\
         <fieldset><legend>In one database, or for one table</legend>{rows}\
         <datalist id=\"actions\">{actions}</datalist></fieldset>"
    )
}

fn ticked_box(form: &TokenForm, action: &str) -> String {
    let name = format!("all:{action}");
    let checked = if form.is_ticked(&name) { " checked" } else { "" };
    format!("<label><input type=\"checkbox\" name=\"{name}\"{checked}> {action}</label>")
}

/// Databases and tables are Datasette's: they are typed.
fn row_fields(form: &TokenForm, row: usize) -> String {
    let field = |what: &str, more: &str| {
        let name = format!("{}-{row}", what.to_ascii_lowercase());
        let value = escaped(form.value(&name));
        // With the row's number for those who do not see it.
        format!(
            "<label>{what} <input name=\"{name}\" aria-label=\"{what}, row {row}\" maxlength=\"1024\"{more} value=\"{value}\"></label>"
        )
    };
    let (database, resource) = (field("Database", ""), field("Resource", ""));
    let action = field("Action", " list=\"actions\"");
    format!("<div class=\"fields\">{database}{resource}{action}</div>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(before: &Before<'_>) -> String {
        String::from_utf8(token_page("<b>ann", before).into_body()).unwrap()
    }

    #[test]
    fn what_was_filled_in_is_there_again_and_is_text() {
        let form = b"expire_type=days&expire_duration=%22x&all:view-table=on&database-1=<i>&action-5='";
        let form = TokenForm::parse(form).unwrap();
        let mistakes = ["a <u>".to_owned()];
        let page = text(&Before::Mistakes(&mistakes, &form));
        for part in [
            "<strong>&lt;b&gt;ann</strong>",
            "<p>a &lt;u&gt;.</p>",
            "value=\"days\" selected",
            "value=\"&quot;x\"",
            "name=\"all:view-table\" checked",
            "value=\"&lt;i&gt;\"",
            "value=\"&#39;\"",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert_eq!(page.matches(" checked").count(), 1);
    }

    #[test]
    fn the_life_is_told_as_people_say_it() {
        for (seconds, text) in
            [(90, "90 seconds"), (299, "5 minutes"), (7199, "120 minutes"), (86_399, "24 hours"), (604_799, "7 days")]
        {
            assert_eq!(life(Some(1000 + seconds), 1000), format!("It expires in about {text}."));
        }
        assert_eq!(life(None, 0), "It never expires.");
        assert!(life(Some(u64::MAX), 0).ends_with(" days."));
    }
}
