//! Ledgers with something in them.
#![allow(dead_code, reason = "each test file uses what it needs")]

use chancel_domain::{Algorithm, ApiKeyId, KeyHandle, KeyVersion, Operation, RequestId, TenantId};
use chancel_ledger::{Decision, Event, Hash, Ledger, LedgerName, Options, PermitReference, Syncer, Use};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};

pub fn permit(serial: u64) -> PermitReference {
    PermitReference {
        epoch: 7,
        serial,
        payload: Hash::from_bytes([serial as u8; 32]),
    }
}

pub fn allow(serial: u64) -> Event<'static> {
    Event::Allow(decision(Some(permit(serial)), serial))
}

pub fn decision(permit: Option<PermitReference>, number: u64) -> Decision<'static> {
    Decision {
        tenant: TenantId::from_bytes([number as u8 % 3; 16]),
        api_key: ApiKeyId::from_bytes([2; 16]),
        api_key_version: 1,
        request: RequestId::from_bytes(u128::from(number).to_be_bytes()),
        source: [192, 0, 2, 1].into(),
        operation: Operation::Sign,
        algorithm: Some(Algorithm::MlDsa65),
        key_version: KeyVersion::new(1),
        key: Some(KeyHandle::from_bytes([3; 16])),
        target: None,
        items: None,
        permit,
        rule: None,
        reason: None,
    }
}

pub fn used(serial: u64) -> Event<'static> {
    let decision = decision(Some(permit(serial)), serial);
    Event::Use(Use {
        tenant: decision.tenant,
        api_key: decision.api_key,
        api_key_version: 1,
        request: decision.request,
        operation: decision.operation,
        algorithm: Algorithm::MlDsa65,
        key_version: decision.key_version.unwrap(),
        key: KeyHandle::from_bytes([3; 16]),
        target: None,
        permit: decision.permit,
        payload: None,
        items: None,
        failed: None,
        result: "ok",
        break_glass: false,
    })
}

/// A ledger that is written, with its syncer running.
pub struct Open {
    pub ledger: Arc<Ledger>,
    syncer: Option<JoinHandle<()>>,
}

pub fn open(directory: &Path, options: Options) -> Open {
    let (ledger, syncer, _) = Ledger::open(directory, options).unwrap();
    run(ledger, syncer)
}

pub fn run(ledger: Arc<Ledger>, syncer: Syncer) -> Open {
    let syncer = Some(thread::spawn(move || syncer.run(|_, _| {})));
    Open { ledger, syncer }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.ledger.stop();
        self.syncer.take().unwrap().join().unwrap();
    }
}

/// Both ledgers, `count` permits and their uses, in segments of a few lines.
pub fn pair(count: u64) -> (tempfile::TempDir, PathBuf, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let directories = [LedgerName::Decisions, LedgerName::Uses].map(|name| {
        let directory = root.path().join(name.name());
        fs::create_dir(&directory).unwrap();
        let mut options = Options::of(name);
        options.segment_bytes = 4096;
        let open = open(&directory, options);
        for serial in 1..=count {
            let event = match name {
                LedgerName::Decisions => allow(serial),
                LedgerName::Uses => used(serial),
            };
            open.ledger.append(&event).unwrap();
        }
        directory
    });
    let [decisions, uses] = directories;
    (root, decisions, uses)
}

/// All lines of a directory, in order, each with the file it lies in.
pub fn lines(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut paths: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let of = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        text.lines()
            .map(|line| (path.clone(), line.to_owned()))
            .collect::<Vec<_>>()
    };
    paths.iter().flat_map(of).collect()
}

/// Writes lines back to the files they are of.
pub fn write_back(directory: &Path, lines: &[(PathBuf, String)]) {
    for entry in fs::read_dir(directory).unwrap() {
        fs::write(entry.unwrap().path(), "").unwrap();
    }
    for (path, line) in lines {
        let mut text = fs::read_to_string(path).unwrap();
        text.push_str(line);
        text.push('\n');
        fs::write(path, text).unwrap();
    }
}
