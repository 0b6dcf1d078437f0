//! The bare primitives: what the cryptography alone costs, by the functions the daemons call, in CPU time of one
//! thread. Everything a request costs beyond this is Chancel's own doing.

use crate::cpu::CpuClock;
use crate::problem::Problem;
use crate::scenario::{Operation, payload};
use chancel_domain::{Algorithm, Content};
use chancel_keyd::crypto::{self, Seed, decapsulate, expand};
use chancel_pqc::{Verdict, encapsulate, verify};
use std::hint::black_box;
use std::time::Duration;

/// Batches, of which the median is reported. Signing takes a random number of attempts, so a batch is hundreds.
const BATCHES: usize = 9;
const BATCH: Duration = Duration::from_millis(60);

/// CPU time of one operation, microseconds.
///
/// # Errors
/// [`Problem::Primitive`] when it does not work.
pub fn measure(operation: Operation, algorithm: Algorithm) -> Result<f64, Problem> {
    let (private_key, public_key) = key_pair(algorithm)?;
    let mut message = payload();
    match operation {
        Operation::Encrypt => time(|_| encapsulate(algorithm, &public_key).map_err(failed)),
        Operation::Decrypt => {
            let (ciphertext, _) = encapsulate(algorithm, &public_key).map_err(failed)?;
            time(|_| decapsulate(algorithm, &private_key, &ciphertext).map_err(failed))
        }
        Operation::Sign if algorithm.has_mu() => {
            let sig = library(algorithm)?;
            time(|count| {
                message[..8].copy_from_slice(&count.to_be_bytes());
                sign(&sig, &private_key, &message)
            })
        }
        // The daemon's own function, which also checks each signature: beside the making of these that is little.
        Operation::Sign => time(|count| {
            message[..8].copy_from_slice(&count.to_be_bytes());
            let content = Content::raw(&message);
            crypto::sign(algorithm, &private_key, &public_key, &content).map_err(failed)
        }),
        Operation::Verify => {
            let signature = sign(&library(algorithm)?, &private_key, &message)?;
            time(
                |_| match verify(algorithm, &public_key, &Content::raw(&message), &signature) {
                    Ok(Verdict::Valid) => Ok(()),
                    Ok(Verdict::Invalid) => Err(failed("a good signature is not valid")),
                    Err(error) => Err(failed(error)),
                },
            )
        }
    }
}

/// Private and public key. A key of a benchmark protects nothing, so it need not lie in locked memory.
fn key_pair(algorithm: Algorithm) -> Result<(Vec<u8>, Vec<u8>), Problem> {
    let seed = Seed::generate(algorithm).map_err(failed)?;
    let mut private_key = vec![0; algorithm.spec().private_key_len];
    let public_key = expand(algorithm, &seed, &mut private_key).map_err(failed)?;
    Ok((private_key, public_key))
}

/// liboqs itself: the daemon's own function also verifies each signature, which is not the bare primitive.
fn library(algorithm: Algorithm) -> Result<oqs::sig::Sig, Problem> {
    let named = match algorithm {
        Algorithm::MlDsa44 => oqs::sig::Algorithm::MlDsa44,
        Algorithm::MlDsa87 => oqs::sig::Algorithm::MlDsa87,
        _ => oqs::sig::Algorithm::MlDsa65,
    };
    oqs::init();
    oqs::sig::Sig::new(named).map_err(failed)
}

fn sign(sig: &oqs::sig::Sig, private_key: &[u8], message: &[u8]) -> Result<Vec<u8>, Problem> {
    let private_key = sig
        .secret_key_from_bytes(private_key)
        .ok_or_else(|| failed("the private key has a wrong length"))?;
    Ok(sig.sign(message, private_key).map_err(failed)?.into_vec())
}

fn failed(reason: impl ToString) -> Problem {
    Problem::Primitive(reason.to_string())
}

/// The median over batches of the mean time of `work`, which is told how often it ran before.
fn time<T>(mut work: impl FnMut(u64) -> Result<T, Problem>) -> Result<f64, Problem> {
    let clock = CpuClock::of_this_thread();
    let now = || {
        clock.read().map_err(|source| Problem::Clock {
            process: "this thread",
            source,
        })
    };
    let first = now()?;
    black_box(work(0)?);
    let is_slow = now()? - first > BATCH / 16;
    let mut total = 1;
    let mut means = Vec::with_capacity(BATCHES);
    for _ in 0..BATCHES {
        let (started, first) = (now()?, total);
        let spent = loop {
            // The clock costs a system call, so it is not read each time, unless the work is slow.
            for _ in 0..16 {
                black_box(work(total)?);
                total += 1;
                if is_slow {
                    break;
                }
            }
            let spent = now()? - started;
            if spent >= BATCH {
                break spent;
            }
        };
        means.push(spent.as_secs_f64() * 1e6 / (total - first) as f64);
    }
    Ok(crate::report::median(&mut means))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_primitive_works_and_takes_time() {
        for (operation, algorithm) in [
            (Operation::Encrypt, Algorithm::MlKem768),
            (Operation::Decrypt, Algorithm::XWing),
            (Operation::Sign, Algorithm::MlDsa65),
            (Operation::Sign, Algorithm::CompositeMlDsa65EcdsaP256),
            (Operation::Verify, Algorithm::MlDsa65),
        ] {
            let micros = measure(operation, algorithm).expect("it works");
            assert!(micros > 1.0 && micros.is_finite(), "{operation:?}: {micros} µs");
            println!("{operation:?}: {micros:.1} µs");
        }
    }
}
