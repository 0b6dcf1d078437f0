//! A ledger that cannot be written, on a file system that is really full.

use super::*;
use std::io::Write;
use std::path::PathBuf;
use std::thread;

/// A small file system of its own, where this process may mount one.
struct Mount(PathBuf);

impl Mount {
    fn at(path: PathBuf) -> Option<Self> {
        fs::create_dir(&path).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=128k,mode=0750", "none"])
            .arg(&path)
            .status();
        mounted.is_ok_and(|status| status.success()).then_some(Self(path))
    }

    fn filler(&self) -> PathBuf {
        self.0.join("filler")
    }

    fn fill(&self) {
        let mut file = fs::File::create(self.filler()).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
    }

    fn empty(&self) {
        fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn what_cannot_be_recorded_is_not_done_and_it_recovers_by_itself() {
    let home = tempfile::tempdir().unwrap();
    let Some(mount) = Mount::at(home.path().join("ledger")) else {
        eprintln!("skipped: no file system can be mounted here");
        return;
    };
    let rig = Rig::at(home, "");
    let identity = key(Algorithm::MlDsa65, 1);
    generate(&rig, identity).unwrap();
    let issuer = Issuer::of(&rig);
    let sign = UseInput::Sign(Content::raw(b"m"));
    let used = || use_under(&rig, issuer.permit(&issuer.claims(&identity, &sign)), &sign);
    used().unwrap();
    mount.fill();
    // The segment's last page may have room for some lines yet.
    let outcomes: Vec<_> = (0..20).map(|_| used()).collect();
    let recorded = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!(outcomes.last(), Some(&Err(KeydError::LedgerUnwritable)));
    assert_eq!(
        rig.of_kind("use").len(),
        1 + recorded,
        "each output that left has its line"
    );
    let made = generate(&rig, key(Algorithm::MlDsa65, 2));
    assert_eq!(made, Err(KeydError::LedgerUnwritable));
    assert_eq!(
        rig.keyd().keyring().list().unwrap(),
        [identity],
        "no key is left of it"
    );
    let destroyed = rig.ask(Role::Policyd, &KeydRequest::Destroy(identity), outcome);
    assert_eq!(destroyed, Err(KeydError::LedgerUnwritable));
    let reason = Name::try_from("why".to_owned()).unwrap();
    let open = KeydRequest::BreakGlass(BreakGlassCommand::Open { for_ms: 1000, reason });
    assert_eq!(
        rig.ask(Role::Operator, &open, outcome),
        Err(KeydError::LedgerUnwritable)
    );
    assert_eq!(health(&rig), "unwritable");
    rig.ask(Role::Policyd, &KeydRequest::AuditKey, outcome)
        .expect("what needs no record goes on");

    mount.empty();
    let until = Instant::now() + Duration::from_secs(20);
    let recovered = loop {
        let outcome = used();
        if outcome.is_ok() || Instant::now() > until {
            break outcome;
        }
        thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(recovered.map(|signature| signature.len()), Ok(3309));
    assert_eq!(rig.of_kind("use").len(), 2 + recorded);
    assert_eq!(rig.of_kind("gap").len(), 1);
    assert_ne!(health(&rig), "unwritable");
    drop(rig);
    drop(mount);
}

fn health(rig: &Rig) -> String {
    rig.ask(Role::Gateway, &KeydRequest::Health, |reply| match reply {
        KeydReply::Healthy(health) => health.ledger.clone(),
        other => panic!("{other:?}"),
    })
}
