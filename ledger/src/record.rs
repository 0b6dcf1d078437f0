//! A line as it is read back: lenient where writing is strict, one type for all kinds with what each may have, so that an
//! older program can check and show the ledger of a newer one.

use serde::{Deserialize, Deserializer};
use std::borrow::Cow;

/// A line as it is read back: what every line has, and what some have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the members are those of the events")]
pub struct Record<'a> {
    pub seq: u64,
    /// When it was written, Unix milliseconds.
    pub time: i64,
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    #[serde(borrow, default, deserialize_with = "borrowed")]
    pub tenant: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "borrowed")]
    pub api_key: Option<Cow<'a, str>>,
    pub api_key_version: Option<u32>,
    #[serde(borrow, default, deserialize_with = "borrowed")]
    pub request: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "borrowed")]
    pub operation: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "borrowed")]
    pub algorithm: Option<Cow<'a, str>>,
    pub key_version: Option<u32>,
    #[serde(borrow, default, deserialize_with = "borrowed")]
    pub key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    pub target: Option<RecordedKey<'a>>,
    #[serde(borrow)]
    pub permit: Option<RecordedPermit<'a>>,
    pub items: Option<u64>,
    #[serde(borrow, default, deserialize_with = "borrowed")]
    pub rule: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "borrowed")]
    pub result: Option<Cow<'a, str>>,
    #[serde(default)]
    pub break_glass: bool,
    #[serde(borrow, default, deserialize_with = "borrowed")]
    pub what: Option<Cow<'a, str>>,
    // Of segments, their removal and checkpoints.
    #[serde(borrow, default, deserialize_with = "borrowed")]
    pub ledger: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "borrowed")]
    pub id: Option<Cow<'a, str>>,
    pub number: Option<u64>,
    #[serde(borrow, default, deserialize_with = "borrowed")]
    pub previous: Option<Cow<'a, str>>,
    pub through: Option<u64>,
    pub covers: Option<u64>,
    #[serde(borrow, default, deserialize_with = "borrowed")]
    pub head: Option<Cow<'a, str>>,
    #[serde(borrow, default, deserialize_with = "borrowed")]
    pub signature: Option<Cow<'a, str>>,
}

/// A permit as it is read back.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[expect(missing_docs, reason = "the members are those of `PermitReference`")]
pub struct RecordedPermit<'a> {
    pub epoch: u64,
    pub serial: u64,
    #[serde(borrow)]
    pub payload: Cow<'a, str>,
}

/// A key's whole name as it is read back.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[expect(missing_docs, reason = "the members are those of `KeyReference`")]
pub struct RecordedKey<'a> {
    #[serde(borrow)]
    pub algorithm: Cow<'a, str>,
    pub key_version: u32,
    #[serde(borrow)]
    pub key: Cow<'a, str>,
}

/// What every line has, in every version.
#[derive(Deserialize)]
struct Front<'a> {
    seq: u64,
    time: i64,
    #[serde(borrow)]
    kind: Cow<'a, str>,
}

impl<'a> Record<'a> {
    /// Reads a line. Members it does not know are passed over; where a later version gave one that it does know
    /// another form, only the number, the time and the kind are read.
    ///
    /// # Errors
    /// When it is no JSON object with a number, a time and a kind.
    pub fn parse(line: &'a [u8]) -> Result<Self, NotARecord> {
        serde_json::from_slice(line)
            .or_else(|_| {
                serde_json::from_slice(line).map(|Front { seq, time, kind }| Self {
                    seq,
                    time,
                    kind,
                    ..Self::default()
                })
            })
            .map_err(|_| NotARecord)
    }
}

/// A line that is no record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the line is no record")]
pub struct NotARecord;

/// A text of the line itself, where it has no escapes. serde borrows a `Cow`, and copies one in an `Option`.
fn borrowed<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Cow<'de, str>>, D::Error> {
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    Ok(Option::<Text<'de>>::deserialize(deserializer)?.map(|Text(text)| text))
}
