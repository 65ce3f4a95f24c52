//! What stays as it was written, and what is refused.

use super::*;

const USUAL: &str = "\
# The file.
# Of several lines.

[host]
search = ['lib'] # here

# About a,
  # twice.
[[plugin]]   # the first
name = 'a' # its name
file = \"token_a\"

# Why it is so.
tryfirst = true
config.secret.env = 'A'
[plugin.config.more] # and more
text = '''
# no comment
[[plugin]]
'''
# deadline_ms = 5

# Stands apart.


# About b.
[[plugin]]
file = 'token_b'
name = \"b\"
[[plugin.config.list]]
x = 1
[[plugin.config.list]]
x = 2

[http]
api = true

# About c.
[[plugin]]
name = 'c'
config = { secret = { env = 'C' }, list = [
    1, # one
] }
# Of c.

# The end.
";

fn order(names: &[&str]) -> Vec<EntryPlace> {
    names.iter().map(|name| EntryPlace::new(*name)).collect()
}

fn flagged(name: &str, tryfirst: FlagChange, trylast: FlagChange) -> EntryPlace {
    EntryPlace { tryfirst, trylast, ..EntryPlace::new(name) }
}

#[test]
fn entries_move_with_their_comments_and_nothing_else_does() {
    assert_eq!(reorder(USUAL, &order(&["a", "b", "c"])).unwrap(), USUAL);
    let edited = reorder(USUAL, &order(&["c", "a", "b"])).unwrap();
    let (a, b, c) = (
        &USUAL[USUAL.find("# About a,").unwrap()..USUAL.find("\n\n\n# About b.").unwrap()],
        &USUAL[USUAL.find("# About b.").unwrap()..USUAL.find("\n\n[http]").unwrap()],
        &USUAL[USUAL.find("# About c.").unwrap()..USUAL.find("\n\n# The end.").unwrap()],
    );
    let top = "# The file.\n# Of several lines.\n\n[host]\nsearch = ['lib'] # here\n\n";
    assert_eq!(edited, format!("{top}{c}\n\n\n{a}\n\n[http]\napi = true\n\n{b}\n\n# The end.\n"));
    assert_eq!(reorder(&edited, &order(&["a", "b", "c"])).unwrap(), USUAL, "and back again");
}

#[test]
fn every_order_of_it_has_every_line_and_goes_back_to_what_it_was() {
    fn lines(text: &str) -> Vec<&str> {
        let mut lines: Vec<&str> = text.lines().collect();
        lines.sort_unstable();
        lines
    }
    for names in [["a", "c", "b"], ["b", "a", "c"], ["b", "c", "a"], ["c", "b", "a"]] {
        let edited = reorder(USUAL, &order(&names)).unwrap();
        let back = reorder(&edited, &order(&["a", "b", "c"])).unwrap();
        assert_ne!(edited, USUAL);
        assert_eq!((lines(&edited), lines(&back)), (lines(USUAL), lines(USUAL)));
        // What stood apart behind an entry stands at the end of the file when the entry was the last one.
        assert!(back == USUAL || names[2] == "a", "{names:?}: {back}");
    }
}

#[test]
fn line_endings_and_the_mark_at_the_beginning_stay() {
    let crlf = format!("\u{FEFF}{}", USUAL.replace('\n', "\r\n"));
    let expected = reorder(USUAL, &order(&["b", "c", "a"])).unwrap();
    let edited = reorder(&crlf, &order(&["b", "c", "a"])).unwrap();
    assert_eq!(edited, format!("\u{FEFF}{}", expected.replace('\n', "\r\n")));
    let first = "\u{FEFF}# a\r\n[[plugin]]\r\nname='a'\r\n[[plugin]]\r\nname='b'";
    let edited = reorder(first, &[flagged("b", FlagChange::True, FlagChange::AsWritten), EntryPlace::new("a")]);
    let expected = "\u{FEFF}[[plugin]]\r\nname='b'\r\ntryfirst = true\r\n# a\r\n[[plugin]]\r\nname='a'";
    assert_eq!(edited.unwrap(), expected);
    let bare = "\u{FEFF}[[plugin]]\nname='a'\n[[plugin]]\nname='b'\n";
    assert!(reorder(bare, &order(&["b", "a"])).unwrap().starts_with("\u{FEFF}[[plugin]]\nname='b'"));
}

#[test]
fn flags_are_set_and_taken_away_where_they_are() {
    use FlagChange::{AsWritten, False, True, Unwritten};
    let one = |text: &str, tryfirst, trylast| reorder(text, &[flagged("a", tryfirst, trylast)]).unwrap();
    let plain = "[[plugin]]\nname = 'a' # why\nfile = 'x'\n";
    assert_eq!(one(plain, True, AsWritten), "[[plugin]]\nname = 'a' # why\ntryfirst = true\nfile = 'x'\n");
    assert_eq!(one(plain, Unwritten, Unwritten), plain);
    assert_eq!(one("[[plugin]]\nname = 'a'", AsWritten, False), "[[plugin]]\nname = 'a'\ntrylast = false");
    let both = "[[plugin]]\nname = 'a'\n# Since yesterday.\n  tryfirst=true # must\ntrylast = false\n";
    assert_eq!(one(both, AsWritten, AsWritten), both);
    assert_eq!(one(both, False, True), both.replace("=true", "=false").replace("= false", "= true"));
    assert_eq!(
        one(both, Unwritten, AsWritten),
        "[[plugin]]\nname = 'a'\n# Since yesterday.\n  # must\ntrylast = false\n"
    );
    assert_eq!(one(both, AsWritten, Unwritten), both.replace("trylast = false\n", "\n").replace("\n\n", "\n"));
    let last = "[[plugin]]\nname = 'a'\ntryfirst = true\ntrylast = true\n\n# End.\n";
    assert_eq!(one(last, Unwritten, Unwritten), "[[plugin]]\nname = 'a'\n\n# End.\n");
    let middle = "[[plugin]]\r\ntrylast = true\r\nname = 'a'\r\n[plugin.config]\r\ntryfirst = 5\r\n";
    assert_eq!(one(middle, AsWritten, Unwritten), middle.replace("trylast = true\r\n", ""));
    assert_eq!(one(middle, True, AsWritten), middle.replace("'a'\r\n", "'a'\r\ntryfirst = true\r\n"));
}

#[test]
fn lists_of_tables_are_understood() {
    use FlagChange::{AsWritten, True, Unwritten};
    let list =
        "plugin = [\n  { name = 'a', tryfirst = true, trylast = false },\n  {name='b',config={x=1}}\n] # all\n[http]\n";
    let edited = reorder(list, &[flagged("b", True, True), flagged("a", Unwritten, AsWritten)]).unwrap();
    let expected = "plugin = [\n  {name='b', trylast = true, tryfirst = true,config={x=1}},\n  { name = 'a', trylast = false }\n] # all\n[http]\n";
    assert_eq!(edited, expected);
    let gone = reorder(list, &[flagged("a", Unwritten, Unwritten), EntryPlace::new("b")]).unwrap();
    assert!(gone.contains("{ name = 'a'") && !gone.contains("try"), "{gone}");
    assert_eq!(reorder("plugin = []\n", &[]).unwrap(), "plugin = []\n");
    let commented = "plugin = [\n {name='a'}, # a\n {name='b'}\n]\n";
    assert!(matches!(reorder(commented, &order(&["b", "a"])), Err(CannotReorder::Text(_))));
}

#[test]
fn an_order_names_each_entry_once() {
    for bad in [&["a", "b"][..], &["a", "b", "b"], &["a", "b", "c", "d"], &["a", "b", "C"], &[]] {
        assert!(matches!(reorder(USUAL, &order(bad)), Err(CannotReorder::Order(_))), "{bad:?}");
    }
    assert_eq!(reorder("", &[]).unwrap(), "");
    assert_eq!(
        reorder("[http]\n", &order(&["a"])),
        Err(CannotReorder::Order(r#"there is no [[plugin]] entry "a""#.into()))
    );
}

#[test]
fn what_is_not_understood_is_left_alone() {
    let apart = "[[plugin]]\nname = 'a'\n[http]\n[plugin.config]\nx = 1\n[[plugin]]\nname = 'b'\n";
    for text in [apart, "plugin = 1\n", "[plugin]\nname = 'a'\n", "x = \n", "[[plugin]]\nname = 1\n", "[[plugin]]\n"] {
        assert!(matches!(reorder(text, &order(&["b", "a"])), Err(CannotReorder::Text(_))), "{text}");
    }
}

#[test]
fn the_sample_can_be_put_into_any_order() {
    let sample = include_str!("../../../../plugins.toml");
    let names: Vec<String> = toml::from_str::<toml::Table>(sample).unwrap()["plugin"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["name"].as_str().unwrap().to_owned())
        .collect();
    let there: Vec<EntryPlace> = names.iter().map(EntryPlace::new).collect();
    let reversed: Vec<EntryPlace> = names.iter().rev().map(EntryPlace::new).collect();
    let edited = reorder(sample, &reversed).unwrap();
    assert_eq!(reorder(&edited, &there).unwrap(), sample);
    assert_eq!(reorder(sample, &there).unwrap(), sample);
}
