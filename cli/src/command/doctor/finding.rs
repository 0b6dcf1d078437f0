//! What a check found, and how it is told.

use serde::Serialize;
use std::fmt;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and something should be done.
    Warn,
    /// It does not work, or is not safe.
    Fail,
    /// It could not be looked at.
    Skip,
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// By which check; set by the table of checks.
    pub check: &'static str,
    /// How bad it is.
    pub verdict: Verdict,
    /// What is.
    pub found: String,
    /// What to do, or null when there is nothing to do.
    pub advice: Option<String>,
}

/// All findings, in the order of the checks.
#[derive(Debug, Serialize)]
pub struct Report {
    well: bool,
    failed: usize,
    findings: Vec<Finding>,
}

impl Finding {
    /// As it should be.
    pub fn ok(found: impl Into<String>) -> Self {
        Self::of(Verdict::Ok, found, None)
    }

    /// Something should be done.
    pub fn warn(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::of(Verdict::Warn, found, Some(advice.into()))
    }

    /// Something must be done.
    pub fn fail(found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self::of(Verdict::Fail, found, Some(advice.into()))
    }

    /// It could not be looked at.
    pub fn skip(reason: impl Into<String>) -> Self {
        Self::of(Verdict::Skip, reason, None)
    }

    fn of(verdict: Verdict, found: impl Into<String>, advice: Option<String>) -> Self {
        Self {
            check: "",
            verdict,
            found: found.into(),
            advice,
        }
    }
}

impl Report {
    /// Of these.
    pub fn new(findings: Vec<Finding>) -> Self {
        let failed = findings
            .iter()
            .filter(|finding| finding.verdict == Verdict::Fail)
            .count();
        Self {
            well: failed == 0,
            failed,
            findings,
        }
    }

    /// How many must be mended.
    pub const fn failed(&self) -> usize {
        self.failed
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self
            .findings
            .iter()
            .map(|finding| finding.check.len())
            .max()
            .unwrap_or(0);
        for finding in &self.findings {
            let verdict = match finding.verdict {
                Verdict::Ok => "ok",
                Verdict::Warn => "warn",
                Verdict::Fail => "FAIL",
                Verdict::Skip => "skip",
            };
            writeln!(f, "{verdict:4}  {:width$}  {}", finding.check, finding.found)?;
            if let Some(advice) = &finding.advice {
                writeln!(f, "{:4}  {:width$}  do: {advice}", "", "")?;
            }
        }
        Ok(())
    }
}
