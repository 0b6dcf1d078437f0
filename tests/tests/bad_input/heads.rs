//! Heads: API keys that are missing, wrong or in the URL; unknown routes and methods; request ids.

use crate::wire::Request;
use crate::{ENCRYPT, LIST, Target, is_enveloped, is_refused, is_uuid};

const VALID_BODY: &str = "{\"plaintext\":\"QQ==\"}";

#[test]
fn an_api_key_comes_once_and_in_its_header() {
    let target = Target::get();
    let key = target.api_key;
    let overlong = [key, "x".repeat(20_000).as_str()].concat();
    let spaced = format!("{} {}", &key[..10], &key[10..]);
    let upper = key.replace("qph_", "QPH_");
    type Headers<'a> = &'a [(&'a str, &'a [u8])];
    let headers: &[(&str, Headers<'_>)] = &[
        ("none", &[]),
        ("an empty one", &[("x-api-key", b"")]),
        ("only spaces", &[("x-api-key", b"   ")]),
        (
            "twice the same",
            &[("x-api-key", key.as_bytes()), ("x-api-key", key.as_bytes())],
        ),
        (
            "a good and a bad one",
            &[("x-api-key", key.as_bytes()), ("X-Api-Key", b"qph_other")],
        ),
        (
            "a bad and a good one",
            &[("x-api-key", b"qph_other"), ("X-API-KEY", key.as_bytes())],
        ),
        ("two in one", &[("x-api-key", b"qph_one, qph_two")]),
        ("an overlong one", &[("x-api-key", overlong.as_bytes())]),
        (
            "a longer one",
            &[("x-api-key", &overlong.as_bytes()[..key.len() + 1])],
        ),
        (
            "a shorter one",
            &[("x-api-key", &key.as_bytes()[..key.len() - 1])],
        ),
        ("a space within", &[("x-api-key", spaced.as_bytes())]),
        ("another case", &[("x-api-key", upper.as_bytes())]),
        ("no prefix", &[("x-api-key", &key.as_bytes()[4..])]),
        ("Latin-1", &[("x-api-key", b"qph_\xe4\xf6\xfc")]),
        ("UTF-8", &[("x-api-key", "qph_\u{e4}\u{1f511}".as_bytes())]),
        ("invalid UTF-8", &[("x-api-key", b"qph_\xff\xfe")]),
        ("a tab", &[("x-api-key", b"qph_a\tb")]),
        ("bearer", &[("authorization", key.as_bytes())]),
        ("another header", &[("api-key", key.as_bytes())]),
        ("a cookie", &[("cookie", key.as_bytes())]),
    ];
    for (what, headers) in headers {
        for mut request in [
            Request::new("POST", ENCRYPT).body(VALID_BODY),
            Request::new("GET", LIST),
        ] {
            for (name, value) in *headers {
                request = request.header(name, value);
            }
            is_refused(&target.send(&request), 401, "ERR_AUTH_001", what);
        }
    }
    let surrounded = Request::new("GET", LIST).header("X-API-KEY", format!("  {key}\t "));
    assert_eq!(
        target.send(&surrounded).status,
        200,
        "space around a value is none of it"
    );
}

#[test]
fn an_unknown_caller_is_not_told_what_is_wrong_with_its_request() {
    let target = Target::get();
    let unknown = "x".repeat(target.api_key.len() - 4);
    for body in [
        "",
        "[]",
        "{\"plaintext\":",
        "{\"plaintext\":7}",
        "{\"plaintext\":\"QQ==\",\"algorithm\":\"RSA\"}",
    ] {
        for path in [ENCRYPT, "/api/v1/signature/sign", "/api/v1/kms/keys/generate"] {
            let request = Request::new("POST", path).header("x-api-key", format!("qph_{unknown}"));
            is_refused(&target.send(&request.body(body)), 401, "ERR_AUTH_001", body);
        }
    }
}

#[test]
fn an_api_key_in_the_url_is_refused_with_the_reason() {
    let target = Target::get();
    let key = target.api_key;
    let encoded: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let mut targets: Vec<String> = [
        "x-api-key",
        "X-API-Key",
        "api_key",
        "api-key",
        "apikey",
        "apiKey",
        "x_api_key",
    ]
    .iter()
    .map(|name| format!("{LIST}?{name}={key}"))
    .collect();
    targets.extend([
        format!("{LIST}?x%2Dapi%2Dkey={key}"),
        format!("{LIST}?%61pi_key=anything"),
        format!("{LIST}?api_key"),
        format!("{LIST}?key={key}"),
        format!("{LIST}?algorithm=Kyber768&token={key}"),
        format!("{LIST}?algorithm={key}"),
        format!("{LIST}?status=active&{key}"),
        format!("{LIST}?x={encoded}"),
        format!("{LIST}?{encoded}"),
        format!("/api/v1/kms/keys/{key}"),
        format!("/{key}/api/v1/kms/keys"),
        format!("/api/v1/kms/keys/{encoded}"),
        format!("/api/v1/tenants/{key}/"),
        format!("http://{key}@localhost{LIST}"),
        format!("http://user:{key}@localhost{LIST}"),
    ]);
    for url in &targets {
        for request in [
            Request::new("GET", url),
            target.request("GET", url),
            target.post(url, VALID_BODY),
        ] {
            let answer = target.send(&request);
            let what = url.replace(key, "KEY");
            is_refused(&answer, 400, "ERR_AUTH_002", &what);
            assert!(answer.message().contains("URL"), "{what}: {answer:?}");
            assert!(answer.message().contains("x-api-key"), "{what}: {answer:?}");
            let text = String::from_utf8_lossy(&answer.body).into_owned() + &answer.head;
            assert!(!text.contains(key), "{what}: the answer repeats the key");
        }
    }
    target.still_works("API keys in URLs");
}

#[test]
fn unknown_routes_are_not_found() {
    let target = Target::get();
    let long = format!("/{}", "a".repeat(8000));
    for path in [
        "/",
        "//",
        "/api",
        "/api/v1",
        "/api/v1/",
        "/api/v1/kem",
        "/api/v1/kem/encrypt/",
        "/api/v1/kem//encrypt",
        "/api/v1/kem/../kem/encrypt",
        "/api/v1/./kem/encrypt",
        "/API/V1/KEM/ENCRYPT",
        "/api/v1/kem/encrypt%20",
        "/api/v1/kem/%65ncrypt",
        "/api/v1/kem/encrypt;x=1",
        "/api/v2/kem/encrypt",
        "/api/v1/kms/keys/-1",
        "/api/v1/kms/keys/one",
        "/api/v1/kms/keys/1/2",
        "/api/v1/kms/keys/active/",
        "/healthz/../api/v1/kms/keys",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/api/v1/kem/encrypt%00",
        "/%ff%fe",
        "/metrics",
        &long,
    ] {
        for request in [target.request("GET", path), target.post(path, VALID_BODY)] {
            let what = format!("{path:.60}");
            is_refused(&target.send(&request), 404, "ERR_NOT_FOUND_002", &what);
        }
    }
}

#[test]
fn other_methods_are_refused_and_the_right_one_is_named() {
    let target = Target::get();
    for (path, allowed) in [
        (ENCRYPT, "POST"),
        (LIST, "GET"),
        ("/api/v1/tenants/", "GET, POST"),
        ("/api/v1/tenants/me", "GET"),
        ("/api/v1/kms/keys/1", "GET, DELETE"),
        ("/api/v1/policy/rules", "GET, POST"),
        ("/api/v1/audit/events", "GET"),
    ] {
        for method in [
            "GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get", "post", "X",
        ] {
            if allowed.split(", ").any(|allowed| allowed == method) {
                continue;
            }
            let answer = target.send(&target.request(method, path).body("{}"));
            is_refused(&answer, 405, "ERR_METHOD_001", &format!("{method} {path}"));
            assert_eq!(answer.header("allow"), Some(allowed), "{method} {path}");
        }
        let mut connection = target.connect();
        connection.send(&target.request("HEAD", path).bytes());
        connection.finish();
        let head = connection.rest();
        assert!(head.starts_with(b"HTTP/1.1 405 "), "HEAD {path}");
        assert!(head.ends_with(b"\r\n\r\n"), "HEAD {path} has no body");
    }
    let tunnel = target.send_bytes(b"CONNECT localhost:443 HTTP/1.1\r\nhost: localhost\r\n\r\n");
    assert!(matches!(tunnel.status, 404 | 405), "{tunnel:?}");
    is_enveloped(&tunnel, "CONNECT");
}

#[test]
fn a_request_id_is_echoed_when_it_is_a_uuid_and_made_otherwise() {
    let target = Target::get();
    let given = "0b5f8e4a-7a33-4c5b-9d0e-0123456789ab";
    for request in [
        target.request("GET", LIST),
        target.post(ENCRYPT, VALID_BODY),
        target.post(ENCRYPT, "not JSON"),
        Request::new("GET", LIST),
        target.request("GET", "/nowhere"),
        target.request("DELETE", LIST),
        Request::new("GET", "/api/v1/kms/keys?api_key=x"),
    ] {
        let answer = target.send(&request.clone().header("X-Request-ID", given));
        assert_eq!(answer.request_id(), given, "{answer:?}");
        assert_eq!(answer.header("x-request-id"), Some(given), "{answer:?}");
        let upper = target.send(&request.header("x-request-id", given.to_uppercase()));
        assert_eq!(upper.request_id(), given, "{upper:?}");
    }
    let mut seen = Vec::new();
    for other in [
        "",
        "1",
        "0b5f8e4a7a334c5b9d0e0123456789ab",
        "{0b5f8e4a-7a33-4c5b-9d0e-0123456789ab}",
        "urn:uuid:0b5f8e4a-7a33-4c5b-9d0e-0123456789ab",
        "0b5f8e4a-7a33-4c5b-9d0e-0123456789ag",
        "0b5f8e4a-7a33-4c5b-9d0e-0123456789ab, 0b5f8e4a-7a33-4c5b-9d0e-0123456789ab",
        "\u{e4}",
        "<script>",
        "x\u{b}y",
    ] {
        let answer = target.send(&target.request("GET", LIST).header("x-request-id", other));
        // A control character makes the head malformed; the others are only no UUID.
        assert!(matches!(answer.status, 200 | 400), "{other:?}: {answer:?}");
        assert!(is_uuid(answer.request_id()), "{other:?}: {answer:?}");
        assert_eq!(
            answer.header("x-request-id"),
            Some(answer.request_id()),
            "{other:?}"
        );
        seen.push(answer.request_id().to_owned());
    }
    let twice = target.request("GET", LIST).header("x-request-id", given);
    let answer = target.send(&twice.header("x-request-id", given));
    assert_ne!(answer.request_id(), given, "two are none");
    seen.push(answer.request_id().to_owned());
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 11, "each made id is new");
}
