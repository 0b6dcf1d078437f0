//! A scope of tenant A against rows of tenant B: it neither sees nor changes one of them.

use super::fixture::{Fixture, deny_rule};
use crate::admin::Operator;
use crate::api_keys::ServiceContext;
use crate::store::{StateDates, StoredAnswer, UsageFigure};
use crate::usage::{Day, Month};
use chancel_domain::{Algorithm, DenyRuleId, KeyState, KeyVersion};

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
            (tenant.record.id, tenant.api_keys, tenant.signature_keys),
            (a.tenant(), 1, 0)
        );

        let scope = view.tenant(&in_b);
        assert_eq!(scope.active_key(ALGORITHM).unwrap().unwrap().handle, key_b.handle);
        let tenant = scope.own_tenant().unwrap().unwrap();
        assert_eq!((tenant.record.id, tenant.signature_keys), (b.id, 1));
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
        let dates = StateDates::default();
        assert!(!scope.move_key(
            ALGORITHM,
            key_b.version,
            KeyState::Active,
            KeyState::Retired,
            dates
        )?);
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

/// Gives a tenant a row of everything that belongs to tenants beside its API key and its key.
fn furnish(fixture: &Fixture, owner: ServiceContext, rule: DenyRuleId, answer: StoredAnswer) {
    let tenant = owner.tenant();
    fixture.change(move |view| {
        let scope = view.tenant(&owner);
        scope.insert_deny_rule(rule, &deny_rule("no signing at night"), 1)?;
        scope.set_key_budget(ALGORITHM, Some(7))?;
        scope.keep_first_answer(&[1; 32], &answer, 0, 1)?;
        view.usage().apply(&[
            UsageFigure::Calls(tenant, Month::of(0), 5),
            UsageFigure::Uses(tenant, ALGORITHM, Day::of(0), 3),
        ])
    });
}

#[test]
fn rules_budgets_counts_and_first_answers_of_another_tenant_are_neither_seen_nor_changed() {
    let fixture = Fixture::new();
    let (_, secret_a) = fixture.tenant("a");
    let (_, secret_b) = fixture.tenant("b");
    let (a, b) = (
        fixture.context(&secret_a).unwrap(),
        fixture.context(&secret_b).unwrap(),
    );
    fixture.key(b, ALGORITHM);
    let rule = DenyRuleId::from_bytes([5; 16]);
    let answer = StoredAnswer {
        request_hash: [2; 32],
        sealed: b"sealed".to_vec(),
    };
    furnish(&fixture, b, rule, answer.clone());

    fixture.change(move |view| {
        let scope = view.tenant(&a);
        assert!(!scope.delete_deny_rule(rule)?);
        scope.set_key_budget(ALGORITHM, None)
    });
    fixture.look(|view| {
        let scope = view.tenant(&a);
        assert!(scope.deny_rules().unwrap().is_empty());
        assert_eq!(scope.key_budget(ALGORITHM).unwrap(), None);
        assert_eq!(scope.first_answer(&[1; 32], 0).unwrap(), None);
        assert_eq!(scope.calls_of(Month::of(0)).unwrap(), 0);
        assert_eq!(scope.uses_of(ALGORITHM, Day::of(0)).unwrap(), 0);
        assert_eq!(scope.archived_at_ms(ALGORITHM, KeyVersion::FIRST).unwrap(), None);
        assert!(scope.standing(b.api_key()).unwrap().is_none());
        let counts = scope.key_counts(ALGORITHM).unwrap();
        assert_eq!((counts.in_family, counts.versions), (0, 0));
        let own = scope.standing(a.api_key()).unwrap().unwrap();
        assert!(!own.has_deny_rules && !own.has_budgets);

        let scope = view.tenant(&b);
        assert_eq!(scope.deny_rules().unwrap().len(), 1);
        assert_eq!(scope.key_budget(ALGORITHM).unwrap(), Some(7));
        assert_eq!(scope.first_answer(&[1; 32], 0).unwrap(), Some(answer));
        assert_eq!(scope.calls_of(Month::of(0)).unwrap(), 5);
        assert_eq!(scope.uses_of(ALGORITHM, Day::of(0)).unwrap(), 3);
        let counts = scope.key_counts(ALGORITHM).unwrap();
        assert_eq!((counts.in_family, counts.versions), (1, 1));
        let own = scope.standing(b.api_key()).unwrap().unwrap();
        assert!(own.has_deny_rules && own.has_budgets);
    });
}

#[test]
fn the_same_idempotency_key_of_two_tenants_is_two_keys_and_an_old_answer_is_none() {
    let fixture = Fixture::new();
    let (_, secret_a) = fixture.tenant("a");
    let (_, secret_b) = fixture.tenant("b");
    for (secret, sealed) in [(&secret_a, b"to a"), (&secret_b, b"to b")] {
        let context = fixture.context(secret).unwrap();
        let answer = StoredAnswer {
            request_hash: [2; 32],
            sealed: sealed.to_vec(),
        };
        fixture.change(move |view| view.tenant(&context).keep_first_answer(&[1; 32], &answer, 0, 10));
    }
    fixture.look(|view| {
        for (secret, sealed) in [(&secret_a, b"to a"), (&secret_b, b"to b")] {
            let context = fixture.context_in(view, secret).unwrap();
            let scope = view.tenant(&context);
            assert_eq!(scope.first_answer(&[1; 32], 10).unwrap().unwrap().sealed, sealed);
            assert_eq!(scope.first_answer(&[1; 32], 11).unwrap(), None);
        }
    });
    fixture.change(|view| view.destruction().forget_answers_before(11));
    let left: i64 = fixture
        .raw()
        .query_row("SELECT count(*) FROM idempotent_answers", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
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
    assert_eq!(
        fixture.look(|view| view.walk().was_destroyed(&reserved)).unwrap(),
        None
    );
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
