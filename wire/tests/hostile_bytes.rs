//! Bytes from a hostile peer: whatever they are, decoding ends in a message or an error, without a panic and
//! without taking more memory than a frame may hold.

use chancel_wire::admin::{AdminReply, AdminRequest};
use chancel_wire::frame::FrameBuffer;
use chancel_wire::hello::{HELLO_LEN, Hello};
use chancel_wire::keyd::{KeydReply, KeydRequest, UseInput};
use chancel_wire::limits::MAX_BATCH_FRAME_BODY;
use chancel_wire::permit::{PermitKey, SignedPermit};
use chancel_wire::policyd::{PolicydReply, PolicydRequest};
use chancel_wire::{decode, encode};
use proptest::prelude::*;

fn decode_as_everything(bytes: &[u8]) {
    let _ = decode::<KeydRequest<'_>>(bytes);
    let _ = decode::<KeydReply<'_>>(bytes);
    let _ = decode::<UseInput<'_>>(bytes);
    let _ = decode::<PolicydRequest<'_>>(bytes);
    let _ = decode::<PolicydReply>(bytes);
    let _ = decode::<AdminRequest>(bytes);
    let _ = decode::<AdminReply>(bytes);
    if let Ok(permit) = decode::<SignedPermit>(bytes) {
        let _ = permit.unverified_claims();
        assert!(!PermitKey::from_bytes([1; 32]).is_signature_of(&permit));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn random_bytes_decode_to_a_message_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        decode_as_everything(&bytes);
    }

    #[test]
    fn edited_messages_decode_to_a_message_or_an_error(
        variant in 0u8..8, body in proptest::collection::vec(any::<u8>(), 0..120),
        at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut bytes = vec![variant];
        bytes.extend(encode(&body));
        let index = at.index(bytes.len());
        bytes[index] = byte;
        decode_as_everything(&bytes);
    }

    #[test]
    fn a_stream_of_random_bytes_never_outgrows_a_frame(chunks in proptest::collection::vec(
        proptest::collection::vec(any::<u8>(), 1..300), 1..40)) {
        let mut buffer = FrameBuffer::new(MAX_BATCH_FRAME_BODY);
        'stream: for chunk in chunks {
            let mut rest = chunk.as_slice();
            while !rest.is_empty() {
                let room = buffer.spare();
                prop_assert!(room.len() <= MAX_BATCH_FRAME_BODY + 64 * 1024);
                let count = room.len().min(rest.len());
                room[..count].copy_from_slice(&rest[..count]);
                buffer.filled(count);
                rest = &rest[count..];
                loop {
                    match buffer.next_frame() {
                        Ok(Some(frame)) => decode_as_everything(frame.body),
                        Ok(None) => break,
                        Err(_) => break 'stream,
                    }
                }
            }
        }
    }

    #[test]
    fn random_hellos_are_refused(bytes in proptest::collection::vec(any::<u8>(), HELLO_LEN)) {
        let bytes: [u8; HELLO_LEN] = bytes.try_into().unwrap();
        prop_assume!(&bytes[..4] != b"CHNC");
        prop_assert!(Hello::parse(&bytes).is_err());
    }
}

#[test]
fn a_length_that_lies_takes_no_memory() {
    // A sequence that claims 2^60 entries: postcard must not reserve for them.
    let mut bytes = vec![5u8];
    bytes.extend([0x80; 8]);
    bytes.push(0x10);
    decode_as_everything(&bytes);
}
