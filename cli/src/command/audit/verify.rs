//! `chancel audit verify`: what the ledger crate's verifier found, for people and for programs.

use super::{public_key, unread};
use crate::arguments::Verify;
use crate::failure::Failure;
use crate::output::Output;
use chancel_ledger::verify::{self, MOST_FINDINGS};
use serde::Serialize;
use std::fmt;

/// The report in JSON. `uses` is null when it was not given.
#[derive(Serialize)]
struct Report {
    sound: bool,
    signatures_checked: bool,
    decisions: Summary,
    uses: Option<Summary>,
    agreed: u64,
    break_glass: u64,
    too_old: u64,
    total_findings: u64,
    findings: Vec<Finding>,
}

/// One ledger. `covered` is null when no checkpoint was checked.
#[derive(Serialize)]
struct Summary {
    records: u64,
    first: Option<u64>,
    last: Option<u64>,
    checkpoints: u64,
    covered: Option<u64>,
}

#[derive(Serialize)]
struct Finding {
    ledger: &'static str,
    file: String,
    line: u64,
    finding: String,
}

pub(super) fn run(output: Output, what: &Verify) -> Result<(), Failure> {
    let key = what.public_key.as_deref().map(public_key::read).transpose()?;
    let (decisions, uses) = what.copies.directories();
    // Listed here so that what cannot be read is named.
    for directory in [Some(decisions), uses].into_iter().flatten() {
        std::fs::read_dir(directory).map_err(unread(directory))?;
    }
    let report = verify::verify(decisions, uses, key.as_ref()).map_err(unread(decisions))?;
    if report.decisions.records == 0 {
        return Err(Failure::NoLedger(decisions.to_owned()));
    }
    if let (Some(summary), Some(uses)) = (&report.uses, uses)
        && summary.records == 0
    {
        return Err(Failure::NoLedger(uses.to_owned()));
    }
    let report = Report::new(&report, key.is_some());
    output.print(&report, || &report)?;
    match report.sound {
        true => Ok(()),
        false => Err(Failure::NotSound(report.total_findings)),
    }
}

impl Report {
    fn new(report: &verify::Report, signatures_checked: bool) -> Self {
        Self {
            sound: report.is_sound(),
            signatures_checked,
            decisions: Summary::from(&report.decisions),
            uses: report.uses.as_ref().map(Summary::from),
            agreed: report.agreed,
            break_glass: report.break_glass,
            too_old: report.too_old,
            total_findings: report.total_findings,
            findings: report
                .findings
                .iter()
                .map(|found| Finding {
                    ledger: found.ledger.name(),
                    file: found.place.path.display().to_string(),
                    line: found.place.line,
                    finding: found.finding.to_string(),
                })
                .collect(),
        }
    }
}

impl From<&verify::Summary> for Summary {
    fn from(summary: &verify::Summary) -> Self {
        let verify::Summary {
            records,
            first,
            last,
            checkpoints,
            covered,
        } = *summary;
        Self {
            records,
            first,
            last,
            checkpoints,
            covered,
        }
    }
}

impl Summary {
    fn write(&self, f: &mut fmt::Formatter<'_>, name: &str, signatures_checked: bool) -> fmt::Result {
        write!(f, "{name:<11} {} records", self.records)?;
        if let (Some(first), Some(last)) = (self.first, self.last) {
            write!(f, ", {first} to {last}")?;
            if first > 1 {
                write!(f, " (older ones were removed when their time was over)")?;
            }
        }
        writeln!(f)?;
        let rest = |covered| self.last.unwrap_or(covered).saturating_sub(covered);
        match (signatures_checked, self.covered) {
            (false, _) => writeln!(f, "{:<11} signatures NOT checked: the chain alone was", ""),
            (true, None) => writeln!(f, "{:<11} no signed checkpoint: the chain alone was checked", ""),
            (true, Some(covered)) => writeln!(
                f,
                "{:<11} {} checkpoints, signed up to record {covered}; {} after it are held by the chain alone",
                "",
                self.checkpoints,
                rest(covered)
            ),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.decisions.write(f, "decisions", self.signatures_checked)?;
        match &self.uses {
            None => writeln!(
                f,
                "{:<11} not given: uses without a permit cannot be found",
                "uses"
            )?,
            Some(uses) => {
                uses.write(f, "uses", self.signatures_checked)?;
                write!(f, "{:<11} {} uses have their permit", "agreement", self.agreed)?;
                if self.break_glass > 0 {
                    write!(f, "; {} were in BREAK-GLASS, without one", self.break_glass)?;
                }
                if self.too_old > 0 {
                    write!(f, "; {} are older than the decisions that are kept", self.too_old)?;
                }
                writeln!(f)?;
            }
        }
        for found in &self.findings {
            let Finding {
                ledger,
                file,
                line,
                finding,
            } = found;
            writeln!(f, "FOUND       {ledger}: {file}, line {line}: {finding}")?;
        }
        if self.total_findings > MOST_FINDINGS as u64 {
            let more = self.total_findings - MOST_FINDINGS as u64;
            writeln!(f, "            and {more} more")?;
        }
        match self.sound {
            true => writeln!(
                f,
                "result      sound: no record was changed, moved or added, and none removed before the last"
            ),
            false => writeln!(f, "result      NOT SOUND, {} findings", self.total_findings),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> verify::Report {
        verify::Report {
            decisions: verify::Summary {
                records: 90,
                first: Some(11),
                last: Some(100),
                checkpoints: 2,
                covered: Some(97),
            },
            ..verify::Report::default()
        }
    }

    #[test]
    fn a_sound_report_says_what_is_held_by_what() {
        let said = Report::new(&report(), true).to_string();
        assert!(
            said.contains("90 records, 11 to 100 (older ones were removed"),
            "{said}"
        );
        assert!(said.contains("signed up to record 97; 3 after it"), "{said}");
        assert!(said.contains("uses        not given"), "{said}");
        assert!(
            said.ends_with(
                "sound: no record was changed, moved or added, and none removed before the last\n"
            ),
            "{said}"
        );
    }

    #[test]
    fn what_was_not_checked_is_said() {
        let said = Report::new(&report(), false).to_string();
        assert!(said.contains("signatures NOT checked"), "{said}");
        let mut unsigned = report();
        unsigned.decisions.covered = None;
        let said = Report::new(&unsigned, true).to_string();
        assert!(said.contains("no signed checkpoint"), "{said}");
    }

    #[test]
    fn a_finding_is_shown_with_its_place() {
        let mut found = report();
        found.total_findings = 1;
        found.findings.push(verify::Found {
            ledger: chancel_ledger::LedgerName::Decisions,
            place: verify::Place {
                path: "d/0000000001.jsonl".into(),
                line: 4,
            },
            finding: verify::Finding::Changed(14),
        });
        let said = Report::new(&found, true).to_string();
        assert!(
            said.contains("decisions: d/0000000001.jsonl, line 4: record 14 was changed"),
            "{said}"
        );
        assert!(said.ends_with("NOT SOUND, 1 findings\n"), "{said}");
    }
}
