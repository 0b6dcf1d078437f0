//! Which records somebody wants to see.

use crate::record::Record;

/// Conditions that must all hold; what is `None` does not restrict.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Of this tenant.
    pub tenant: Option<String>,
    /// By this API key.
    pub api_key: Option<String>,
    /// Of this kind.
    pub kind: Option<String>,
    /// Of this operation.
    pub operation: Option<String>,
    /// Of this request.
    pub request: Option<String>,
    /// About this private key, by its handle.
    pub key: Option<String>,
    /// Denied by this rule.
    pub rule: Option<String>,
    /// Not before this instant, Unix milliseconds.
    pub since_ms: Option<i64>,
    /// Before this instant, Unix milliseconds.
    pub until_ms: Option<i64>,
}

impl Filter {
    /// Whether a record meets all conditions.
    pub fn admits(&self, record: &Record<'_>) -> bool {
        let pairs = [
            (&self.tenant, record.tenant.as_deref()),
            (&self.api_key, record.api_key.as_deref()),
            (&self.kind, Some(&*record.kind)),
            (&self.operation, record.operation.as_deref()),
            (&self.request, record.request.as_deref()),
            (&self.key, record.key.as_deref()),
            (&self.rule, record.rule.as_deref()),
        ];
        pairs
            .iter()
            .all(|(wanted, found)| wanted.as_deref().is_none_or(|wanted| *found == Some(wanted)))
            && self.since_ms.is_none_or(|since| record.time >= since)
            && self.until_ms.is_none_or(|until| record.time < until)
    }
}
