//! Both ledgers as somebody reads them who has their files: whole records as JSON, and the verifier's word.

use crate::installation::Installation;
use crate::raw::{Line, Peer};
use crate::wait::until;
use chancel_ledger::verify::{Report, verify};
use chancel_ledger::{AuditKey, LedgerName};
use chancel_wire::hello::{Role, ServiceToken};
use chancel_wire::keyd::{KeydReply, KeydRequest};
use serde_json::Value;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// The records of a ledger, oldest first.
#[derive(Debug, Clone)]
pub struct Records(pub Vec<Value>);

/// Copies of both ledgers, for whoever wants to change something in them. Removed when dropped.
#[derive(Debug)]
pub struct Copies {
    directory: tempfile::TempDir,
}

impl Records {
    /// Reads a ledger's directory. What follows the last newline is not a record yet.
    ///
    /// # Panics
    /// When it cannot be read, or holds what is no record.
    #[track_caller]
    pub fn of(directory: &Path) -> Self {
        let mut reader = chancel_ledger::Records::of(directory).expect("a ledger's directory");
        let mut records = Vec::new();
        while let Some(line) = reader.next_line().expect("a readable segment") {
            if line.is_whole {
                records.push(serde_json::from_slice(line.bytes).expect("a record is JSON"));
            }
        }
        Self(records)
    }

    /// Those of a kind.
    pub fn kind(&self, kind: &str) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |record| record["kind"] == kind)
    }

    /// Those of a kind and a request.
    pub fn of_request(&self, kind: &str, request: &str) -> Vec<&Value> {
        self.kind(kind)
            .filter(|record| record["request"] == request)
            .collect()
    }

    /// The changes of a name.
    pub fn changes(&self, what: &str) -> Vec<&Value> {
        self.kind("change")
            .filter(|record| record["what"] == what)
            .collect()
    }
}

impl Installation {
    /// The records of a ledger, as they are now.
    #[track_caller]
    pub fn records(&self, name: LedgerName) -> Records {
        Records::of(&self.layout().ledger(name))
    }

    /// Waits for the record of a request that was denied, and returns the rule that it names.
    #[track_caller]
    pub fn denying_rule(&self, request: &str) -> String {
        until("the record of a denial", || {
            let records = self.records(LedgerName::Decisions);
            let denials = records.of_request("deny", request);
            assert!(denials.len() <= 1, "{request} was denied once: {denials:?}");
            denials.first()?["rule"].as_str().map(str::to_owned)
        })
    }

    /// A connection to keyd as root's: what `chancel break-glass` uses.
    ///
    /// # Panics
    /// When keyd does not welcome it. Root has few places at once, and may have to wait for one that was just left.
    #[track_caller]
    pub fn operator_at_keyd(&self) -> Peer {
        until("keyd to welcome root", || {
            let stream = UnixStream::connect(self.layout().keyd_socket()).ok()?;
            Line::over(stream)
                .hello(Role::Operator, &ServiceToken::none())
                .ok()
        })
    }

    /// The audit key's public half, from keyd.
    ///
    /// # Panics
    /// When keyd does not say it.
    #[track_caller]
    pub fn audit_key(&self) -> Vec<u8> {
        let mut peer = self.operator_at_keyd();
        let body = peer.ask(&KeydRequest::AuditKey).expect("keyd answers");
        match body.keyd() {
            KeydReply::AuditKey(key) => key.to_vec(),
            other => panic!("not a key: {other:?}"),
        }
    }

    /// Verifies both ledgers where they lie.
    #[track_caller]
    pub fn verify(&self, audit_key: &[u8]) -> Report {
        verified(
            &self.layout().ledger(LedgerName::Decisions),
            &self.layout().ledger(LedgerName::Uses),
            audit_key,
        )
    }

    /// Verifies both ledgers and checks that nothing is wrong with them.
    ///
    /// # Panics
    /// When something is.
    #[track_caller]
    pub fn assert_sound(&self, audit_key: &[u8]) -> Report {
        let report = self.verify(audit_key);
        let first: Vec<_> = report.findings.iter().take(5).map(ToString::to_string).collect();
        assert!(
            report.is_sound(),
            "{} findings: {first:#?}",
            report.total_findings
        );
        report
    }

    /// Copies both: the uses first, so that every use that is copied has its decision in the copy.
    #[track_caller]
    pub fn copy_ledgers(&self) -> Copies {
        let copies = Copies {
            directory: tempfile::tempdir().expect("a directory for copies"),
        };
        for name in [LedgerName::Uses, LedgerName::Decisions] {
            copy(&self.layout().ledger(name), &copies.ledger(name));
        }
        copies
    }
}

impl Copies {
    /// Where one of them is.
    pub fn ledger(&self, name: LedgerName) -> PathBuf {
        self.directory.path().join(name.name())
    }

    /// A further copy, to be changed.
    ///
    /// # Panics
    /// When it cannot be made.
    #[must_use]
    pub fn again(&self) -> Self {
        let again = Self {
            directory: tempfile::tempdir().expect("a directory for copies"),
        };
        for name in [LedgerName::Uses, LedgerName::Decisions] {
            copy(&self.ledger(name), &again.ledger(name));
        }
        again
    }

    /// The verifier's word on both.
    #[track_caller]
    pub fn verify(&self, audit_key: &[u8]) -> Report {
        verified(
            &self.ledger(LedgerName::Decisions),
            &self.ledger(LedgerName::Uses),
            audit_key,
        )
    }

    /// All lines of a ledger, each with the segment it lies in.
    ///
    /// # Panics
    /// When they cannot be read.
    pub fn lines(&self, name: LedgerName) -> Vec<(PathBuf, String)> {
        let mut segments: Vec<_> = fs::read_dir(self.ledger(name))
            .expect("a copy")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        segments.sort();
        let lines = |path: PathBuf| {
            let text = fs::read_to_string(&path).expect("a segment is text");
            let lines: Vec<_> = text.lines().map(|line| (path.clone(), line.to_owned())).collect();
            lines
        };
        segments.into_iter().flat_map(lines).collect()
    }

    /// Writes lines back to the segments they lie in.
    ///
    /// # Panics
    /// When they cannot be written.
    pub fn write_back(&self, name: LedgerName, lines: &[(PathBuf, String)]) {
        for entry in fs::read_dir(self.ledger(name)).expect("a copy") {
            let path = entry.expect("an entry").path();
            let text: String = lines
                .iter()
                .filter(|(of, _)| *of == path)
                .map(|(_, line)| format!("{line}\n"))
                .collect();
            fs::write(&path, text).expect("a segment is written");
        }
    }
}

#[track_caller]
fn verified(decisions: &Path, uses: &Path, audit_key: &[u8]) -> Report {
    let key = AuditKey::parse(audit_key).expect("an audit key");
    verify(decisions, Some(uses), Some(&key)).expect("readable ledgers")
}

#[track_caller]
fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a directory for copies");
    for entry in fs::read_dir(from).expect("a ledger's directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a file has a name");
        fs::copy(&path, to.join(name)).expect("a segment is copied");
    }
}
