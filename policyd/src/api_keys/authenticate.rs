//! From the text a caller sent to the tenant it stands for. Everything that is not a known API key gets the same
//! answer, whatever is wrong with it.

use super::{ApiKeyHasher, ReceivedApiKey, ServiceContext, Standing};
use crate::store::{Authentication, StoreError};
use chancel_domain::RequestId;

/// Somebody policyd knows, and what the rules need to know of them. Not yet judged: the API key may be revoked.
#[derive(Debug)]
pub struct Caller {
    /// For whom policyd works.
    pub context: ServiceContext,
    /// How the API key stands.
    pub standing: Standing,
}

/// Finds out who sent a request; `None` when nobody policyd knows did.
///
/// # Errors
/// [`StoreError`] when the database cannot answer.
pub fn authenticate(
    store: &Authentication<'_>,
    hasher: &ApiKeyHasher,
    api_key: &str,
    request: RequestId,
) -> Result<Option<Caller>, StoreError> {
    let Ok(received) = ReceivedApiKey::parse(api_key) else {
        return Ok(None);
    };
    let Some(stored) = store.find(&hasher.lookup(&received))? else {
        return Ok(None);
    };
    let standing = stored.standing;
    if !hasher
        .scoped(standing.tenant, &received)
        .matches(&stored.scoped_hash)
    {
        // Only an edit of the database leads here: the row lies with a tenant it was not made for.
        tracing::error!(tenant = %standing.tenant, api_key = %standing.api_key, %request,
            "an API key's row does not belong to its tenant; refused");
        return Ok(None);
    }
    let context = ServiceContext::assertion(standing.tenant, standing.api_key, stored.version, request);
    Ok(Some(Caller { context, standing }))
}
