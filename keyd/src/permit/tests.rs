//! Each way a permit can be wrong, and that a right one works once.

use super::*;
use chancel_domain::{Algorithm, ApiKeyId, BatchSize, Content, KeyHandle, KeyVersion, RequestId, TenantId};
use chancel_wire::keyd::UseInput;
use chancel_wire::permit::PermitTarget;

fn input(message: &[u8]) -> Vec<u8> {
    chancel_wire::encode(&UseInput::Sign(Content::raw(message)))
}

fn claims(grant: &PermitKeyGrant, serial: u64, input: &[u8]) -> PermitClaims {
    PermitClaims {
        epoch: grant.epoch,
        serial,
        expires_at_ms: grant.now_ms + 1_000,
        tenant: TenantId::from_bytes([1; 16]),
        api_key: ApiKeyId::from_bytes([2; 16]),
        api_key_version: 1,
        request: RequestId::from_bytes([3; 16]),
        operation: Operation::Sign,
        algorithm: Algorithm::MlDsa65,
        key_version: KeyVersion::FIRST,
        key: KeyHandle::from_bytes([4; 16]),
        payload: PayloadDigest::of(input),
        target: None,
        batch: None,
    }
}

#[track_caller]
fn refused(book: &PermitBook, permit: &SignedPermit, input: &[u8]) -> KeydError {
    match book.verify(permit, input) {
        Ok(_) => panic!("the permit was believed"),
        Err(error) => error,
    }
}

#[test]
fn a_right_permit_works_once_and_names_the_key() {
    let book = PermitBook::new();
    let grant = book.renew().unwrap();
    let input = input(b"m");
    let claims = claims(&grant, 1, &input);
    let permit = grant.key.sign(&claims);
    let verified = book.verify(&permit, &input).ok().unwrap();
    assert_eq!(verified.key().tenant, claims.tenant);
    assert_eq!(verified.key().handle, claims.key);
    assert_eq!(refused(&book, &permit, &input), KeydError::PermitReplayed);
}

#[test]
fn another_payload_or_operation_is_refused_and_does_not_spend_the_permit() {
    let book = PermitBook::new();
    let grant = book.renew().unwrap();
    let ours = input(b"m");
    let permit = grant.key.sign(&claims(&grant, 1, &ours));
    assert_eq!(
        refused(&book, &permit, &input(b"n")),
        KeydError::PermitForOtherPayload
    );
    let decapsulate = chancel_wire::encode(&UseInput::Decapsulate { kem_ciphertext: b"m" });
    let crossed = grant.key.sign(&claims(&grant, 2, &decapsulate));
    assert_eq!(
        refused(&book, &crossed, &decapsulate),
        KeydError::PermitForOtherOperation
    );
    let wrong_family = PermitClaims {
        algorithm: Algorithm::MlKem768,
        ..claims(&grant, 3, &ours)
    };
    assert_eq!(
        refused(&book, &grant.key.sign(&wrong_family), &ours),
        KeydError::PermitForOtherOperation
    );
    assert!(book.verify(&permit, &ours).is_ok());
}

#[test]
fn forged_and_foreign_permits_are_refused() {
    let book = PermitBook::new();
    let input = input(b"m");
    let made_up = PermitKey::from_bytes([7; 32]);
    let grant = book.renew().unwrap();
    assert_eq!(
        refused(&book, &made_up.sign(&claims(&grant, 1, &input)), &input),
        KeydError::PermitForged
    );
    let unknown_epoch = PermitClaims {
        epoch: 99,
        ..claims(&grant, 1, &input)
    };
    assert_eq!(
        refused(&book, &grant.key.sign(&unknown_epoch), &input),
        KeydError::PermitForged
    );
    let garbage = SignedPermit::from_parts(vec![0xff; 40], [0; 32]);
    assert_eq!(refused(&book, &garbage, &input), KeydError::PermitForged);
}

#[test]
fn expired_permits_and_permits_from_the_far_future_are_refused() {
    let book = PermitBook::new();
    let grant = book.renew().unwrap();
    let input = input(b"m");
    let future = claims(&grant, 1, &input);
    let far = PermitClaims {
        expires_at_ms: grant.now_ms + 3_600_000,
        ..future.clone()
    };
    assert_eq!(
        refused(&book, &grant.key.sign(&far), &input),
        KeydError::PermitExpired
    );
    std::thread::sleep(Duration::from_millis(3));
    let past = PermitClaims {
        expires_at_ms: grant.now_ms,
        ..future
    };
    assert_eq!(
        refused(&book, &grant.key.sign(&past), &input),
        KeydError::PermitExpired
    );
}

#[test]
fn only_the_last_few_permit_keys_are_kept() {
    let book = PermitBook::new();
    let first = book.renew().unwrap();
    let input = input(b"m");
    let early = first.key.sign(&claims(&first, 1, &input));
    let late = first.key.sign(&claims(&first, 2, &input));
    assert!(book.verify(&early, &input).is_ok());
    for _ in 0..EPOCHS_KEPT {
        book.renew().unwrap();
    }
    assert_eq!(refused(&book, &late, &input), KeydError::PermitForged);
}

#[test]
fn a_target_belongs_to_a_rewrap_and_to_nothing_else() {
    let book = PermitBook::new();
    let grant = book.renew().unwrap();
    let target = PermitTarget {
        algorithm: Algorithm::MlKem768,
        version: KeyVersion::FIRST,
        key: KeyHandle::from_bytes([5; 16]),
    };
    let sign = input(b"m");
    let with_target = PermitClaims {
        target: Some(target),
        ..claims(&grant, 1, &sign)
    };
    assert_eq!(
        refused(&book, &grant.key.sign(&with_target), &sign),
        KeydError::PermitForOtherOperation
    );
    let rewrap = chancel_wire::encode(&UseInput::Rewrap {
        ciphertext: b"c",
        aad: b"",
    });
    let without = PermitClaims {
        operation: Operation::Rewrap,
        algorithm: Algorithm::MlKem768,
        ..claims(&grant, 2, &rewrap)
    };
    assert_eq!(
        refused(&book, &grant.key.sign(&without), &rewrap),
        KeydError::PermitForOtherOperation
    );
    let whole = PermitClaims {
        target: Some(target),
        ..without
    };
    let verified = book.verify(&grant.key.sign(&whole), &rewrap).ok().unwrap();
    let found = verified.target().unwrap();
    assert_eq!((found.tenant, found.handle), (whole.tenant, target.key));
}

#[test]
fn permit_keys_of_two_processes_have_different_numbers() {
    let (one, two) = (PermitBook::new(), PermitBook::new());
    let (first, second) = (one.renew().unwrap().epoch, one.renew().unwrap().epoch);
    assert_eq!(second, first + 1);
    assert!(two.renew().unwrap().epoch.abs_diff(first) > 1000);
}

#[test]
fn a_permit_for_a_batch_is_for_as_many_inputs_as_it_says_all_of_its_operation() {
    let book = PermitBook::new();
    let grant = book.renew().unwrap();
    let list = |inputs: &[Vec<u8>]| chancel_wire::encode_list(inputs.iter().map(Vec::as_slice));
    let size = |items: u16| BatchSize::try_from(items).ok();
    let signed = [input(b"a"), input(b"b")];
    let decapsulate = chancel_wire::encode(&UseInput::Decapsulate { kem_ciphertext: b"m" });
    let three = list(&[input(b"a"), input(b"b"), input(b"c")]);
    for (batch, payload, error) in [
        // More or fewer than were counted, one instead of many, many instead of one.
        (size(1), list(&signed), KeydError::Malformed),
        (size(2), three, KeydError::Malformed),
        (size(3), list(&signed), KeydError::Malformed),
        (None, list(&signed), KeydError::Malformed),
        (size(1), input(b"a"), KeydError::Malformed),
        (
            size(2),
            list(&[input(b"a"), decapsulate]),
            KeydError::PermitForOtherOperation,
        ),
    ] {
        let permit = grant.key.sign(&PermitClaims {
            batch,
            ..claims(&grant, 1, &payload)
        });
        assert_eq!(refused(&book, &permit, &payload), error, "{batch:?}");
    }
    let payload = list(&signed);
    let permit = grant.key.sign(&PermitClaims {
        batch: size(2),
        ..claims(&grant, 1, &payload)
    });
    assert_eq!(
        book.verify(&permit, &payload).ok().unwrap().inputs().batch(),
        Some(2)
    );
    assert_eq!(refused(&book, &permit, &payload), KeydError::PermitReplayed);
}
