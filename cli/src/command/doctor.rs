//! `chancel doctor`: looks over a host and says what to mend. Looking ([`gather`]) and judging ([`checks`]) are apart, so
//! that every judgement can be tried on facts that no test machine has.

mod checks;
mod expected;
mod facts;
mod finding;
mod gather;

use crate::arguments::Places;
use crate::failure::Failure;
use crate::output::Output;
use finding::Report;
pub(super) use gather::{certificate, ledgers, readiness};

pub(super) fn run(places: &Places, output: Output) -> Result<(), Failure> {
    let facts = gather::facts(places);
    let report = Report::new(checks::run(&facts));
    output.print(&report, || &report)?;
    match report.failed() {
        0 => Ok(()),
        failed => Err(Failure::NotWell(failed)),
    }
}

#[cfg(test)]
mod tests;
