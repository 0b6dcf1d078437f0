//! Counts of usage and the place in the ledger up to which they count: written together or not at all.

use super::fixture::{Fixture, run};
use crate::store::{StoreError, UsageFigure};
use crate::usage::{Day, Month};
use chancel_domain::Algorithm;

const ALGORITHM: Algorithm = Algorithm::MlKem768;
const LEDGER: [u8; 16] = [1; 16];

#[test]
fn counts_are_set_added_to_and_kept_apart_by_period() {
    let fixture = Fixture::new();
    let (tenant, secret) = fixture.tenant("a");
    let context = fixture.context(&secret).unwrap();
    let (month, next_month) = (Month::of(0), Month::of(Month::of(0).end_ms()));
    fixture.change(move |view| {
        view.usage().apply(&[
            UsageFigure::Calls(tenant.id, month, 5),
            UsageFigure::Uses(tenant.id, ALGORITHM, Day::of(0), 3),
        ])?;
        view.usage().apply(&[UsageFigure::Calls(tenant.id, month, 6)])?;
        view.usage().add(&[
            UsageFigure::Calls(tenant.id, month, 10),
            UsageFigure::Calls(tenant.id, next_month, 1),
            UsageFigure::Uses(tenant.id, ALGORITHM, Day::of(0), 10),
        ])
    });
    fixture.look(|view| {
        let scope = view.tenant(&context);
        assert_eq!(scope.calls_of(month).unwrap(), 16);
        assert_eq!(scope.calls_of(next_month).unwrap(), 1);
        assert_eq!(scope.uses_of(ALGORITHM, Day::of(0)).unwrap(), 13);
        assert_eq!(scope.uses_of(Algorithm::MlDsa65, Day::of(0)).unwrap(), 0);
        assert_eq!(scope.uses_of(ALGORITHM, Day::of(i64::MAX)).unwrap(), 0);
    });
}

#[test]
fn a_change_that_fails_moves_neither_the_counts_nor_the_position() {
    let fixture = Fixture::new();
    let (tenant, secret) = fixture.tenant("a");
    let context = fixture.context(&secret).unwrap();
    fixture.change(|view| view.usage().set_position(&LEDGER, 7));
    let outcome: Result<(), StoreError> = run(fixture.store.writer.change(move |view| {
        view.usage()
            .apply(&[UsageFigure::Calls(tenant.id, Month::of(0), 5)])?;
        view.usage().set_position(&LEDGER, 9)?;
        Err(StoreError::Overloaded)
    }));
    assert!(outcome.is_err());
    assert_eq!(fixture.change(|view| view.usage().position(&LEDGER)), Some(7));
    assert_eq!(
        fixture
            .look(|view| view.tenant(&context).calls_of(Month::of(0)))
            .unwrap(),
        0
    );
}

#[test]
fn the_position_is_one_of_one_ledger() {
    let fixture = Fixture::new();
    assert_eq!(fixture.change(|view| view.usage().position(&LEDGER)), None);
    fixture.change(|view| view.usage().set_position(&LEDGER, 7));
    assert_eq!(fixture.change(|view| view.usage().position(&LEDGER)), Some(7));
    assert_eq!(fixture.change(|view| view.usage().position(&[2; 16])), None);
    fixture.change(|view| view.usage().set_position(&[2; 16], 3));
    assert_eq!(fixture.change(|view| view.usage().position(&[2; 16])), Some(3));
    // The first one is put back, perhaps.
    assert_eq!(fixture.change(|view| view.usage().position(&LEDGER)), Some(7));
}

#[test]
fn the_time_of_the_last_use_never_goes_back() {
    let fixture = Fixture::new();
    let (tenant, secret) = fixture.tenant("a");
    let context = fixture.context(&secret).unwrap();
    let key = fixture.key(context, ALGORITHM);
    let last_used = || {
        let found = fixture.look(|view| view.tenant(&context).key(ALGORITHM, key.version));
        found.unwrap().unwrap().last_used_at_ms
    };
    assert_eq!(last_used(), None);
    for (at_ms, wanted) in [(10, 10), (5, 10), (11, 11)] {
        fixture.change(move |view| {
            view.usage()
                .apply(&[UsageFigure::LastUsed(tenant.id, ALGORITHM, key.version, at_ms)])
        });
        assert_eq!(last_used(), Some(wanted));
    }
}
