//! Pairs that can be used, and each reason why one cannot.

use super::*;
use crate::test_certificates::{Authority, Made, at};

/// A key under a passphrase in PKCS #8, and one in the older form, as OpenSSL writes them; only their heads matter.
const ENCRYPTED: [&str; 2] = [
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIH0MF8GCSqGSIb3DQEFDTBSMDEGCSqGSIb3DQEFDDAkBBA=\n-----END ENCRYPTED PRIVATE KEY-----\n",
    "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00112233445566778899AABBCCDDEEFF\n\nAAAA\n-----END EC PRIVATE KEY-----\n",
];

fn check(chain: &str, key: &str) -> Result<Pair, Unfit> {
    Pair::check(chain.as_bytes(), key.as_bytes(), Timestamp::now())
}

fn unfit(chain: &str, key: &str) -> Unfit {
    check(chain, key).map(|_| ()).unwrap_err()
}

#[test]
fn a_certificate_and_its_key_pass_alone_and_with_their_authority() {
    let made = Made::self_signed(&["localhost"]);
    let pair = check(&made.chain, &made.key).unwrap();
    assert_eq!(pair.chain().own().subject, "CN=test gateway");
    assert!(pair.doubts().is_empty());
    let authority = Authority::new();
    let made = authority.issue(&["localhost"]);
    let pair = check(&format!("{}{}", made.chain, authority.pem()), &made.key).unwrap();
    assert!(pair.doubts().is_empty(), "{:?}", pair.doubts());
}

#[test]
fn a_chain_with_a_gap_passes_with_a_doubt() {
    let authority = Authority::new();
    let made = authority.issue(&["localhost"]);
    let alone = check(&made.chain, &made.key).unwrap();
    assert!(alone.doubts()[0].contains("without that of CN=test authority"));
    let stranger = Made::self_signed(&["elsewhere"]);
    let crossed = check(&format!("{}{}", made.chain, stranger.chain), &made.key).unwrap();
    assert!(crossed.doubts()[0].contains("certificate 1 of the chain"));
}

#[test]
fn the_key_of_another_certificate_is_refused() {
    let (made, other) = (
        Made::self_signed(&["localhost"]),
        Made::self_signed(&["localhost"]),
    );
    assert_eq!(unfit(&made.chain, &other.key), Unfit::OtherKey);
}

#[test]
fn a_chain_in_the_wrong_order_is_told_from_another_key() {
    let authority = Authority::new();
    let made = authority.issue(&["localhost"]);
    let backwards = format!("{}{}", authority.pem(), made.chain);
    assert_eq!(unfit(&backwards, &made.key), Unfit::NotFirst(2));
}

#[test]
fn an_encrypted_key_is_refused_with_the_way_out() {
    let made = Made::self_signed(&["localhost"]);
    for key in ENCRYPTED {
        let refused = unfit(&made.chain, key);
        assert_eq!(refused, Unfit::EncryptedKey);
        assert!(refused.to_string().contains("openssl pkey"));
    }
}

#[test]
fn a_certificate_out_of_its_time_is_refused() {
    let made = Made::self_signed(&["localhost"]);
    let checked = |now: Timestamp| {
        Pair::check(made.chain.as_bytes(), made.key.as_bytes(), now)
            .map(|_| ())
            .map_err(|unfit| unfit.to_string())
    };
    let (from, until) = (made.from.as_second(), made.until.as_second());
    checked(at(from)).unwrap();
    checked(at(until)).unwrap();
    assert!(checked(at(until + 1)).unwrap_err().contains("has expired"));
    assert!(checked(at(from - 1)).unwrap_err().contains("clock"));
    let expired = Made::self_signed_from(&["localhost"], at(1_000_000_000));
    assert_eq!(
        unfit(&expired.chain, &expired.key),
        Unfit::Expired("2001-12-08T01:46:40Z".to_owned())
    );
}

#[test]
fn what_is_no_key_and_what_names_no_host_are_refused() {
    let made = Made::self_signed(&["localhost"]);
    assert_eq!(unfit(&made.chain, &made.chain), Unfit::NoKey);
    assert_eq!(
        unfit(&made.key, &made.key),
        Unfit::Chain(NotAChain::NoCertificate)
    );
    let damaged = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
    assert_eq!(unfit(&made.chain, damaged), Unfit::UnusableKey);
    let nameless = Made::self_signed(&[]);
    assert_eq!(unfit(&nameless.chain, &nameless.key), Unfit::NoNames);
}

#[test]
fn no_reason_repeats_the_key() {
    let (made, other) = (
        Made::self_signed(&["localhost"]),
        Made::self_signed(&["localhost"]),
    );
    let body = other.key.lines().nth(1).unwrap();
    for refused in [
        unfit(&made.chain, &other.key),
        unfit(&made.chain, ENCRYPTED[0]),
        unfit("", &other.key),
    ] {
        assert!(!format!("{refused:?} {refused}").contains(body));
    }
}
