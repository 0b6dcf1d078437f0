//! The audit key and what it signs.

use super::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

fn audit_key(rig: &Rig) -> chancel_ledger::AuditKey {
    let public = rig.ask(Role::Policyd, &KeydRequest::AuditKey, outcome).unwrap();
    assert_eq!(public.len(), 1952);
    chancel_ledger::AuditKey::parse(&public).unwrap()
}

#[test]
fn the_audit_key_outlives_a_restart_and_is_in_no_inventory() {
    let rig = Rig::new();
    let public = || rig.keyd().audit_key().public().to_vec();
    assert_eq!(
        rig.ask(Role::Operator, &KeydRequest::AuditKey, outcome),
        Ok(public())
    );
    assert!(rig.home().join("keys/audit.key").exists());
    rig.ask(
        Role::Policyd,
        &KeydRequest::Inventory { after: None },
        |reply| match reply {
            KeydReply::Inventory { files, more: false } => assert!(files.is_empty()),
            other => panic!("{other:?}"),
        },
    );
    let before = public();
    let rig = rig.restart();
    assert_eq!(rig.keyd().audit_key().public(), before);
}

#[test]
fn policyd_gets_checkpoints_of_its_own_ledger_and_none_of_the_other() {
    let rig = Rig::new();
    let state = CheckpointRequest {
        id: LedgerId::from_bytes([7; 16]),
        covers: 42,
        head: Hash::from_bytes([8; 32]),
    };
    let claims = CheckpointClaims {
        ledger: [7; 16],
        seq: 42,
        head: [8; 32],
    };
    let signature = rig
        .ask(Role::Policyd, &KeydRequest::SignCheckpoint(claims), outcome)
        .unwrap();
    let key = audit_key(&rig);
    assert!(key.signed(LedgerName::Decisions, &state, &signature));
    assert!(!key.signed(LedgerName::Uses, &state, &signature));
}

#[test]
fn neither_a_permit_nor_policyd_reaches_the_audit_key_as_a_key() {
    let rig = Rig::new();
    let identity = crate::audit_key::IDENTITY;
    // Even where a copy of its file lies under the very name that a permit would mean.
    let directory = rig.home().join("keys").join(identity.tenant.to_string());
    fs::create_dir(&directory).unwrap();
    let name = format!(
        "{}.{}.{}.key",
        identity.algorithm, identity.version, identity.handle
    );
    fs::copy(rig.home().join("keys/audit.key"), directory.join(&name)).unwrap();
    let issuer = Issuer::of(&rig);
    let sign = UseInput::Sign(Content::raw(b"m"));
    let refused = use_under(&rig, issuer.permit(&issuer.claims(&identity, &sign)), &sign);
    assert_eq!(refused, Err(KeydError::KeyNotFound));
    for request in [KeydRequest::Generate(identity), KeydRequest::Destroy(identity)] {
        let refused = rig.ask(Role::Policyd, &request, outcome);
        assert_eq!(refused, Err(KeydError::NotForThisPeer), "{request:?}");
    }
    assert!(rig.keyd().keyring().list().unwrap().is_empty());
    assert!(directory.join(name).exists(), "and it is left alone");
}

#[test]
fn the_ledger_ends_with_a_checkpoint_that_the_audit_key_signed() {
    let rig = Rig::new();
    generate(&rig, key(Algorithm::MlDsa65, 1)).unwrap();
    let rig = rig.restart();
    let lines = rig.lines();
    let at = lines.iter().position(|line| line["kind"] == "stop").unwrap();
    let (stop, checkpoint) = (&lines[at], &lines[at + 1]);
    assert_eq!(checkpoint["kind"], "checkpoint");
    assert_eq!(
        checkpoint["covers"], stop["seq"],
        "over everything, the last line too"
    );
    assert_eq!(checkpoint["head"], stop["hash"]);
    let state = CheckpointRequest {
        id: LedgerId::parse(lines[0]["id"].as_str().unwrap()).unwrap(),
        covers: stop["seq"].as_u64().unwrap(),
        head: Hash::parse(stop["hash"].as_str().unwrap().as_bytes()).unwrap(),
    };
    let signature = STANDARD
        .decode(checkpoint["signature"].as_str().unwrap())
        .unwrap();
    let key = audit_key(&rig);
    assert!(key.signed(LedgerName::Uses, &state, &signature));
    assert!(!key.signed(LedgerName::Decisions, &state, &signature));
}
