//! `chancel policy explain`: the rule chain over a request that is not made, with what each rule saw.

use crate::arguments::ExplainQuestion;
use crate::client::Policyd;
use crate::failure::{Daemon, Failure};
use crate::output::{Output, Table};
use chancel_wire::admin::{AdminReply, AdminRequest};
use chancel_wire::policyd::{Explanation, Finding, Question};
use serde::Serialize;
use std::fmt;

/// The explanation in JSON. `denied_by` is null when no rule denies.
#[derive(Serialize)]
struct Explained {
    denied_by: Option<&'static str>,
    reason: Option<&'static str>,
    rules: Vec<Step>,
}

#[derive(Serialize)]
struct Step {
    rule: &'static str,
    finding: &'static str,
    reason: Option<&'static str>,
    saw: Vec<Seen>,
}

/// One thing that a rule looked at. A rule can see several of one name.
#[derive(Serialize)]
struct Seen {
    name: String,
    value: String,
}

pub(super) async fn run(policyd: &Policyd, output: Output, asked: ExplainQuestion) -> Result<(), Failure> {
    let question = Question {
        operation: asked.operation,
        algorithm: asked.algorithm,
        target: asked.target_algorithm,
        batch: asked.batch,
        api_key: Some(asked.api_key),
        source: asked.source,
        at_ms: asked.at.map(|moment| moment.as_millis()),
    };
    let request = AdminRequest::Explain(asked.tenant, question);
    let AdminReply::Explained(explanation) = policyd.ask(&request).await? else {
        return Err(Failure::Unintelligible(Daemon::Policyd));
    };
    let explained = Explained::from(explanation);
    output.print(&explained, || &explained)
}

impl From<Explanation> for Explained {
    fn from(explanation: Explanation) -> Self {
        let denial = explanation.denial();
        let step = |step: chancel_wire::policyd::Step| {
            let (finding, reason) = match step.finding {
                Finding::Pass => ("pass", None),
                Finding::Deny(reason) => ("deny", Some(reason.name())),
            };
            Step {
                rule: step.rule.name(),
                finding,
                reason,
                saw: step
                    .saw
                    .into_iter()
                    .map(|(name, value)| Seen { name, value })
                    .collect(),
            }
        };
        Self {
            denied_by: denial.map(|(rule, _)| rule.name()),
            reason: denial.map(|(_, reason)| reason.name()),
            rules: explanation.steps.into_iter().map(step).collect(),
        }
    }
}

impl fmt::Display for Explained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = Table::new(&["RULE", "FINDING", "SAW"]);
        for step in &self.rules {
            let finding = match step.reason {
                Some(reason) => format!("DENY {reason}"),
                None => step.finding.to_owned(),
            };
            let saw: Vec<_> = step
                .saw
                .iter()
                .map(|Seen { name, value }| format!("{name}={value}"))
                .collect();
            table.row(&[step.rule, &finding, &saw.join(", ")]);
        }
        write!(f, "{table}")?;
        match (self.denied_by, self.reason) {
            (Some(rule), Some(reason)) => writeln!(f, "\nIt would be denied by {rule}: {reason}."),
            _ => writeln!(
                f,
                "\nNo rule denies it. Rates are the gateway's and not looked at here."
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancel_wire::policyd::{DenyReason, Rule, Step as Judged};

    fn explanation(finding: Finding) -> Explanation {
        let step = |rule, finding| Judged {
            rule,
            finding,
            saw: ["night: denies", "office: does not apply"]
                .map(|text| ("rule".to_owned(), text.to_owned()))
                .into(),
        };
        Explanation {
            steps: vec![
                step(Rule::TenantStanding, Finding::Pass),
                step(Rule::Scope, finding),
            ],
        }
    }

    #[test]
    fn the_rule_that_would_deny_is_named_with_what_it_saw() {
        let said = Explained::from(explanation(Finding::Deny(DenyReason::OutOfScope))).to_string();
        assert!(said.contains("DENY out-of-scope"), "{said}");
        // Things of one name are all shown.
        assert!(
            said.contains("rule=night: denies, rule=office: does not apply"),
            "{said}"
        );
        assert!(
            said.ends_with("It would be denied by scope: out-of-scope.\n"),
            "{said}"
        );
    }

    #[test]
    fn when_no_rule_denies_that_is_said() {
        let explained = Explained::from(explanation(Finding::Pass));
        assert!(explained.denied_by.is_none());
        assert!(explained.to_string().contains("No rule denies it."));
    }
}
