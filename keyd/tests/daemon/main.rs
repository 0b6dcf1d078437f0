//! The real program, in its sandbox, under an account of its own, spoken to over its socket by the host's root, who plays
//! the gateway, policyd and the operator. Only root can start a program under another account: elsewhere these tests say
//! that they were skipped.

mod keyd;

use chancel_domain::tenant::Name;
use chancel_domain::{Algorithm, ApiKeyId, Content, KeyHandle, KeyVersion, Operation, RequestId, TenantId};
use chancel_wire::hello::Role;
use chancel_wire::keyd::{
    BreakGlassCommand, KeyIdentity, KeydError, KeydReply, KeydRequest, PermitKeyGrant, UseInput,
};
use chancel_wire::permit::{PayloadDigest, PermitClaims};
use keyd::{Connection, Keyd};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const KEY: KeyIdentity = KeyIdentity {
    tenant: TenantId::from_bytes([1; 16]),
    algorithm: Algorithm::MlDsa65,
    version: KeyVersion::FIRST,
    handle: KeyHandle::from_bytes([5; 16]),
};

macro_rules! needs_root {
    () => {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("skipped: only root can start keyd under another account");
            return;
        }
    };
}

fn generate(policyd: &mut Connection) -> Result<(), KeydError> {
    policyd.ask(&KeydRequest::Generate(KEY), |reply| match reply {
        KeydReply::Generated { .. } => Ok(()),
        KeydReply::Refused(error) => Err(error),
        other => panic!("{other:?}"),
    })
}

/// The permit key's holder, policyd.
struct Issuer {
    grant: PermitKeyGrant,
    granted: Instant,
}

fn permit_key(policyd: &mut Connection) -> Issuer {
    let grant = policyd.ask(&KeydRequest::RenewPermitKey, |reply| match reply {
        KeydReply::PermitKey(grant) => grant,
        other => panic!("{other:?}"),
    });
    Issuer {
        grant,
        granted: Instant::now(),
    }
}

/// Signs under a permit of that serial; `None` when keyd went away.
fn sign(gateway: &mut Connection, issuer: &Issuer, serial: u64) -> Option<Result<usize, KeydError>> {
    let input = chancel_wire::encode(&UseInput::Sign(Content::raw(b"m")));
    let since = u64::try_from(issuer.granted.elapsed().as_millis()).unwrap();
    let permit = issuer.grant.key.sign(&PermitClaims {
        epoch: issuer.grant.epoch,
        serial,
        expires_at_ms: issuer.grant.now_ms + since + 4_000,
        tenant: KEY.tenant,
        api_key: ApiKeyId::from_bytes([2; 16]),
        api_key_version: 1,
        request: RequestId::from_bytes([3; 16]),
        operation: Operation::Sign,
        algorithm: KEY.algorithm,
        key_version: KEY.version,
        key: KEY.handle,
        payload: PayloadDigest::of(&input),
        target: None,
        batch: None,
    });
    let request = KeydRequest::Use {
        permit,
        input: &input,
    };
    gateway.try_ask(&request, |reply| match reply {
        KeydReply::Output(signature) => Ok(signature.len()),
        KeydReply::Refused(error) => Err(error),
        other => panic!("{other:?}"),
    })
}

#[test]
fn a_whole_life_in_the_sandbox_stands_in_the_ledger_and_ends_with_a_checkpoint() {
    needs_root!();
    for sync in ["1ms", "every-record"] {
        let mut keyd = Keyd::start(&format!("sync = \"{sync}\"\nsegment_bytes = 65536"));
        let mut policyd = keyd.connect(Role::Policyd);
        let mut gateway = keyd.connect(Role::Gateway);
        generate(&mut policyd).unwrap();
        let issuer = permit_key(&mut policyd);
        // More than a segment holds: the next one is begun, and old ones are looked for, under the filter.
        for serial in 1..=200 {
            assert_eq!(sign(&mut gateway, &issuer, serial), Some(Ok(3309)), "{serial}");
        }
        assert_eq!(
            sign(&mut gateway, &issuer, 1),
            Some(Err(KeydError::PermitReplayed))
        );
        let reason = Name::try_from("a rehearsal".to_owned()).unwrap();
        let mut operator = keyd.connect(Role::Operator);
        for command in [
            BreakGlassCommand::Open {
                for_ms: 60_000,
                reason,
            },
            BreakGlassCommand::Close,
        ] {
            operator.ask(&KeydRequest::BreakGlass(command), |reply| {
                assert!(matches!(reply, KeydReply::BreakGlass(_)), "{reply:?}");
            });
        }
        policyd.ask(&KeydRequest::Destroy(KEY), |reply| {
            assert!(matches!(reply, KeydReply::Destroyed), "{reply:?}");
        });
        // Long enough for the syncing thread to go about its own business under the filter at least once.
        std::thread::sleep(Duration::from_millis(1200));
        keyd.terminate();
        let lines = keyd.lines();
        let of_kind = |kind: &str| {
            lines
                .iter()
                .filter(|line| line["kind"] == kind)
                .collect::<Vec<_>>()
        };
        assert!(of_kind("segment").len() > 1, "{sync}");
        let start = of_kind("start")[0];
        assert_eq!(start["details"]["seccomp"], "all threads");
        assert_eq!(start["details"]["kek_source"], "file");
        assert_eq!(start["details"]["kek_generation"], "1");
        assert_eq!(start["details"]["audit_key_sha256"].as_str().unwrap().len(), 64);
        assert_eq!(of_kind("use").len(), 200);
        assert_eq!(of_kind("refused")[0]["reason"], "replayed");
        assert_eq!(of_kind("break-glass").len(), 2);
        assert_eq!(of_kind("key").len(), 2);
        let [.., stop, checkpoint] = lines.as_slice() else {
            panic!("too short")
        };
        assert_eq!(
            (&stop["kind"], &checkpoint["kind"]),
            (&"stop".into(), &"checkpoint".into())
        );
        assert_eq!(checkpoint["covers"], stop["seq"]);
    }
}

#[test]
fn a_kill_loses_no_use_that_was_answered_and_closes_break_glass() {
    needs_root!();
    let mut keyd = Keyd::start("");
    let mut answered = BTreeSet::new();
    let mut is_new = true;
    for round in 0..4 {
        let mut policyd = keyd.connect(Role::Policyd);
        if is_new {
            generate(&mut policyd).unwrap();
            is_new = false;
        }
        let issuer = permit_key(&mut policyd);
        let reason = Name::try_from("a rehearsal".to_owned()).unwrap();
        let open = KeydRequest::BreakGlass(BreakGlassCommand::Open {
            for_ms: 300_000,
            reason,
        });
        assert_ne!(keyd.connect(Role::Operator).ask(&open, remaining), 0);
        let mut gateway = keyd.connect(Role::Gateway);
        let killer = keyd.kill_after(Duration::from_millis(20 + 17 * round));
        let mut serial = 0;
        loop {
            serial += 1;
            match sign(&mut gateway, &issuer, serial) {
                Some(Ok(_)) => answered.insert((issuer.grant.epoch, serial)),
                Some(Err(error)) => panic!("{error}"),
                None => break,
            };
        }
        killer.join().unwrap();
        keyd.start_again();
        let status = KeydRequest::BreakGlass(BreakGlassCommand::Status);
        assert_eq!(
            keyd.connect(Role::Operator).ask(&status, remaining),
            0,
            "a restart closes it"
        );
    }
    let recorded: Vec<(u64, u64)> = keyd
        .lines()
        .iter()
        .filter(|line| line["kind"] == "use")
        .map(|line| {
            let permit = &line["permit"];
            (
                permit["epoch"].as_u64().unwrap(),
                permit["serial"].as_u64().unwrap(),
            )
        })
        .collect();
    let once: BTreeSet<_> = recorded.iter().copied().collect();
    assert_eq!(once.len(), recorded.len(), "no permit is recorded twice");
    let missing: Vec<_> = answered.difference(&once).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert!(!answered.is_empty());
}

fn remaining(reply: KeydReply<'_>) -> u64 {
    match reply {
        KeydReply::BreakGlass(state) => state.remaining_ms,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_full_disk_stops_uses_and_nothing_else_and_room_brings_them_back() {
    needs_root!();
    let mut keyd = Keyd::on_a_small_disk();
    let mut policyd = keyd.connect(Role::Policyd);
    let mut gateway = keyd.connect(Role::Gateway);
    generate(&mut policyd).unwrap();
    let issuer = permit_key(&mut policyd);
    assert_eq!(sign(&mut gateway, &issuer, 1), Some(Ok(3309)));
    keyd.fill_disk();
    let mut serial = 1;
    let mut next = || {
        serial += 1;
        serial
    };
    // The segment's last page may have room for some lines yet.
    let refused =
        (0..50).any(|_| sign(&mut gateway, &issuer, next()) == Some(Err(KeydError::LedgerUnwritable)));
    assert!(refused);
    policyd.ask(&KeydRequest::Health, |reply| match reply {
        KeydReply::Healthy(health) => assert_eq!(health.ledger, "unwritable"),
        other => panic!("{other:?}"),
    });
    keyd.empty_disk();
    let until = Instant::now() + Duration::from_secs(20);
    while sign(&mut gateway, &issuer, next()) != Some(Ok(3309)) {
        assert!(Instant::now() < until, "it does not recover");
        std::thread::sleep(Duration::from_millis(20));
    }
    keyd.terminate();
    assert_eq!(
        keyd.lines().iter().filter(|line| line["kind"] == "gap").count(),
        1
    );
}

#[test]
fn it_does_not_start_without_the_audit_key_it_had_or_with_a_longer_break_glass() {
    needs_root!();
    let mut keyd = Keyd::start("");
    keyd.terminate();
    let sound = keyd.read("keys/audit.key");
    keyd.write("keys/audit.key", &sound[..sound.len() - 1]);
    let said = keyd.refuses_to_start();
    assert!(said.contains("audit.key") && said.contains("backup"), "{said}");
    keyd.write("keys/audit.key", &sound);
    keyd.start_again();
    keyd.terminate();
    keyd.append("keyd.toml", "\n[break_glass]\nlongest = \"16m\"\n");
    let said = keyd.refuses_to_start();
    assert!(
        said.contains("break_glass.longest") && said.contains("15m"),
        "{said}"
    );
}
