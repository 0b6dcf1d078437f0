//! The load: a number of kept-alive connections, each sending its next request as soon as the last is answered
//! (closed loop), measured in windows. One thread runs all of it.

use crate::cpu::CpuClock;
use crate::http::{Connection, Gateway};
use crate::machine;
use crate::problem::Problem;
use crate::scenario::Scenario;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Windows of a measurement; what is reported is their median.
pub const WINDOWS: u32 = 5;
/// A window in which nothing was answered goes on for as many times its length.
const LONGEST: u32 = 5;

/// How the CPU clock of one process is called, and the clock.
pub type NamedClock = (&'static str, CpuClock);

/// What one window saw.
#[derive(Debug, Clone)]
pub struct Window {
    /// Requests answered.
    pub completed: u64,
    /// How long it really was.
    pub length: Duration,
    /// Time from the first byte sent to the last received, of each request, sorted.
    pub latencies: Vec<Duration>,
    /// CPU time of each process, in the order of the clocks.
    pub cpu: Vec<Duration>,
    /// What programs without a clock used of the machine meanwhile, from 0 to 1; `None` where the kernel does not say.
    pub others: Option<f64>,
}

/// Shared by the connections and the measuring task.
#[derive(Default)]
struct Progress {
    latencies: Mutex<Vec<Duration>>,
    failed: AtomicU64,
    first_failure: Mutex<Option<String>>,
    stop: AtomicBool,
}

/// Puts the load on the gateway, lets it settle, and measures.
///
/// # Errors
/// [`Problem`] when a connection cannot be made, or any request fails.
pub async fn measure(
    gateway: &Gateway,
    scenario: &Scenario,
    connections: usize,
    measured: Duration,
    clocks: &[NamedClock],
) -> Result<Vec<Window>, Problem> {
    let progress = Arc::new(Progress::default());
    let mut load = JoinSet::new();
    for _ in 0..connections {
        let connection = gateway.connect().await?;
        load.spawn(repeat(connection, scenario.clone(), progress.clone()));
    }
    let window = measured / WINDOWS;
    // As long as a window, but no shorter than caches and buffers take to find their sizes.
    sleep(window.max(Duration::from_secs(1))).await;
    progress.latencies().clear();
    let mut windows = Vec::new();
    for _ in 0..WINDOWS {
        windows.push(progress.observe(window, clocks).await?);
    }
    progress.stop.store(true, Ordering::Relaxed);
    while load.join_next().await.is_some() {}

    let name = &scenario.name;
    let count = progress.failed.load(Ordering::Relaxed);
    if count > 0 {
        return Err(Problem::Failed {
            scenario: name.clone(),
            connections,
            count,
            first: progress.first_failure().take().unwrap_or_default(),
        });
    }
    if windows.iter().any(|window| window.completed == 0) {
        return Err(Problem::Nothing {
            scenario: name.clone(),
            connections,
        });
    }
    Ok(windows)
}

/// One connection's part of the load. A connection that fails stays away, the others go on: how many requests fail is
/// worth knowing.
async fn repeat(mut connection: Connection, scenario: Scenario, progress: Arc<Progress>) {
    while !progress.stop.load(Ordering::Relaxed) {
        let sent = Instant::now();
        let failure = match connection.exchange(&scenario.request).await {
            Ok(answer) if answer.status != 200 => answer.refused(&scenario.request),
            Ok(answer) if !scenario.answer_len.contains(&answer.body.len()) => Problem::Wrong(format!(
                "the answer has {} bytes instead of {:?}",
                answer.body.len(),
                scenario.answer_len
            )),
            Ok(_) => {
                progress.latencies().push(sent.elapsed());
                continue;
            }
            Err(problem) => {
                progress.fail(&problem);
                return;
            }
        };
        progress.fail(&failure);
    }
}

impl Progress {
    async fn observe(&self, length: Duration, clocks: &[NamedClock]) -> Result<Window, Problem> {
        let started = Instant::now();
        let (before, busy_before) = (read(clocks)?, machine::busy());
        sleep(length).await;
        // On a busy machine a signature of seconds may take longer than a window; then the window is longer.
        let last = started + length * LONGEST;
        while self.latencies().is_empty() && Instant::now() < last {
            sleep(length / 20).await;
        }
        let mut latencies = std::mem::take(&mut *self.latencies());
        let (after, busy_after) = (read(clocks)?, machine::busy());
        let length = started.elapsed();
        latencies.sort_unstable();
        let cpu: Vec<_> = after
            .iter()
            .zip(&before)
            .map(|(after, before)| *after - *before)
            .collect();
        let own: Duration = cpu.iter().sum();
        let others = busy_after.zip(busy_before).map(|(after, before)| {
            let others = after.saturating_sub(before).saturating_sub(own);
            others.as_secs_f64() / (length.as_secs_f64() * machine::cores() as f64)
        });
        Ok(Window {
            completed: latencies.len() as u64,
            length,
            latencies,
            cpu,
            others,
        })
    }

    fn fail(&self, problem: &Problem) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.first_failure().get_or_insert_with(|| problem.to_string());
    }

    // One thread runs all tasks, and none holds a lock across an await: neither lock is ever waited for.
    fn latencies(&self) -> MutexGuard<'_, Vec<Duration>> {
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn first_failure(&self) -> MutexGuard<'_, Option<String>> {
        self.first_failure.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(clocks: &[NamedClock]) -> Result<Vec<Duration>, Problem> {
    clocks
        .iter()
        .map(|(process, clock)| clock.read().map_err(|source| Problem::Clock { process, source }))
        .collect()
}
