//! policyd's counters. Names and labels are written here, never taken from a message.

use crate::failure::ask_failure_name;
use crate::rules::CHAIN;
use chancel_wire::metric::Sample;
use chancel_wire::policyd::{AskFailure, PolicydFailure, Quota, Rule};
use std::sync::atomic::{AtomicU64, Ordering};

/// How a request with an API key was judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nobody policyd knows sent it.
    Unauthenticated,
    /// No rule denied it.
    Allow,
    /// This rule denied it.
    Denied(Rule),
}

const RULES: [Rule; CHAIN.len()] = rules();
const ASK_FAILURES: [AskFailure; 21] = [
    AskFailure::KeyNotFound,
    AskFailure::ActiveKeyExists,
    AskFailure::IllegalTransition,
    AskFailure::Busy,
    AskFailure::KeydUnavailable,
    AskFailure::KeyDestroyed,
    AskFailure::NotRestorable,
    AskFailure::IdempotencyMismatch,
    AskFailure::IdempotencyInProgress,
    AskFailure::TenantNotFound,
    AskFailure::NameTaken,
    AskFailure::ApiKeyNotFound,
    AskFailure::ApiKeyRevoked,
    AskFailure::BeyondOwnRights,
    AskFailure::DenyRuleNotFound,
    AskFailure::TooManyDenyRules,
    AskFailure::DestructionDays,
    AskFailure::QuotaSpent(Quota::Calls),
    AskFailure::QuotaSpent(Quota::Keys),
    AskFailure::QuotaSpent(Quota::KeyVersions),
    AskFailure::QuotaSpent(Quota::ApiKeys),
];
const POLICYD_FAILURES: [(PolicydFailure, &str); 6] = [
    (PolicydFailure::Malformed, "malformed"),
    (PolicydFailure::NotForThisPeer, "not-for-this-peer"),
    (PolicydFailure::Storage, "storage"),
    (PolicydFailure::KeydUnavailable, "no-permit-key"),
    (PolicydFailure::Overloaded, "overloaded"),
    (PolicydFailure::LedgerUnwritable, "ledger-unwritable"),
];

/// The rules of the chain, in its order.
const fn rules() -> [Rule; CHAIN.len()] {
    let mut rules = [Rule::TenantStanding; CHAIN.len()];
    let mut index = 0;
    while index < CHAIN.len() {
        rules[index] = CHAIN[index].rule;
        index += 1;
    }
    rules
}

/// Counters that only grow, from 0 at start.
#[derive(Debug, Default)]
pub struct Metrics {
    unauthenticated: AtomicU64,
    allowed: AtomicU64,
    denied: [AtomicU64; RULES.len()],
    ask_failures: [AtomicU64; ASK_FAILURES.len()],
    policyd_failures: [AtomicU64; POLICYD_FAILURES.len()],
}

impl Metrics {
    /// A request was judged.
    pub fn judged(&self, outcome: Outcome) {
        match outcome {
            Outcome::Unauthenticated => add(&self.unauthenticated),
            Outcome::Allow => add(&self.allowed),
            Outcome::Denied(rule) => add_at(&self.denied, RULES.iter().position(|known| *known == rule)),
        }
    }

    /// An allowed request could not be done.
    pub fn ask_failed(&self, failure: AskFailure) {
        add_at(
            &self.ask_failures,
            ASK_FAILURES.iter().position(|known| *known == failure),
        );
    }

    /// policyd could not answer.
    pub fn not_answered(&self, failure: PolicydFailure) {
        let at = POLICYD_FAILURES.iter().position(|(known, _)| *known == failure);
        add_at(&self.policyd_failures, at);
    }

    /// All counters.
    pub fn samples(&self) -> Vec<Sample> {
        let decision =
            |outcome, counter| sample("chancel_policyd_decisions_total", "outcome", outcome, counter);
        let failure =
            |reason, counter| sample("chancel_policyd_asks_failed_total", "reason", reason, counter);
        let mut samples = vec![
            decision("allow", &self.allowed),
            decision("unauthenticated", &self.unauthenticated),
        ];
        samples.extend(
            RULES
                .iter()
                .zip(&self.denied)
                .map(|(rule, counter)| decision(rule.name(), counter)),
        );
        let asks = ASK_FAILURES.iter().zip(&self.ask_failures);
        samples.extend(asks.map(|(reason, counter)| failure(ask_failure_name(*reason), counter)));
        let answers = POLICYD_FAILURES.iter().zip(&self.policyd_failures);
        samples.extend(answers.map(|((_, name), counter)| failure(name, counter)));
        samples
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

fn add_at(counters: &[AtomicU64], at: Option<usize>) {
    if let Some(counter) = at.and_then(|at| counters.get(at)) {
        add(counter);
    }
}

fn sample(name: &str, label: &str, value: &str, counter: &AtomicU64) -> Sample {
    Sample::new(name, Some((label, value)), counter.load(Ordering::Relaxed))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(metrics: &Metrics, label: &str) -> u64 {
        let samples = metrics.samples();
        let found: Vec<_> = samples
            .iter()
            .filter(|sample| sample.labels[0].1 == label)
            .collect();
        assert_eq!(found.len(), 1, "{label} must name one series");
        found[0].value
    }

    #[test]
    fn every_outcome_has_its_series() {
        let metrics = Metrics::default();
        for rule in RULES {
            metrics.judged(Outcome::Denied(rule));
            assert_eq!(value(&metrics, rule.name()), 1);
        }
        metrics.judged(Outcome::Allow);
        assert_eq!(value(&metrics, "allow"), 1);
        for failure in ASK_FAILURES {
            metrics.ask_failed(failure);
            assert_eq!(value(&metrics, ask_failure_name(failure)), 1);
        }
        for (failure, name) in POLICYD_FAILURES {
            metrics.not_answered(failure);
            assert_eq!(value(&metrics, name), 1);
        }
    }
}
