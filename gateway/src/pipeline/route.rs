//! Stage 7: from a route to its operation. The one match; parsing is the operation's, and so is what becomes
//! of the grant.

use super::asking::Stages;
use crate::api::{
    AddDenyRule, Archive, Body, CancelDestruction, CreateApiKey, CreateTenant, Explain, Generate, KeyUse,
    Kind, List, ListApiKeys, ListDenyRules, ListTenants, OwnTenant, OwnTenantAsList, Query, ReadActive,
    ReadEvents, ReadTenant, ReadVersion, RemoveDenyRule, Restore, Retire, RevokeApiKey, Rotate, RotateApiKey,
    Route, ScheduleDestruction, SetBudget,
};
use crate::envelope::Json;
use crate::error::ApiError;

/// Parses a request as its route's operation and runs it; returns the answer of a success.
pub async fn dispatch(
    route: Route,
    body: &[u8],
    path: &str,
    query: Query<'_>,
    accept: Option<&str>,
    stages: &mut Stages<'_>,
) -> Result<Json, ApiError> {
    let body = || Body::parse(body);
    match route {
        Route::Encrypt
        | Route::Decrypt
        | Route::Encapsulate
        | Route::Decapsulate
        | Route::Wrap
        | Route::Unwrap
        | Route::Rewrap
        | Route::Sign
        | Route::Verify
        | Route::SignHash
        | Route::VerifyHash => {
            let parsed = body().and_then(|body| KeyUse::parse(&body, Kind::of(route)));
            stages.run(parsed).await
        }
        // Their bodies are read elsewhere.
        Route::KemBatch | Route::SignatureBatch => Err(ApiError::Internal),
        Route::Generate => stages.run(body().and_then(|body| Generate::parse(&body))).await,
        Route::Rotate => stages.run(body().and_then(|body| Rotate::parse(&body))).await,
        Route::Retire => stages.run(body().and_then(|body| Retire::parse(&body))).await,
        Route::Archive => stages.run(body().and_then(|body| Archive::parse(&body))).await,
        Route::Restore => stages.run(body().and_then(|body| Restore::parse(&body))).await,
        Route::CancelDestruction => {
            stages
                .run(body().and_then(|body| CancelDestruction::parse(&body)))
                .await
        }
        Route::SetBudget => stages.run(body().and_then(|body| SetBudget::parse(&body))).await,
        Route::CreateTenant => {
            stages
                .run(body().and_then(|body| CreateTenant::parse(&body)))
                .await
        }
        Route::AddDenyRule => {
            stages
                .run(body().and_then(|body| AddDenyRule::parse(&body)))
                .await
        }
        Route::Explain => stages.run(body().and_then(|body| Explain::parse(&body))).await,
        Route::ReadActive => {
            let format = stages.key_format(query, accept);
            stages
                .run(format.and_then(|format| ReadActive::parse(&query, format)))
                .await
        }
        Route::ReadVersion => {
            let format = stages.key_format(query, accept);
            stages
                .run(format.and_then(|format| ReadVersion::parse(path, &query, format)))
                .await
        }
        Route::ScheduleDestruction => stages.run(ScheduleDestruction::parse(path, query)).await,
        Route::List => stages.run(List::parse(&query)).await,
        Route::ListTenants => {
            if stages.is_operator().await? {
                stages.run(ListTenants::parse(query)).await
            } else {
                stages.run(Ok(OwnTenantAsList)).await
            }
        }
        Route::OwnTenant => stages.run(Ok(OwnTenant)).await,
        Route::ReadTenant => stages.run(ReadTenant::parse(path)).await,
        Route::ListApiKeys => stages.run(ListApiKeys::parse(path, query)).await,
        Route::CreateApiKey => {
            stages
                .run(body().and_then(|body| CreateApiKey::parse(path, &body)))
                .await
        }
        Route::RotateApiKey => {
            stages
                .run(body().and_then(|body| RotateApiKey::parse(path, &body)))
                .await
        }
        Route::RevokeApiKey => stages.run(RevokeApiKey::parse(path)).await,
        Route::ListDenyRules => stages.run(Ok(ListDenyRules)).await,
        Route::RemoveDenyRule => stages.run(RemoveDenyRule::parse(path)).await,
        Route::ReadEvents => stages.run(ReadEvents::parse(query)).await,
    }
}
