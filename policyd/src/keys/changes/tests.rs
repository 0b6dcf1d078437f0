//! The transactions of the life of keys, on a real database.

use super::*;
use crate::store::tests::fixture::{Fixture, run};
use chancel_domain::key::{KEY_STATES, TRANSITIONS};
use chancel_domain::operation::OPERATIONS;

const ALGORITHM: Algorithm = Algorithm::MlDsa65;

const NO_LIMITS: Limits = Limits {
    rate: None,
    calls_per_month: None,
    keys_per_family: None,
    versions_per_key: None,
    api_keys: None,
};

/// A tenant, and the one who asks for it.
struct World {
    fixture: Fixture,
    context: ServiceContext,
}

impl World {
    fn new() -> Self {
        let fixture = Fixture::new();
        let (_, secret) = fixture.tenant("one");
        let context = fixture.context(&secret).unwrap();
        Self { fixture, context }
    }

    fn change<T: Send + 'static>(
        &self,
        work: impl FnOnce(&TenantScope<'_, Write>, &ServiceContext) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, AskFailure> {
        let context = self.context;
        let outcome = run(self
            .fixture
            .store
            .writer
            .change(move |view| work(&view.tenant(&context), &context)));
        outcome.map_err(|failure| match failure {
            Failure::Ask(failure) => failure,
            other => panic!("{other}"),
        })
    }

    fn reserve_within(
        &self,
        algorithm: Algorithm,
        purpose: Purpose,
        limits: Limits,
    ) -> Result<Reservation, AskFailure> {
        self.change(move |scope, context| reserve(scope, context, algorithm, purpose, &limits))
    }

    fn reserve(&self, purpose: Purpose) -> Result<Reservation, AskFailure> {
        self.reserve_within(ALGORITHM, purpose, NO_LIMITS)
    }

    fn reserved(&self, purpose: Purpose) -> KeyIdentity {
        match self.reserve(purpose) {
            Ok(Reservation::Made(key)) => key,
            other => panic!("{other:?}"),
        }
    }

    fn activate(&self, key: KeyIdentity) -> Result<(KeyView, Option<KeyVersion>), AskFailure> {
        self.change(move |scope, _| activate(scope, &key, b"public key"))
    }

    fn order_within(
        &self,
        operation: Operation,
        version: u32,
        days: Option<u16>,
        limits: Limits,
    ) -> Result<KeyView, AskFailure> {
        let version = KeyVersion::new(version).unwrap();
        self.change(move |scope, _| change_state(scope, ALGORITHM, version, operation, days, &limits))
    }

    fn order(&self, operation: Operation, version: u32) -> Result<KeyView, AskFailure> {
        self.order_within(operation, version, None, NO_LIMITS)
    }

    fn states(&self) -> Vec<(u32, KeyState)> {
        let keys = self
            .fixture
            .look(|view| view.tenant(&self.context).keys(Some(ALGORITHM), None, 100));
        keys.unwrap()
            .iter()
            .map(|key| (key.version.number(), key.state))
            .collect()
    }

    /// Version 1 in a state, as an edit of the database puts it there.
    fn put(&self, state: KeyState) {
        let now_ms = clock::now_ms();
        let (archived, destroy, destroyed) = match state {
            KeyState::Active | KeyState::Retired => (None, None, None),
            KeyState::Archived => (Some(now_ms), None, None),
            KeyState::PendingDestruction => (Some(now_ms), Some(now_ms + DAY_MS), None),
            KeyState::Destroyed => (Some(now_ms), None, Some(now_ms)),
        };
        let changed = self
            .fixture
            .raw()
            .execute(
                "UPDATE keys SET state = ?1, archived_at_ms = ?2, destroy_at_ms = ?3, destroyed_at_ms = ?4
                 WHERE version = 1",
                rusqlite::params![state.name(), archived, destroy, destroyed],
            )
            .unwrap();
        assert_eq!(changed, 1);
    }
}

#[test]
fn the_first_key_is_version_one_and_each_next_one_retires_the_one_before() {
    let world = World::new();
    assert_eq!(world.reserve(Purpose::Next), Err(AskFailure::KeyNotFound));
    let first = world.reserved(Purpose::First);
    assert_eq!(world.activate(first).unwrap().1, None);
    assert_eq!(world.reserve(Purpose::First), Err(AskFailure::ActiveKeyExists));
    let second = world.reserved(Purpose::Next);
    let (key, old) = world.activate(second).unwrap();
    assert_eq!((key.version.number(), old), (2, Some(KeyVersion::FIRST)));
    assert_eq!(world.states(), [(2, KeyState::Active), (1, KeyState::Retired)]);
}

#[test]
fn where_all_versions_are_retired_a_first_key_takes_the_next_number() {
    let world = World::new();
    world.activate(world.reserved(Purpose::First)).unwrap();
    world.order(Operation::RetireKey, 1).unwrap();
    assert_eq!(world.reserved(Purpose::First).version.number(), 2);
}

#[test]
fn a_reservation_that_was_left_is_found_before_another_is_made() {
    let world = World::new();
    let left = world.reserved(Purpose::First);
    assert_eq!(world.reserve(Purpose::First), Ok(Reservation::LeftOver(left)));
    assert!(
        world
            .fixture
            .change(move |view| view.walk().forget_reserved(&left))
    );
    let again = world.reserved(Purpose::First);
    // Nobody was told of the number, so it is free; the handle, under which a file may lie, is another.
    assert_eq!(again.version, left.version);
    assert_ne!(again.handle, left.handle);
}

#[test]
fn an_activation_that_comes_too_late_changes_nothing() {
    let world = World::new();
    world.activate(world.reserved(Purpose::First)).unwrap();
    let late = world.reserved(Purpose::Next);
    assert!(
        world
            .fixture
            .change(move |view| view.walk().forget_reserved(&late))
    );
    assert_eq!(world.activate(late), Err(AskFailure::Busy));
    assert_eq!(
        world.states(),
        [(1, KeyState::Active)],
        "the old key must not have been retired"
    );
}

#[test]
fn a_reserved_key_is_nobodys_whatever_is_asked_of_it() {
    let world = World::new();
    assert_eq!(world.order(Operation::RetireKey, 1), Err(AskFailure::KeyNotFound));
    world.reserved(Purpose::First);
    for (operation, _) in OPERATIONS {
        assert_eq!(
            world.order(operation, 1),
            Err(AskFailure::KeyNotFound),
            "{operation}"
        );
    }
}

/// Every state with every operation: what the table has happens, everything else changes nothing.
#[test]
fn the_state_of_a_key_changes_as_the_table_of_transitions_says_and_in_no_other_way() {
    let world = World::new();
    world.activate(world.reserved(Purpose::First)).unwrap();
    for (state, _) in KEY_STATES {
        for (operation, _) in OPERATIONS {
            world.put(state);
            let row = TRANSITIONS
                .iter()
                .find(|(from, _, by)| *from == state && *by == Some(operation));
            let outcome = world.order(operation, 1).map(|key| key.state);
            let (expected, left) = match row {
                Some((_, to, _)) => (Ok(*to), *to),
                None if state == KeyState::Destroyed => (Err(AskFailure::KeyDestroyed), state),
                None => (Err(AskFailure::IllegalTransition), state),
            };
            assert_eq!(outcome, expected, "{operation} of a key that is {state}");
            assert_eq!(
                world.states(),
                [(1, left)],
                "{operation} of a key that is {state}"
            );
        }
    }
}

#[test]
fn destruction_is_put_off_by_as_many_days_as_may_be_and_thirty_when_nobody_says() {
    let world = World::new();
    world.activate(world.reserved(Purpose::First)).unwrap();
    for (days, expected) in [
        (None, Ok(30)),
        (Some(7), Ok(7)),
        (Some(365), Ok(365)),
        (Some(0), Err(AskFailure::DestructionDays)),
        (Some(6), Err(AskFailure::DestructionDays)),
        (Some(366), Err(AskFailure::DestructionDays)),
        (Some(u16::MAX), Err(AskFailure::DestructionDays)),
    ] {
        world.put(KeyState::Retired);
        let before_ms = clock::now_ms();
        let outcome = world.order_within(Operation::ScheduleDestruction, 1, days, NO_LIMITS);
        let after_ms = clock::now_ms();
        match expected {
            Ok(days) => {
                let date_ms = outcome.unwrap().destroy_at_ms.unwrap();
                let wait_ms = days * DAY_MS;
                assert!(
                    (before_ms + wait_ms..=after_ms + wait_ms).contains(&date_ms),
                    "{days} days"
                );
            }
            Err(failure) => {
                assert_eq!(outcome, Err(failure), "{days:?}");
                assert_eq!(world.states(), [(1, KeyState::Retired)], "{days:?}");
            }
        }
    }
}

#[test]
fn a_date_that_was_taken_back_is_gone() {
    let world = World::new();
    world.activate(world.reserved(Purpose::First)).unwrap();
    world.order(Operation::RetireKey, 1).unwrap();
    world.order(Operation::ScheduleDestruction, 1).unwrap();
    let key = world.order(Operation::CancelDestruction, 1).unwrap();
    assert_eq!((key.state, key.destroy_at_ms), (KeyState::Archived, None));
    let due = world.fixture.look(|view| view.destruction().due(i64::MAX, 0, 10));
    assert!(due.unwrap().is_empty());
}

#[test]
fn an_archived_key_is_restored_until_its_time_is_over() {
    let world = World::new();
    world.activate(world.reserved(Purpose::First)).unwrap();
    for (ago_ms, expected) in [
        (0, Ok(KeyState::Retired)),
        (RESTORE_WINDOW_MS - DAY_MS, Ok(KeyState::Retired)),
        (RESTORE_WINDOW_MS + 1, Err(AskFailure::NotRestorable)),
    ] {
        world.put(KeyState::Archived);
        let archived_at_ms = clock::now_ms() - ago_ms;
        world
            .fixture
            .raw()
            .execute("UPDATE keys SET archived_at_ms = ?1", [archived_at_ms])
            .unwrap();
        let outcome = world.order(Operation::RestoreKey, 1).map(|key| key.state);
        assert_eq!(outcome, expected, "archived {ago_ms} ms ago");
    }
}

#[test]
fn a_restored_key_counts_again_and_needs_a_place() {
    let world = World::new();
    world.activate(world.reserved(Purpose::First)).unwrap();
    world.activate(world.reserved(Purpose::Next)).unwrap();
    world.order(Operation::ArchiveKey, 1).unwrap();
    let one = Limits {
        versions_per_key: Some(1),
        ..NO_LIMITS
    };
    assert_eq!(
        world.order_within(Operation::RestoreKey, 1, None, one),
        Err(AskFailure::QuotaSpent(Quota::KeyVersions))
    );
    assert_eq!(world.states(), [(2, KeyState::Active), (1, KeyState::Archived)]);
    world.order(Operation::RestoreKey, 1).unwrap();
}

#[test]
fn limits_are_compared_in_the_transaction_that_reserves() {
    let world = World::new();
    let none = Limits {
        keys_per_family: Some(0),
        ..NO_LIMITS
    };
    assert_eq!(
        world.reserve_within(ALGORITHM, Purpose::First, none),
        Err(AskFailure::QuotaSpent(Quota::Keys)),
        "the family has no place"
    );
    world.activate(world.reserved(Purpose::First)).unwrap();
    let limits = Limits {
        keys_per_family: Some(1),
        versions_per_key: Some(2),
        ..NO_LIMITS
    };
    assert!(
        matches!(
            world.reserve_within(Algorithm::MlKem768, Purpose::First, limits),
            Ok(Reservation::Made(_))
        ),
        "the other family has its own places"
    );
    let second = match world.reserve_within(ALGORITHM, Purpose::Next, limits) {
        Ok(Reservation::Made(key)) => key,
        other => panic!("a further version is no further key: {other:?}"),
    };
    world.activate(second).unwrap();
    assert_eq!(
        world.reserve_within(ALGORITHM, Purpose::Next, limits),
        Err(AskFailure::QuotaSpent(Quota::KeyVersions)),
        "the key has its two versions"
    );
    world.order(Operation::ArchiveKey, 1).unwrap();
    assert!(
        matches!(
            world.reserve_within(ALGORITHM, Purpose::Next, limits),
            Ok(Reservation::Made(_))
        ),
        "an archived version does not count"
    );
}
