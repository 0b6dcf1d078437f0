//! api-key-standing: a revoked or expired API key is as good as none, and its sender hears no more than that.

use super::{Context, RuleError, Ruling, Seen};
use chancel_wire::policyd::DenyReason;

/// How far the clock may stand before the API key's making: a step of time synchronisation, not a lost clock.
const CLOCK_STEP_MS: i64 = 5 * 60 * 1000;

pub(super) fn judge(context: &Context<'_>) -> Result<Ruling, RuleError> {
    if context.caller.is_revoked {
        return Ok(Ruling::Deny(DenyReason::NotAuthenticated));
    }
    let Some(expires_at_ms) = context.caller.expires_at_ms else {
        return Ok(Ruling::Pass);
    };
    if context.now_ms < context.caller.created_at_ms.saturating_sub(CLOCK_STEP_MS) {
        return Err(RuleError::ClockBeforeApiKey);
    }
    Ok(if context.now_ms < expires_at_ms {
        Ruling::Pass
    } else {
        Ruling::Deny(DenyReason::NotAuthenticated)
    })
}

pub(super) fn saw(context: &Context<'_>) -> Seen {
    let expires = context.caller.expires_at_ms;
    vec![
        ("revoked", context.caller.is_revoked.to_string()),
        (
            "expires_at_ms",
            expires.map_or_else(|| "never".to_owned(), |at| at.to_string()),
        ),
        ("now_ms", context.now_ms.to_string()),
    ]
}
