//! `chancel mu`: ML-DSA's message representative, computed here, so that neither a secret nor a large message travels.

use super::unread;
use crate::arguments::MuArguments;
use crate::failure::Failure;
use crate::output::Output;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chancel_pqc::{Mu, public_key};
use serde::Serialize;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

/// Bytes of a message that are read at once.
const PIECE: usize = 64 << 10;

/// μ in JSON.
#[derive(Serialize)]
struct Computed {
    algorithm: &'static str,
    /// Base64, as the API takes it.
    mu: String,
}

pub(super) fn run(output: Output, arguments: &MuArguments) -> Result<(), Failure> {
    let bytes = fs::read(&arguments.public_key).map_err(unread(&arguments.public_key))?;
    let not_a_key = || Failure::NotAnMlDsaKey(arguments.public_key.clone());
    let (algorithm, key) = match arguments.algorithm {
        // The bytes of the standard's own encoding do not say what they are.
        Some(algorithm) if bytes.len() == algorithm.spec().public_key_len => (algorithm, bytes),
        named => public_key::parse(&bytes)
            .ok()
            .filter(|(found, _)| named.is_none_or(|named| named == *found))
            .ok_or_else(not_a_key)?,
    };
    let context = arguments.context.as_deref().unwrap_or_default();
    let mut mu = Mu::begin(algorithm, &key, context.as_bytes()).map_err(|_| not_a_key())?;
    if arguments.message == Path::new("-") {
        feed(&mut mu, io::stdin().lock())
    } else {
        File::open(&arguments.message).and_then(|file| feed(&mut mu, file))
    }
    .map_err(unread(&arguments.message))?;
    let computed = Computed {
        algorithm: algorithm.spec().standard_name,
        mu: STANDARD.encode(mu.finish()),
    };
    output.print(&computed, || format!("{}\n", computed.mu))
}

fn feed(mu: &mut Mu, mut message: impl Read) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match message.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(count) => mu.update(piece.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
