//! source-network: an API key that is bound to networks may be used from them alone.

use super::{Context, RuleError, Ruling, Seen};
use chancel_wire::policyd::DenyReason;

pub(super) fn judge(context: &Context<'_>) -> Result<Ruling, RuleError> {
    let networks = context
        .caller
        .networks
        .as_ref()
        .map_err(|_| RuleError::NetworksUnreadable)?;
    let foreign = !networks.is_empty() && !networks.contain(context.source);
    Ok(Ruling::deny_if(foreign, DenyReason::ForeignNetwork))
}

pub(super) fn saw(context: &Context<'_>) -> Seen {
    let networks = match &context.caller.networks {
        Ok(networks) if networks.is_empty() => "any".to_owned(),
        Ok(networks) => networks.to_string(),
        Err(_) => "unreadable".to_owned(),
    };
    vec![("source", context.source.to_string()), ("networks", networks)]
}
