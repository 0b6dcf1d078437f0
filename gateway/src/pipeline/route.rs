//! Stage 7: from a route to its operation. The one match; parsing is the operation's, and so is what becomes
//! of the grant.

use super::Stages;
use crate::api::{
    Body, Decapsulate, Decrypt, Encapsulate, Encrypt, Generate, List, ListTenants, OwnTenant, Query,
    ReadActive, ReadVersion, Retire, Rotate, Route, Sign, Unwrap, Verify, Wrap,
};
use crate::envelope::Json;
use crate::error::ApiError;

/// Parses a request as its route's operation and runs it; returns the status of a success with the answer.
pub async fn dispatch(
    route: Route,
    body: &[u8],
    path: &str,
    query: Query<'_>,
    stages: &mut Stages<'_>,
) -> Result<(u16, Json), ApiError> {
    let json = match route {
        Route::Encrypt => {
            stages
                .run(Body::parse(body).and_then(|body| Encrypt::parse(&body)))
                .await?
        }
        Route::Decrypt => {
            stages
                .run(Body::parse(body).and_then(|body| Decrypt::parse(&body)))
                .await?
        }
        Route::Encapsulate => {
            stages
                .run(Body::parse(body).and_then(|body| Encapsulate::parse(&body)))
                .await?
        }
        Route::Decapsulate => {
            stages
                .run(Body::parse(body).and_then(|body| Decapsulate::parse(&body)))
                .await?
        }
        Route::Wrap => {
            stages
                .run(Body::parse(body).and_then(|body| Wrap::parse(&body)))
                .await?
        }
        Route::Unwrap => {
            stages
                .run(Body::parse(body).and_then(|body| Unwrap::parse(&body)))
                .await?
        }
        Route::Sign => {
            stages
                .run(Body::parse(body).and_then(|body| Sign::parse(&body)))
                .await?
        }
        Route::Verify => {
            stages
                .run(Body::parse(body).and_then(|body| Verify::parse(&body)))
                .await?
        }
        Route::Generate => {
            stages
                .run(Body::parse(body).and_then(|body| Generate::parse(&body)))
                .await?
        }
        Route::Rotate => {
            stages
                .run(Body::parse(body).and_then(|body| Rotate::parse(&body)))
                .await?
        }
        Route::Retire => {
            stages
                .run(Body::parse(body).and_then(|body| Retire::parse(&body)))
                .await?
        }
        Route::ReadActive => stages.run(ReadActive::parse(&query)).await?,
        Route::ReadVersion => stages.run(ReadVersion::parse(path, &query)).await?,
        Route::List => stages.run(List::parse(&query)).await?,
        Route::ListTenants => stages.run(Ok(ListTenants)).await?,
        Route::OwnTenant => stages.run(Ok(OwnTenant)).await?,
    };
    let status = if route == Route::Generate { 201 } else { 200 };
    Ok((status, json))
}
