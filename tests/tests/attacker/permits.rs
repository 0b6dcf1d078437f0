//! Genuine permits, misused: twice, late, for something else, for somebody else.

use crate::scene::{
    PERMITS_REFUSED, REQUESTS_REFUSED, USES, assert_counted, connect, connect_as_policyd, decrypt_input,
    scene, sign_input, use_of,
};
use chancel_domain::{Algorithm, BatchSize, Content, KeyHandle, KeyVersion, Operation};
use chancel_pqc::Verdict;
use chancel_tests::Daemon;
use chancel_wire::keyd::{KeyIdentity, KeydError, KeydReply, KeydRequest, UseInput};
use chancel_wire::limits::PERMIT_LIFETIME;
use chancel_wire::permit::{PayloadDigest, SignedPermit};
use chancel_wire::policyd::Ask;
use std::fs;
use std::thread;
use std::time::Duration;

#[test]
fn a_genuine_permit_works_and_only_for_its_own_payload_and_key() {
    let mut scene = scene();
    let (permit, input) = scene.permit_to_sign(b"message");
    let signature = scene.works(&permit, &input);
    let verdict = |key: &[u8], message: &[u8]| {
        chancel_pqc::verify(Algorithm::MlDsa65, key, &Content::raw(message), &signature)
            .expect("a sound key and signature")
    };
    assert_eq!(
        verdict(&scene.a().signature.public_key, b"message"),
        Verdict::Valid
    );
    assert_eq!(
        verdict(&scene.b().signature.public_key, b"message"),
        Verdict::Invalid
    );

    let ciphertext = scene.a().ciphertext(b"plaintext");
    let input = decrypt_input(&ciphertext);
    let api_key = &scene.a().api_key;
    let permit = scene.permit(api_key, Operation::Decrypt, &input);
    assert_eq!(scene.works(&permit, &input), b"plaintext");
}

#[test]
fn a_replayed_permit_is_refused() {
    let mut scene = scene();
    let (permit, input) = scene.permit_to_sign(b"once");
    scene.works(&permit, &input);
    for _ in 0..3 {
        scene.refused(&permit, &input, KeydError::PermitReplayed, "replayed");
    }
    // Nor over another connection.
    scene.keyd = connect(&scene.system, Daemon::Keyd);
    scene.refused(&permit, &input, KeydError::PermitReplayed, "replayed");
}

/// Code in the gateway says how many inputs a batch has, and that is what is counted: it must be what is done.
#[test]
fn a_permit_for_a_batch_makes_no_more_signatures_than_were_counted() {
    let mut scene = scene();
    let list = |count: usize| {
        let inputs: Vec<_> = (0..count)
            .map(|number| sign_input(&number.to_be_bytes()))
            .collect();
        chancel_wire::encode_list(inputs.iter().map(Vec::as_slice))
    };
    let api_key = &scene.a().api_key;
    for (stated, done) in [(1u16, 1000), (2, 3), (3, 2)] {
        let payload = list(done);
        let mut ask = use_of(Operation::Sign, &payload);
        if let Ask::Use { batch, .. } = &mut ask {
            *batch = BatchSize::try_from(stated).ok();
        }
        let permit = scene.permit_for(api_key, ask);
        let before = scene.keyd.keyd_metrics();
        assert_eq!(scene.keyd.use_key(&permit, &payload), Err(KeydError::Malformed));
        let after = scene.keyd.keyd_metrics();
        assert_eq!(before.sum(USES), after.sum(USES), "a key was used");
    }
    // As one message: the list's bytes are not those of a single input.
    let payload = list(2);
    let single = scene.permit(api_key, Operation::Sign, &payload);
    assert_eq!(scene.keyd.use_key(&single, &payload), Err(KeydError::Malformed));
}

#[test]
fn a_permit_used_from_many_connections_at_once_works_on_one() {
    let mut scene = scene();
    let before = scene.keyd.keyd_metrics();
    const ROUNDS: u64 = 10;
    const AT_ONCE: u64 = 4;
    for round in 0..ROUNDS {
        let (permit, input) = scene.permit_to_sign(&round.to_be_bytes());
        let outcomes: Vec<_> = thread::scope(|scope| {
            let attempts: Vec<_> = (0..AT_ONCE)
                .map(|_| {
                    let mut peer = connect(&scene.system, Daemon::Keyd);
                    let (permit, input) = (&permit, &input);
                    scope.spawn(move || peer.use_key(permit, input))
                })
                .collect();
            attempts
                .into_iter()
                .map(|attempt| attempt.join().expect("no panic"))
                .collect()
        });
        let worked = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(worked, 1, "{outcomes:?}");
        assert!(
            outcomes
                .iter()
                .all(|outcome| matches!(outcome, Ok(_) | Err(KeydError::PermitReplayed)))
        );
    }
    let after = scene.keyd.keyd_metrics();
    assert_counted(
        &before,
        &after,
        PERMITS_REFUSED,
        "replayed",
        ROUNDS * (AT_ONCE - 1),
    );
    assert_eq!(after.sum(USES) - before.sum(USES), ROUNDS);
}

#[test]
fn an_expired_permit_is_refused() {
    let (permit, input, twin, twin_input) = {
        let mut scene = scene();
        let (permit, input) = scene.permit_to_sign(b"too late");
        let (twin, twin_input) = scene.permit_to_sign(b"in time");
        (permit, input, twin, twin_input)
    };
    // The other permit of the same moment works: what refuses the first one is the time alone.
    scene().works(&twin, &twin_input);
    thread::sleep(PERMIT_LIFETIME + Duration::from_millis(300));
    scene().refused(&permit, &input, KeydError::PermitExpired, "expired");
}

#[test]
fn a_permit_for_one_payload_is_refused_for_another() {
    let mut scene = scene();
    let (permit, input) = scene.permit_to_sign(b"what the caller signs");
    for other in [
        sign_input(b"what the attacker signs"),
        sign_input(b""),
        sign_input(b"what the caller sign"),
        [input.as_slice(), b"\0"].concat(),
        input[..input.len() - 1].to_vec(),
        Vec::new(),
    ] {
        scene.refused(&permit, &other, KeydError::PermitForOtherPayload, "other-payload");
    }
    // Refusals did not spend it.
    scene.works(&permit, &input);
}

#[test]
fn a_permit_for_one_operation_is_refused_for_another() {
    let mut scene = scene();
    // An API key that may decapsulate and nothing else; the attacker lies to policyd about what the input is for.
    let api_key = scene.system.api_key(&scene.a().tenant, "decapsulate");
    let ciphertext = scene.a().ciphertext(b"secret");
    let input = decrypt_input(&ciphertext);
    let permit = scene.permit(&api_key, Operation::Decapsulate, &input);
    scene.refused(
        &permit,
        &input,
        KeydError::PermitForOtherOperation,
        "other-operation",
    );
    // And so for each pair of operations of the API key that may do all.
    let all = &scene.a().api_key;
    let (kem_ciphertext, _) =
        chancel_pqc::encapsulate(Algorithm::MlKem768, &scene.a().kem.public_key).expect("a sound key");
    let inputs = [
        UseInput::Decrypt {
            ciphertext: &ciphertext,
            aad: b"",
        },
        UseInput::Unwrap {
            wrapped_key: &ciphertext,
        },
        UseInput::Decapsulate {
            kem_ciphertext: &kem_ciphertext,
        },
        UseInput::Sign(Content::raw(b"message")),
    ];
    for stated in inputs.iter().map(UseInput::operation) {
        for actual in inputs.iter().filter(|actual| actual.operation() != stated) {
            let input = chancel_wire::encode(actual);
            let permit = scene.permit(all, stated, &input);
            scene.refused(
                &permit,
                &input,
                KeydError::PermitForOtherOperation,
                "other-operation",
            );
        }
    }
}

#[test]
fn tenant_as_permit_does_not_open_tenant_bs_ciphertext() {
    let mut scene = scene();
    let input = decrypt_input(&scene.b().ciphertext(b"tenant B's secret"));
    let (a, b) = (scene.a(), scene.b());
    let permit = scene.permit(&a.api_key, Operation::Decrypt, &input);
    let before = scene.keyd.keyd_metrics();
    assert_eq!(scene.keyd.use_key(&permit, &input), Err(KeydError::Undecryptable));
    let after = scene.keyd.keyd_metrics();
    assert_eq!(before.sum(USES), after.sum(USES));
    assert_counted(&before, &after, REQUESTS_REFUSED, "undecryptable", 1);
    // With tenant B's own API key it opens: it was a sound ciphertext.
    let permit = scene.permit(&b.api_key, Operation::Decrypt, &input);
    assert_eq!(scene.works(&permit, &input), b"tenant B's secret");
}

#[test]
fn even_a_permit_that_policyd_signed_reaches_no_key_under_another_tenant() {
    let mut scene = scene();
    let mut policyd = connect_as_policyd(&scene.system);
    let body = policyd.ask(&KeydRequest::RenewPermitKey).expect("keyd answers");
    let KeydReply::PermitKey(grant) = body.keyd() else {
        panic!("no permit key");
    };
    let (a, b) = (scene.a(), scene.b());
    let input = decrypt_input(&b.ciphertext(b"tenant B's secret"));
    let (genuine, _) = scene.permit_to_sign(b"for the other claims");
    let mut claims = genuine.unverified_claims().expect("claims");
    claims.epoch = grant.epoch;
    claims.expires_at_ms = grant.now_ms + 4_000;
    claims.operation = Operation::Decrypt;
    claims.algorithm = Algorithm::MlKem768;
    claims.payload = PayloadDigest::of(&input);
    let wrong = [
        (a.tenant.id, b.kem.handle, KeyVersion::FIRST),
        (b.tenant.id, a.kem.handle, KeyVersion::FIRST),
        (b.tenant.id, b.kem.handle, KeyVersion::new(2).expect("not 0")),
        (b.tenant.id, b.signature.handle, KeyVersion::FIRST),
    ];
    for (serial, (tenant, handle, version)) in (1..).zip(wrong) {
        (claims.serial, claims.tenant, claims.key, claims.key_version) = (serial, tenant, handle, version);
        let before = scene.keyd.keyd_metrics();
        assert_eq!(
            scene.keyd.use_key(&grant.key.sign(&claims), &input),
            Err(KeydError::KeyNotFound)
        );
        assert_eq!(before.sum(USES), scene.keyd.keyd_metrics().sum(USES));
    }
    // The same permit key, with what belongs together.
    (claims.serial, claims.tenant, claims.key, claims.key_version) =
        (9, b.tenant.id, b.kem.handle, KeyVersion::FIRST);
    assert_eq!(
        scene.works(&grant.key.sign(&claims), &input),
        b"tenant B's secret"
    );
}

#[test]
fn without_a_permit_no_key_is_used() {
    let mut scene = scene();
    let input = sign_input(b"please");
    scene.refused(
        &SignedPermit::from_parts(Vec::new(), [0; 32]),
        &input,
        KeydError::PermitForged,
        "forged",
    );
    // A request that leaves the permit out is none.
    let (permit, _) = scene.permit_to_sign(b"please");
    let whole = chancel_wire::encode(&KeydRequest::Use {
        permit,
        input: &input,
    });
    let before = scene.keyd.keyd_metrics();
    let mut tries = 0;
    for cut in [1, 2, 10, 40, whole.len() / 2, whole.len() - 1] {
        let body = scene.keyd.ask_bytes(&whole[..cut]).expect("keyd answers");
        assert!(
            matches!(body.keyd(), KeydReply::Refused(KeydError::Malformed)),
            "cut at {cut}"
        );
        tries += 1;
    }
    let after = scene.keyd.keyd_metrics();
    assert_counted(&before, &after, REQUESTS_REFUSED, "malformed", tries);
    assert_eq!(before.sum(USES), after.sum(USES));
}

#[test]
fn what_only_policyd_may_ask_is_refused_to_the_gateway() {
    let mut scene = scene();
    let files = key_files(&scene.system.layout().key_directory());
    let a = scene.a();
    let existing = KeyIdentity {
        tenant: a.tenant.id,
        algorithm: a.kem.algorithm,
        version: a.kem.version,
        handle: a.kem.handle,
    };
    let new = KeyIdentity {
        handle: KeyHandle::from_bytes([7; 16]),
        ..existing
    };
    let before = scene.keyd.keyd_metrics();
    let requests = [
        KeydRequest::Generate(new),
        KeydRequest::Destroy(existing),
        KeydRequest::RenewPermitKey,
        KeydRequest::Inventory { after: None },
    ];
    for request in &requests {
        assert_eq!(
            scene.keyd.refusal(request),
            KeydError::NotForThisPeer,
            "{request:?}"
        );
    }
    let after = scene.keyd.keyd_metrics();
    assert_counted(
        &before,
        &after,
        REQUESTS_REFUSED,
        "not-for-this-peer",
        requests.len() as u64,
    );
    if scene.system.accounts().separate() {
        assert!(files.len() >= 4, "the test reads the key directory: {files:?}");
    }
    assert_eq!(files, key_files(&scene.system.layout().key_directory()));
    // policyd itself may: the requests were sound.
    let mut policyd = connect_as_policyd(&scene.system);
    let body = policyd.ask(&requests[3]).expect("keyd answers");
    assert!(matches!(body.keyd(), KeydReply::Inventory { .. }));
}

fn key_files(directory: &std::path::Path) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    for tenant in fs::read_dir(directory).expect("the key directory") {
        let tenant = tenant.expect("an entry").path();
        // The audit key lies beside the tenants' directories.
        if tenant.is_file() {
            continue;
        }
        for file in fs::read_dir(tenant).expect("a tenant's directory") {
            let path = file.expect("an entry").path();
            let bytes = fs::read(&path).expect("a key file");
            files.push((path, bytes));
        }
    }
    files.sort();
    files
}
