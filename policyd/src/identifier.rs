//! Fresh identifiers: random UUIDs (RFC 9562, version 4).

use aws_lc_rs::rand;
use uuid::Builder;

/// Sixteen bytes for an identifier that nobody can guess or will meet again.
pub fn fresh() -> [u8; 16] {
    let mut random = [0; 16];
    rand::fill(&mut random).expect("AWS-LC ends the process when the system has no randomness");
    Builder::from_random_bytes(random).into_uuid().into_bytes()
}
