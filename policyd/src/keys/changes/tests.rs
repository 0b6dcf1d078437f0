//! The transactions of the life of keys, on a real database.

use super::*;
use crate::store::tests::fixture::{Fixture, run};

const ALGORITHM: Algorithm = Algorithm::MlDsa65;

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

    fn reserve(&self, purpose: Purpose) -> Result<Reservation, AskFailure> {
        self.change(move |scope, context| reserve(scope, context, ALGORITHM, purpose))
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

    fn retire(&self, version: u32) -> Result<KeyView, AskFailure> {
        let version = KeyVersion::new(version).unwrap();
        self.change(move |scope, _| retire(scope, ALGORITHM, version))
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
    world.retire(1).unwrap();
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
fn only_an_active_key_is_retired() {
    let world = World::new();
    assert_eq!(world.retire(1), Err(AskFailure::KeyNotFound));
    let first = world.reserved(Purpose::First);
    assert_eq!(
        world.retire(1),
        Err(AskFailure::KeyNotFound),
        "a reserved key is nobody's"
    );
    world.activate(first).unwrap();
    assert_eq!(world.retire(1).unwrap().state, KeyState::Retired);
    assert_eq!(world.retire(1), Err(AskFailure::IllegalTransition));
    world
        .fixture
        .raw()
        .execute("UPDATE keys SET state = 'archived'", [])
        .unwrap();
    assert_eq!(
        world.retire(1),
        Err(AskFailure::IllegalTransition),
        "that would be a restoration"
    );
}
