//! Sign a stream. A message that fits into a request is signed like one; a longer one is hashed here as it arrives, and
//! keyd signs what stands for it. That needs the right to sign such a thing: who may sign messages alone wants keyd to see
//! them.

use super::digest::StandIn;
use super::incoming::Pieces;
use super::query;
use crate::api::{Field, KeyUse, Query, Signed};
use crate::envelope::Json;
use crate::error::ApiError;
use crate::limits::MAX_STREAM;
use crate::pipeline::asking::Stages;
use chancel_domain::Family;
use chancel_wire::limits::MAX_PAYLOAD;
use chancel_wire::policyd::Ask;
use hyper::body::Incoming;

pub(super) async fn run(
    query: Query<'_>,
    body: &mut Option<Incoming>,
    stages: &mut Stages<'_>,
) -> Result<Json, ApiError> {
    let parsed = query
        .only(&[Field::Algorithm, Field::KeyVersion, Field::Context])
        .and_then(|()| query::key(query, Family::Signature))
        .and_then(|key| Ok((key, query::version_or_active(query)?, query::context(query, key)?)));
    let (named, version, context) = stages.accepted(parsed).await?;
    let mut memory = stages.memory();
    memory.grow_to(MAX_PAYLOAD)?;
    let mut pieces = Pieces::new(body.as_mut().ok_or(ApiError::Internal)?, MAX_STREAM)?;
    stages.begin_body();
    let (message, is_all) = pieces.segment(MAX_PAYLOAD, 0).await?;
    let (signed, version) = if is_all {
        (Signed::Raw { message, context }, version)
    } else {
        let stand_in = StandIn::of(named.algorithm).ok_or(ApiError::PayloadTooLarge(Field::Message));
        let stand_in = stages.accepted(stand_in).await?;
        let prepare = Ask::Prepare {
            operation: stand_in.operation(),
            algorithm: named.algorithm,
            version,
        };
        let key = stages.ask_for(prepare).await?.grant.public_key()?;
        let signed = stand_in
            .digest(named.algorithm, &key.public_key, context, message, &mut pieces)
            .await?;
        (signed, Some(key.version))
    };
    stages.run(Ok(KeyUse::signing(named, version, &signed))).await
}
