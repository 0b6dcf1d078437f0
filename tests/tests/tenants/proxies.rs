//! Where a request comes from is what the kernel says, unless the peer is a proxy that the operator named: then it is
//! what that proxy appended, and nothing that the caller wrote in front of it.

use chancel_tests::api::{Failure, SIGNATURE};
use chancel_tests::{Api, ApiKey, Daemon, Installation, Options, Tenant};

const FAR: &str = "203.0.113.9";

fn installation(trusted: Option<&str>) -> Installation {
    let extra = trusted.map(|network| (Daemon::Gateway, format!("trusted_proxies = [\"{network}\"]")));
    Installation::with(Options {
        extra: extra.into_iter().collect(),
        ..Options::default()
    })
}

/// An API key for here, one for far away, and keys to use.
fn pair(system: &Installation) -> (Tenant, ApiKey, ApiKey) {
    let (tenant, api_key) = system.tenant_with_api_key("proxied");
    system.api(&api_key).first_key(SIGNATURE);
    let here = system.api_key_with(&tenant, "*", &["--network", "127.0.0.0/8"]);
    let far = system.api_key_with(&tenant, "*", &["--network", "203.0.113.0/24"]);
    (tenant, here, far)
}

fn with(system: &Installation, api_key: &ApiKey, headers: &[(&str, &str)]) -> Result<(), Failure> {
    let client = headers
        .iter()
        .fold(system.client(Some(&api_key.text)), |client, (name, value)| {
            client.with_header(name, value)
        });
    Api::new(client).sign(b"m").map(|_| ())
}

fn is_denied(outcome: Result<(), Failure>) -> bool {
    outcome.is_err_and(|failure| failure.code() == (403, "ERR_POLICY_001"))
}

#[test]
fn without_a_proxy_that_is_trusted_no_header_says_where_a_request_is_from() {
    let system = installation(None);
    let (_, here, far) = pair(&system);
    for header in [
        ("x-forwarded-for", FAR),
        ("x-forwarded-for", "203.0.113.9, 203.0.113.9"),
        ("forwarded", "for=203.0.113.9"),
        ("x-real-ip", FAR),
        ("x-client-ip", FAR),
        ("true-client-ip", FAR),
        ("cf-connecting-ip", FAR),
    ] {
        assert!(is_denied(with(&system, &far, &[header])), "{header:?}");
        assert!(with(&system, &here, &[header]).is_ok(), "{header:?}");
    }
}

#[test]
fn a_trusted_proxy_is_believed_about_whom_it_heard_and_nobody_about_more() {
    let system = installation(Some("127.0.0.0/8"));
    let (_, here, far) = pair(&system);
    for (header, from_far) in [
        (("x-forwarded-for", FAR), true),
        (("x-forwarded-for", "198.51.100.1, 203.0.113.9"), true),
        // What the caller wrote itself stands before what the proxy appended.
        (("x-forwarded-for", "203.0.113.9, 198.51.100.1"), false),
        // A further proxy of ours in between.
        (("x-forwarded-for", "203.0.113.9, 127.0.0.2"), true),
        (("x-forwarded-for", "203.0.113.9, 198.51.100.1, 127.0.0.2"), false),
        (("forwarded", "for=203.0.113.9"), true),
        (
            ("forwarded", "for=203.0.113.9;proto=https, for=198.51.100.1"),
            false,
        ),
    ] {
        assert_eq!(with(&system, &far, &[header]).is_ok(), from_far, "{header:?}");
        assert!(is_denied(with(&system, &here, &[header])), "{header:?}");
    }
    // A header that says nothing intelligible opens nothing.
    for header in [
        ("x-forwarded-for", "unknown"),
        ("x-forwarded-for", "203.0.113.9,"),
        ("x-forwarded-for", "203.0.113.9, here"),
        ("forwarded", "for=_hidden"),
    ] {
        assert!(with(&system, &far, &[header]).is_err(), "{header:?}");
    }
    // Without a header the proxy itself calls.
    assert!(with(&system, &here, &[]).is_ok());
    assert!(is_denied(with(&system, &far, &[])));
}

#[test]
fn the_ledger_names_the_address_that_was_believed() {
    for (trusted, expected) in [(None, "127.0.0.1"), (Some("127.0.0.0/8"), FAR)] {
        let system = installation(trusted);
        let (_, api_key) = system.tenant_with_api_key("recorded");
        let client = system
            .client(Some(&api_key.text))
            .with_header("x-forwarded-for", FAR);
        let answer = client.get("/api/v1/tenants/").expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.text);
        let records = system.records(chancel_ledger::LedgerName::Decisions);
        let allowed = records.of_request("allow", answer.request_id());
        assert_eq!(allowed.len(), 1);
        assert_eq!(allowed[0]["source"], expected);
    }
}
