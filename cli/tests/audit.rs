//! `chancel audit` as somebody runs it over copies of both ledgers, which the real writer wrote.

use aws_lc_rs::signature::{KeyPair, ML_DSA_65_SIGNING, PqdsaKeyPair};
use chancel_domain::{Algorithm, ApiKeyId, KeyHandle, KeyVersion, Operation, RequestId, TenantId};
use chancel_ledger::{
    Change, Decision, Event, Hash, Ledger, LedgerName, Options, PermitReference, Use, checkpoint_message,
};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

const SIGNATURES: u64 = 6;

/// Both ledgers and the audit key. The ledgers stay open: a lock that is given back can still be held for a moment by a
/// program that another test is starting.
struct Copies {
    root: tempfile::TempDir,
    key: PqdsaKeyPair,
    decisions: Arc<Ledger>,
    uses: Arc<Ledger>,
}

impl Copies {
    fn new() -> Self {
        let root = tempfile::tempdir().expect("a directory");
        let open = |name: LedgerName| {
            let directory = root.path().join(name.name());
            fs::create_dir(&directory).expect("a directory");
            let (ledger, _syncer, _) = Ledger::open(&directory, Options::of(name)).expect("a ledger");
            ledger
        };
        let copies = Self {
            decisions: open(LedgerName::Decisions),
            uses: open(LedgerName::Uses),
            key: PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).expect("a key"),
            root,
        };
        for name in [LedgerName::Decisions, LedgerName::Uses] {
            for serial in 1..=SIGNATURES {
                copies.write(name, &event(name, serial));
            }
            copies.sign(name);
        }
        fs::write(copies.key_file(), copies.key.public_key().as_ref()).expect("the key's file");
        copies
    }

    fn ledger(&self, name: LedgerName) -> &Ledger {
        match name {
            LedgerName::Decisions => &self.decisions,
            LedgerName::Uses => &self.uses,
        }
    }

    fn of(&self, name: LedgerName) -> PathBuf {
        self.root.path().join(name.name())
    }

    fn key_file(&self) -> PathBuf {
        self.root.path().join("audit.key")
    }

    fn write(&self, name: LedgerName, event: &Event<'_>) {
        self.ledger(name).append(event).expect("a record");
    }

    fn sign(&self, name: LedgerName) {
        let ledger = self.ledger(name);
        let request = ledger.checkpoint_due(true).expect("something to cover");
        let mut signature = vec![0; 3309];
        self.key
            .sign(&checkpoint_message(name, &request), &mut signature)
            .expect("a signature");
        ledger.append_checkpoint(&request, &signature).expect("a record");
    }

    fn segment(&self, name: LedgerName) -> PathBuf {
        self.of(name).join("0000000001.jsonl")
    }

    /// Changes the text of a ledger.
    fn edit(&self, name: LedgerName, change: impl FnOnce(&str) -> String) {
        let segment = self.segment(name);
        let text = fs::read_to_string(&segment).expect("a segment");
        fs::write(&segment, change(&text)).expect("a segment");
    }

    fn verify(&self, further: &[&str]) -> Output {
        let (decisions, uses) = (self.of(LedgerName::Decisions), self.of(LedgerName::Uses));
        let mut command = chancel(&["audit", "verify", "--decisions"]);
        command.arg(decisions).arg("--uses").arg(uses).args(further);
        command.output().expect("chancel")
    }

    fn verify_with_key(&self, further: &[&str]) -> Output {
        let key = self.key_file();
        let key = key.to_str().expect("a path");
        self.verify(&[&["--public-key", key], further].concat())
    }

    fn read(&self, name: LedgerName, arguments: &[&str]) -> Output {
        let mut command = chancel(&["audit"]);
        command.args(arguments).arg("--directory").arg(self.of(name));
        command.output().expect("chancel")
    }
}

fn event(name: LedgerName, serial: u64) -> Event<'static> {
    let permit = PermitReference {
        epoch: 7,
        serial,
        payload: Hash::from_bytes([9; 32]),
    };
    let tenant = TenantId::from_bytes([u8::try_from(serial % 2).expect("a bit") + 1; 16]);
    let (api_key, key) = (ApiKeyId::from_bytes([3; 16]), KeyHandle::from_bytes([4; 16]));
    let request = RequestId::from_bytes(u128::from(serial).to_be_bytes());
    match name {
        LedgerName::Decisions => Event::Allow(Decision {
            tenant,
            api_key,
            api_key_version: 1,
            request,
            source: [192, 0, 2, 1].into(),
            operation: Operation::Sign,
            algorithm: Some(Algorithm::MlDsa65),
            key_version: KeyVersion::new(1),
            key: Some(key),
            target: None,
            items: None,
            permit: Some(permit),
            rule: None,
            reason: None,
        }),
        LedgerName::Uses => Event::Use(Use {
            tenant,
            api_key,
            api_key_version: 1,
            request,
            operation: Operation::Sign,
            algorithm: Algorithm::MlDsa65,
            key_version: KeyVersion::FIRST,
            key,
            target: None,
            items: None,
            failed: None,
            permit: Some(permit),
            payload: None,
            result: "ok",
            break_glass: false,
        }),
    }
}

fn chancel(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_chancel"));
    command.env_clear().args(arguments);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

#[track_caller]
fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("an answer in JSON")
}

fn tenant(byte: u8) -> String {
    TenantId::from_bytes([byte; 16]).to_string()
}

fn lines(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).expect("a segment");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn untouched_ledgers_are_sound_and_the_exit_code_says_so() {
    let copies = Copies::new();
    let output = copies.verify_with_key(&["--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report = json(&output);
    assert_eq!(report["sound"], true);
    assert_eq!(report["signatures_checked"], true);
    assert_eq!(report["agreed"], SIGNATURES);
    assert_eq!(report["uses"]["checkpoints"], 1);
    assert_eq!(copies.verify(&["--chain-only"]).status.code(), Some(0));
}

#[test]
fn a_changed_record_is_found_with_its_place_and_the_exit_code_says_so() {
    let copies = Copies::new();
    copies.edit(LedgerName::Decisions, |text| {
        text.replacen("192.0.2.1", "192.0.2.2", 1)
    });
    let output = copies.verify_with_key(&[]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout);
    assert!(said.contains("FOUND       decisions: "), "{said}");
    assert!(
        said.contains("0000000001.jsonl, line 2: record 2 was changed"),
        "{said}"
    );
    assert!(text(&output.stderr).starts_with("chancel: not-sound: "));
}

#[test]
fn a_use_that_nobody_permitted_is_found() {
    let copies = Copies::new();
    copies.write(LedgerName::Uses, &event(LedgerName::Uses, SIGNATURES + 1));
    let report = json(&copies.verify_with_key(&["--json"]));
    assert_eq!(report["sound"], false);
    assert_eq!(report["findings"][0]["ledger"], "uses");
    let finding = report["findings"][0]["finding"].as_str().expect("text");
    assert!(finding.contains("a use without a permit"), "{finding}");
}

#[test]
fn checkpoints_of_another_key_are_found() {
    let copies = Copies::new();
    let other = PqdsaKeyPair::generate(&ML_DSA_65_SIGNING).expect("a key");
    fs::write(copies.key_file(), other.public_key().as_ref()).expect("the key's file");
    let output = copies.verify_with_key(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("the checkpoint's signature is not valid"));
}

#[test]
fn nothing_is_called_sound_that_was_not_there() {
    let copies = Copies::new();
    let empty = copies.root.path().join("empty");
    fs::create_dir(&empty).expect("a directory");
    for (directory, code) in [
        (empty, "no-ledger"),
        (copies.root.path().join("absent"), "not-read"),
    ] {
        let mut command = chancel(&["audit", "verify", "--chain-only", "--decisions"]);
        let output = command.arg(&directory).output().expect("chancel");
        assert_eq!(output.status.code(), Some(1));
        let said = text(&output.stderr);
        assert!(
            said.starts_with(&format!("chancel: {code}: {}", directory.display())),
            "{said}"
        );
    }
    fs::write(copies.key_file(), "no key").expect("the key's file");
    let output = copies.verify_with_key(&[]);
    assert!(text(&output.stderr).starts_with("chancel: not-an-audit-key: "));
}

#[test]
fn a_query_finds_what_all_conditions_admit_and_pages_go_on_where_the_last_ended() {
    let copies = Copies::new();
    let of_tenant = tenant(2);
    let query = |further: &[&str]| {
        let arguments = [
            &["--json", "query", "--tenant", &of_tenant, "--limit", "2"],
            further,
        ]
        .concat();
        json(&copies.read(LedgerName::Decisions, &arguments))
    };
    let first = query(&[]);
    let records = first["records"].as_array().expect("records");
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|record| record["tenant"] == *of_tenant));
    assert!(
        records[0]["seq"].as_u64() > records[1]["seq"].as_u64(),
        "the newest is first"
    );
    let next = first["next"].to_string();
    let second = query(&["--before", &next]);
    assert_eq!(second["records"].as_array().map(Vec::len), Some(1));
    assert_eq!(second["next"], Value::Null);
    assert_eq!(query(&["--kind", "deny"])["records"], Value::Array(Vec::new()));
    assert_eq!(query(&["--until", "1d"])["records"], Value::Array(Vec::new()));
}

#[test]
fn an_export_is_the_ledger_byte_for_byte_or_a_row_a_record() {
    let copies = Copies::new();
    let name = "=HYPERLINK(\"x\"), Ltd";
    copies.write(
        LedgerName::Decisions,
        &Event::Change(Change {
            what: "tenant-created",
            value: Some(name.into()),
            ..Change::default()
        }),
    );
    let output = copies.read(LedgerName::Decisions, &["export"]);
    assert_eq!(
        output.stdout,
        fs::read(copies.segment(LedgerName::Decisions)).expect("a segment")
    );
    let output = copies.read(
        LedgerName::Decisions,
        &["export", "--format", "csv", "--kind", "change"],
    );
    let csv = text(&output.stdout);
    let rows: Vec<_> = csv.lines().collect();
    assert_eq!(rows.len(), 2, "{csv}");
    assert!(rows[0].starts_with("seq,time,kind,tenant,"));
    assert!(rows[1].ends_with(r#""'=HYPERLINK(""x""), Ltd""#), "{csv}");
}

#[test]
fn the_tail_ends_with_the_newest_record_and_follows_what_comes() {
    let copies = Copies::new();
    let written = lines(&copies.segment(LedgerName::Uses));
    let tail = copies.read(LedgerName::Uses, &["--json", "tail", "-n", "3"]);
    let shown: Vec<_> = text(&tail.stdout).lines().map(str::to_owned).collect();
    assert_eq!(shown, written[written.len() - 3..]);

    let mut following = chancel(&["--json", "audit", "tail", "-f", "-n", "1", "--directory"])
        .arg(copies.of(LedgerName::Uses))
        .stdout(Stdio::piped())
        .spawn()
        .expect("chancel");
    let mut shown = BufReader::new(following.stdout.take().expect("stdout")).lines();
    assert_eq!(
        shown.next().expect("a line").expect("text"),
        written[written.len() - 1]
    );
    copies.write(LedgerName::Uses, &event(LedgerName::Uses, SIGNATURES + 1));
    let came = shown.next().expect("a line").expect("text");
    assert_eq!(Some(&came), lines(&copies.segment(LedgerName::Uses)).last());
    following.kill().expect("kill");
    following.wait().expect("status");
}

#[test]
fn a_line_that_is_being_written_is_not_shown() {
    let copies = Copies::new();
    let segment = copies.segment(LedgerName::Uses);
    let written = lines(&segment);
    let mut file = fs::OpenOptions::new()
        .append(true)
        .open(&segment)
        .expect("a segment");
    file.write_all(br#"{"seq":99,"time":1,"kind":"use""#)
        .expect("half a line");
    for command in ["tail", "export"] {
        let output = copies.read(LedgerName::Uses, &["--json", command]);
        let shown: Vec<_> = text(&output.stdout).lines().map(str::to_owned).collect();
        assert_eq!(shown, written, "{command}");
    }
}
