//! Tests of the configuration: what is refused, where the error points, and what it must not say.

use std::{collections::BTreeMap, error::Error, fs, net::SocketAddr};

use serde::Deserialize;

use super::*;

const SECRET: &str = "hunter2";

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    port: u16,
    listen: SocketAddr,
    #[serde(default)]
    limits: Limits,
    #[serde(default)]
    peers: Vec<Limits>,
    #[serde(default)]
    level: Option<crate::log::Level>,
    #[serde(default)]
    labels: BTreeMap<String, u8>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    burst: u32,
}

const GOOD: &str = "port = 443\nlisten = \"127.0.0.1:8443\"\n";

fn file(name: &str, contents: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("chancel-config-{}-{name}", std::process::id()));
    fs::write(&path, contents).expect("writes");
    path
}

fn loaded(name: &str, contents: impl AsRef<[u8]>) -> Result<Config, ConfigError> {
    let path = file(name, contents.as_ref());
    let outcome = load(&path);
    fs::remove_file(path).expect("clean up");
    outcome
}

/// The error of a document, in all its forms, which must not contain the secret; without the path.
fn refused(name: &str, text: &str) -> String {
    let error = loaded(name, text).expect_err("refused");
    let shown = error.to_string();
    let mut everything = format!("{error:?} {error:#?} {shown}");
    let mut source = error.source();
    while let Some(inner) = source {
        everything += &format!("{inner:?} {inner}");
        source = inner.source();
    }
    assert!(!everything.contains(SECRET), "{everything}");
    shown
        .split_once(&format!("{name}:"))
        .expect("names the file")
        .1
        .to_owned()
}

#[test]
fn a_good_file_is_read() {
    let config = loaded("good", format!("{GOOD}level = \"debug\"\n[limits]\nburst = 7\n")).expect("good");
    assert_eq!((config.port, config.limits.burst), (443, 7));
    assert_eq!(config.level, Some(crate::log::Level::Debug));
}

#[test]
fn a_wrong_type_is_shown_with_line_and_key() {
    let text = format!("{GOOD}[limits]\n# comment\nburst = \"{SECRET}\"\n");
    assert_eq!(
        refused("type", &text),
        "5:9: limits.burst: a value of the wrong type, expected u32"
    );
    let text = format!("port = \"{SECRET}\"\n");
    assert_eq!(
        refused("top", &text),
        "1:8: port: a value of the wrong type, expected u16"
    );
    let text = format!("{GOOD}[[peers]]\nburst = 1\n[[peers]]\nburst = \"{SECRET}\"\n");
    assert_eq!(
        refused("array", &text),
        "6:9: peers.burst: a value of the wrong type, expected u32"
    );
    let text = format!("{GOOD}limits = {{ burst = \"{SECRET}\" }}\n");
    assert_eq!(
        refused("inline", &text),
        "3:20: limits.burst: a value of the wrong type, expected u32"
    );
    let text = format!("{GOOD}limits.burst = \"{SECRET}\"\n");
    assert_eq!(
        refused("dotted", &text),
        "3:16: limits.burst: a value of the wrong type, expected u32"
    );
}

#[test]
fn a_value_out_of_range_or_of_another_form_is_not_quoted() {
    assert_eq!(
        refused("range", "port = 70000\n"),
        "1:8: port: a value that is not possible, expected u16"
    );
    let text = format!("port = 1\nlisten = \"{SECRET}\"\n");
    assert_eq!(
        refused("address", &text),
        "2:10: listen: the value is not accepted"
    );
    let text = format!("{GOOD}level = \"{SECRET}\"\n");
    assert_eq!(
        refused("variant", &text),
        "3:9: level: a name that is not known, expected one of `error`, `warn`, `info`, `debug`, `trace`"
    );
}

#[test]
fn unknown_and_missing_keys_are_named() {
    let text = format!("{GOOD}prot = \"{SECRET}\"\n");
    let shown = refused("unknown", &text);
    assert!(
        shown.starts_with("3:1: prot: unknown field `prot`, expected one of `port`"),
        "{shown}"
    );
    let text = format!("{GOOD}[limits]\nburts = \"{SECRET}\"\n");
    assert_eq!(
        refused("nested", &text),
        "4:1: limits.burts: unknown field `burts`, expected `burst`"
    );
    assert_eq!(
        refused("missing", "port = 1\n"),
        "1:1: top level: missing field `listen`"
    );
    assert_eq!(refused("empty", ""), "1:1: top level: missing field `port`");
    assert_eq!(
        refused("header", &format!("{GOOD}[limits]\n")),
        "3:1: limits: missing field `burst`"
    );
}

#[test]
fn broken_toml_is_not_quoted() {
    for (name, text) in [
        ("unclosed", format!("port = 1\ntoken = \"{SECRET}\n")),
        ("bare", format!("port = 1\ntoken = {SECRET}\n")),
        ("bare-word", format!("port = 1\ntoken = {SECRET}!{SECRET}\n")),
        ("trailing", format!("port = 1\ntoken = 1 {SECRET}\n")),
        ("no-value", format!("port = 1\n{SECRET}\n")),
        ("escape", format!("port = 1\ntoken = \"\\q{SECRET}\"\n")),
        ("number", format!("port = 1\ntoken = 0x{SECRET}\n")),
        ("date", format!("port = 1\ntoken = 2026-99-99{SECRET}\n")),
        ("table", format!("port = 1\n[ {SECRET}\n")),
    ] {
        let shown = refused(name, &text);
        assert!(
            shown.starts_with("2:") || shown.starts_with("3:"),
            "{name}: {shown}"
        );
    }
    assert_eq!(refused("twice", "port = 1\nport = 2\n"), "2:1: duplicate key");
}

#[test]
fn control_characters_in_a_key_do_not_reach_the_log() {
    let shown = refused(
        "control",
        &format!("{GOOD}[labels]\n\"a\\nb\\u001b[31m\" = \"{SECRET}\"\n"),
    );
    assert_eq!(
        shown,
        "4:20: labels.a\\nb\\u{1b}[31m: a value of the wrong type, expected u8"
    );
    let shown = refused("control-field", &format!("{GOOD}\"a\\nb\" = 1\n"));
    assert!(
        shown.starts_with("3:1: a\\nb: unknown field `a b`, expected"),
        "{shown}"
    );
}

#[test]
fn columns_count_characters() {
    assert_eq!(
        refused("columns", "port = 1\nlisten = [ \"äöü\", ] # \n")
            .split(':')
            .nth(1),
        Some("10")
    );
}

#[test]
fn what_is_no_text_file_is_refused() {
    let error = loaded("bytes", b"port = 1\n\xff\xfe").expect_err("refused");
    assert!(matches!(error, ConfigError::NotText { line: 2, .. }), "{error:?}");
    let error = load::<Config>(&std::env::temp_dir()).expect_err("refused");
    assert!(matches!(error, ConfigError::NotAFile(_)), "{error:?}");
    let error = load::<Config>(Path::new("/dev/zero")).expect_err("refused");
    assert!(matches!(error, ConfigError::NotAFile(_)), "{error:?}");
    let error = load::<Config>(Path::new("/nonexistent/chancel.toml")).expect_err("refused");
    assert!(matches!(error, ConfigError::Unreadable { .. }), "{error:?}");
}

#[test]
fn a_file_at_the_limit_is_read_and_one_byte_more_is_not() {
    let limit = usize::try_from(MAX_BYTES).expect("small");
    let padded = |length: usize| format!("{GOOD}#{}", "x".repeat(length - GOOD.len() - 1));
    loaded("limit", padded(limit)).expect("at the limit");
    let error = loaded("over", padded(limit + 1)).expect_err("over the limit");
    assert!(matches!(error, ConfigError::TooLarge(_)), "{error:?}");
}
