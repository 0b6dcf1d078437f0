//! Verify a signature over a stream: the signature comes first, and then the message.

use super::digest::StandIn;
use super::incoming::Pieces;
use super::query;
use crate::api::{Field, KeyUse, Query, Signed};
use crate::envelope::Json;
use crate::error::ApiError;
use crate::limits::MAX_STREAM;
use crate::pipeline::asking::Stages;
use chancel_domain::{Algorithm, Family, Operation};
use chancel_wire::limits::MAX_PAYLOAD;
use chancel_wire::policyd::Ask;
use hyper::body::Incoming;

pub(super) async fn run(
    query: Query<'_>,
    body: &mut Option<Incoming>,
    stages: &mut Stages<'_>,
) -> Result<Json, ApiError> {
    let parsed = query
        .only(&[
            Field::Algorithm,
            Field::KeyVersion,
            Field::Context,
            Field::SignatureLength,
        ])
        .and_then(|()| query::key(query, Family::Signature))
        .and_then(|key| {
            let (version, context) = (query::version(query)?, query::context(query, key)?);
            Ok((key, version, context, signature_len(query, key.algorithm)?))
        });
    let (named, version, context, length) = stages.accepted(parsed).await?;
    let mut memory = stages.memory();
    memory.grow_to(MAX_PAYLOAD)?;
    let ask = Ask::Use {
        operation: Operation::Verify,
        algorithm: named.algorithm,
        version: Some(version),
        payload: None,
        batch: None,
    };
    // Before the message is read: it may take long, and what it is for is known.
    let allowed = stages.ask_for(ask).await?;
    let key = allowed.grant.public_key()?;
    let mut pieces = Pieces::new(body.as_mut().ok_or(ApiError::Internal)?, length + MAX_STREAM)?;
    stages.begin_body();
    let signature = pieces.take(length).await?;
    if signature.len() < length {
        return Err(ApiError::NoSignature);
    }
    let (message, is_all) = pieces.segment(MAX_PAYLOAD, 0).await?;
    let signed = if is_all {
        Signed::Raw { message, context }
    } else {
        let stand_in = StandIn::of(named.algorithm).ok_or(ApiError::PayloadTooLarge(Field::Message))?;
        stand_in
            .digest(named.algorithm, &key.public_key, context, message, &mut pieces)
            .await?
    };
    KeyUse::verify(named, signed, signature, key, allowed.context).await
}

/// Bytes of the signature: said by the query, for the composite's vary; else the algorithm's.
fn signature_len(query: Query<'_>, algorithm: Algorithm) -> Result<usize, ApiError> {
    let longest = algorithm.spec().output_len;
    let wrong = ApiError::WrongField {
        field: Field::SignatureLength,
        expected: "the number of bytes of the signature that the body begins with",
    };
    match query::number(query, Field::SignatureLength)? {
        None if algorithm == Algorithm::CompositeMlDsa65EcdsaP256 => {
            Err(ApiError::MissingField(Field::SignatureLength))
        }
        None => Ok(longest),
        Some(length) => usize::try_from(length)
            .ok()
            .filter(|length| (1..=longest).contains(length))
            .ok_or(wrong),
    }
}
