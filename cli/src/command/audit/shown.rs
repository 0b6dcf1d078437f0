//! A record as it is shown. Records of kinds that this program does not know are shown as well: what they have beside
//! the usual is listed by name.

use crate::output::{Table, time};
use serde_json::{Map, Value};
use std::fmt;

/// A line's members; null for what is no JSON.
pub fn value(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_default()
}

/// Members that have a place of their own, or that say nothing to people.
const PLACED: [&str; 9] = [
    "seq",
    "time",
    "kind",
    "operation",
    "what",
    "hash",
    "previous",
    "head",
    "signature",
];

/// A record for people.
pub struct Shown {
    seq: String,
    time: String,
    kind: String,
    what: String,
    rest: String,
}

impl Shown {
    /// The columns.
    pub const HEADINGS: [&str; 5] = ["SEQ", "TIME", "KIND", "WHAT", "MORE"];

    /// Prepares a record.
    pub fn of(record: &Value) -> Self {
        let what = ["operation", "what"]
            .iter()
            .find_map(|name| record.get(name))
            .map_or_else(|| "-".to_owned(), text);
        let nothing = Map::new();
        let rest = named("", record.as_object().unwrap_or(&nothing));
        let is_alarm = record["break_glass"] == true || record["kind"] == "break-glass";
        Self {
            seq: text(&record["seq"]),
            time: record["time"].as_i64().map_or_else(|| "-".to_owned(), time),
            kind: if is_alarm {
                text(&record["kind"]).to_uppercase()
            } else {
                text(&record["kind"])
            },
            what,
            rest: rest.join(" "),
        }
    }

    /// As a row of a table.
    pub fn row(&self, table: &mut Table) {
        table.row(&[&self.seq, &self.time, &self.kind, &self.what, &self.rest]);
    }
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seq,
            time,
            kind,
            what,
            rest,
        } = self;
        write!(f, "{seq:>8} {time:<24} {kind:<11} {what:<14} {rest}")
    }
}

/// `name=value` for each member that has no place of its own, those of members with their name in front.
fn named(prefix: &str, members: &Map<String, Value>) -> Vec<String> {
    members
        .iter()
        .filter(|(name, _)| !prefix.is_empty() || !PLACED.contains(&name.as_str()))
        .flat_map(|(name, value)| match value {
            Value::Object(inner) => named(&format!("{prefix}{name}."), inner),
            value => vec![format!("{prefix}{name}={}", text(value))],
        })
        .collect()
}

/// A value as text, without what a terminal would take for a command.
fn text(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars()
        .map(|c| {
            if c.is_control() {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

/// What is asked for most, of all kinds of records.
const COLUMNS: [&str; 20] = [
    "seq",
    "time",
    "kind",
    "tenant",
    "api_key",
    "api_key_version",
    "request",
    "source",
    "operation",
    "algorithm",
    "key_version",
    "key",
    "rule",
    "reason",
    "result",
    "break_glass",
    "what",
    "uid",
    "subject",
    "value",
];

/// The heading of an export.
pub fn csv_heading() -> String {
    COLUMNS.join(",")
}

/// A row of an export (RFC 4180).
pub fn csv(record: &Value) -> String {
    let cell = |name: &&str| match (*name, &record[*name]) {
        ("time", Value::Number(at)) => at.as_i64().map_or_else(|| at.to_string(), time),
        (_, Value::Null) => String::new(),
        (_, value) => quoted(&text(value)),
    };
    COLUMNS.iter().map(cell).collect::<Vec<_>>().join(",")
}

/// A cell. Spreadsheets take text that begins like a formula for one, so it is made not to.
fn quoted(text: &str) -> String {
    let text = if text.starts_with(['=', '+', '-', '@']) {
        format!("'{text}")
    } else {
        text.to_owned()
    };
    if text.contains([',', '"']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_record_shows_everything_but_its_hashes() {
        let record = json!({
            "seq": 7, "time": 1_767_225_600_000_i64, "kind": "allow", "operation": "sign",
            "tenant": "t", "permit": {"epoch": 1, "serial": 2}, "hash": "00"
        });
        let said = Shown::of(&record).to_string();
        assert!(said.contains("7 2026-01-01T00:00:00Z"), "{said}");
        assert!(said.contains("allow       sign"), "{said}");
        assert!(
            said.ends_with("permit.epoch=1 permit.serial=2 tenant=t"),
            "{said}"
        );
    }

    #[test]
    fn uses_in_break_glass_stand_out_and_nothing_commands_a_terminal() {
        let record = json!({"seq": 1, "time": 0, "kind": "use", "break_glass": true, "key": "\u{1b}[2J"});
        let said = Shown::of(&record).to_string();
        assert!(said.contains("USE"), "{said}");
        assert!(!said.contains('\u{1b}'), "{said:?}");
    }

    #[test]
    fn cells_are_quoted_and_never_formulas() {
        let record = json!({"seq": 1, "time": 0, "kind": "change", "value": "=1+1, \"x\""});
        assert!(csv(&record).ends_with(r#","'=1+1, ""x""""#));
        assert!(csv(&record).starts_with("1,1970-01-01T00:00:00Z,change,,"));
        assert_eq!(csv(&record).matches(',').count(), COLUMNS.len());
    }
}
