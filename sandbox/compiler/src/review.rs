//! What a filter must be before it is compiled: an allow-list that kills, with a reason on each rule.
//!
//! The compiler itself accepts far more (deny-lists, actions that only log), and it drops an unconditional rule without
//! a word when the same syscall also has a conditional one. Both are refused here.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

use crate::FILTER_NAME;

/// What is wrong with a filter that is well-formed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Objection {
    /// A file holds exactly one filter, called "daemon".
    #[error("must hold exactly one filter, called \"{FILTER_NAME}\"")]
    NotOneDaemonFilter,
    /// A syscall that is not listed must end the process, not only the thread or the call.
    #[error("mismatch_action must be \"kill_process\"")]
    MismatchDoesNotKill,
    /// A rule is a permission.
    #[error("filter_action must be \"allow\"")]
    MatchDoesNotAllow,
    /// Nobody can review a permission without its reason.
    #[error("the rule for {0} has no comment that says why it is needed")]
    NoReason(String),
    /// Two equal rules, or an unconditional rule beside a conditional one.
    #[error("the rules for {0} are redundant")]
    Redundant(String),
}

/// One filter as it stands in the file. The compiler parses the same bytes again and knows more of their meaning.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Filter {
    mismatch_action: Value,
    filter_action: Value,
    filter: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    syscall: String,
    #[serde(default)]
    args: Option<Vec<BTreeMap<String, Value>>>,
    #[serde(default)]
    comment: Option<String>,
}

/// Says the first thing that is wrong with the filters of a file.
pub(crate) fn review(filters: &BTreeMap<String, Filter>) -> Result<(), Objection> {
    let filter = match filters.get(FILTER_NAME) {
        Some(filter) if filters.len() == 1 => filter,
        _ => return Err(Objection::NotOneDaemonFilter),
    };
    if filter.mismatch_action != "kill_process" {
        return Err(Objection::MismatchDoesNotKill);
    }
    if filter.filter_action != "allow" {
        return Err(Objection::MatchDoesNotAllow);
    }
    let mut seen: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for rule in &filter.filter {
        if rule
            .comment
            .as_deref()
            .is_none_or(|comment| comment.trim().is_empty())
        {
            return Err(Objection::NoReason(rule.syscall.clone()));
        }
        let conditions = seen.entry(&rule.syscall).or_default();
        let repeated = !conditions.insert(conditions_without_comments(rule));
        let unconditional = conditions.contains(UNCONDITIONAL);
        if repeated || (unconditional && conditions.len() > 1) {
            return Err(Objection::Redundant(rule.syscall.clone()));
        }
    }
    Ok(())
}

/// What [`conditions_without_comments`] makes of a rule without conditions.
const UNCONDITIONAL: &str = "";

/// Two rules are equal when their conditions are, however they are explained and ordered.
fn conditions_without_comments(rule: &Rule) -> String {
    let Some(conditions) = &rule.args else {
        return UNCONDITIONAL.to_owned();
    };
    let mut texts: Vec<String> = conditions
        .iter()
        .map(|condition| {
            let parts: Vec<String> = condition
                .iter()
                .filter(|(name, _)| *name != "comment")
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            format!("({})", parts.join(","))
        })
        .collect();
    texts.sort();
    texts.concat()
}
