//! A keyd of this crate's tests: real files, a real ledger with its syncing thread, no socket and no sandbox.

use crate::audit_key::AuditKey;
use crate::break_glass::BreakGlass;
use crate::config::KekConfig;
use crate::dispatch::{Keyd, Parts};
use crate::kek::Kek;
use crate::keydir::KeyDirectory;
use crate::keyring::Keyring;
use crate::listen::AuthenticatedPeer;
use crate::pool::Pools;
use crate::use_ledger::UseLedger;
use chancel_ledger::{Batch, LedgerConfig};
use chancel_sandbox::SecretArena;
use chancel_wire::frame::FrameBuffer;
use chancel_wire::hello::Role;
use chancel_wire::keyd::{KeydReply, KeydRequest};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Barrier};
use std::thread::{self, JoinHandle};
use std::time::Duration;

pub(crate) struct Rig {
    keyd: Arc<Keyd>,
    syncing: Option<JoinHandle<()>>,
    ledger: PathBuf,
    home: Option<tempfile::TempDir>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::at(tempfile::tempdir().unwrap(), "")
    }

    /// With the ledger synced before each answer.
    pub(crate) fn synced() -> Self {
        Self::at(tempfile::tempdir().unwrap(), "sync = \"every-record\"")
    }

    /// Ends this keyd and starts another on its files.
    pub(crate) fn restart(mut self) -> Self {
        self.stop();
        let home = self.home.take().unwrap();
        drop(self);
        Self::at(home, "")
    }

    pub(crate) fn at(home: tempfile::TempDir, ledger_options: &str) -> Self {
        let path = home.path().join("kek");
        fs::write(&path, [0x5a; 32]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let arena = SecretArena::new(32, 8192).unwrap();
        let kek = Kek::obtain(&KekConfig::File { path, generation: 1 }, &arena).unwrap();
        let keys = KeyDirectory::open(&home.path().join("keys")).unwrap();
        let keyring = Keyring::new(kek, keys, arena);
        let audit_key = AuditKey::obtain(&keyring).unwrap();
        let ledger = home.path().join("ledger");
        let config: LedgerConfig =
            toml::from_str(&format!("directory = {ledger:?}\n{ledger_options}")).unwrap();
        let (uses, syncer) = UseLedger::open(&config).unwrap();
        let keyd = Arc::new(Keyd::new(Parts {
            keyring,
            audit_key,
            uses,
            break_glass: BreakGlass::new(Duration::from_secs(300)),
        }));
        let looked_after = Arc::clone(&keyd);
        let syncing = thread::spawn(move || syncer.run(|_, at_end| looked_after.look_after(at_end)));
        Self {
            keyd,
            syncing: Some(syncing),
            ledger,
            home: Some(home),
        }
    }

    pub(crate) const fn keyd(&self) -> &Arc<Keyd> {
        &self.keyd
    }

    pub(crate) fn home(&self) -> &Path {
        self.home.as_ref().unwrap().path()
    }

    /// Asks as a peer of that role, and hands the answer on.
    pub(crate) fn ask<T>(
        &self,
        role: Role,
        request: &KeydRequest<'_>,
        take: impl Fn(&KeydReply<'_>) -> T,
    ) -> T {
        let mut records = Batch::default();
        let body = chancel_wire::encode(request);
        let peer = AuthenticatedPeer::of_role(role);
        let mut answer = self.keyd.answer(peer, &body, &mut records);
        self.keyd.record(&records, std::iter::once(&mut answer));
        let mut frames = FrameBuffer::new(chancel_wire::limits::MAX_BATCH_FRAME_BODY);
        let mut rest = answer.frame.as_slice();
        while !rest.is_empty() {
            let count = frames.spare().len().min(rest.len());
            frames.spare()[..count].copy_from_slice(&rest[..count]);
            frames.filled(count);
            rest = &rest[count..];
        }
        let frame = frames.next_frame().unwrap().unwrap();
        take(&chancel_wire::decode(frame.body).unwrap())
    }

    /// Workers for it, one a role.
    pub(crate) fn pools(&self) -> Pools {
        let running = Arc::new(Barrier::new(3 + Pools::FIXED_WORKERS));
        let pools = Pools::start(&self.keyd, 1, 1, &running).unwrap();
        running.wait();
        pools
    }

    /// The ledger's lines.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let mut segments: Vec<PathBuf> = fs::read_dir(&self.ledger)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "jsonl"))
            .collect();
        segments.sort();
        segments
            .iter()
            .flat_map(|path| {
                let text = fs::read_to_string(path).unwrap();
                text.lines()
                    .map(|line| serde_json::from_str(line).unwrap())
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    /// The lines of one kind.
    pub(crate) fn of_kind(&self, kind: &str) -> Vec<Value> {
        let mut lines = self.lines();
        lines.retain(|line| line["kind"] == kind);
        lines
    }

    pub(crate) fn stop(&mut self) {
        if let Some(syncing) = self.syncing.take() {
            self.keyd.uses().stop();
            syncing.join().unwrap();
        }
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop();
    }
}
