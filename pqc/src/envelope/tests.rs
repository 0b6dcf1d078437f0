//! What an envelope must withstand, with real keys, and one frozen sample that no later version may fail to
//! open.

use super::*;
use aws_lc_rs::kem::{DecapsulationKey, ML_KEM_768};
use proptest::prelude::*;
use std::sync::LazyLock;

const ALGORITHM: Algorithm = Algorithm::MlKem768;
const TENANT: TenantId = TenantId::from_bytes([0x11; 16]);
const PURPOSES: [Purpose; 3] = [Purpose::Data, Purpose::SymmetricKey, Purpose::StreamKey];

static KEY: LazyLock<DecapsulationKey> =
    LazyLock::new(|| DecapsulationKey::generate(&ML_KEM_768).expect("valid input"));
static PUBLIC_KEY: LazyLock<Vec<u8>> = LazyLock::new(|| {
    KEY.encapsulation_key()
        .expect("valid input")
        .key_bytes()
        .expect("valid input")
        .as_ref()
        .to_vec()
});

fn sealed(purpose: Purpose, version: u32, aad: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let version = KeyVersion::new(version).expect("valid input");
    seal(purpose, ALGORITHM, version, &PUBLIC_KEY, TENANT, aad, plaintext).expect("valid input")
}

/// All that keyd does to decrypt; `None` when any step refuses.
fn opened(bytes: &[u8], tenant: TenantId, aad: &[u8]) -> Option<Vec<u8>> {
    let envelope = Envelope::parse(bytes).ok()?;
    let secret = KEY.decapsulate(envelope.kem_ciphertext().into()).ok()?;
    let secret = SharedSecret::try_from(secret.as_ref()).ok()?;
    Some(envelope.open(&secret, tenant, aad).ok()?.to_vec())
}

proptest! {
    #[test]
    fn what_is_sealed_opens_and_says_what_it_is(
        plaintext in prop::collection::vec(any::<u8>(), 0..5000),
        aad in prop::collection::vec(any::<u8>(), 0..300),
        version in 1..=u32::MAX,
        purpose in prop::sample::select(&PURPOSES),
    ) {
        let bytes = sealed(purpose, version, &aad, &plaintext);
        prop_assert_eq!(bytes.len(), overhead(ALGORITHM) + plaintext.len());
        let envelope = Envelope::parse(&bytes).expect("valid input");
        prop_assert_eq!(envelope.purpose(), purpose);
        prop_assert_eq!(envelope.algorithm(), ALGORITHM);
        prop_assert_eq!(envelope.key_version().number(), version);
        prop_assert_eq!(opened(&bytes, TENANT, &aad), Some(plaintext));
    }

    #[test]
    fn another_tenant_or_other_additional_data_does_not_open(
        plaintext in prop::collection::vec(any::<u8>(), 0..100),
        aad in prop::collection::vec(any::<u8>(), 0..40),
        other_aad in prop::collection::vec(any::<u8>(), 0..40),
        other_tenant in any::<[u8; 16]>(),
    ) {
        prop_assume!(aad != other_aad && other_tenant != *TENANT.as_bytes());
        let bytes = sealed(Purpose::Data, 1, &aad, &plaintext);
        prop_assert_eq!(opened(&bytes, TENANT, &other_aad), None);
        prop_assert_eq!(opened(&bytes, TenantId::from_bytes(other_tenant), &aad), None);
        // Bytes shifted over the border between tenant and caller's data.
        let shifted: Vec<u8> = TENANT.as_bytes().iter().chain(&aad).copied().collect();
        prop_assert_eq!(opened(&bytes, TENANT, &shifted), None);
    }

    #[test]
    fn a_relabelled_version_or_purpose_does_not_open(version in 1..=u32::MAX, other in 1..=u32::MAX) {
        prop_assume!(version != other);
        let mut bytes = sealed(Purpose::Data, version, b"", b"plaintext");
        bytes[4..8].copy_from_slice(&other.to_be_bytes());
        prop_assert!(Envelope::parse(&bytes).is_ok());
        prop_assert_eq!(opened(&bytes, TENANT, b""), None);

        let mut bytes = sealed(Purpose::SymmetricKey, version, b"", &[7; 32]);
        bytes[1] = 0x01;
        prop_assert!(Envelope::parse(&bytes).is_ok_and(|envelope| envelope.purpose() == Purpose::Data));
        prop_assert_eq!(opened(&bytes, TENANT, b""), None);
    }

    #[test]
    fn parsing_any_bytes_does_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..1300)) {
        let _ = Envelope::parse(&bytes);
    }
}

#[test]
fn no_bit_of_an_envelope_can_change_and_nothing_can_be_cut_off_or_added() {
    let bytes = sealed(Purpose::Data, 3, b"aad", b"twenty-three bytes long");
    assert!(opened(&bytes, TENANT, b"aad").is_some());
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(opened(&changed, TENANT, b"aad"), None, "bit {bit}");
    }
    for length in 0..bytes.len() {
        assert_eq!(opened(&bytes[..length], TENANT, b"aad"), None, "length {length}");
        if length < overhead(ALGORITHM) {
            assert_eq!(
                Envelope::parse(&bytes[..length]).err(),
                Some(EnvelopeError::Truncated)
            );
        }
    }
    assert_eq!(opened(&[bytes.as_slice(), &[0]].concat(), TENANT, b"aad"), None);
}

#[test]
fn two_envelopes_share_no_kem_ciphertext_and_no_iv() {
    let (a, b) = (
        sealed(Purpose::Data, 1, b"", b"x"),
        sealed(Purpose::Data, 1, b"", b"x"),
    );
    assert_ne!(a[8..1096], b[8..1096]);
    assert_ne!(a[1096..1108], b[1096..1108]);
}

#[test]
fn headers_that_name_nothing_are_told_apart() {
    let bytes = sealed(Purpose::Data, 1, b"", b"");
    let with = |range: std::ops::Range<usize>, value: &[u8]| {
        let mut changed = bytes.clone();
        changed[range].copy_from_slice(value);
        Envelope::parse(&changed).err()
    };
    assert_eq!(with(0..2, &[0x43, 0x05]), Some(EnvelopeError::UnknownFormat));
    assert_eq!(with(2..4, &[0xff, 0xff]), Some(EnvelopeError::UnknownAlgorithm));
    let signature = Algorithm::MlDsa65.spec().code.to_be_bytes();
    assert_eq!(with(2..4, &signature), Some(EnvelopeError::NotAKem));
    assert_eq!(with(4..8, &[0; 4]), Some(EnvelopeError::NoKeyVersion));
}

#[test]
fn sealing_refuses_what_is_no_public_key() {
    let seal = |algorithm, key: &[u8]| {
        seal(Purpose::Data, algorithm, KeyVersion::FIRST, key, TENANT, b"", b"").err()
    };
    let rejected = SealError::NotEncapsulated(EncapsulateError::PublicKeyRejected);
    assert_eq!(seal(ALGORITHM, &[]), Some(rejected));
    assert_eq!(seal(ALGORITHM, &PUBLIC_KEY[1..]), Some(rejected));
    // Every coefficient 4095, above q = 3329.
    assert_eq!(seal(ALGORITHM, &[0xff; 1184]), Some(rejected));
    let no_kem = SealError::NotEncapsulated(EncapsulateError::NotAKem);
    assert_eq!(seal(Algorithm::MlDsa65, &PUBLIC_KEY), Some(no_kem));
}

#[test]
fn deterministic_envelopes_are_equal_when_all_inputs_are_and_share_nothing_otherwise() {
    let other_key = DecapsulationKey::generate(&ML_KEM_768).expect("valid input");
    let other_key = other_key
        .encapsulation_key()
        .and_then(|key| key.key_bytes().map(|bytes| bytes.as_ref().to_vec()))
        .expect("valid input");
    let seal = |version, key: &[u8], tenant, aad: &[u8], salt: &[u8], plaintext: &[u8]| {
        let version = KeyVersion::new(version).expect("valid input");
        seal_deterministic(
            ALGORITHM,
            version,
            key,
            TenantId::from_bytes([tenant; 16]),
            aad,
            salt,
            plaintext,
        )
    };
    let salt = [9; MIN_SALT];
    let first = seal(1, &PUBLIC_KEY, 0x11, b"aad", &salt, b"plaintext").expect("valid input");
    let again = seal(1, &PUBLIC_KEY, 0x11, b"aad", &salt, b"plaintext");
    assert_eq!(again.as_ref(), Ok(&first));
    assert_eq!(opened(&first, TENANT, b"aad").as_deref(), Some(&b"plaintext"[..]));
    let purpose = Envelope::parse(&first).map(|envelope| envelope.purpose());
    assert_eq!(purpose, Ok(Purpose::DeterministicData));
    for other in [
        seal(2, &PUBLIC_KEY, 0x11, b"aad", &salt, b"plaintext"),
        seal(1, &other_key, 0x11, b"aad", &salt, b"plaintext"),
        seal(1, &PUBLIC_KEY, 0x12, b"aad", &salt, b"plaintext"),
        // The same key, IV and plaintext under two tags would give the authentication key away.
        seal(1, &PUBLIC_KEY, 0x11, b"aae", &salt, b"plaintext"),
        seal(1, &PUBLIC_KEY, 0x11, b"aad", &[8; MIN_SALT], b"plaintext"),
        seal(
            1,
            &PUBLIC_KEY,
            0x11,
            b"aad",
            &[&salt[..], &[0]].concat(),
            b"plaintext",
        ),
        seal(1, &PUBLIC_KEY, 0x11, b"aad", &salt, b"plaintexu"),
        seal(1, &PUBLIC_KEY, 0x11, b"aad", &salt, b""),
    ] {
        let other = other.expect("valid input");
        assert_ne!(
            first[8..1096],
            other[8..1096],
            "the KEM ciphertext, and so the secret"
        );
        assert_ne!(first[1096..1108], other[1096..1108], "the IV");
    }
    let short = seal(1, &PUBLIC_KEY, 0x11, b"", &salt[1..], b"");
    assert_eq!(short, Err(SealError::SaltTooShort));
}

#[test]
fn each_kem_has_the_deterministic_mode() {
    for spec in chancel_domain::algorithm::SPECS
        .iter()
        .filter(|spec| spec.family == chancel_domain::Family::Kem)
    {
        let key = key_from_seed(spec.algorithm);
        let made = seal_deterministic(
            spec.algorithm,
            KeyVersion::FIRST,
            &key,
            TENANT,
            b"aad",
            &[9; 32],
            b"plaintext",
        );
        let made = made.expect("valid input");
        assert_eq!(made.len(), overhead(spec.algorithm) + 9);
        // Frozen: a later version that made others would betray equal plaintexts no longer.
        let expected = FROZEN.iter().find(|(name, _)| *name == spec.standard_name);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &made);
        let found: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            Some(found.as_str()),
            expected.map(|(_, digest)| *digest),
            "{}",
            spec.standard_name
        );
    }
}

/// SHA-256 of each.
const FROZEN: [(&str, &str); 4] = [
    (
        "ML-KEM-512",
        "fdaa8cf011f03650a3b64628ab1557b792157d12d8efa3e4db3fc2e7235187df",
    ),
    (
        "ML-KEM-768",
        "e7d2da887fb82f024348c1e4fed7dfce6790a1fd37dc661e74fdf8302ddc43db",
    ),
    (
        "ML-KEM-1024",
        "1beeae19a6bb5aa38ff9a4f60add7317349e2d4c9ea87883eaf854217fce7c91",
    ),
    (
        "X-Wing",
        "eb34aff8669c260d3d1e7313b9316e3c20bccfaea0891bb642dd83bc183cc5df",
    ),
];

fn key_from_seed(algorithm: Algorithm) -> Vec<u8> {
    use ml_kem::kem::{Decapsulator, KeyExport};
    use ml_kem::{DecapsulationKey, MlKem512, MlKem768, MlKem1024};
    let seed = [7; 64].into();
    match algorithm {
        Algorithm::MlKem512 => DecapsulationKey::<MlKem512>::from_seed(seed)
            .encapsulation_key()
            .to_bytes()
            .to_vec(),
        Algorithm::MlKem768 => DecapsulationKey::<MlKem768>::from_seed(seed)
            .encapsulation_key()
            .to_bytes()
            .to_vec(),
        Algorithm::MlKem1024 => DecapsulationKey::<MlKem1024>::from_seed(seed)
            .encapsulation_key()
            .to_bytes()
            .to_vec(),
        _ => x_wing::DecapsulationKey::from([7; 32])
            .encapsulation_key()
            .to_bytes()
            .to_vec(),
    }
}

/// Sealed once and frozen; every later version must make and open these bytes. The IV, AES ciphertext and
/// tag after the KEM ciphertext, which is 1088 times 0x5a, were confirmed with another implementation of
/// HKDF and AES-GCM.
#[test]
fn the_frozen_samples_are_made_and_opened() {
    let samples = [
        (
            Purpose::Data,
            "4301000200000007",
            "a0a1a2a3a4a5a6a7a8a9aaabdca602ca3a8e8b0c5b3ce46d6c793b29e0cee16c794790906e7c8a2e598d",
        ),
        (
            Purpose::SymmetricKey,
            "4302000200000007",
            "a0a1a2a3a4a5a6a7a8a9aaab03a0ee8a4306641f83af317666265c700a8e12765d107d59e199242d625a",
        ),
    ];
    let secret: Vec<u8> = (0..32).collect();
    let secret = SharedSecret::try_from(secret.as_slice()).expect("valid input");
    let iv = [
        0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8, 0xa9, 0xaa, 0xab,
    ];
    for (purpose, head, tail) in samples {
        let header = &header(purpose, ALGORITHM, KeyVersion::new(7).expect("valid input"));
        let context = Context {
            purpose,
            header,
            tenant: TENANT,
            aad: b"invoice 42",
        };
        let bytes = seal_with(&context, &[0x5a; 1088], &secret, iv, b"attack at dawn").expect("valid input");
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        assert_eq!(hex(&bytes[..8]), head);
        assert_eq!(bytes[8..1096], [0x5a; 1088]);
        assert_eq!(hex(&bytes[1096..]), tail);

        let envelope = Envelope::parse(&bytes).expect("valid input");
        let plaintext = envelope
            .open(&secret, TENANT, b"invoice 42")
            .expect("valid input");
        assert_eq!(plaintext.as_slice(), b"attack at dawn");
    }
}
