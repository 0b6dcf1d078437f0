//! A scope of tenant A against rows of tenant B: it neither sees nor changes one of them.

use super::fixture::Fixture;
use crate::admin::Operator;
use chancel_domain::{Algorithm, KeyState, KeyVersion};

const ALGORITHM: Algorithm = Algorithm::MlDsa65;

#[test]
fn a_scope_sees_nothing_of_another_tenant() {
    let fixture = Fixture::new();
    let (_, secret_a) = fixture.tenant("a");
    let (b, secret_b) = fixture.tenant("b");
    let (a, in_b) = (
        fixture.context(&secret_a).unwrap(),
        fixture.context(&secret_b).unwrap(),
    );
    let key_b = fixture.key(in_b, ALGORITHM);

    fixture.look(|view| {
        let scope = view.tenant(&a);
        assert!(scope.active_key(ALGORITHM).unwrap().is_none());
        assert!(scope.key(ALGORITHM, key_b.version).unwrap().is_none());
        assert!(scope.keys(None, None, 100).unwrap().is_empty());
        assert!(scope.api_key(in_b.api_key()).unwrap().is_none());
        let own: Vec<_> = scope
            .api_keys_after(None, 100)
            .unwrap()
            .iter()
            .map(|key| key.id)
            .collect();
        assert_eq!(own, [a.api_key()]);
        let tenant = scope.own_tenant().unwrap().unwrap();
        assert_eq!(
            (tenant.id, tenant.api_keys, tenant.signature_keys),
            (a.tenant(), 1, 0)
        );

        let scope = view.tenant(&in_b);
        assert_eq!(scope.active_key(ALGORITHM).unwrap().unwrap().handle, key_b.handle);
        let tenant = scope.own_tenant().unwrap().unwrap();
        assert_eq!((tenant.id, tenant.signature_keys), (b.id, 1));
    });
}

#[test]
fn a_scope_changes_nothing_of_another_tenant() {
    let fixture = Fixture::new();
    let (_, secret_a) = fixture.tenant("a");
    let (_, secret_b) = fixture.tenant("b");
    let (a, in_b) = (
        fixture.context(&secret_a).unwrap(),
        fixture.context(&secret_b).unwrap(),
    );
    let key_b = fixture.key(in_b, ALGORITHM);
    let hashes = fixture.hasher.hashes(a.tenant(), &secret_a);
    let operator = Operator::for_tests();

    fixture.change(move |view| {
        let scope = view.tenant(&a);
        assert!(!scope.move_key(ALGORITHM, key_b.version, KeyState::Active, KeyState::Retired)?);
        assert!(!scope.replace_secret(in_b.api_key(), &hashes)?);
        scope.revoke_api_key(in_b.api_key(), 5)?;
        let (_, scope) = view.operators(&operator).scope(a.tenant())?.unwrap();
        scope.revoke_api_key(in_b.api_key(), 5)
    });
    fixture.look(|view| {
        let scope = view.tenant(&in_b);
        assert_eq!(
            scope.active_key(ALGORITHM).unwrap().unwrap().state,
            KeyState::Active
        );
        let api_key = scope.api_key(in_b.api_key()).unwrap().unwrap();
        assert_eq!((api_key.version, api_key.revoked_at_ms), (1, None));
    });
    assert_eq!(fixture.context(&secret_b), Some(in_b));
}

#[test]
fn a_reserved_key_is_seen_by_nobody_who_asks_for_keys() {
    let fixture = Fixture::new();
    let (_, secret) = fixture.tenant("a");
    let context = fixture.context(&secret).unwrap();
    let handle = chancel_domain::KeyHandle::from_bytes([7; 16]);
    let reserved = fixture.change(move |view| {
        view.tenant(&context)
            .reserve_key(ALGORITHM, KeyVersion::FIRST, handle, context.api_key(), 1)
    });
    fixture.look(|view| {
        let scope = view.tenant(&context);
        assert!(scope.active_key(ALGORITHM).unwrap().is_none());
        assert!(scope.key(ALGORITHM, KeyVersion::FIRST).unwrap().is_none());
        assert!(scope.keys(None, None, 100).unwrap().is_empty());
        assert_eq!(scope.own_tenant().unwrap().unwrap().signature_keys, 0);
        let walk = view.walk();
        assert!(walk.is_reserved(&reserved).unwrap());
        assert_eq!(walk.reserved_after(None, 10).unwrap(), [reserved]);
        assert!(walk.reserved_after(Some(reserved), 10).unwrap().is_empty());
    });
}

#[test]
fn the_walk_forgets_only_what_was_never_finished() {
    let fixture = Fixture::new();
    let (_, secret) = fixture.tenant("a");
    let context = fixture.context(&secret).unwrap();
    let active = fixture.key(context, ALGORITHM);
    assert!(!fixture.change(move |view| view.walk().forget_reserved(&active)));
    let handle = chancel_domain::KeyHandle::from_bytes([7; 16]);
    let second = active.version.next().unwrap();
    let reserved = fixture.change(move |view| {
        view.tenant(&context)
            .reserve_key(ALGORITHM, second, handle, context.api_key(), 1)
    });
    fixture.look(|view| {
        let walked = view.walk().keys_after(None, 10).unwrap();
        assert_eq!(
            walked
                .iter()
                .map(|row| (row.key, row.reserved))
                .collect::<Vec<_>>(),
            [(active, false), (reserved, true)]
        );
        assert_eq!(view.walk().keys_after(Some(active), 10).unwrap().len(), 1);
        assert!(view.walk().keys_after(Some(reserved), 10).unwrap().is_empty());
    });
    assert!(fixture.change(move |view| view.walk().forget_reserved(&reserved)));
    assert!(!fixture.look(|view| view.walk().knows(&reserved)).unwrap());
}

#[test]
fn a_rotated_secret_is_dead_at_once_and_a_revoked_key_is_not_rotated() {
    let fixture = Fixture::new();
    let (_, old) = fixture.tenant("a");
    let context = fixture.context(&old).unwrap();
    let new = crate::api_keys::ApiKeySecretText::generate();
    let hashes = fixture.hasher.hashes(context.tenant(), &new);
    assert!(fixture.change(move |view| view.tenant(&context).replace_secret(context.api_key(), &hashes)));
    assert!(fixture.context(&old).is_none());
    let rotated = fixture.context(&new).unwrap();
    assert_eq!(
        (rotated.api_key(), rotated.api_key_version()),
        (context.api_key(), 2)
    );
    fixture.change(move |view| view.tenant(&context).revoke_api_key(context.api_key(), 5));
    assert!(!fixture.change(move |view| view.tenant(&context).replace_secret(context.api_key(), &hashes)));
}
