//! Decrypt a stream: keyd opens the head, which is all that it sees, and the segments are opened here. Each is authentic
//! before any of it leaves.

use super::incoming::{Pieces, declared_len};
use super::outgoing::{Held, Outgoing, Said, Sink};
use super::query;
use super::segments::{KEY_LEN, Opener, PREFIX_LEN, SEGMENT, TAG_LEN, head_len, opened_len, sealed_len};
use crate::api::{Field, Query};
use crate::error::ApiError;
use crate::keyd_client::Use;
use crate::limits::MAX_STREAM;
use crate::pipeline::asking::{Again, Allowed, Stages};
use chancel_domain::{Family, Operation};
use chancel_wire::encode;
use chancel_wire::keyd::UseInput;
use chancel_wire::permit::PayloadDigest;
use chancel_wire::policyd::Ask;
use hyper::body::{Body, Bytes, Incoming};
use zeroize::Zeroizing;

pub(super) async fn run(
    query: Query<'_>,
    body: &mut Option<Incoming>,
    stages: &mut Stages<'_>,
) -> Result<Outgoing, ApiError> {
    let parsed = query
        .only(&[Field::Algorithm, Field::KeyVersion, Field::Aad])
        .and_then(|()| query::key(query, Family::Kem))
        .and_then(|key| Ok((key, query::version(query)?, query::aad(query)?)));
    let (named, version, aad) = stages.accepted(parsed).await?;
    let before = head_len(named.algorithm) + PREFIX_LEN;
    let declared = declared_len(body.as_ref());
    let length = match declared {
        None => None,
        Some(declared) => {
            let sealed = declared.checked_sub(before).and_then(opened_len);
            Some(stages.accepted(sealed.ok_or(ApiError::InvalidCiphertext)).await? as u64)
        }
    };
    let most = before + sealed_len(MAX_STREAM);
    let mut pieces = Pieces::new(body.as_mut().ok_or(ApiError::Internal)?, most)?;
    stages.begin_body();
    let head = pieces.take(head_len(named.algorithm)).await?;
    let prefix = pieces.take(PREFIX_LEN).await?;
    let prefix = <[u8; PREFIX_LEN]>::try_from(prefix.as_slice());
    let prefix = stages
        .accepted(prefix.map_err(|_| ApiError::InvalidCiphertext))
        .await?;
    let input = Zeroizing::new(encode(&UseInput::OpenStream {
        head: &head,
        aad: &aad,
    }));
    let open = |key: &[u8]| Some(Opener::new(<&[u8; KEY_LEN]>::try_from(key).ok()?, prefix));
    let again = Again::begin();
    let (context, opener) = loop {
        let ask = Ask::Use {
            operation: Operation::Decrypt,
            algorithm: named.algorithm,
            version: Some(version),
            payload: Some(PayloadDigest::of(&input)),
            batch: None,
        };
        let Allowed { context, grant, .. } = stages.ask_since(&again, ask).await?;
        let what = Use {
            authority: grant.private_key()?.authority,
            input: &input,
            operation: Operation::Decrypt,
            request: context.request,
        };
        let opener = context.keyd.use_key(what, context.deadline, open).await;
        if !again.is_due(&opener).await {
            break (context, opener?.ok_or(ApiError::Internal)?);
        }
    };
    // Not before: who may not decrypt holds nothing.
    let claims = stages.claim_stream(declared).await?;
    // The first segment is opened before anything is answered: a wrong stream is an error, and not half an answer.
    let (first, opener) = next_segment(&mut pieces, opener).await?;
    // First let go of the body, then take it along.
    let pieces = pieces.with_body(());
    let pieces = pieces.with_body(body.take().ok_or(ApiError::Internal)?);
    let said = Said {
        length,
        key_version: version.number(),
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
    tokio::spawn(async move {
        let opened = open_all(pieces, first, opener, &mut sink).await;
        sink.end(opened).await;
    });
    Ok(outgoing)
}

async fn next_segment<B: Body<Data = Bytes> + Unpin>(
    pieces: &mut Pieces<B>,
    opener: Opener,
) -> Result<(Zeroizing<Vec<u8>>, Option<Opener>), ApiError> {
    let (mut segment, is_last) = pieces.segment(SEGMENT + TAG_LEN, 0).await?;
    let opener = opener
        .open(&mut segment, is_last)
        .map_err(|_| ApiError::InvalidCiphertext)?;
    Ok((segment, opener))
}

async fn open_all(
    mut pieces: Pieces<Incoming>,
    first: Zeroizing<Vec<u8>>,
    mut opener: Option<Opener>,
    sink: &mut Sink,
) -> Result<(), ApiError> {
    sink.send(first).await?;
    while let Some(next) = opener {
        let (segment, rest) = next_segment(&mut pieces, next).await?;
        opener = rest;
        sink.send(segment).await?;
    }
    Ok(())
}
