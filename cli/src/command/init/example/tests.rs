//! The lines that are printed, for the ways in which a gateway can be set up.

use super::*;
use crate::test_certificates::{Authority, Made};

fn gateway(text: &str) -> Gateway {
    toml::from_str(text).unwrap()
}

fn chain(pem: &str) -> Chain {
    Chain::parse(pem.as_bytes()).unwrap()
}

fn endpoint(listen: &str, chain: Option<&Chain>) -> Endpoint {
    let gateway = gateway(&format!("listen = \"{listen}\"\n[tls]\n"));
    Endpoint::new(Some(&gateway), chain, Path::new("/etc/chancel"))
}

fn lines(scopes: &str) -> Vec<String> {
    let made = Made::self_signed(&["localhost"]);
    let endpoint = endpoint("0.0.0.0:8443", Some(&chain(&made.chain)));
    Example::new(&endpoint, &scopes.parse().unwrap()).into_lines()
}

#[test]
fn a_key_is_made_and_signs_over_the_self_signed_certificate() {
    assert_eq!(
        lines("*"),
        [
            "printf 'x-api-key: %s' \"$CHANCEL_API_KEY\" | curl -sS -w '\\n' --cacert /etc/chancel/tls/chain.pem -H @- \
             -H 'content-type: application/json' -d '{\"algorithm\": \"ML-DSA-65\"}' \
             https://localhost:8443/api/v1/kms/keys/generate",
            "printf 'x-api-key: %s' \"$CHANCEL_API_KEY\" | curl -sS -w '\\n' --cacert /etc/chancel/tls/chain.pem -H @- \
             -H 'content-type: application/json' -d '{\"algorithm\": \"ML-DSA-65\", \"message\": \"aGVsbG8=\"}' \
             https://localhost:8443/api/v1/signature/sign",
        ]
    );
}

#[test]
fn the_lines_are_what_the_scopes_allow() {
    let encrypts = lines("encrypt generate-key");
    assert!(encrypts[0].contains("ML-KEM-768") && encrypts[1].contains("/api/v1/kem/encrypt"));
    let signs = lines("sign:ML-DSA-65");
    assert_eq!(signs.len(), 1, "it may not make a key: {signs:?}");
    assert!(signs[0].contains("/signature/sign"));
    assert!(lines("verify list-keys").is_empty());
    assert!(lines("sign:ML-DSA-87").is_empty());
}

#[test]
fn the_host_is_one_that_the_certificate_is_good_for() {
    let local = chain(&Made::self_signed(&["localhost", "127.0.0.1"]).chain);
    assert_eq!(
        endpoint("127.0.0.1:8443", Some(&local)).url,
        "https://localhost:8443"
    );
    assert_eq!(endpoint("[::]:443", Some(&local)).url, "https://localhost:443");
    let public = chain(
        &Authority::new()
            .issue(&["*.example", "kms.example", "192.0.2.7"])
            .chain,
    );
    let by_address = endpoint("192.0.2.7:8443", Some(&public));
    assert_eq!(by_address.url, "https://192.0.2.7:8443");
    let by_name = endpoint("0.0.0.0:8443", Some(&public));
    assert_eq!(by_name.url, "https://kms.example:8443");
    // It may lead elsewhere, and this host is what is to be tried.
    assert_eq!(by_name.options(), " --resolve kms.example:8443:127.0.0.1");
    let both = endpoint("[::]:8443", Some(&public));
    assert_eq!(both.options(), " --resolve kms.example:8443:127.0.0.1");
    let v6 = endpoint("[::1]:8443", Some(&public));
    assert_eq!(v6.options(), " --resolve 'kms.example:8443:[::1]'");
}

#[test]
fn a_chain_of_a_known_root_needs_no_file_and_one_of_its_own_does() {
    let authority = Authority::new();
    let made = authority.issue(&["localhost"]);
    assert_eq!(endpoint("127.0.0.1:1", Some(&chain(&made.chain))).ca_file, None);
    let whole = chain(&format!("{}{}", made.chain, authority.pem()));
    let file = PathBuf::from("/etc/chancel/tls/chain.pem");
    assert_eq!(endpoint("127.0.0.1:1", Some(&whole)).ca_file, Some(file.clone()));
    // Not made yet: what the gateway makes at its start will be self-signed.
    let unmade = endpoint("127.0.0.1:8443", None);
    assert_eq!(
        (unmade.ca_file, unmade.url.as_str()),
        (Some(file), "https://127.0.0.1:8443")
    );
}

#[test]
fn without_tls_it_is_plain_http_on_this_host() {
    let plain = Endpoint::new(
        Some(&gateway("listen = \"[::1]:8080\"")),
        None,
        Path::new("/etc/chancel"),
    );
    assert_eq!((plain.url.as_str(), plain.ca_file), ("http://[::1]:8080", None));
    let usual = Endpoint::new(None, None, Path::new("/etc/chancel"));
    assert_eq!(usual.url, "https://127.0.0.1:8443");
}

#[test]
fn words_survive_a_shell() {
    assert_eq!(quoted("/etc/chancel/tls/chain.pem"), "/etc/chancel/tls/chain.pem");
    assert_eq!(quoted("/my place/it's"), r"'/my place/it'\''s'");
}
