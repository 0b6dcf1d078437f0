//! First answers, on a real database: given again to who asked, to nobody else, and kept only with what they tell of.

use super::*;
use crate::api_keys::{ApiKeySecretText, ServiceContext};
use crate::store::tests::fixture::{Fixture, run};
use chancel_domain::{Algorithm, KeyVersion};
use chancel_wire::admin::NewApiKey;

const KEY: &str = "3f1c-once";

/// Two tenants, and the first answers of both.
struct World {
    fixture: Fixture,
    idempotency: Idempotency,
    one: ServiceContext,
    other: ServiceContext,
}

impl World {
    fn new() -> Self {
        let fixture = Fixture::new();
        let (_, secret) = fixture.tenant("one");
        let one = fixture.context(&secret).unwrap();
        let (_, secret) = fixture.tenant("other");
        let other = fixture.context(&secret).unwrap();
        Self {
            idempotency: Idempotency::new(&fixture.hasher),
            fixture,
            one,
            other,
        }
    }

    fn begin_as(&self, who: &ServiceContext, key: &str, ask: &Ask) -> Begun {
        self.fixture
            .look(|view| self.idempotency.begin(&view.tenant(who), who.api_key(), key, ask))
            .unwrap()
    }

    fn begin(&self) -> Begun {
        self.begin_as(&self.one, KEY, &ask())
    }

    fn keep(&self, who: ServiceContext, slot: Slot, outcome: Outcome) {
        self.try_keep(who, slot, outcome).unwrap();
    }

    fn try_keep(&self, who: ServiceContext, slot: Slot, outcome: Outcome) -> Result<(), Failure> {
        run(self
            .fixture
            .store
            .writer
            .change(move |view| slot.keep(&view.tenant(&who), &outcome)))
    }

    /// An answer that holds the secret of the tenant's API key.
    fn secret_answer(&self, text: &ApiKeySecretText) -> Outcome {
        let record = self
            .fixture
            .look(|view| view.tenant(&self.one).api_key(self.one.api_key()));
        Outcome::ApiKeySecret(record.unwrap().unwrap(), NewApiKey(text.expose_text().to_owned()))
    }
}

fn ask() -> Ask {
    Ask::GenerateKey(Algorithm::MlDsa65)
}

fn first(begun: Begun) -> Slot {
    match begun {
        Begun::First(slot) => slot,
        Begun::Again(_) => panic!("answered before"),
        Begun::Refused(failure) => panic!("{failure:?}"),
    }
}

/// Bytes of the answer that is given again.
fn again(begun: Begun) -> Vec<u8> {
    match begun {
        Begun::Again(outcome) => chancel_wire::encode(&outcome),
        Begun::First(_) => panic!("not answered before"),
        Begun::Refused(failure) => panic!("{failure:?}"),
    }
}

fn refused(begun: Begun) -> AskFailure {
    match begun {
        Begun::Refused(failure) => failure,
        Begun::First(_) => panic!("begun"),
        Begun::Again(_) => panic!("answered before"),
    }
}

#[test]
fn the_first_answer_is_given_again_byte_for_byte() {
    let world = World::new();
    let answer = world.secret_answer(&ApiKeySecretText::generate());
    let bytes = chancel_wire::encode(&answer);
    world.keep(world.one, first(world.begin()), answer);
    assert_eq!(again(world.begin()), bytes);
    assert_eq!(again(world.begin()), bytes, "as often as it is asked for");
}

#[test]
fn another_request_under_the_same_key_is_refused_and_another_key_is_free() {
    let world = World::new();
    world.keep(world.one, first(world.begin()), Outcome::KeyBudget(Some(7)));
    let other_ask = Ask::RetireKey(Algorithm::MlDsa65, KeyVersion::FIRST);
    assert_eq!(
        refused(world.begin_as(&world.one, KEY, &other_ask)),
        AskFailure::IdempotencyMismatch
    );
    drop(first(world.begin_as(&world.one, "another", &other_ask)));
}

#[test]
fn what_is_under_way_is_not_begun_again_until_it_has_ended() {
    let world = World::new();
    let slot = first(world.begin());
    assert_eq!(refused(world.begin()), AskFailure::IdempotencyInProgress);
    drop(first(world.begin_as(&world.other, KEY, &ask())));
    drop(slot);
    drop(first(world.begin()));
}

#[test]
fn a_refusal_holds_no_place() {
    let world = World::new();
    world.keep(world.one, first(world.begin()), Outcome::KeyBudget(Some(7)));
    let other_ask = Ask::RotateKey(Algorithm::MlDsa65);
    for _ in 0..2 {
        assert_eq!(
            refused(world.begin_as(&world.one, KEY, &other_ask)),
            AskFailure::IdempotencyMismatch
        );
    }
}

#[test]
fn an_answer_is_kept_only_with_the_change_it_tells_of() {
    let world = World::new();
    let (slot, one) = (first(world.begin()), world.one);
    let outcome: Result<(), Failure> = run(world.fixture.store.writer.change(move |view| {
        slot.keep(&view.tenant(&one), &Outcome::KeyBudget(Some(7)))?;
        // As a kill before the commit.
        Err(StoreError::Overloaded.into())
    }));
    assert!(outcome.is_err());
    drop(first(world.begin()));
}

#[test]
fn the_same_key_of_another_tenant_is_another_key() {
    let world = World::new();
    world.keep(world.one, first(world.begin()), Outcome::KeyBudget(Some(1)));
    let slot = first(world.begin_as(&world.other, KEY, &ask()));
    world.keep(world.other, slot, Outcome::KeyBudget(Some(2)));
    let wanted = |uses| chancel_wire::encode(&Outcome::KeyBudget(Some(uses)));
    assert_eq!(again(world.begin()), wanted(1));
    assert_eq!(again(world.begin_as(&world.other, KEY, &ask())), wanted(2));
}

#[test]
fn an_answer_that_was_moved_to_another_tenant_or_key_does_not_open() {
    let world = World::new();
    world.keep(world.one, first(world.begin()), Outcome::KeyBudget(Some(1)));
    let slot = first(world.begin_as(&world.other, KEY, &ask()));
    world.keep(world.other, slot, Outcome::KeyBudget(Some(2)));
    let moved = world.fixture.raw().execute(
        "UPDATE idempotent_answers SET sealed_answer =
             (SELECT sealed_answer FROM idempotent_answers WHERE tenant_id = ?1) WHERE tenant_id = ?2",
        [world.one.tenant().as_bytes(), world.other.tenant().as_bytes()],
    );
    assert_eq!(moved, Ok(1));
    assert_eq!(
        refused(world.begin_as(&world.other, KEY, &ask())),
        AskFailure::IdempotencyMismatch
    );
    world
        .fixture
        .raw()
        .execute("UPDATE idempotent_answers SET sealed_answer = x'00'", [])
        .unwrap();
    assert_eq!(refused(world.begin()), AskFailure::IdempotencyMismatch);
}

#[test]
fn the_database_alone_tells_neither_the_secret_nor_the_idempotency_key() {
    let world = World::new();
    let text = ApiKeySecretText::generate();
    world.keep(world.one, first(world.begin()), world.secret_answer(&text));
    // Under another API key secret, which is what somebody with the database alone has.
    let stranger = Idempotency::new(&ApiKeyHasher::new(&[8; 32]));
    let begun = world
        .fixture
        .look(|view| stranger.begin(&view.tenant(&world.one), world.one.api_key(), KEY, &ask()));
    drop(first(begun.unwrap()));

    let directory = world.fixture.close();
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap();
        for told in [text.expose_text(), KEY] {
            assert!(
                !bytes.windows(told.len()).any(|window| window == told.as_bytes()),
                "in the file"
            );
        }
    }
}

#[test]
fn an_answer_of_yesterday_is_none() {
    let world = World::new();
    world.keep(world.one, first(world.begin()), Outcome::KeyBudget(Some(7)));
    let age = |ms: i64| {
        let aged = world.fixture.raw().execute(
            "UPDATE idempotent_answers SET created_at_ms = ?1",
            [clock::now_ms() - ms],
        );
        assert_eq!(aged, Ok(1));
    };
    age(KEPT_MS - 3_600_000);
    drop(again(world.begin()));
    age(KEPT_MS + 1);
    let slot = first(world.begin());
    world.keep(world.one, slot, Outcome::KeyBudget(Some(8)));
    assert_eq!(
        again(world.begin()),
        chancel_wire::encode(&Outcome::KeyBudget(Some(8)))
    );
}

/// A look that began before the first answer was committed does not see it, and no place is held any more.
#[test]
fn who_looked_too_early_to_see_the_first_answer_does_not_become_the_first() {
    let world = World::new();
    let late = world.fixture.look(|view| {
        let scope = view.tenant(&world.one);
        // What is seen from here on is what is there now.
        assert!(scope.first_answer(&[0; 32], 0).unwrap().is_none());
        world.keep(
            world.one,
            first(
                world
                    .idempotency
                    .begin(&scope, world.one.api_key(), KEY, &ask())
                    .unwrap(),
            ),
            Outcome::KeyBudget(Some(1)),
        );
        world
            .idempotency
            .begin(&scope, world.one.api_key(), KEY, &ask())
            .unwrap()
    });
    let outcome = world.try_keep(world.one, first(late), Outcome::KeyBudget(Some(2)));
    assert!(
        matches!(outcome, Err(Failure::Ask(AskFailure::IdempotencyInProgress))),
        "{outcome:?}"
    );
    assert_eq!(
        again(world.begin()),
        chancel_wire::encode(&Outcome::KeyBudget(Some(1)))
    );
}

#[test]
fn the_same_key_of_another_api_key_of_the_tenant_is_another_key() {
    let world = World::new();
    world.keep(world.one, first(world.begin()), Outcome::KeyBudget(Some(1)));
    let begun = world.fixture.look(|view| {
        let scope = view.tenant(&world.one);
        world
            .idempotency
            .begin(&scope, ApiKeyId::from_bytes([9; 16]), KEY, &ask())
    });
    drop(first(begun.unwrap()));
}
