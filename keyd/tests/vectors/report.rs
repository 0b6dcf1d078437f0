//! Counting: every case of a file ends as exactly one [`Outcome`], so that none is skipped in silence.

use std::collections::BTreeMap;
use std::io::Write;

/// How a case ended. A case that fails panics.
pub enum Outcome {
    /// All that the case states was confirmed.
    Passed,
    /// A weaker statement was confirmed, for the reason given.
    Partly(&'static str),
    /// Nothing here can be asked what the case asks, for the reason given.
    NotApplicable(&'static str),
}

/// Runs the cases of a file and reports.
pub fn run<T>(name: &str, cases: impl IntoIterator<Item = T>, check: impl Fn(T) -> Outcome) {
    let (mut passed, mut partly) = (0, 0);
    let mut others = BTreeMap::<String, usize>::new();
    for case in cases {
        match check(case) {
            Outcome::Passed => passed += 1,
            Outcome::Partly(reason) => {
                partly += 1;
                *others.entry(format!("in part ({reason})")).or_default() += 1;
            }
            Outcome::NotApplicable(reason) => {
                *others.entry(format!("not applicable ({reason})")).or_default() += 1;
            }
        }
    }
    let others: String = others
        .iter()
        .map(|(what, count)| format!(", {count} {what}"))
        .collect();
    say(&format!("{name}: {passed} passed{others}"));
    assert!(passed + partly > 0, "{name}: no case was executed");
}

/// Writes to standard error past the test harness, which would hide `eprintln!` of a test that passes.
pub fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").expect("standard error is open");
}
