//! Nothing that a caller sends is in a log, however much is logged, and nothing of it comes back in an error.

use crate::wire::{Connection, Request};
use crate::{ENCRYPT, LIST, Target, is_uuid};
use chancel_tests::Daemon;
use chancel_tests::api::encoded;
use std::collections::BTreeSet;

/// Words that are nowhere else, each with the place it was put.
struct Markers(Vec<(String, String)>);

impl Markers {
    /// A new one. Its letters and digits are valid in every place.
    fn at(&mut self, place: &str) -> String {
        let word = format!("mArKeR{:04}zQx7", self.0.len());
        self.0.push((place.to_owned(), word.clone()));
        word
    }
}

fn requests(target: &Target, markers: &mut Markers) -> Vec<(String, Vec<u8>)> {
    let mut requests: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |place: &str, make: &dyn Fn(&str) -> Vec<u8>| {
        let bytes = make(&markers.at(place));
        requests.push((place.to_owned(), bytes));
    };
    let post = |body: String| target.post(ENCRYPT, body).bytes();
    let get = |path: String| target.request("GET", &path).bytes();
    for (place, body) in [
        ("a plaintext", "{\"plaintext\":\"BASE64\"}"),
        ("aad", "{\"plaintext\":\"QQ==\",\"aad\":\"BASE64\"}"),
        ("text that is not base64", "{\"plaintext\":\"-WORD-\"}"),
        ("a field's name", "{\"plaintext\":\"QQ==\",\"WORD\":1}"),
        (
            "a duplicate's value",
            "{\"plaintext\":\"QQ==\",\"plaintext\":\"WORD\"}",
        ),
        ("an unknown field", "{\"later\":\"WORD\"}"),
        ("an algorithm", "{\"plaintext\":\"QQ==\",\"algorithm\":\"WORD\"}"),
        ("a mode", "{\"plaintext\":\"QQ==\",\"mode\":\"WORD\"}"),
        ("a version", "{\"plaintext\":\"QQ==\",\"key_version\":\"WORD\"}"),
        ("no JSON", "{\"plaintext\":WORD}"),
        ("no object", "\"WORD\""),
    ] {
        add(place, &|word| {
            post(
                body.replace("WORD", word)
                    .replace("BASE64", &encoded(word.as_bytes())),
            )
        });
    }
    for (route, field) in [
        ("kem/decrypt", "ciphertext"),
        ("kem/decapsulate", "kem_ciphertext"),
        ("kem/key/wrap", "symmetric_key"),
        ("kem/key/unwrap", "wrapped_key"),
        ("signature/sign", "message"),
        ("signature/verify", "message"),
    ] {
        add(field, &|word| {
            let value = encoded(word.as_bytes());
            let body = format!("{{\"{field}\":\"{value}\",\"signature\":\"{value}\",\"key_version\":1}}");
            target.post(&format!("/api/v1/{route}"), body).bytes()
        });
    }
    add("a generate's algorithm", &|word| {
        target
            .post(
                "/api/v1/kms/keys/generate",
                format!("{{\"algorithm\":\"{word}\"}}"),
            )
            .bytes()
    });
    add("a path", &|word| get(format!("/{word}")));
    add("a key's path", &|word| get(format!("{LIST}/{word}")));
    add("a query's name", &|word| get(format!("{LIST}?{word}=1")));
    add("a query's value", &|word| get(format!("{LIST}?x={word}")));
    add("a query's algorithm", &|word| {
        get(format!("{LIST}?algorithm={word}"))
    });
    add("a query's state", &|word| get(format!("{LIST}?status={word}")));
    add("an API key in the URL", &|word| {
        get(format!("{LIST}?api_key=qph_{word}"))
    });
    add("a method", &|word| target.request(word, LIST).bytes());
    add("the host", &|word| {
        format!("GET {LIST} HTTP/1.1\r\nhost: {word}\r\n\r\n").into_bytes()
    });
    add("an API key", &|word| {
        Request::new("GET", LIST)
            .header("x-api-key", format!("qph_{word}"))
            .bytes()
    });
    add("no API key", &|word| {
        Request::new("GET", LIST).header("x-api-key", word).bytes()
    });
    add("an unknown API key with a checksum's length", &|word| {
        let key = format!("{}{word}", &target.api_key[..target.api_key.len() - word.len()]);
        Request::new("GET", LIST).header("x-api-key", key).bytes()
    });
    for name in [
        "x-request-id",
        "user-agent",
        "authorization",
        "cookie",
        "x-tenant-id",
        "content-type",
        "x-forwarded-for",
    ] {
        add(name, &|word| {
            target.post(ENCRYPT, "{}").header(name, word).bytes()
        });
    }
    add("a header's name", &|word| {
        target.request("GET", LIST).header(word, "1").bytes()
    });
    add("a malformed head", &|word| {
        format!("GET {LIST} HTTP/1.1\r\n{word}\r\n\r\n").into_bytes()
    });
    add("no HTTP", &|word| format!("{word}\r\n\r\n").into_bytes());
    add("a long header", &|word| {
        target
            .request("GET", LIST)
            .header("x", word.repeat(10_000))
            .bytes()
    });
    requests
}

#[test]
fn nothing_that_a_caller_sends_is_logged_or_echoed() {
    let target = Target::get();
    let mut markers = Markers(Vec::new());
    let mut ids = BTreeSet::new();
    for (place, bytes) in requests(&target, &mut markers) {
        let mut connection = Connection::open(&target.address);
        connection.send(&bytes);
        connection.finish();
        while let Some(answer) = connection.answer() {
            let text = answer.head.clone() + &String::from_utf8_lossy(&answer.body);
            for (_, word) in &markers.0 {
                assert!(!text.contains(word.as_str()), "{place} is echoed: {answer:?}");
            }
            assert!(is_uuid(answer.request_id()), "{place}: {answer:?}");
            ids.insert(answer.request_id().to_owned());
        }
    }
    target.still_works("markers");

    let logs = Daemon::ALL.map(|daemon| (daemon, target.installation.log(daemon)));
    let all: String = logs.iter().map(|(_, log)| log.as_str()).collect();
    let logged = ids.iter().filter(|id| all.contains(id.as_str())).count();
    assert!(
        logged * 2 > ids.len(),
        "requests are logged by their ids, or this test shows nothing: {logged} of {}",
        ids.len()
    );
    let key = target.api_key;
    for (daemon, log) in &logs {
        assert!(log.contains("DEBUG"), "{daemon:?} logs all there is:\n{log}");
        for (place, word) in &markers.0 {
            for form in [
                word.clone(),
                encoded(word.as_bytes()),
                hex(word),
                format!("{:?}", word.as_bytes()),
            ] {
                assert!(!log.contains(&form), "{daemon:?} logged {place}");
            }
        }
        assert!(
            !log.contains(key) && !log.contains(&key[4..]),
            "{daemon:?} logged an API key"
        );
    }
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}
