//! Encrypt a stream: a fresh key for its segments, sealed to the public key in its head.

use super::incoming::{Pieces, declared_len};
use super::outgoing::{Held, Outgoing, Said, Sink};
use super::query;
use super::segments::{KEY_LEN, PREFIX_LEN, SEGMENT, Sealer, TAG_LEN, head_len, sealed_len};
use crate::api::{Field, Query};
use crate::error::ApiError;
use crate::limits::MAX_STREAM;
use crate::pipeline::asking::{Allowed, Stages};
use aws_lc_rs::rand;
use chancel_domain::{Family, Operation};
use chancel_pqc::{Purpose, seal};
use chancel_wire::policyd::Ask;
use hyper::body::Incoming;
use zeroize::Zeroizing;

pub(super) async fn run(
    query: Query<'_>,
    body: &mut Option<Incoming>,
    stages: &mut Stages<'_>,
) -> Result<Outgoing, ApiError> {
    let parsed = query
        .only(&[Field::Algorithm, Field::KeyVersion, Field::Aad])
        .and_then(|()| query::key(query, Family::Kem))
        .and_then(|key| Ok((key, query::version_or_active(query)?, query::aad(query)?)));
    let (named, version, aad) = stages.accepted(parsed).await?;
    let declared = declared_len(body.as_ref());
    let mut pieces = Pieces::new(body.as_mut().ok_or(ApiError::Internal)?, MAX_STREAM)?;
    let Allowed { context, grant, .. } = stages
        .ask_for(Ask::Use {
            operation: Operation::Encrypt,
            algorithm: named.algorithm,
            version,
            payload: None,
            batch: None,
        })
        .await?;
    let key = grant.public_key()?;
    let mut segment_key = Zeroizing::new([0; KEY_LEN]);
    let mut prefix = [0; PREFIX_LEN];
    rand::fill(segment_key.as_mut_slice()).map_err(|_| ApiError::Internal)?;
    rand::fill(&mut prefix).map_err(|_| ApiError::Internal)?;
    let mut head = seal(
        Purpose::StreamKey,
        key.algorithm,
        key.version,
        &key.public_key,
        context.tenant,
        &aad,
        segment_key.as_slice(),
    )
    .map_err(|error| {
        tracing::error!(request = %context.request, %error, "public-key work failed");
        ApiError::Internal
    })?;
    head.extend_from_slice(&prefix);
    let claims = stages.claim_stream(declared).await?;
    // Before anything is answered: a client may wait for leave to send, and none comes after an answer.
    stages.begin_body();
    let first = pieces.segment(SEGMENT, SEGMENT + TAG_LEN).await?;
    let before = head_len(key.algorithm) + PREFIX_LEN;
    let said = Said {
        length: declared.map(|length| (before + sealed_len(length)) as u64),
        key_version: key.version.number(),
        algorithm: named.name,
    };
    let (mut sink, outgoing) = Outgoing::new(
        &said,
        Held {
            share: stages.take_share(),
            claims,
        },
        &context,
    );
    // First let go of the body, then take it along.
    let pieces = pieces.with_body(());
    let pieces = pieces.with_body(body.take().ok_or(ApiError::Internal)?);
    let sealer = Sealer::new(&segment_key, prefix);
    tokio::spawn(async move {
        let sealed = seal_all(pieces, first, sealer, Zeroizing::new(head), &mut sink).await;
        sink.end(sealed).await;
    });
    Ok(outgoing)
}

async fn seal_all(
    mut pieces: Pieces<Incoming>,
    first: (Zeroizing<Vec<u8>>, bool),
    sealer: Sealer,
    head: Zeroizing<Vec<u8>>,
    sink: &mut Sink,
) -> Result<(), ApiError> {
    sink.send(head).await?;
    let (mut segment, mut is_last) = first;
    let mut sealer = sealer;
    loop {
        let rest = sealer
            .seal(&mut segment, is_last)
            .map_err(|_| ApiError::Internal)?;
        sink.send(segment).await?;
        match rest {
            None => return Ok(()),
            Some(rest) => sealer = rest,
        }
        (segment, is_last) = pieces.segment(SEGMENT, SEGMENT + TAG_LEN).await?;
    }
}
