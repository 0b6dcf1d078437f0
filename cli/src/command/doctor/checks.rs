//! The checks: a table of pure functions from facts to findings.

mod credentials;
mod files;
mod machine;
mod services;

use super::expected::Group;
use super::facts::Facts;
use super::finding::Finding;

type Check = fn(&Facts) -> Vec<Finding>;

/// In the order in which somebody mends: what others stand upon first.
const CHECKS: [(&str, Check); 16] = [
    ("kernel", machine::kernel),
    ("landlock", machine::landlock),
    ("seccomp", machine::seccomp),
    ("secret memory", machine::secret_memory),
    ("swap", machine::swap),
    ("clock", machine::clock),
    ("configuration", services::configuration),
    ("accounts", services::accounts),
    ("services", services::active),
    ("limits", services::limits),
    ("sandbox", services::sandbox),
    ("sockets", |facts| files::of(Group::Sockets, facts)),
    ("state", |facts| files::of(Group::State, facts)),
    ("credentials", credentials::check),
    ("ledger space", files::ledger_space),
    ("certificate", credentials::certificate),
];

/// Last, because it is what all of the above is for.
const READINESS: (&str, Check) = ("readiness", services::readiness);

/// Makes all of them.
pub fn run(facts: &Facts) -> Vec<Finding> {
    CHECKS
        .into_iter()
        .chain([READINESS])
        .flat_map(|(check, judge)| {
            judge(facts)
                .into_iter()
                .map(move |finding| Finding { check, ..finding })
        })
        .collect()
}
