//! Batches: a result for each input, one line in the ledger for all.

use super::*;
use chancel_domain::BatchSize;

fn list(inputs: &[UseInput<'_>]) -> Vec<u8> {
    let encoded: Vec<_> = inputs.iter().map(chancel_wire::encode).collect();
    chancel_wire::encode_list(encoded.iter().map(Vec::as_slice))
}

fn use_on(
    rig: &Rig,
    issuer: &Issuer,
    key: &KeyIdentity,
    inputs: &[UseInput<'_>],
) -> Result<Vec<Result<Vec<u8>, KeydError>>, KeydError> {
    let input = list(inputs);
    let claims = PermitClaims {
        payload: PayloadDigest::of(&input),
        batch: BatchSize::try_from(inputs.len()).ok(),
        ..issuer.claims(key, &inputs[0])
    };
    let request = KeydRequest::Use {
        permit: issuer.permit(&claims),
        input: &input,
    };
    rig.ask(Role::Gateway, &request, |reply| match reply {
        KeydReply::Outputs(outputs) => Ok(outputs
            .iter()
            .map(|output| output.map(|bytes| bytes.to_vec()))
            .collect()),
        KeydReply::Refused(error) => Err(*error),
        other => panic!("{other:?}"),
    })
}

#[test]
fn a_bad_input_of_a_batch_spoils_no_other_and_the_ledger_says_how_many_failed() {
    let rig = Rig::new();
    let identity = key(Algorithm::MlKem768, 1);
    let public = generate(&rig, identity).unwrap();
    let issuer = Issuer::of(&rig);
    let good = seal(&identity, &public, b"", b"plaintext");
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    let input = |ciphertext| UseInput::Decrypt { ciphertext, aad: b"" };
    let outputs = use_on(
        &rig,
        &issuer,
        &identity,
        &[input(&good), input(&bad), input(&good)],
    )
    .unwrap();
    let plaintext = || Ok(b"plaintext".to_vec());
    assert_eq!(outputs, [plaintext(), Err(KeydError::Undecryptable), plaintext()]);
    let uses = rig.of_kind("use");
    assert_eq!(uses.len(), 1);
    assert_eq!(uses[0]["items"], 3);
    assert_eq!(uses[0]["failed"], 1);
    assert_eq!(uses[0]["result"], "partial");
}

#[test]
fn a_batch_with_a_key_that_is_gone_is_refused_as_a_whole() {
    let rig = Rig::new();
    let identity = key(Algorithm::MlDsa65, 1);
    let issuer = Issuer::of(&rig);
    let sign = || UseInput::Sign(Content::raw(b"m"));
    let refused = use_on(&rig, &issuer, &identity, &[sign(), sign()]);
    assert_eq!(refused, Err(KeydError::KeyNotFound));
    let uses = rig.of_kind("use");
    assert_eq!(uses[0]["items"], 2);
    assert_eq!(uses[0]["result"], "key-not-found");
    assert!(uses[0].get("failed").is_none());
}

#[test]
fn slow_signatures_are_not_made_by_the_hundred() {
    let rig = Rig::new();
    let identity = key(Algorithm::SlhDsaSha2_128f, 1);
    generate(&rig, identity).unwrap();
    let issuer = Issuer::of(&rig);
    let inputs = |count: usize| -> Vec<_> {
        std::iter::repeat_with(|| UseInput::Sign(Content::raw(b"m")))
            .take(count)
            .collect()
    };
    let refused = use_on(&rig, &issuer, &identity, &inputs(5));
    assert_eq!(refused, Err(KeydError::InvalidInput));
    assert!(
        use_on(&rig, &issuer, &identity, &inputs(2))
            .unwrap()
            .iter()
            .all(Result::is_ok)
    );
}
