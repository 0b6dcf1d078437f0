//! Certificates of another library, read back.

use super::*;
use crate::test_certificates::{Authority, Made, at};

#[test]
fn a_self_signed_certificate_says_what_it_was_made_with() {
    let made = Made::self_signed(&["localhost", "kms.example", "192.0.2.7", "::1"]);
    let chain = Chain::parse(made.chain.as_bytes()).unwrap();
    let own = chain.own();
    assert_eq!(own.subject, "CN=test gateway");
    assert!(own.is_self_signed() && chain.ends_in_itself());
    assert_eq!(
        (own.not_before, own.not_after),
        (made.from.as_second(), made.until.as_second())
    );
    for name in ["localhost", "KMS.example", "192.0.2.7", "::1"] {
        assert!(own.covers(name), "{name}");
    }
    for name in ["example", "192.0.2.8", "*"] {
        assert!(!own.covers(name), "{name}");
    }
    assert!(!format!("{chain:?}").contains("PRIVATE"));
}

#[test]
fn who_issued_it_is_told_from_who_it_is() {
    let authority = Authority::new();
    let made = authority.issue(&["kms.example"]);
    let alone = Chain::parse(made.chain.as_bytes()).unwrap();
    assert_eq!(alone.own().issuer, "CN=test authority");
    assert!(!alone.own().is_self_signed() && !alone.ends_in_itself());
    let whole = Chain::parse(format!("{}{}", made.chain, authority.pem()).as_bytes()).unwrap();
    assert!(whole.ends_in_itself() && !whole.own().is_self_signed());
    assert_eq!(whole.shown(at(0)).chain_length, 2);
}

#[test]
fn days_are_counted_down_and_the_last_one_is_day_zero() {
    let made = Made::self_signed(&["localhost"]);
    let chain = Chain::parse(made.chain.as_bytes()).unwrap();
    let end = made.until.as_second();
    assert_eq!(chain.own().days_left(at(end - 3 * DAY)), 3);
    assert_eq!(chain.own().days_left(at(end - 1)), 0);
    assert_eq!(chain.own().days_left(at(end + 1)), -1);
    let shown = chain.shown(at(end + 1));
    assert!(shown.table().to_string().contains("EXPIRED"));
    assert!(
        chain
            .shown(at(end - 3 * DAY))
            .line()
            .starts_with("self-signed, until ")
    );
}

#[test]
fn what_is_no_chain_says_why() {
    let parsed = |text: &str| Chain::parse(text.as_bytes()).unwrap_err();
    assert_eq!(parsed(""), NotAChain::NoCertificate);
    assert_eq!(parsed("hello"), NotAChain::NoCertificate);
    let made = Made::self_signed(&["localhost"]);
    assert_eq!(parsed(&made.key), NotAChain::NoCertificate);
    let cut = &made.chain[..made.chain.len() / 2];
    assert_eq!(parsed(cut), NotAChain::DamagedPem);
    let other = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert_eq!(parsed(&format!("{}{other}", made.chain)), NotAChain::NotX509(2));
}

#[test]
fn certificates_are_written_as_another_library_writes_them() {
    let authority = Authority::new();
    let chain = format!("{}{}", authority.issue(&["kms.example"]).chain, authority.pem());
    assert_eq!(pem(&certificates(chain.as_bytes()).unwrap()), chain);
}
