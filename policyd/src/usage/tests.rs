//! Counting over the steps of a clock, the writing of counts, and the end of a process at any moment.

use super::*;
use crate::api_keys::ServiceContext;
use crate::store::tests::fixture::{Fixture, run};
use chancel_domain::{KeyHandle, RequestId};
use chancel_ledger::{Batch, Decision, Event, Hash, Ledger, LedgerName, Options, PermitReference, Sync};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;

/// 2026-01-31T23:59:59Z, and a second later.
const JANUARY_MS: i64 = 1_769_903_999_000;
const FEBRUARY_MS: i64 = JANUARY_MS + 1_000;

/// A ledger that is written, with its syncer running.
struct Log {
    ledger: Arc<Ledger>,
    syncer: Option<JoinHandle<()>>,
    directory: TempDir,
}

impl Log {
    fn begin() -> Self {
        Self::of(tempfile::tempdir().unwrap())
    }

    fn of(directory: TempDir) -> Self {
        let options = Options {
            sync: Sync::Within(Duration::from_millis(1)),
            ..Options::of(LedgerName::Decisions)
        };
        let (ledger, syncer, _) = Ledger::open(directory.path(), options).unwrap();
        let syncer = Some(std::thread::spawn(move || syncer.run(|_, _| {})));
        Self {
            ledger,
            syncer,
            directory,
        }
    }

    fn end(mut self) -> TempDir {
        self.ledger.stop();
        self.syncer.take().unwrap().join().unwrap();
        self.directory
    }
}

/// policyd's counting as far as it is tested here: a database, a ledger, and what is in memory.
struct World {
    fixture: Fixture,
    log: Log,
    usage: Arc<Usage>,
    tenants: Vec<ServiceContext>,
}

impl World {
    fn new(tenants: usize) -> Self {
        let fixture = Fixture::new();
        let tenants = (0..tenants)
            .map(|number| {
                let (_, secret) = fixture.tenant(&number.to_string());
                fixture.context(&secret).unwrap()
            })
            .collect();
        Self::on(fixture, Log::begin(), tenants)
    }

    /// As policyd starts.
    fn on(fixture: Fixture, log: Log, tenants: Vec<ServiceContext>) -> Self {
        let counted = run(catch_up(&log.ledger, &fixture.store.writer)).unwrap();
        Self {
            fixture,
            log,
            usage: Arc::new(Usage::since(counted)),
            tenants,
        }
    }

    fn counted(&self, tenant: usize, operation: Operation) -> Counted {
        Counted {
            tenant: self.tenants[tenant].tenant(),
            operation,
            key: (operation.place() == Place::PrivateKey).then_some((Algorithm::MlDsa65, KeyVersion::FIRST)),
            times: 1,
        }
    }

    /// A call as it is answered: looked at, recorded, counted.
    fn call(&self, tenant: usize, operation: Operation) {
        self.record(self.counted(tenant, operation), tenant, None);
    }

    /// The same of a batch.
    fn batch(&self, tenant: usize, operation: Operation, items: u16) {
        let counted = Counted {
            times: items.into(),
            ..self.counted(tenant, operation)
        };
        self.record(counted, tenant, Some(items));
    }

    fn record(&self, counted: Counted, tenant: usize, items: Option<u16>) {
        let event = Event::Allow(Decision {
            tenant: counted.tenant,
            api_key: self.tenants[tenant].api_key(),
            api_key_version: 1,
            request: RequestId::from_bytes([1; 16]),
            source: [192, 0, 2, 1].into(),
            operation: counted.operation,
            algorithm: counted.key.map(|(algorithm, _)| algorithm),
            key_version: counted.key.map(|(_, version)| version),
            key: counted.key.map(|_| KeyHandle::from_bytes([3; 16])),
            target: None,
            items,
            permit: counted.key.map(|_| PermitReference {
                epoch: 1,
                serial: self.log.ledger.newest(),
                payload: Hash::from_bytes([4; 32]),
            }),
            rule: None,
            reason: None,
        });
        self.fixture.look(|view| {
            let scope = view.tenant(&self.tenants[tenant]);
            let now_ms = crate::clock::now_ms();
            self.usage.prepare(&scope, &counted, now_ms).unwrap();
            let record = Batch::of(&event);
            let position = self.log.ledger.append_all(&record, now_ms).unwrap();
            self.usage.count([&counted], now_ms, Some(position.seq));
        });
    }

    /// A call at a time of its own, which the ledger cannot have.
    fn call_at(&self, tenant: usize, operation: Operation, time_ms: i64) {
        let counted = self.counted(tenant, operation);
        self.fixture.look(|view| {
            let scope = view.tenant(&self.tenants[tenant]);
            self.usage.prepare(&scope, &counted, time_ms).unwrap();
            self.usage.count([&counted], time_ms, None);
        });
    }

    fn calls_in(&self, tenant: usize, month: Month) -> u64 {
        self.fixture
            .look(|view| self.usage.calls(&view.tenant(&self.tenants[tenant]), month))
            .unwrap()
    }

    fn uses_on(&self, tenant: usize, day: Day) -> u64 {
        self.fixture
            .look(|view| {
                let scope = view.tenant(&self.tenants[tenant]);
                self.usage.uses(&scope, Algorithm::MlDsa65, day)
            })
            .unwrap()
    }

    /// Calls and uses in this month and on this day, and in those before, should one end while the test runs.
    fn now(&self, tenant: usize) -> (u64, u64) {
        const HOUR_MS: i64 = 3_600_000;
        let now_ms = crate::clock::now_ms();
        let months = BTreeSet::from([now_ms - HOUR_MS, now_ms].map(Month::of));
        let days = BTreeSet::from([now_ms - HOUR_MS, now_ms].map(Day::of));
        (
            months.into_iter().map(|month| self.calls_in(tenant, month)).sum(),
            days.into_iter().map(|day| self.uses_on(tenant, day)).sum(),
        )
    }

    fn flush(&self) {
        let (_sender, stopped) = watch::channel(true);
        let (usage, ledger) = (self.usage.clone(), self.log.ledger.clone());
        run_with_time(flush_until_stopped(
            usage,
            ledger,
            self.fixture.store.writer.clone(),
            stopped,
        ));
    }

    /// The counts are written, and the process ends before it hears of that.
    fn flush_unheard(&self) {
        let (changes, seq) = self.usage.unwritten();
        if changes.is_empty() {
            return;
        }
        let id = *self.log.ledger.id().as_bytes();
        self.fixture.change(move |view| {
            view.usage().apply(&changes)?;
            view.usage().set_position(&id, seq)
        });
    }

    /// What is in memory is lost; the next process reads on from the ledger.
    fn crash(self) -> Self {
        let Self {
            fixture,
            log,
            tenants,
            ..
        } = self;
        Self::on(fixture, Log::of(log.end()), tenants)
    }
}

fn run_with_time<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap()
        .block_on(future)
}

#[test]
fn a_call_counts_in_the_month_and_day_of_its_own_time_whatever_the_clock_does() {
    let world = World::new(1);
    world.call(0, Operation::Verify);
    let (january, february) = (Month::of(JANUARY_MS), Month::of(FEBRUARY_MS));
    let counts = || {
        let calls = (world.calls_in(0, january), world.calls_in(0, february));
        (
            calls,
            (
                world.uses_on(0, Day::of(JANUARY_MS)),
                world.uses_on(0, Day::of(FEBRUARY_MS)),
            ),
        )
    };
    world.call_at(0, Operation::Sign, JANUARY_MS);
    world.call_at(0, Operation::Sign, FEBRUARY_MS);
    world.call_at(0, Operation::Verify, FEBRUARY_MS);
    assert_eq!(counts(), ((1, 2), (1, 1)));
    world.flush();
    // Set back: the old month goes on where it was, and gives nothing away a second time.
    world.call_at(0, Operation::Sign, JANUARY_MS);
    assert_eq!(counts(), ((2, 2), (2, 1)));
    world.flush();
    world.call_at(0, Operation::Sign, FEBRUARY_MS);
    world.flush();
    assert_eq!(counts(), ((2, 3), (2, 2)));
    let again = world.crash();
    assert_eq!(again.calls_in(0, january), 2);
    assert_eq!(again.calls_in(0, february), 3);
}

#[test]
fn a_batch_counts_as_many_times_as_it_has_items_also_when_the_ledger_is_read() {
    let world = World::new(1);
    world.batch(0, Operation::Sign, 1000);
    world.batch(0, Operation::Verify, 20);
    world.call(0, Operation::Sign);
    assert_eq!(world.now(0), (1021, 1001));
    assert_eq!(world.crash().now(0), (1021, 1001));
}

#[test]
fn explaining_counts_neither_when_it_happens_nor_when_the_ledger_is_read() {
    let world = World::new(1);
    world.call(0, Operation::ExplainPolicy);
    world.call(0, Operation::Verify);
    assert_eq!(world.now(0), (1, 0));
    assert_eq!(world.crash().now(0), (1, 0));
}

#[test]
fn only_private_keys_are_used_and_the_last_use_is_that_of_the_newest_record() {
    let world = World::new(1);
    world.fixture.key(world.tenants[0], Algorithm::MlDsa65);
    world.call(0, Operation::Verify);
    world.call(0, Operation::Sign);
    assert_eq!(world.now(0), (2, 1));
    let tenant = world.tenants[0].tenant();
    let at = world
        .usage
        .last_used(tenant, Algorithm::MlDsa65, KeyVersion::FIRST);
    assert!(at.is_some());
    let of_database = |world: &World| {
        let key = world
            .fixture
            .look(|view| view.tenant(&world.tenants[0]).active_key(Algorithm::MlDsa65))
            .unwrap();
        key.unwrap().last_used_at_ms
    };
    assert_eq!(of_database(&world), None);
    let world = world.crash();
    assert_eq!(of_database(&world), at);
    // An older time does not replace it.
    world.call_at(0, Operation::Sign, JANUARY_MS);
    world.flush();
    assert_eq!(of_database(&world), at);
}

#[test]
fn what_nobody_asks_for_is_not_kept_in_memory_and_not_forgotten() {
    let world = World::new(50);
    for tenant in 0..50 {
        world.call(tenant, Operation::Sign);
    }
    world.flush();
    world.flush();
    {
        let state = world.usage.state();
        assert_eq!(
            (state.calls.len(), state.uses.len(), state.last_used.len()),
            (0, 0, 0)
        );
    }
    for tenant in 0..50 {
        world.call(tenant, Operation::Sign);
        assert_eq!(world.now(tenant), (2, 2));
    }
}

#[test]
fn counts_go_on_after_a_ledger_that_lost_its_end_and_after_another_one() {
    let world = World::new(1);
    for _ in 0..5 {
        world.call(0, Operation::Verify);
    }
    world.flush();
    // As after a power failure that took lines which the database counts already.
    let id = *world.log.ledger.id().as_bytes();
    world
        .fixture
        .change(move |view| view.usage().set_position(&id, 1_000));
    let world = world.crash();
    assert_eq!(world.now(0).0, 5);
    world.call(0, Operation::Verify);
    let mut world = world.crash();
    assert_eq!(world.now(0).0, 6, "lines that reuse the numbers are counted");
    world.log = Log::begin();
    world.call(0, Operation::Verify);
    let counted = run(catch_up(&world.log.ledger, &world.fixture.store.writer)).unwrap();
    world.usage = Arc::new(Usage::since(counted));
    assert_eq!(world.now(0).0, 7, "a new ledger is counted from its first record");
}

#[test]
fn what_is_counted_without_a_record_moves_no_position_back() {
    let world = World::new(1);
    for _ in 0..3 {
        world.call(0, Operation::Verify);
    }
    // Started anew while the ledger cannot be written.
    let world = world.crash();
    world.call_at(0, Operation::Verify, JANUARY_MS);
    world.flush();
    let world = world.crash();
    assert_eq!(world.now(0).0, 3, "the records are counted a second time");
}

#[test]
fn counts_that_cannot_be_written_are_kept() {
    let world = World::new(1);
    world.call(0, Operation::Verify);
    let other = world.fixture.raw();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    world.flush();
    assert_eq!(world.now(0).0, 1);
    other.execute_batch("ROLLBACK").unwrap();
    world.call(0, Operation::Verify);
    world.flush();
    let stored = world
        .fixture
        .look(|view| {
            view.tenant(&world.tenants[0])
                .calls_of(Month::of(crate::clock::now_ms()))
        })
        .unwrap();
    assert_eq!(stored, 2);
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Call(usize, Operation),
    Flush,
    FlushUnheard,
    Crash,
}

const TENANTS: usize = 3;

fn any_step() -> impl Strategy<Value = Step> {
    let operations = vec![
        Operation::Sign,
        Operation::Decrypt,
        Operation::Verify,
        Operation::ReadTenant,
        Operation::ExplainPolicy,
    ];
    let call = (0..TENANTS, prop::sample::select(operations));
    prop_oneof![
        12 => call.prop_map(|(tenant, operation)| Step::Call(tenant, operation)),
        2 => Just(Step::Flush),
        1 => Just(Step::FlushUnheard),
        2 => Just(Step::Crash),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn whenever_counts_are_written_and_the_process_ends_each_call_is_counted_once(
        steps in prop::collection::vec(any_step(), 1..40),
    ) {
        let mut world = World::new(TENANTS);
        let mut expected = [(0, 0); TENANTS];
        for step in steps {
            match step {
                Step::Call(tenant, operation) => {
                    world.call(tenant, operation);
                    expected[tenant].0 += u64::from(operation != Operation::ExplainPolicy);
                    expected[tenant].1 += u64::from(operation.place() == Place::PrivateKey);
                }
                Step::Flush => world.flush(),
                Step::FlushUnheard => world.flush_unheard(),
                Step::Crash => world = world.crash(),
            }
            for (tenant, expected) in expected.iter().enumerate() {
                prop_assert_eq!(world.now(tenant), *expected, "{:?}", step);
            }
        }
    }
}
