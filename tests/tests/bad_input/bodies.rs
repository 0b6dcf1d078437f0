//! Bodies: what is no JSON, no object, no value of the documented kind.

use crate::{ENCRYPT, Target, is_refused};
use chancel_tests::api::encoded;

const JSON: &str = "ERR_INVALID_001";

/// A body that is refused by each route alike, before its fields are looked at.
fn malformed() -> Vec<(String, Vec<u8>)> {
    let mut bodies: Vec<(String, Vec<u8>)> = [
        "",
        " ",
        "\r\n",
        "\0",
        "{",
        "}",
        "[",
        "]",
        "[]",
        "[{}]",
        "[[[]]]",
        "\"\"",
        "\"text\"",
        "null",
        "true",
        "0",
        "-1",
        "1.5",
        "nul",
        "{]",
        "{}{}",
        "{} {}",
        "{},",
        "{}\0",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":1 \"b\":2}",
        "{\"plaintext\":\"QQ==\"",
        "{\"plaintext\":\"QQ==",
        "{\"plaintext\":QQ==}",
        "/**/{}",
        "{}//",
        "{\"a\":01}",
        "{\"a\":+1}",
        "{\"a\":.5}",
        "{\"a\":1.}",
        "{\"a\":1e}",
        "{\"a\":0x1}",
        "{\"a\":NaN}",
        "{\"a\":Infinity}",
        "{\"a\":-}",
        "{\"a\":1e400}",
        "{\"a\":-1e400}",
        "{\"a\":\"\t\"}",
        "{\"a\":\"\0\"}",
        "{\"a\":\"\\x\"}",
        "{\"a\":\"\\u12\"}",
        "{\"a\":\"\\ud800\"}",
        "{\"a\":\"\\udc00\\ud800\"}",
        "{\"a\":\"",
        "\u{feff}{\"plaintext\":\"QQ==\"}",
        "<plaintext>QQ==</plaintext>",
        "plaintext=QQ%3D%3D",
    ]
    .iter()
    .map(|text| (format!("{text:?}"), text.as_bytes().to_vec()))
    .collect();
    for (name, bytes) in [
        ("invalid UTF-8 in a value", &b"{\"plaintext\": \"\xff\xfe\"}"[..]),
        ("invalid UTF-8 in a name", b"{\"\xc3\x28\": 1}"),
        ("an overlong encoding", b"{\"a\": \"\xc0\xaf\"}"),
        ("a surrogate in UTF-8", b"{\"a\": \"\xed\xa0\x80\"}"),
        ("UTF-16", b"{\0\"\0a\0\"\0:\x001\0}\0"),
        ("gzip", b"\x1f\x8b\x08\0\0\0\0\0\0\x03"),
    ] {
        bodies.push((name.to_owned(), bytes.to_vec()));
    }
    for (open, inner, close) in [("[", "", "]"), ("{\"a\":", "1", "}")] {
        for depth in [200, 10_000, 100_000] {
            let nested = format!("{}{inner}{}", open.repeat(depth), close.repeat(depth));
            bodies.push((format!("{depth} deep {open}"), nested.clone().into_bytes()));
            bodies.push((
                format!("{depth} deep {open} in a field"),
                format!("{{\"plaintext\":{nested}}}").into_bytes(),
            ));
            bodies.push((
                format!("{depth} deep {open} in an unknown field"),
                format!("{{\"plaintext\":\"QQ==\",\"later\":{nested}}}").into_bytes(),
            ));
            bodies.push((
                format!("{depth} unclosed {open}"),
                open.repeat(depth).into_bytes(),
            ));
        }
    }
    for (first, second) in [
        ("\"plaintext\":\"QQ==\"", "\"plaintext\":\"QQ==\""),
        ("\"plaintext\":\"QQ==\"", "\"plain\\u0074ext\":\"Qg==\""),
        ("\"plaintext\":\"QQ==\"", "\"plaintext\":null"),
        ("\"key_version\":1", "\"key_version\":2"),
        ("\"algorithm\":\"Kyber768\"", "\"algorithm\":\"Dilithium3\""),
        ("\"message\":\"QQ==\"", "\"message\":\"Qg==\""),
    ] {
        for text in [
            format!("{{{first},{second}}}"),
            format!("{{{second},\"x\":[{{}}],{first}}}"),
        ] {
            bodies.push((text.clone(), text.into_bytes()));
        }
    }
    bodies
}

const ROUTES: [&str; 13] = [
    "kem/encrypt",
    "kem/decrypt",
    "kem/encapsulate",
    "kem/decapsulate",
    "kem/key/wrap",
    "kem/key/unwrap",
    "signature/sign",
    "signature/verify",
    "signature/sign-hash",
    "signature/verify-hash",
    "kms/keys/generate",
    "kms/keys/rotate",
    "kms/keys/retire",
];

#[test]
fn malformed_bodies_are_refused_by_every_route_and_the_connection_goes_on() {
    let target = Target::get();
    let bodies = malformed();
    for route in ROUTES {
        let path = format!("/api/v1/{route}");
        let mut connection = target.connect();
        for (name, body) in &bodies {
            let what = format!("{name:.80} to {route}");
            assert!(connection.send(&target.post(&path, body).bytes()), "{what}");
            let answer = connection.answer().unwrap_or_else(|| panic!("closed by {what}"));
            is_refused(&answer, 400, JSON, &what);
        }
        target.still_works_on(&mut connection, route);
    }
    target.still_works("malformed bodies");
}

/// Values that no field of bytes takes, and the code for text that is not base64.
fn values_for(code: &'static str) -> Vec<(String, &'static str)> {
    let mut values: Vec<(String, &'static str)> =
        ["null", "true", "0", "1e3", "[]", "[\"QQ==\"]", "{}", "{\"a\":1}"]
            .iter()
            .map(|value| ((*value).to_owned(), JSON))
            .collect();
    for text in [
        "-_-_",
        "_w==",
        "QQ",
        "QQ=",
        "QQ===",
        "QQ==QQ==",
        "Q",
        "QQQ",
        "=",
        "====",
        "QQ==\\n",
        "\\nQQ==",
        " QQ==",
        "QQ== ",
        "Q Q==",
        "QR==",
        "QQF=",
        "\u{c4}QQ=",
        "\\u0000QQ=",
        "\u{ff31}\u{ff31}==",
        "data:;base64,QQ==",
        "%51%51==",
    ] {
        values.push((format!("\"{text}\""), code));
    }
    values
}

#[test]
fn bytes_are_padded_standard_base64_text() {
    let target = Target::get();
    let signature = "A".repeat(4412);
    for (route, field, code, others) in [
        ("kem/encrypt", "plaintext", "ERR_KEM_001", ""),
        ("kem/encrypt", "aad", "ERR_KEM_001", "\"plaintext\":\"QQ==\","),
        ("kem/decrypt", "ciphertext", "ERR_KEM_003", "\"key_version\":1,"),
        (
            "kem/decapsulate",
            "kem_ciphertext",
            "ERR_KEM_003",
            "\"key_version\":1,",
        ),
        (
            "kem/key/wrap",
            "symmetric_key",
            "ERR_KEM_001",
            "\"key_version\":1,",
        ),
        (
            "kem/key/unwrap",
            "wrapped_key",
            "ERR_KEM_011",
            "\"key_version\":1,",
        ),
        ("signature/sign", "message", "ERR_SIG_001", ""),
        (
            "signature/verify",
            "message",
            "ERR_SIG_001",
            &format!("\"key_version\":1,\"signature\":\"{signature}\","),
        ),
        (
            "signature/verify",
            "signature",
            "ERR_SIG_002",
            "\"key_version\":1,\"message\":\"QQ==\",",
        ),
    ] {
        let mut connection = target.connect();
        for (value, code) in values_for(code) {
            if field == "aad" && value == "null" {
                continue; // null is absence, and this field may be absent
            }
            let body = format!("{{{others}\"{field}\":{value}}}");
            connection.send(&target.post(&format!("/api/v1/{route}"), &body).bytes());
            let what = format!("{route} with {field} {value}");
            let answer = connection.answer().expect("an answer");
            is_refused(&answer, 400, code, &what);
            if code == JSON {
                assert!(answer.message().contains(field), "{what}: {answer:?}");
            }
        }
        target.still_works_on(&mut connection, route);
    }
}

#[test]
fn versions_are_numbers_from_1_to_4294967295() {
    let target = Target::get();
    let huge = "9".repeat(400);
    // Of the right length: another is a fault of its own, and either may be named first.
    let kem_ciphertext = format!("\"kem_ciphertext\":\"{}\"", encoded(&[0; 1088]));
    let wrong = [
        "-1",
        "-0",
        "1.0",
        "1.5",
        "1e0",
        "1e3",
        "1E400",
        "-1e400",
        "4294967296",
        "18446744073709551615",
        "18446744073709551616",
        "-9223372036854775809",
        "340282366920938463463374607431768211456",
        &huge,
        "\"1\"",
        "\"\"",
        "true",
        "false",
        "[]",
        "[1]",
        "{}",
        "{\"$numberLong\":\"1\"}",
    ];
    for (route, others, may_be_absent) in [
        ("kem/encrypt", "\"plaintext\":\"QQ==\"", true),
        ("kem/decrypt", "\"ciphertext\":\"QQ==\"", false),
        ("kem/encapsulate", "\"x\":1", false),
        ("kem/decapsulate", &kem_ciphertext, false),
        (
            "kem/key/wrap",
            "\"symmetric_key\":\"AAAAAAAAAAAAAAAAAAAAAA==\"",
            false,
        ),
        ("kem/key/unwrap", "\"wrapped_key\":\"QQ==\"", false),
        ("signature/sign", "\"message\":\"QQ==\"", true),
        (
            "signature/verify",
            "\"message\":\"QQ==\",\"signature\":\"QQ==\"",
            false,
        ),
        ("kms/keys/retire", "\"algorithm\":\"Kyber768\"", false),
    ] {
        let path = format!("/api/v1/{route}");
        let absent = if may_be_absent { &[][..] } else { &["0", "null"] };
        for version in wrong.iter().chain(absent) {
            let body = format!("{{{others},\"key_version\":{version}}}");
            let what = format!("{route} with version {version:.50}");
            let answer = target.send(&target.post(&path, body));
            is_refused(&answer, 400, JSON, &what);
        }
        if !may_be_absent {
            let answer = target.send(&target.post(&path, format!("{{{others}}}")));
            is_refused(&answer, 400, JSON, &format!("{route} without version"));
        }
    }
    for version in ["0", "4294967296", "18446744073709551616", &huge] {
        let path = format!("/api/v1/kms/keys/{version}?algorithm=Kyber768");
        let answer = target.send(&target.request("GET", &path));
        is_refused(&answer, 400, JSON, &format!("path version {version:.50}"));
    }
}

#[test]
fn algorithms_and_modes_are_known_names() {
    let target = Target::get();
    let long = "K".repeat(100_000);
    let post = |route: &str, body: String| target.send(&target.post(&format!("/api/v1/{route}"), body));
    for (value, code) in [
        ("\"RSA\"", "ERR_KMS_001"),
        ("\"\"", "ERR_KMS_001"),
        ("\"Dilithium3\"", "ERR_KMS_001"),
        ("\"kyber768\"", "ERR_KMS_001"),
        ("\"Kyber768\\u0000\"", "ERR_KMS_001"),
        (&format!("\"{long}\""), "ERR_KMS_001"),
        ("1", JSON),
        ("true", JSON),
        ("[\"Kyber768\"]", JSON),
        ("{}", JSON),
    ] {
        let what = format!("algorithm {value:.40}");
        let body = format!("{{\"plaintext\":\"QQ==\",\"algorithm\":{value}}}");
        is_refused(&post("kem/encrypt", body), 400, code, &what);
    }
    for route in ["generate", "rotate"] {
        let answer = post(&format!("kms/keys/{route}"), "{}".to_owned());
        is_refused(&answer, 400, JSON, &format!("{route} without algorithm"));
        let answer = post(&format!("kms/keys/{route}"), "{\"algorithm\":\"RSA\"}".to_owned());
        is_refused(&answer, 400, "ERR_KMS_001", &format!("{route} of RSA"));
    }
    for (value, code) in [
        ("\"deterministic\"", JSON),
        ("\"\"", JSON),
        ("\"Standard\"", JSON),
        ("1", JSON),
        ("[]", JSON),
    ] {
        let body = format!("{{\"plaintext\":\"QQ==\",\"mode\":{value}}}");
        is_refused(&post("kem/encrypt", body), 400, code, &format!("mode {value}"));
    }
    for query in [
        "",
        "?algorithm=RSA",
        "?algorithm=",
        "?algorithm=Kyber768&algorithm=Kyber768",
        "?algorithm=%00",
    ] {
        for path in ["active", "1"] {
            let answer = target.send(&target.request("GET", &format!("/api/v1/kms/keys/{path}{query}")));
            let known = matches!(answer.code(), "ERR_KMS_001" | "ERR_INVALID_001");
            assert!(answer.status == 400 && known, "{path}{query}: {answer:?}");
        }
    }
    let answer = target.send(&target.request("GET", "/api/v1/kms/keys?status=frozen"));
    is_refused(&answer, 400, JSON, "an unknown state");
}

#[test]
fn payloads_end_at_one_mebibyte_and_aad_at_16_kibibytes() {
    let target = Target::get();
    let text = |length: usize| encoded(&vec![b'x'; length]);
    let encrypt = |plaintext: usize, aad: usize| {
        let body = format!(
            "{{\"plaintext\":\"{}\",\"aad\":\"{}\"}}",
            text(plaintext),
            text(aad)
        );
        target.send(&target.post(ENCRYPT, body))
    };
    assert_eq!(encrypt(1 << 20, 16 << 10).status, 200);
    for (plaintext, aad) in [((1 << 20) + 1, 0), (0, (16 << 10) + 1), (1_500_000, 0)] {
        let answer = encrypt(plaintext, aad);
        is_refused(
            &answer,
            400,
            "ERR_INVALID_004",
            &format!("{plaintext} and {aad} bytes"),
        );
    }
}

/// Each field of signatures over contexts, digests and mu, and of deterministic encryption, in every wrong form.
#[test]
fn wrong_contexts_digests_mu_and_salts_are_refused_by_name() {
    let target = Target::get();
    let base64 = |length: usize| encoded(&vec![7; length]);
    let sign = |fields: String| ("signature/sign", format!("{{\"message\":\"QQ==\",{fields}}}"));
    let mu = |length, fields: &str| {
        let message = base64(length);
        (
            "signature/sign",
            format!("{{\"message\":\"{message}\",\"message_type\":\"EXTERNAL_MU\"{fields}}}"),
        )
    };
    let hash = |function: &str, length: usize, fields: &str| {
        let digest = base64(length);
        (
            "signature/sign-hash",
            format!("{{\"hash\":\"{digest}\",\"hash_algorithm\":{function}{fields}}}"),
        )
    };
    let salt = |salt: String| {
        (
            "kem/encrypt",
            format!("{{\"plaintext\":\"QQ==\",\"mode\":\"deterministic\"{salt}}}"),
        )
    };
    for ((route, body), code, named) in [
        (
            sign(format!("\"context\":\"{}\"", base64(256))),
            "ERR_INVALID_001",
            "'context'",
        ),
        (sign("\"context\":\"Q\"".to_owned()), "ERR_SIG_001", "'context'"),
        (sign("\"context\":7".to_owned()), "ERR_INVALID_001", "'context'"),
        (
            sign("\"message_type\":\"DIGEST\"".to_owned()),
            "ERR_INVALID_001",
            "'message_type'",
        ),
        (
            sign("\"message_type\":true".to_owned()),
            "ERR_INVALID_001",
            "'message_type'",
        ),
        (mu(63, ""), "ERR_INVALID_001", "'message'"),
        (mu(65, ""), "ERR_INVALID_001", "'message'"),
        (mu(64, ",\"context\":\"QQ==\""), "ERR_INVALID_001", "'context'"),
        (
            mu(64, ",\"algorithm\":\"SLH-DSA-SHA2-128f\""),
            "ERR_INVALID_001",
            "'message_type'",
        ),
        (
            mu(64, ",\"algorithm\":\"Composite-ML-DSA\""),
            "ERR_INVALID_001",
            "'message_type'",
        ),
        (hash("\"SHA-256\"", 31, ""), "ERR_INVALID_001", "'hash'"),
        (hash("\"SHA-256\"", 33, ""), "ERR_INVALID_001", "'hash'"),
        (hash("\"SHA-512\"", 32, ""), "ERR_INVALID_001", "'hash'"),
        (hash("\"SHA-384\"", 0, ""), "ERR_INVALID_001", "'hash'"),
        (hash("\"sha-256\"", 32, ""), "ERR_INVALID_001", "'hash_algorithm'"),
        (hash("\"MD5\"", 16, ""), "ERR_INVALID_001", "'hash_algorithm'"),
        (hash("null", 32, ""), "ERR_INVALID_001", "'hash_algorithm'"),
        (
            hash("\"SHA-256\"", 32, ",\"algorithm\":\"Composite-ML-DSA\""),
            "ERR_INVALID_001",
            "'hash_algorithm'",
        ),
        (
            hash("\"SHA-256\"", 32, ",\"algorithm\":\"X-Wing\""),
            "ERR_KMS_001",
            "algorithm",
        ),
        (salt(String::new()), "ERR_INVALID_001", "'salt'"),
        (
            salt(format!(",\"salt\":\"{}\"", base64(31))),
            "ERR_KEM_002",
            "'salt'",
        ),
        (salt(",\"salt\":\"%%\"".to_owned()), "ERR_KEM_001", "'salt'"),
        (salt(",\"salt\":[]".to_owned()), "ERR_INVALID_001", "'salt'"),
    ] {
        let answer = target.send(&target.post(&format!("/api/v1/{route}"), body.clone()));
        is_refused(&answer, 400, code, &body);
        assert!(
            answer.message().contains(named),
            "{body:.80}: {}",
            answer.message()
        );
    }
    for query in ["format=der", "format=", "format=pem&format=pem"] {
        let path = format!("/api/v1/kms/keys/active?algorithm=Kyber768&{query}");
        let answer = target.send(&target.request("GET", &path));
        is_refused(&answer, 400, "ERR_INVALID_001", query);
    }
}
