//! What the daemons export, what the pages say of it, and what alerts and the dashboard look at: the same names, types,
//! labels and values. An alert on a series that nobody exports is never raised, and nobody would notice.

use chancel_domain::{Algorithm, Content, KeyVersion, Operation};
use chancel_tests::api::{KEM, SIGNATURE, refused};
use chancel_tests::http::Client;
use chancel_tests::raw::input;
use chancel_tests::{ApiKey, Daemon, Installation};
use chancel_wire::hello::{HELLO_LEN, Role};
use chancel_wire::keyd::{KeydError, UseInput};
use chancel_wire::permit::PayloadDigest;
use chancel_wire::policyd::{Ask, PolicydReply, Verdict};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/operations/monitoring.md";
const ALERTS: &str = "packaging/monitoring/alerts.yml";
const DASHBOARD: &str = "packaging/monitoring/dashboard.json";
const OPERATIONS: &str = "docs/operations";

/// A metric: its type, and the names and values of its labels.
#[derive(Debug, Default)]
struct Metric {
    kind: String,
    words: BTreeSet<String>,
}

type Metrics = BTreeMap<String, Metric>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn file(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// An installation in which everything has happened that makes a series appear: most of keyd's counters are not exported
/// while they are 0.
fn eventful() -> Installation {
    let system = Installation::new();
    let (_, api_key) = system.tenant_with_api_key("watched");
    let api = system.api(&api_key);
    for algorithm in [KEM, SIGNATURE] {
        api.first_key(algorithm);
    }
    let mut sealed = api.encrypt(b"text").expect("sealed");
    api.decrypt(&sealed).expect("opened");
    *sealed.bytes.last_mut().expect("bytes") ^= 1;
    refused(api.decrypt(&sealed), 400, "ERR_KEM_003");
    use_a_permit_twice(&system, &api_key);
    knock(&system);
    system
}

fn use_a_permit_twice(system: &Installation, api_key: &ApiKey) {
    let (layout, gateway) = (system.layout(), system.attacker_in_gateway());
    let peer = |socket: PathBuf, token: &str| {
        let token = gateway.token(&layout.path(token));
        gateway.peer(&socket, Role::Gateway, &token).expect("welcome")
    };
    let mut policyd = peer(layout.policyd_socket(), "gateway/gateway-policyd.token");
    let mut keyd = peer(layout.keyd_socket(), "gateway/gateway-keyd.token");
    let input = input(&UseInput::Sign(Content::raw(b"once")));
    let ask = Ask::Use {
        operation: Operation::Sign,
        algorithm: Algorithm::MlDsa65,
        version: Some(KeyVersion::FIRST),
        payload: Some(PayloadDigest::of(&input)),
        batch: None,
    };
    let PolicydReply::Judged {
        verdict: Verdict::Granted {
            permit: Some(permit), ..
        },
        ..
    } = policyd.ask_policyd(&api_key.text, ask)
    else {
        panic!("policyd gave no permit");
    };
    keyd.use_key(&permit, &input).expect("signed");
    assert_eq!(keyd.use_key(&permit, &input), Err(KeydError::PermitReplayed));
}

/// Says something at keyd's door that is no hello.
fn knock(system: &Installation) {
    let actor = system.attacker_in_gateway();
    let mut line = actor.connect(&system.layout().keyd_socket());
    line.line.send(&[0; HELLO_LEN]).expect("sent");
    assert!(line.line.is_closed());
}

fn exported(system: &Installation) -> Metrics {
    let monitor = system.monitor_url().expect("where it is monitored");
    let answer = Client::plain(monitor, None).get("/metrics").expect("an answer");
    let mut metrics = Metrics::new();
    for line in answer.text.lines() {
        if let Some(declared) = line.strip_prefix("# TYPE ") {
            let (name, kind) = declared.split_once(' ').expect("a name and a type");
            metrics.entry(name.to_owned()).or_default().kind = kind.to_owned();
        } else {
            let (name, labels) = line.split_once('{').unwrap_or((line, ""));
            let name = name.split(' ').next().expect("a name");
            let name = family(name, &metrics).unwrap_or_else(|| panic!("{name} is not declared"));
            let (labels, _) = labels.rsplit_once('}').unwrap_or_default();
            let words = labels
                .split(',')
                .filter(|label| !label.is_empty())
                .flat_map(|label| {
                    let (label, value) = label.split_once('=').expect("a label and its value");
                    let value = value.trim_matches('"');
                    // The classes of a histogram are numbers, and the codes are those of the API.
                    let value = (!["le", "code"].contains(&label)).then_some(value);
                    [Some(label), value].into_iter().flatten().map(str::to_owned)
                });
            metrics.get_mut(&name).expect("declared").words.extend(words);
        }
    }
    metrics
}

/// The metric that a series belongs to: a histogram has three series.
fn family(series: &str, metrics: &Metrics) -> Option<String> {
    let is_histogram = |name: &&str| {
        metrics
            .get(*name)
            .is_some_and(|metric| metric.kind == "histogram")
    };
    let histogram = ["_bucket", "_count", "_sum"]
        .iter()
        .find_map(|end| series.strip_suffix(end))
        .filter(is_histogram);
    let name = histogram.unwrap_or(series);
    metrics.contains_key(name).then(|| name.to_owned())
}

/// The rows of the page's tables: name, type, labels with their values, and what else is said of it.
fn documented() -> Metrics {
    let mut metrics = Metrics::new();
    let page = file(PAGE);
    for row in page.lines().filter(|line| line.starts_with("| `chancel_")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, name, kind, labels, meaning, matters, _] = cells[..] else {
            panic!("a row has five cells: {row}");
        };
        assert!(!meaning.is_empty() && !matters.is_empty(), "{name}");
        let metric = Metric {
            kind: kind.to_owned(),
            words: quoted(labels).collect(),
        };
        let twice = metrics.insert(name.trim_matches('`').to_owned(), metric);
        assert!(twice.is_none(), "{name} stands there twice");
    }
    metrics
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// Where a text names a series, with what follows it.
fn named(text: &str) -> Vec<(&str, &str)> {
    let is_name = |byte: u8| byte == b'_' || byte.is_ascii_lowercase();
    let mut found = Vec::new();
    for (start, _) in text.match_indices("chancel_") {
        let before = text[..start].bytes().next_back();
        let length = text[start..].bytes().take_while(|byte| is_name(*byte)).count();
        let (name, after) = text[start..].split_at(length);
        // `chancel_keyd::run` is a module, as the log names it, and `chancel_*_total` stands for several.
        if !before.is_some_and(is_name) && !after.starts_with("::") && name != "chancel_" {
            found.push((name, after));
        }
    }
    found
}

/// The labels and values that a selector asks for. Regular expressions are lists of values: others could not be looked up.
fn asked_for(after: &str) -> Vec<(String, String)> {
    let Some((selector, _)) = after.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
        return Vec::new();
    };
    let matchers = selector.split(',').filter(|matcher| !matcher.trim().is_empty());
    matchers
        .flat_map(|matcher| {
            let (label, values) = matcher.split_once('=').expect("a matcher");
            let label = label.trim().trim_end_matches('!');
            let values = values.trim_start_matches('~').trim().trim_matches('"');
            values
                .split('|')
                .map(|value| (label.to_owned(), value.to_owned()))
        })
        .collect()
}

#[track_caller]
fn assert_known(place: &str, text: &str, exported: &Metrics, documented: &Metrics, codes: &BTreeSet<String>) {
    for (series, after) in named(text) {
        let name = family(series, exported).unwrap_or_else(|| panic!("{place}: nobody exports {series}"));
        for (label, value) in asked_for(after) {
            // Prometheus's own label, and the dashboard's choice of it.
            if label == "instance" {
                continue;
            }
            let words = &documented[&name].words;
            let is_known = match &*label {
                "code" => codes.contains(&value),
                _ => words.contains(&value),
            };
            assert!(
                is_known && words.contains(&label),
                "{place}: {series} has no {label}=\"{value}\""
            );
        }
    }
}

#[test]
fn the_page_the_alerts_and_the_dashboard_name_what_is_exported_and_nothing_else() {
    let system = eventful();
    let (exported, documented) = (exported(&system), documented());
    let types = |metrics: &Metrics| -> BTreeMap<_, _> {
        let types = metrics
            .iter()
            .map(|(name, metric)| (name.clone(), metric.kind.clone()));
        types.collect()
    };
    assert_eq!(types(&exported), types(&documented), "exported, and on the page");
    for (name, metric) in &exported {
        let missing: Vec<_> = metric.words.difference(&documented[name].words).collect();
        assert!(missing.is_empty(), "{name}: the page does not name {missing:?}");
    }

    let codes: BTreeSet<String> = file("docs/api.md")
        .split(|character: char| !character.is_ascii_alphanumeric() && character != '_')
        .filter(|word| word.starts_with("ERR_"))
        .map(str::to_owned)
        .collect();
    let known = |place: &str, text: &str| assert_known(place, text, &exported, &documented, &codes);
    for entry in fs::read_dir(root().join(OPERATIONS)).expect("a directory") {
        let path = entry.expect("an entry").path();
        known(
            &path.display().to_string(),
            &fs::read_to_string(&path).expect("a page"),
        );
    }
    known(ALERTS, &file(ALERTS));
    let dashboard: Value = serde_json::from_str(&file(DASHBOARD)).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels");
    let shown = panels.iter().filter(|panel| panel["type"] != "row");
    let mut count = 0;
    for panel in shown {
        for target in panel["targets"].as_array().expect("a panel shows something") {
            let expression = target["expr"].as_str().expect("an expression");
            assert!(!named(expression).is_empty(), "{expression}");
            known(DASHBOARD, expression);
            count += 1;
        }
    }
    assert!(count > 0, "the dashboard shows nothing");
    // The daemons were not disturbed by being watched.
    for daemon in Daemon::ALL {
        assert!(!system.log(daemon).contains("panic"), "{daemon:?}");
    }
}

/// `increase()` does not see a series begin at 1. What it is asked of is there while it is 0, or the first time, which may
/// be the only one, is missed.
#[test]
fn what_an_alert_sees_grow_is_there_before_it_does() {
    let fresh = exported(&Installation::new());
    let text = file(ALERTS);
    let grown: Vec<_> = text.split("increase(").skip(1).collect();
    assert!(!grown.is_empty(), "no alert asks for an increase");
    for text in grown {
        let (name, after) = named(text)[0];
        let words = &fresh
            .get(name)
            .unwrap_or_else(|| panic!("{name} is not there at first"))
            .words;
        // All codes are there, and `exported` passes over them.
        let missing = asked_for(after)
            .into_iter()
            .find(|(label, value)| label != "code" && !words.contains(value));
        assert_eq!(missing, None, "{name} is not there at first");
    }
}

/// An alert at three in the morning says what it is, what to do first, and where the rest stands.
#[test]
fn each_alert_says_what_to_do_and_where_that_is_written() {
    let text = file(ALERTS);
    let mut alerts = text.split("- alert: ").skip(1).peekable();
    assert!(alerts.peek().is_some(), "there are no alerts");
    for alert in alerts {
        let (name, rest) = alert.split_once('\n').expect("a body");
        let value = |key: &str| {
            let line = rest.lines().find_map(|line| line.trim().strip_prefix(key));
            line.unwrap_or_else(|| panic!("{name} has no {key}")).trim()
        };
        for key in ["expr:", "for:", "summary:", "description:"] {
            assert!(!value(key).is_empty(), "{name}: {key}");
        }
        assert!(["critical", "warning"].contains(&value("severity:")), "{name}");
        let (page, heading) = value("runbook:").split_once('#').expect("a page and a heading");
        let page = file(page);
        let headings: BTreeSet<_> = page
            .lines()
            .filter(|line| line.starts_with('#'))
            .map(|line| anchor(line.trim_start_matches('#').trim()))
            .collect();
        assert!(headings.contains(heading), "{name}: no {heading} in {headings:?}");
    }
}

/// What a heading is linked by.
fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    kept.chars()
        .filter(|character| character.is_alphanumeric() || [' ', '-', '_'].contains(character))
        .map(|character| if character == ' ' { '-' } else { character })
        .collect()
}
