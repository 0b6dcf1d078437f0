//! Making, rotating and revoking API keys. The text of a new one leaves in the answer and is kept nowhere.
//!
//! A tenant's API key hands on no more than it has: not more operations, not from more places, not for longer.

use super::{ApiKeyHasher, ApiKeySecretText, Standing};
use crate::actor::Actor;
use crate::failure::Failure;
use crate::idempotency::Slot;
use crate::record::Recorder;
use crate::store::{NewApiKeyRow, TenantScope, Write, Writer};
use crate::{clock, identifier};
use chancel_domain::{ApiKeyId, TenantId};
use chancel_wire::admin::{ApiKeyRecord, NewApiKey};
use chancel_wire::policyd::{AskFailure, NewApiKeyTerms, Outcome, Quota};
use std::sync::Arc;

/// Changes API keys.
#[derive(Clone)]
pub struct ApiKeyChanges {
    /// Where changes go.
    pub writer: Writer,
    /// Hashes API keys.
    pub hasher: Arc<ApiKeyHasher>,
    /// Writes the ledger.
    pub recorder: Recorder,
}

/// Who changes an API key, and within what bounds.
pub struct By {
    /// Who.
    pub actor: Actor,
    /// The API key that asks, where a tenant does: what it makes can do no more.
    pub bounds: Option<Standing>,
    /// How many API keys the plan allows.
    pub limit: Option<u32>,
    /// Where the first answer is kept.
    pub slot: Option<Slot>,
}

impl By {
    /// Judged a moment ago; revoked since, perhaps.
    fn still_stands(&self, scope: &TenantScope<'_, Write>) -> Result<(), Failure> {
        let Some(own) = &self.bounds else { return Ok(()) };
        match scope.standing(own.api_key)? {
            Some(standing) if !standing.is_revoked => Ok(()),
            _ => Err(AskFailure::ApiKeyRevoked.into()),
        }
    }
}

impl ApiKeyChanges {
    /// Makes an API key.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn create(&self, by: By, tenant: TenantId, terms: NewApiKeyTerms) -> Result<Outcome, Failure> {
        if by.bounds.as_ref().is_some_and(|own| !may_hand_on(own, &terms)) {
            return Err(AskFailure::BeyondOwnRights.into());
        }
        let recorder = self.recorder.clone();
        let secret = ApiKeySecretText::generate();
        let hashes = self.hasher.hashes(tenant, &secret);
        let row = NewApiKeyRow {
            id: ApiKeyId::from_bytes(identifier::fresh()),
            name: terms.name,
            scopes: terms.scopes,
            expires_at_ms: terms.expires_at_ms,
            networks: terms.networks,
            created_at_ms: clock::now_ms(),
        };
        self.writer
            .change(move |view| {
                let scope = by.actor.scope(view, tenant)?;
                by.still_stands(&scope)?;
                // In the transaction that stores it, so that two at once cannot both be the last one allowed.
                let held = scope.unrevoked_api_keys()?;
                if by.limit.is_some_and(|limit| held >= limit) {
                    return Err(Failure::from(AskFailure::QuotaSpent(Quota::ApiKeys)));
                }
                scope.insert_api_key(&row, &hashes)?;
                let outcome = answer(&scope, row.id, &secret, by.slot.as_ref())?;
                record(&recorder, "api-key-created", &by.actor, tenant, outcome)
            })
            .await
    }

    /// Gives an API key another secret; the old one is dead on the next request.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn rotate(&self, by: By, tenant: TenantId, id: ApiKeyId) -> Result<Outcome, Failure> {
        let recorder = self.recorder.clone();
        let secret = ApiKeySecretText::generate();
        let hashes = self.hasher.hashes(tenant, &secret);
        self.writer
            .change(move |view| {
                let scope = by.actor.scope(view, tenant)?;
                by.still_stands(&scope)?;
                let held = find(&scope, id)?;
                if by
                    .bounds
                    .as_ref()
                    .is_some_and(|own| own.api_key != id && !may_hand_on(own, &terms_of(&held)))
                {
                    return Err(Failure::from(AskFailure::BeyondOwnRights));
                }
                if held.revoked_at_ms.is_some() || !scope.replace_secret(id, &hashes)? {
                    return Err(AskFailure::ApiKeyRevoked.into());
                }
                let outcome = answer(&scope, id, &secret, by.slot.as_ref())?;
                record(&recorder, "api-key-rotated", &by.actor, tenant, outcome)
            })
            .await
    }

    /// Revokes an API key for good.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn revoke(&self, actor: Actor, tenant: TenantId, id: ApiKeyId) -> Result<Outcome, Failure> {
        let recorder = self.recorder.clone();
        self.writer
            .change(move |view| {
                let scope = actor.scope(view, tenant)?;
                find(&scope, id)?;
                scope.revoke_api_key(id, clock::now_ms())?;
                let outcome = Outcome::ApiKey(find(&scope, id)?);
                record(&recorder, "api-key-revoked", &actor, tenant, outcome)
            })
            .await
    }
}

/// The last thing in a transaction.
fn record(
    recorder: &Recorder,
    what: &'static str,
    actor: &Actor,
    tenant: TenantId,
    outcome: Outcome,
) -> Result<Outcome, Failure> {
    let mut change = actor.change(what, Some(tenant));
    if let Outcome::ApiKeySecret(record, _) | Outcome::ApiKey(record) = &outcome {
        change.subject = Some(record.id.to_string().into());
        change.value = Some(record.scopes.to_string().into());
        tracing::info!(%tenant, api_key = %record.id, version = record.version, "{what}");
    }
    recorder.before_commit(change)?;
    Ok(outcome)
}

fn answer(
    scope: &TenantScope<'_, Write>,
    id: ApiKeyId,
    secret: &ApiKeySecretText,
    slot: Option<&Slot>,
) -> Result<Outcome, Failure> {
    let outcome = Outcome::ApiKeySecret(find(scope, id)?, NewApiKey(secret.expose_text().to_owned()));
    if let Some(slot) = slot {
        slot.keep(scope, &outcome)?;
    }
    Ok(outcome)
}

fn find(scope: &TenantScope<'_, Write>, id: ApiKeyId) -> Result<ApiKeyRecord, Failure> {
    scope
        .api_key(id)?
        .ok_or_else(|| AskFailure::ApiKeyNotFound.into())
}

fn terms_of(record: &ApiKeyRecord) -> NewApiKeyTerms {
    NewApiKeyTerms {
        name: record.name.clone(),
        scopes: record.scopes.clone(),
        expires_at_ms: record.expires_at_ms,
        networks: record.networks.clone(),
    }
}

/// Whether an API key may make one of these terms, or learn its secret.
fn may_hand_on(own: &Standing, terms: &NewApiKeyTerms) -> bool {
    let scopes = own
        .scopes
        .as_ref()
        .is_ok_and(|scopes| scopes.contain(&terms.scopes));
    let networks = own.networks.as_ref().is_ok_and(|networks| {
        networks.is_empty() || (!terms.networks.is_empty() && networks.cover(&terms.networks))
    });
    let time = own
        .expires_at_ms
        .is_none_or(|own| terms.expires_at_ms.is_some_and(|asked| asked <= own));
    scopes && networks && time
}
