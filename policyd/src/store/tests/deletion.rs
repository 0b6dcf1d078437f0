//! What is left of a deleted tenant, and of a key whose date has come.

use super::fixture::{Fixture, deny_rule};
use crate::admin::Operator;
use crate::api_keys::ServiceContext;
use crate::store::{StateDates, StoredAnswer, UsageFigure};
use crate::usage::{Day, Month};
use chancel_domain::{Algorithm, DenyRuleId, KeyHandle, KeyState, KeyVersion, TenantId};
use chancel_wire::keyd::KeyIdentity;

const ALGORITHM: Algorithm = Algorithm::MlDsa65;
const NOW_MS: i64 = 1_000;
const DATE_MS: i64 = 5_000;

/// Every row of a table that carries a tenant's id.
fn rows(fixture: &Fixture, table: &str, tenant: TenantId) -> i64 {
    let count = format!("SELECT count(*) FROM {table} WHERE tenant_id = ?1");
    fixture
        .raw()
        .query_row(&count, [tenant.as_bytes()], |row| row.get(0))
        .unwrap()
}

fn delete(fixture: &Fixture, tenant: TenantId) {
    let operator = Operator::for_tests();
    fixture.change(move |view| view.operators(&operator).delete_tenant(tenant, DATE_MS, NOW_MS));
}

/// A tenant's first key, on its way to destruction at [`DATE_MS`].
fn doomed(fixture: &Fixture, context: ServiceContext) -> KeyIdentity {
    let key = fixture.key(context, ALGORITHM);
    let dates = StateDates {
        destroy_at_ms: Some(DATE_MS),
        ..StateDates::default()
    };
    assert!(fixture.change(move |view| {
        let scope = view.tenant(&context);
        scope.move_key(
            ALGORITHM,
            key.version,
            KeyState::Active,
            KeyState::PendingDestruction,
            dates,
        )
    }));
    key
}

#[test]
fn of_a_deleted_tenant_nothing_is_left_but_its_keys_with_their_date() {
    let fixture = Fixture::new();
    let (tenant, secret) = fixture.tenant("to be deleted");
    let (other, other_secret) = fixture.tenant("other");
    let context = fixture.context(&secret).unwrap();
    let others = fixture.context(&other_secret).unwrap();
    for owner in [context, others] {
        fixture.key(owner, ALGORITHM);
        fixture.change(move |view| {
            let scope = view.tenant(&owner);
            // An id names a rule within its tenant.
            scope.insert_deny_rule(DenyRuleId::from_bytes([5; 16]), &deny_rule("rule"), 1)?;
            scope.set_key_budget(ALGORITHM, Some(7))?;
            let answer = StoredAnswer {
                request_hash: [2; 32],
                sealed: b"sealed".to_vec(),
            };
            scope.keep_first_answer(&[1; 32], &answer, 0, 1)?;
            view.usage().apply(&[
                UsageFigure::Calls(owner.tenant(), Month::of(0), 5),
                UsageFigure::Uses(owner.tenant(), ALGORITHM, Day::of(0), 3),
            ])
        });
    }
    delete(&fixture, tenant.id);

    for table in [
        "api_keys",
        "deny_rules",
        "key_budgets",
        "usage_months",
        "usage_days",
        "idempotent_answers",
    ] {
        assert_eq!(rows(&fixture, table, tenant.id), 0, "{table}");
        assert_eq!(rows(&fixture, table, other.id), 1, "{table} of another tenant");
    }
    assert!(fixture.context(&secret).is_none(), "its API key is nobody's");
    assert_eq!(fixture.context(&other_secret), Some(others));
    let operator = Operator::for_tests();
    fixture.look(|view| {
        let scope = view.tenant(&context);
        let keys = scope.keys(None, None, 10).unwrap();
        let states: Vec<_> = keys.iter().map(|key| (key.state, key.destroy_at_ms)).collect();
        assert_eq!(states, [(KeyState::PendingDestruction, Some(DATE_MS))]);
        assert!(scope.own_tenant().unwrap().is_none());
        let operators = view.operators(&operator);
        assert!(operators.tenant(tenant.id).unwrap().is_none());
        assert!(operators.scope(tenant.id).unwrap().is_none());
        let listed = operators.tenants_after(None, 10).unwrap();
        assert_eq!(
            listed.iter().map(|tenant| tenant.id).collect::<Vec<_>>(),
            [other.id]
        );
        let key = view.tenant(&others).active_key(ALGORITHM).unwrap().unwrap();
        assert_eq!(key.state, KeyState::Active);
    });
    let name: Option<String> = fixture
        .raw()
        .query_row(
            "SELECT name FROM tenants WHERE id = ?1",
            [tenant.id.as_bytes()],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(name, None);
}

#[test]
fn the_name_of_a_deleted_tenant_is_free_again_and_its_standing_is_final() {
    let fixture = Fixture::new();
    let (tenant, _) = fixture.tenant("name");
    delete(&fixture, tenant.id);
    let operator = Operator::for_tests();
    let id = tenant.id;
    fixture.change(move |view| {
        let operators = view.operators(&operator);
        operators.set_tenant_status(id, chancel_domain::TenantStatus::Active, 2)?;
        operators.set_tenant_plan(id, chancel_domain::Plan::Enterprise, 2)
    });
    assert!(
        fixture
            .look(|view| view.operators(&operator).tenant(id))
            .unwrap()
            .is_none()
    );
    let (again, _) = fixture.tenant("name");
    assert_ne!(again.id, tenant.id);
}

#[test]
fn a_key_that_was_being_made_while_its_tenant_was_deleted_never_becomes_active() {
    let fixture = Fixture::new();
    let (tenant, secret) = fixture.tenant("a");
    let context = fixture.context(&secret).unwrap();
    let handle = KeyHandle::from_bytes([7; 16]);
    let reserved = fixture.change(move |view| {
        view.tenant(&context)
            .reserve_key(ALGORITHM, KeyVersion::FIRST, handle, context.api_key(), 1)
    });
    delete(&fixture, tenant.id);
    assert!(!fixture.change(move |view| view.tenant(&context).activate_key(&reserved, b"public key")));
    // What is left is a reservation, which the comparison with keyd's files undoes.
    assert_eq!(
        fixture.look(|view| view.walk().reserved_after(None, 10)).unwrap(),
        [reserved]
    );
}

#[test]
fn counts_of_a_deleted_tenant_are_not_written_any_more() {
    let fixture = Fixture::new();
    let (tenant, _) = fixture.tenant("a");
    delete(&fixture, tenant.id);
    fixture.change(move |view| {
        view.usage().apply(&[
            UsageFigure::Calls(tenant.id, Month::of(0), 5),
            UsageFigure::Uses(tenant.id, ALGORITHM, Day::of(0), 5),
            UsageFigure::LastUsed(tenant.id, ALGORITHM, KeyVersion::FIRST, 5),
        ])?;
        view.usage().add(&[
            UsageFigure::Calls(tenant.id, Month::of(0), 5),
            UsageFigure::Uses(tenant.id, ALGORITHM, Day::of(0), 5),
        ])
    });
    assert_eq!(rows(&fixture, "usage_months", tenant.id), 0);
    assert_eq!(rows(&fixture, "usage_days", tenant.id), 0);
}

#[test]
fn a_key_is_due_when_its_date_has_come_and_not_before() {
    let fixture = Fixture::new();
    let (_, secret) = fixture.tenant("a");
    let key = doomed(&fixture, fixture.context(&secret).unwrap());
    fixture.look(|view| {
        let destruction = view.destruction();
        assert!(destruction.due(DATE_MS - 1, 0, 10).unwrap().is_empty());
        assert!(!destruction.is_due(&key, DATE_MS - 1).unwrap());
        assert_eq!(destruction.due(DATE_MS, 0, 10).unwrap(), [key]);
        assert!(destruction.is_due(&key, DATE_MS).unwrap());
    });
}

#[test]
fn a_key_whose_date_was_taken_back_is_neither_due_nor_destroyed() {
    let fixture = Fixture::new();
    let (_, secret) = fixture.tenant("a");
    let context = fixture.context(&secret).unwrap();
    let key = doomed(&fixture, context);
    let dates = StateDates {
        archived_at_ms: Some(NOW_MS),
        ..StateDates::default()
    };
    assert!(fixture.change(move |view| {
        let scope = view.tenant(&context);
        scope.move_key(
            ALGORITHM,
            key.version,
            KeyState::PendingDestruction,
            KeyState::Archived,
            dates,
        )
    }));
    // As the sweeper that made its list before.
    assert!(
        !fixture
            .look(|view| view.destruction().is_due(&key, DATE_MS))
            .unwrap()
    );
    assert!(!fixture.change(move |view| view.destruction().destroyed(&key, DATE_MS)));
    let found = fixture
        .look(|view| view.tenant(&context).key(ALGORITHM, key.version))
        .unwrap()
        .unwrap();
    assert_eq!((found.state, found.destroy_at_ms), (KeyState::Archived, None));
    assert!(!found.public_key.is_empty());
}

#[test]
fn a_destroyed_key_keeps_its_handle_and_its_number_and_nothing_that_could_be_used() {
    let fixture = Fixture::new();
    let (_, secret) = fixture.tenant("a");
    let context = fixture.context(&secret).unwrap();
    let key = doomed(&fixture, context);
    assert!(fixture.change(move |view| view.destruction().destroyed(&key, DATE_MS)));
    // As after a crash between keyd's answer and the acknowledgement.
    assert!(!fixture.change(move |view| view.destruction().destroyed(&key, DATE_MS)));
    fixture.look(|view| {
        let found = view
            .tenant(&context)
            .key(ALGORITHM, key.version)
            .unwrap()
            .unwrap();
        assert_eq!((found.state, found.handle), (KeyState::Destroyed, key.handle));
        assert!(found.public_key.is_empty());
        assert!(view.destruction().due(i64::MAX, 0, 10).unwrap().is_empty());
        assert!(
            view.walk().keys_after(None, 10).unwrap().is_empty(),
            "it has no file"
        );
    });
    let refused = crate::store::tests::fixture::run(fixture.store.writer.change(move |view| {
        view.tenant(&context).reserve_key(
            Algorithm::MlKem768,
            KeyVersion::FIRST,
            key.handle,
            context.api_key(),
            1,
        )
    }));
    assert!(
        matches!(refused, Err(crate::store::StoreError::ConstraintBroken(_))),
        "a handle is given once: {refused:?}"
    );
    let highest = fixture.change(move |view| view.tenant(&context).highest_version(ALGORITHM));
    assert_eq!(highest, Some(key.version), "the number stays taken");
}
