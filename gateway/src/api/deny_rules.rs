//! The tenant's own deny rules, as JSON: `{name, operations, algorithms, window, sources}`, in which what is absent
//! restricts nothing. A rule has at least one condition.

use super::parameter::{id_in_path, name, networks, operation};
use super::{Body, Field};
use crate::envelope::{self, Json, Object};
use crate::error::ApiError;
use crate::pipeline::Operation;
use crate::pipeline::context::Context;
use crate::pipeline::policy::{Grant, unexpected};
use crate::timestamp;
use chancel_domain::deny_rule::{RawWindow, Sources, Window};
use chancel_domain::{Algorithm, DenyRule, DenyRuleId, Networks};
use chancel_wire::policyd::{Ask, DenyRuleView, Outcome};

/// Names of days, the one of the lowest bit first.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// A request for all deny rules.
pub struct ListDenyRules;

/// A request for a new one.
pub struct AddDenyRule(DenyRule);

/// A request to remove one.
pub struct RemoveDenyRule(DenyRuleId);

impl AddDenyRule {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(body: &Body<'_>) -> Result<Self, ApiError> {
        const FIELDS: [Field; 5] = [
            Field::Name,
            Field::Operations,
            Field::Algorithms,
            Field::Window,
            Field::Sources,
        ];
        body.only(&FIELDS)?;
        let operations = body.texts(Field::Operations)?.unwrap_or_default();
        let algorithms = body.texts(Field::Algorithms)?.unwrap_or_default();
        let algorithm = |name: &&str| Algorithm::from_name(name).map_err(|_| ApiError::InvalidAlgorithm);
        let rule = DenyRule {
            name: name(body)?,
            operations: distinct(operations.iter().map(|name| operation(name, Field::Operations)))?,
            algorithms: distinct(algorithms.iter().map(algorithm))?,
            window: body.object(Field::Window)?.map(window).transpose()?,
            sources: body.object(Field::Sources)?.map(sources).transpose()?,
        };
        if rule.denies_everything() {
            return Err(ApiError::RuleWithoutCondition);
        }
        Ok(Self(rule))
    }
}

impl RemoveDenyRule {
    /// Reads the request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(path: &str) -> Result<Self, ApiError> {
        id_in_path(path, 0).map(Self)
    }
}

/// Each value once, so that a rule is never longer than what there is to name.
fn distinct<T: PartialEq>(values: impl Iterator<Item = Result<T, ApiError>>) -> Result<Vec<T>, ApiError> {
    let mut distinct = Vec::new();
    for value in values {
        let value = value?;
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    Ok(distinct)
}

fn window(object: &Body<'_>) -> Result<Window, ApiError> {
    object.only(&[Field::From, Field::Until, Field::Days])?;
    let mut days = 0;
    for day in object.texts(Field::Days)?.unwrap_or_default() {
        let bit = DAYS.iter().position(|name| *name == day);
        days |= 1
            << bit.ok_or(ApiError::WrongField {
                field: Field::Days,
                expected: "a list of 'mon', 'tue', 'wed', 'thu', 'fri', 'sat' and 'sun'",
            })?;
    }
    let raw = RawWindow {
        from: minute(object, Field::From)?,
        until: minute(object, Field::Until)?,
        days,
    };
    Window::try_from(raw).map_err(|_| ApiError::WrongField {
        field: Field::Window,
        expected: "two different times of a day",
    })
}

/// A time of day, as in `22:00`.
fn minute(object: &Body<'_>, field: Field) -> Result<u16, ApiError> {
    let text = object.text(field)?.ok_or(ApiError::MissingField(field))?;
    let digits = |text: &str| -> Option<u16> {
        let two = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        two.then(|| text.parse().ok()).flatten()
    };
    let (hour, minute) = text.split_once(':').unwrap_or_default();
    match (digits(hour), digits(minute)) {
        (Some(hour @ 0..=23), Some(minute @ 0..=59)) => Ok(hour * 60 + minute),
        _ => Err(ApiError::WrongField {
            field,
            expected: "a time of day from '00:00' to '23:59', in UTC",
        }),
    }
}

fn sources(object: &Body<'_>) -> Result<Sources, ApiError> {
    object.only(&[Field::Within, Field::Outside])?;
    let some = |field| networks(object, field).map(|set| set.filter(|set: &Networks| !set.is_empty()));
    match (some(Field::Within)?, some(Field::Outside)?) {
        (Some(networks), None) if !object.names(Field::Outside) => Ok(Sources::Within(networks)),
        (None, Some(networks)) if !object.names(Field::Within) => Ok(Sources::Outside(networks)),
        _ => Err(ApiError::WrongField {
            field: Field::Sources,
            expected: "an object with either 'within' or 'outside', a list of one or more networks",
        }),
    }
}

impl Operation for ListDenyRules {
    fn ask(&self) -> Ask {
        Ask::ListDenyRules
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        let Outcome::DenyRules(rules) = grant.outcome()? else {
            return Err(unexpected());
        };
        Ok(envelope::success(context.request, 0, |data| {
            data.list("rules", &rules, write_rule);
        }))
    }
}

impl Operation for AddDenyRule {
    fn ask(&self) -> Ask {
        Ask::AddDenyRule(self.0.clone())
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        one_rule(grant, context)
    }
}

impl Operation for RemoveDenyRule {
    fn ask(&self) -> Ask {
        Ask::RemoveDenyRule(self.0)
    }

    async fn carry_out(&self, grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
        one_rule(grant, context)
    }
}

fn one_rule(grant: Grant, context: Context<'_>) -> Result<Json, ApiError> {
    let Outcome::DenyRule(rule) = grant.outcome()? else {
        return Err(unexpected());
    };
    Ok(envelope::success(context.request, 0, |data| {
        write_rule(data, &rule)
    }))
}

fn write_rule(object: &mut Object<'_>, view: &DenyRuleView) {
    let rule = &view.rule;
    object.text("id", &view.id.to_string());
    object.text("name", rule.name.as_str());
    object.texts(
        "operations",
        rule.operations.iter().map(|operation| operation.name()),
    );
    object.texts(
        "algorithms",
        rule.algorithms
            .iter()
            .map(|algorithm| algorithm.spec().client_name),
    );
    if let Some(window) = rule.window.clone() {
        let RawWindow { from, until, days } = window.into();
        let time = |minute| format!("{:02}:{:02}", minute / 60, minute % 60);
        object.object("window", |object| {
            object.text("from", &time(from));
            object.text("until", &time(until));
            let named = DAYS.iter().enumerate().filter(|(bit, _)| days & 1 << bit != 0);
            object.texts("days", named.map(|(_, name)| *name));
        });
    }
    if let Some(sources) = &rule.sources {
        let (name, networks) = match sources {
            Sources::Within(networks) => ("within", networks),
            Sources::Outside(networks) => ("outside", networks),
        };
        let networks: Vec<_> = networks.iter().map(ToString::to_string).collect();
        object.object("sources", |object| {
            object.texts(name, networks.iter().map(String::as_str));
        });
    }
    object.text("created_at", &timestamp::from_unix_ms(view.created_at_ms));
}
