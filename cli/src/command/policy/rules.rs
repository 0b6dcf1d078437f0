//! `chancel policy rules …`: a tenant's own deny rules.

use crate::arguments::{NewRule, RulesCommand};
use crate::client::Policyd;
use crate::failure::{Daemon, Failure};
use crate::output::{Output, Table, time};
use crate::when::DAYS;
use chancel_domain::deny_rule::{RawWindow, Sources, Window};
use chancel_domain::network::Network;
use chancel_domain::{DenyRule, Networks};
use chancel_wire::admin::{AdminReply, AdminRequest};
use chancel_wire::policyd::DenyRuleView;
use serde::Serialize;

/// A rule in JSON. Empty lists and null restrict nothing.
#[derive(Serialize)]
struct Rule {
    id: String,
    name: String,
    operations: Vec<String>,
    algorithms: Vec<String>,
    window: Option<Hours>,
    within: Option<Vec<String>>,
    outside: Option<Vec<String>>,
    created_at: String,
}

#[derive(Serialize)]
struct Hours {
    from: String,
    until: String,
    days: Vec<&'static str>,
}

#[derive(Serialize)]
struct Rules {
    rules: Vec<Rule>,
}

pub(super) async fn run(policyd: &Policyd, output: Output, command: RulesCommand) -> Result<(), Failure> {
    let request = match command {
        RulesCommand::List { tenant } => AdminRequest::ListDenyRules(tenant),
        RulesCommand::Add { tenant, rule } => AdminRequest::AddDenyRule(tenant, rule_of(rule)?),
        RulesCommand::Remove { tenant, id } => AdminRequest::RemoveDenyRule(tenant, id),
    };
    match policyd.ask(&request).await? {
        AdminReply::DenyRule(view) => {
            let rule = Rule::from(&view);
            output.print(&rule, || table(std::slice::from_ref(&rule)))
        }
        AdminReply::DenyRules(views) => {
            let rules = Rules {
                rules: views.iter().map(Rule::from).collect(),
            };
            output.print(&rules, || table(&rules.rules))
        }
        _ => Err(Failure::Unintelligible(Daemon::Policyd)),
    }
}

fn rule_of(new: NewRule) -> Result<DenyRule, Failure> {
    let window = match (new.from, new.until) {
        (Some(from), Some(until)) => {
            let raw = RawWindow {
                from: from.number(),
                until: until.number(),
                days: new.days.iter().fold(0, |days, day| days | day.bit()),
            };
            Some(Window::try_from(raw).map_err(|_| Failure::EmptyWindow)?)
        }
        // clap lets neither come alone.
        _ => None,
    };
    let sources = if !new.within.is_empty() {
        Some(Sources::Within(networks(new.within)?))
    } else if !new.outside.is_empty() {
        Some(Sources::Outside(networks(new.outside)?))
    } else {
        None
    };
    Ok(DenyRule {
        name: new.name,
        operations: new.operations,
        algorithms: new.algorithms,
        window,
        sources,
    })
}

fn networks(networks: Vec<Network>) -> Result<Networks, Failure> {
    Networks::try_from(networks).map_err(|_| Failure::TooManyNetworks)
}

impl From<&DenyRuleView> for Rule {
    fn from(view: &DenyRuleView) -> Self {
        let DenyRule {
            name,
            operations,
            algorithms,
            window,
            sources,
        } = &view.rule;
        let texts = |networks: &Networks| networks.iter().map(ToString::to_string).collect();
        let (within, outside) = match sources {
            None => (None, None),
            Some(Sources::Within(networks)) => (Some(texts(networks)), None),
            Some(Sources::Outside(networks)) => (None, Some(texts(networks))),
        };
        Self {
            id: view.id.to_string(),
            name: name.to_string(),
            operations: operations.iter().map(ToString::to_string).collect(),
            algorithms: algorithms.iter().map(ToString::to_string).collect(),
            window: window.clone().map(|window| Hours::from(RawWindow::from(window))),
            within,
            outside,
            created_at: time(view.created_at_ms),
        }
    }
}

impl From<RawWindow> for Hours {
    fn from(raw: RawWindow) -> Self {
        let clock = |minutes: u16| format!("{:02}:{:02}", minutes / 60, minutes % 60);
        Self {
            from: clock(raw.from),
            until: clock(raw.until),
            days: (0..)
                .zip(DAYS)
                .filter(|(number, _)| raw.days & (1 << number) != 0)
                .map(|(_, name)| name)
                .collect(),
        }
    }
}

impl Rule {
    /// What it denies, in words.
    fn denies(&self) -> String {
        let mut words = vec![if self.operations.is_empty() {
            "everything".to_owned()
        } else {
            self.operations.join(" ")
        }];
        if !self.algorithms.is_empty() {
            words.push(format!("with {}", self.algorithms.join(" ")));
        }
        if let Some(Hours { from, until, days }) = &self.window {
            words.push(format!("from {from} until {until} UTC"));
            if !days.is_empty() {
                words.push(format!("on {}", days.join(" ")));
            }
        }
        if let Some(networks) = &self.within {
            words.push(format!("from within {}", networks.join(" ")));
        }
        if let Some(networks) = &self.outside {
            words.push(format!("from outside {}", networks.join(" ")));
        }
        words.join(", ")
    }
}

fn table(rules: &[Rule]) -> Table {
    let mut table = Table::new(&["ID", "NAME", "CREATED", "DENIES"]);
    for rule in rules {
        table.row(&[&rule.id, &rule.name, &rule.created_at, &rule.denies()]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::{Arguments, Command, PolicyCommand};
    use chancel_domain::DenyRuleId;
    use clap::Parser;

    fn rule(options: &[&str]) -> Result<DenyRule, Failure> {
        let tenant = "0190b6c0-0000-4000-8000-000000000000";
        let line = ["chancel", "policy", "rules", "add", tenant, "--name", "night"];
        let parsed = Arguments::try_parse_from(line.iter().chain(options)).expect("a rule");
        let Command::Policy(PolicyCommand::Rules(RulesCommand::Add { rule, .. })) = parsed.command else {
            panic!("not a rule");
        };
        rule_of(rule)
    }

    #[test]
    fn a_rule_says_back_what_it_was_told() {
        let rule = rule(&[
            "--operation",
            "sign",
            "--algorithm",
            "ML-DSA-65",
            "--from",
            "22:00",
            "--until",
            "06:00",
            "--day",
            "sat",
            "--day",
            "sun",
            "--outside",
            "10.0.0.0/8",
        ])
        .expect("a rule");
        let view = DenyRuleView {
            id: DenyRuleId::from_bytes([1; 16]),
            rule,
            created_at_ms: 0,
        };
        let algorithm = chancel_domain::Algorithm::MlDsa65;
        assert_eq!(
            Rule::from(&view).denies(),
            format!(
                "sign, with {algorithm}, from 22:00 until 06:00 UTC, on sat sun, from outside 10.0.0.0/8"
            )
        );
    }

    #[test]
    fn a_window_of_no_minutes_is_refused() {
        let refused = rule(&["--from", "08:00", "--until", "08:00"]);
        assert!(matches!(refused, Err(Failure::EmptyWindow)));
    }
}
