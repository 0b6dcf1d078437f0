//! Uses, rewrap, generation and destruction, each with its line in the ledger.

use super::*;
use chancel_domain::{HashFunction, Operation};

#[test]
fn a_use_and_a_use_that_came_to_nothing_are_recorded_with_their_permits() {
    let rig = Rig::new();
    let (signing, sealing) = (key(Algorithm::MlDsa65, 1), key(Algorithm::MlKem768, 2));
    generate(&rig, signing).unwrap();
    generate(&rig, sealing).unwrap();
    let issuer = Issuer::of(&rig);
    let sign = UseInput::Sign(Content::raw(b"m"));
    let claims = issuer.claims(&signing, &sign);
    let signature = use_under(&rig, issuer.permit(&claims), &sign).unwrap();
    assert_eq!(signature.len(), 3309);
    let decrypt = UseInput::Decrypt {
        ciphertext: b"none",
        aad: b"",
    };
    let refused = use_under(&rig, issuer.permit(&issuer.claims(&sealing, &decrypt)), &decrypt);
    assert_eq!(refused, Err(KeydError::Undecryptable));
    let uses = rig.of_kind("use");
    assert_eq!(uses.len(), 2);
    let payload = Hash::from_bytes(*claims.payload.as_bytes()).to_string();
    for (member, expected) in [
        ("result", "ok".to_owned()),
        ("operation", "sign".to_owned()),
        ("tenant", claims.tenant.to_string()),
        ("api_key", claims.api_key.to_string()),
        ("request", claims.request.to_string()),
        ("key", signing.handle.to_string()),
    ] {
        assert_eq!(uses[0][member], expected, "{member}");
    }
    assert_eq!(
        (uses[0]["api_key_version"].clone(), uses[0]["key_version"].clone()),
        (3.into(), 1.into())
    );
    let permit = &uses[0]["permit"];
    assert_eq!(permit["epoch"], claims.epoch);
    assert_eq!(permit["serial"], claims.serial);
    assert_eq!(permit["payload"], payload);
    assert!(uses[0].get("break_glass").is_none());
    assert_eq!(uses[1]["result"], "undecryptable");
    assert_eq!(rig.of_kind("key").len(), 2);
}

#[test]
fn a_rewrapped_ciphertext_opens_with_the_target_and_the_plaintext_stays_here() {
    let rig = Rig::new();
    let (old, new) = (key(Algorithm::MlKem768, 1), key(Algorithm::MlKem768, 2));
    let public = generate(&rig, old).unwrap();
    generate(&rig, new).unwrap();
    let issuer = Issuer::of(&rig);
    let sealed = seal(&old, &public, b"aad", b"secret");
    let rewrap = UseInput::Rewrap {
        ciphertext: &sealed,
        aad: b"aad",
    };
    let claims = PermitClaims {
        target: Some(target(&new)),
        ..issuer.claims(&old, &rewrap)
    };
    let rewrapped = use_under(&rig, issuer.permit(&claims), &rewrap).unwrap();
    assert!(!rewrapped.windows(6).any(|bytes| bytes == b"secret"));
    let decrypt = UseInput::Decrypt {
        ciphertext: &rewrapped,
        aad: b"aad",
    };
    let opened = use_under(&rig, issuer.permit(&issuer.claims(&new, &decrypt)), &decrypt);
    assert_eq!(opened.as_deref(), Ok(&b"secret"[..]));
    let opened = use_under(&rig, issuer.permit(&issuer.claims(&old, &decrypt)), &decrypt);
    assert_eq!(
        opened,
        Err(KeydError::Undecryptable),
        "the old key has no part in it"
    );
    let wrong_aad = UseInput::Rewrap {
        ciphertext: &sealed,
        aad: b"other",
    };
    let claims = PermitClaims {
        target: Some(target(&new)),
        ..issuer.claims(&old, &wrong_aad)
    };
    let refused = use_under(&rig, issuer.permit(&claims), &wrong_aad);
    assert_eq!(refused, Err(KeydError::Undecryptable));
    let line = &rig.of_kind("use")[0];
    assert_eq!(line["operation"], "rewrap");
    assert_eq!(line["target"]["key"], new.handle.to_string());
}

#[test]
fn a_rewrap_to_a_signing_key_or_to_a_key_that_is_not_there_gives_nothing() {
    let rig = Rig::new();
    let (old, signing) = (key(Algorithm::MlKem768, 1), key(Algorithm::MlDsa65, 2));
    let public = generate(&rig, old).unwrap();
    generate(&rig, signing).unwrap();
    let issuer = Issuer::of(&rig);
    let sealed = seal(&old, &public, b"", b"s");
    let rewrap = UseInput::Rewrap {
        ciphertext: &sealed,
        aad: b"",
    };
    for (other, error) in [
        (signing, KeydError::PermitForOtherOperation),
        (key(Algorithm::MlKem768, 9), KeydError::KeyNotFound),
        (crate::audit_key::IDENTITY, KeydError::KeyNotFound),
    ] {
        let claims = PermitClaims {
            target: Some(target(&other)),
            ..issuer.claims(&old, &rewrap)
        };
        assert_eq!(use_under(&rig, issuer.permit(&claims), &rewrap), Err(error));
    }
}

#[test]
fn a_key_that_was_destroyed_cannot_be_used_though_it_was_in_memory() {
    let rig = Rig::new();
    let identity = key(Algorithm::MlDsa65, 1);
    generate(&rig, identity).unwrap();
    let issuer = Issuer::of(&rig);
    let sign = UseInput::Sign(Content::raw(b"m"));
    use_under(&rig, issuer.permit(&issuer.claims(&identity, &sign)), &sign).unwrap();
    for _ in 0..2 {
        rig.ask(Role::Policyd, &KeydRequest::Destroy(identity), outcome)
            .unwrap();
    }
    let refused = use_under(&rig, issuer.permit(&issuer.claims(&identity, &sign)), &sign);
    assert_eq!(refused, Err(KeydError::KeyNotFound));
    let changes: Vec<_> = rig
        .of_kind("key")
        .iter()
        .map(|line| line["what"].clone())
        .collect();
    assert_eq!(changes, ["generated", "destroyed", "destroyed"]);
}

/// policyd judges what is signed by its kind: a permit for a message must not sign a mu, of which nobody knows what it is.
#[test]
fn a_permit_for_messages_signs_no_digest_and_no_mu() {
    let rig = Rig::new();
    let identity = key(Algorithm::MlDsa65, 1);
    generate(&rig, identity).unwrap();
    let issuer = Issuer::of(&rig);
    let kinds = [
        UseInput::Sign(Content::raw(b"m")),
        UseInput::Sign(Content::Hash {
            function: HashFunction::Sha256,
            digest: &[7; 32],
            context: b"",
        }),
        UseInput::Sign(Content::Mu { mu: &[7; 64] }),
    ];
    for input in &kinds {
        for permitted in [Operation::Sign, Operation::SignHash, Operation::SignMu] {
            let mut claims = issuer.claims(&identity, input);
            claims.operation = permitted;
            let outcome = use_under(&rig, issuer.permit(&claims), input);
            if permitted == input.operation() {
                assert!(outcome.is_ok(), "{permitted}: {outcome:?}");
            } else {
                assert_eq!(outcome, Err(KeydError::PermitForOtherOperation), "{permitted}");
            }
        }
    }
    let recorded: Vec<_> = rig
        .of_kind("use")
        .iter()
        .map(|line| line["operation"].clone())
        .collect();
    assert_eq!(
        recorded,
        ["sign", "sign-hash", "sign-mu"],
        "the ledger says which"
    );
}

#[test]
fn refused_permits_are_recorded_and_a_flood_of_them_is_not_a_flood_of_lines() {
    let rig = Rig::new();
    let identity = key(Algorithm::MlDsa65, 1);
    generate(&rig, identity).unwrap();
    let issuer = Issuer::of(&rig);
    let sign = UseInput::Sign(Content::raw(b"m"));
    let forged = PermitKey::from_bytes([9; 32]).sign(&issuer.claims(&identity, &sign));
    for _ in 0..500 {
        assert_eq!(
            use_under(&rig, forged.clone(), &sign),
            Err(KeydError::PermitForged)
        );
    }
    let spent = issuer.permit(&issuer.claims(&identity, &sign));
    use_under(&rig, spent.clone(), &sign).unwrap();
    assert_eq!(use_under(&rig, spent, &sign), Err(KeydError::PermitReplayed));
    let rig = rig.restart();
    let refused = rig.of_kind("refused");
    let counts = |reason: &str| -> Vec<u64> {
        let of_it = refused.iter().filter(|line| line["reason"] == reason);
        of_it.map(|line| line["count"].as_u64().unwrap()).collect()
    };
    assert_eq!(counts("forged").iter().sum::<u64>(), 500, "none is forgotten");
    assert!(counts("forged").len() < 50, "{:?}", counts("forged"));
    assert_eq!(counts("replayed"), [1]);
}

#[test]
fn no_role_may_ask_for_what_is_anothers() {
    let rig = Rig::new();
    let identity = key(Algorithm::MlDsa65, 1);
    let open = || {
        KeydRequest::BreakGlass(BreakGlassCommand::Open {
            for_ms: 1000,
            reason: Name::try_from("why".to_owned()).unwrap(),
        })
    };
    let checkpoint = || {
        KeydRequest::SignCheckpoint(CheckpointClaims {
            ledger: [0; 16],
            seq: 1,
            head: [0; 32],
        })
    };
    for (role, request) in [
        (Role::Gateway, open()),
        (Role::Policyd, open()),
        (Role::Gateway, KeydRequest::BreakGlass(BreakGlassCommand::Close)),
        (Role::Gateway, KeydRequest::BreakGlass(BreakGlassCommand::Status)),
        (Role::Gateway, checkpoint()),
        (Role::Operator, checkpoint()),
        (Role::Gateway, KeydRequest::AuditKey),
        (Role::Gateway, KeydRequest::Generate(identity)),
        (Role::Gateway, KeydRequest::Destroy(identity)),
        (Role::Gateway, KeydRequest::RenewPermitKey),
        (Role::Gateway, KeydRequest::Inventory { after: None }),
        (Role::Operator, KeydRequest::Generate(identity)),
        (Role::Operator, KeydRequest::Destroy(identity)),
        (Role::Operator, KeydRequest::RenewPermitKey),
        (Role::Operator, KeydRequest::Inventory { after: None }),
        (Role::Operator, KeydRequest::Metrics),
    ] {
        let refused = rig.ask(role, &request, outcome);
        assert_eq!(refused, Err(KeydError::NotForThisPeer), "{role:?} {request:?}");
    }
    assert!(rig.of_kind("break-glass").is_empty());
    assert_eq!(rig.of_kind("refused")[0]["reason"], "not-for-this-peer");
}
