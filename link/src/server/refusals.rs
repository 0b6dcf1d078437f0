//! Connections turned away, by reason: the log says who, the counters say how many.

use chancel_wire::metric::Sample;
use std::sync::atomic::{AtomicU64, Ordering};

/// Why a connection was turned away or cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The peer's user (and groups) may not connect.
    #[error("the peer's user may not connect")]
    WrongUser,
    /// The kernel did not say who the peer is.
    #[error("the peer's credentials are unknown")]
    UnknownCredentials,
    /// As many connections as are allowed.
    #[error("too many connections")]
    TooManyConnections,
    /// No whole hello within its time.
    #[error("no hello in time")]
    NoHello,
    /// The first bytes are no hello of this version, or of a role that does not belong here.
    #[error("malformed or misplaced hello")]
    WrongHello,
    /// The user is right, the token is not.
    #[error("wrong service token")]
    WrongToken,
    /// A frame with an impossible length.
    #[error("malformed frame")]
    MalformedFrame,
    /// A frame that was begun and not finished in time.
    #[error("half-open frame")]
    HalfOpenFrame,
    /// Answers that the peer did not take in time.
    #[error("the peer does not take its answers")]
    UnreadAnswers,
}

const REFUSALS: [(Refusal, &str); 9] = [
    (Refusal::WrongUser, "wrong-user"),
    (Refusal::UnknownCredentials, "unknown-credentials"),
    (Refusal::TooManyConnections, "too-many-connections"),
    (Refusal::NoHello, "no-hello"),
    (Refusal::WrongHello, "wrong-hello"),
    (Refusal::WrongToken, "wrong-token"),
    (Refusal::MalformedFrame, "malformed-frame"),
    (Refusal::HalfOpenFrame, "half-open-frame"),
    (Refusal::UnreadAnswers, "unread-answers"),
];

/// A counter for each [`Refusal`].
#[derive(Debug, Default)]
pub struct Refusals([AtomicU64; REFUSALS.len()]);

impl Refusals {
    /// All counters at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// How often a reason has applied.
    pub fn count(&self, refusal: Refusal) -> u64 {
        // NOTE(index): a test holds that the table lists the variants in their order.
        self.0[refusal as usize].load(Ordering::Relaxed)
    }

    /// One sample a reason, under a metric name and the label `reason`.
    pub fn samples(&self, metric: &str) -> Vec<Sample> {
        REFUSALS
            .iter()
            .map(|(refusal, name)| Sample::new(metric, Some(("reason", name)), self.count(*refusal)))
            .collect()
    }

    /// Counts a refusal. `Some` count when it is worth a line in the log: the first, the second, the fourth of
    /// its reason and so on, so that nobody can drown the log by knocking.
    pub(super) fn add(&self, refusal: Refusal) -> Option<u64> {
        let count = self.0[refusal as usize]
            .fetch_add(1, Ordering::Relaxed)
            .saturating_add(1);
        count.is_power_of_two().then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_each_variant_in_order() {
        let refusals = Refusals::new();
        for (index, (refusal, _)) in REFUSALS.iter().enumerate() {
            assert_eq!(*refusal as usize, index);
            assert_eq!(refusals.add(*refusal), Some(1));
        }
        assert!(refusals.samples("refused").iter().all(|sample| sample.value == 1));
    }

    #[test]
    fn a_flood_of_refusals_is_counted_in_full_and_logged_in_few_lines() {
        let refusals = Refusals::new();
        let logged = (0..1000)
            .filter(|_| refusals.add(Refusal::WrongUser).is_some())
            .count();
        assert_eq!((refusals.count(Refusal::WrongUser), logged), (1000, 10));
    }
}
