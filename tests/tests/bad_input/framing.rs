//! Framing: too much, too slow, cut off, ambiguous, of another protocol, or several requests at once.

use crate::wire::{Answer, Connection, Request};
use crate::{ENCRYPT, LIST, Target, is_enveloped, is_refused};
use std::thread;
use std::time::{Duration, Instant};

const VALID_BODY: &str = "{\"plaintext\":\"QQ==\"}";
const LIMIT: usize = 2 << 20;

/// The gateway's own bounds (15 s for a head, 10 s for a body), and what a busy machine adds.
const AT_LAST: Duration = Duration::from_secs(40);

#[test]
fn a_declared_length_beyond_the_limit_is_refused_before_a_byte_of_it() {
    let target = Target::get();
    let head = |length: &str| {
        target
            .request("POST", ENCRYPT)
            .header("content-length", length)
            .unframed()
    };
    for length in ["67108865", "1099511627776", "9223372036854775807"] {
        let began = Instant::now();
        let answer = target.send(&head(length));
        is_refused(&answer, 400, "ERR_INVALID_004", length);
        assert!(began.elapsed() < Duration::from_secs(2), "{length}");
    }
    // A client that asks before it sends is answered at once; one that does not, after some patience.
    for (request, within) in [
        (head("2097153").header("expect", "100-continue"), 2),
        (head("2097153"), 30),
    ] {
        let began = Instant::now();
        let mut connection = target.connect();
        connection.send(&request.bytes());
        let answer = connection.answer().expect("an answer");
        is_refused(&answer, 400, "ERR_INVALID_004", "2 MiB and a byte");
        assert!(began.elapsed() < Duration::from_secs(within), "{within} s");
        assert!(
            connection.is_closed(),
            "what follows would be taken for a request"
        );
    }
    target.still_works("declared lengths");
}

#[test]
fn a_body_beyond_the_limit_gets_an_answer_when_it_is_sent() {
    let target = Target::get();
    for length in [LIMIT + 1, 8 << 20, 60 << 20] {
        let answer = target.send(&target.post(ENCRYPT, vec![b' '; length]));
        is_refused(&answer, 400, "ERR_INVALID_004", &format!("{length} bytes"));
    }
    let full = format!("{VALID_BODY}{}", " ".repeat(LIMIT - VALID_BODY.len()));
    assert_eq!(target.send(&target.post(ENCRYPT, full)).status, 200);
    target.still_works("large bodies");
}

fn chunked(chunks: &[&[u8]]) -> Vec<u8> {
    let mut body = Vec::new();
    for chunk in chunks {
        body.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        body.extend_from_slice(chunk);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"0\r\n\r\n");
    body
}

#[test]
fn chunked_bodies_have_the_same_limit() {
    let target = Target::get();
    let post = |body: Vec<u8>| {
        target
            .post(ENCRYPT, body)
            .header("transfer-encoding", "chunked")
            .unframed()
    };
    let (first, rest) = VALID_BODY.as_bytes().split_at(7);
    let mut connection = target.connect();
    connection.send(&post(chunked(&[first, rest])).bytes());
    assert_eq!(connection.answer().expect("an answer").status, 200);
    target.still_works_on(&mut connection, "a chunked body");

    let chunk = [b' '; 64 << 10];
    for count in [LIMIT / chunk.len() + 1, 256] {
        let answer = target.send(&post(chunked(&vec![&chunk[..]; count])));
        is_refused(&answer, 400, "ERR_INVALID_004", &format!("{count} chunks"));
    }
    // Chunks without end: an answer comes although the body does not stop.
    let mut connection = target.connect();
    connection.send(&post(Vec::new()).bytes());
    let mut endless = format!("{:x}\r\n", chunk.len()).into_bytes();
    endless.extend_from_slice(&chunk);
    endless.extend_from_slice(b"\r\n");
    let mut sent = 0;
    while sent < 2048 && connection.send(&endless) {
        sent += 1;
    }
    if let Some(answer) = connection.answer() {
        is_refused(&answer, 400, "ERR_INVALID_004", "endless chunks");
    }
    assert!(sent < 2048, "128 MiB were taken");
    target.still_works("chunked bodies");
}

#[test]
fn a_body_that_breaks_off_is_refused_or_dropped() {
    let target = Target::get();
    for (framing, value) in [("content-length", "1000"), ("transfer-encoding", "chunked")] {
        let request = target.request("POST", ENCRYPT).header(framing, value).unframed();
        let mut connection = target.connect();
        connection.send(&request.bytes());
        connection.finish();
        if let Some(answer) = connection.answer() {
            is_refused(&answer, 400, "ERR_INVALID_005", framing);
        }
        assert!(connection.is_closed(), "{framing}");
    }
    target.still_works("bodies that break off");
}

#[test]
fn heads_that_are_ambiguous_or_malformed_are_refused_and_the_connection_is_closed() {
    let target = Target::get();
    let key = target.api_key;
    let post = |headers: &str| {
        format!("POST {ENCRYPT} HTTP/1.1\r\nhost: x\r\nx-api-key: {key}\r\n{headers}\r\n{VALID_BODY}")
    };
    let get = |rest: &str| format!("GET {LIST}{rest}");
    let many: String = (0..1000).map(|number| format!("x-{number}: 1\r\n")).collect();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        (
            "two lengths",
            post("content-length: 19\r\ncontent-length: 20\r\n").into(),
        ),
        ("two lengths in one", post("content-length: 19, 20\r\n").into()),
        ("a negative length", post("content-length: -1\r\n").into()),
        ("a signed length", post("content-length: +19\r\n").into()),
        ("no number", post("content-length: nineteen\r\n").into()),
        ("a hexadecimal length", post("content-length: 0x13\r\n").into()),
        (
            "2^64 - 2",
            post("content-length: 18446744073709551614\r\n").into(),
        ),
        ("2^64", post("content-length: 18446744073709551616\r\n").into()),
        ("1e400", post("content-length: 1e400\r\n").into()),
        ("an unknown coding", post("transfer-encoding: gzip\r\n").into()),
        (
            "chunked, then another",
            post("transfer-encoding: chunked, gzip\r\n").into(),
        ),
        ("a header without colon", post("nonsense\r\n").into()),
        ("a space before the colon", post("content-length : 19\r\n").into()),
        ("a header without name", post(": x\r\n").into()),
        (
            "a NUL in a header",
            post("x: a\0b\r\ncontent-length: 19\r\n").into(),
        ),
        ("a NUL in a name", post("x\0: a\r\ncontent-length: 19\r\n").into()),
        ("a NUL in the path", get("\0 HTTP/1.1\r\nhost: x\r\n\r\n").into()),
        (
            "a space in the path",
            get(" x HTTP/1.1\r\nhost: x\r\n\r\n").into(),
        ),
        (
            "invalid UTF-8 in the path",
            [b"GET /\xff\xfe", &b" HTTP/1.1\r\nhost: x\r\n\r\n"[..]].concat(),
        ),
        ("no version", get("\r\nhost: x\r\n\r\n").into()),
        ("version 0.9", get(" HTTP/0.9\r\nhost: x\r\n\r\n").into()),
        ("version 9.9", get(" HTTP/9.9\r\nhost: x\r\n\r\n").into()),
        ("version 2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()),
        ("no HTTP", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03".repeat(4)),
        ("only NULs", vec![0; 100]),
        (
            "a long header",
            post(&format!("x: {}\r\n", "x".repeat(200_000))).into(),
        ),
        (
            "a long name",
            post(&format!("{}: x\r\n", "x".repeat(200_000))).into(),
        ),
        ("many headers", post(&many).into()),
        (
            "a long path",
            get(&format!("?{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(200_000))).into(),
        ),
        (
            "a long method",
            format!("{} / HTTP/1.1\r\n\r\n", "G".repeat(200_000)).into(),
        ),
    ];
    for (what, bytes) in cases {
        let mut connection = target.connect();
        connection.send(&bytes);
        connection.finish();
        let Some(answer) = connection.answer() else {
            // Another protocol's preface: an answer in HTTP/1.1 would be none.
            assert_eq!(what, "version 2", "no answer to {what}");
            continue;
        };
        assert_eq!(answer.status, 400, "{what}: {answer:?}");
        is_enveloped(&answer, what);
        assert!(
            connection.is_closed(),
            "{what}: what follows would be taken for a request"
        );
    }
    target.still_works("malformed heads");
}

#[test]
fn a_length_beside_chunks_smuggles_no_request() {
    let target = Target::get();
    let smuggled = target.request("GET", "/smuggled").bytes();
    let body = [b"0\r\n\r\n", smuggled.as_slice()].concat();
    let mut connection = target.connect();
    let request = target.post(ENCRYPT, &body).header("transfer-encoding", "chunked");
    connection.send(&request.bytes());
    connection.finish();
    let first = connection.answer().expect("an answer");
    assert_eq!(first.status, 400, "{first:?}");
    is_enveloped(&first, "length and chunks");
    // Read as chunks, the body ends early and a request follows; it may be answered only if the length was ignored, as
    // RFC 9112 demands, and the connection closed after the first answer is what it demands too.
    assert!(connection.is_closed(), "a second request was found");
}

#[test]
fn bad_chunks_are_refused() {
    let target = Target::get();
    for body in [
        "zz\r\n",
        "-1\r\n\r\n",
        "ffffffffffffffffff\r\n",
        "5\r\nabc\r\n",
        "1;x\r\nAB\r\n",
        "\r\n\r\n",
    ] {
        let request = target
            .post(ENCRYPT, body)
            .header("transfer-encoding", "chunked")
            .unframed();
        let mut connection = target.connect();
        connection.send(&request.bytes());
        connection.finish();
        if let Some(answer) = connection.answer() {
            is_refused(&answer, 400, "ERR_INVALID_005", &format!("{body:?}"));
        }
        assert!(connection.is_closed(), "{body:?}");
    }
    target.still_works("bad chunks");
}

#[test]
fn pipelined_requests_are_answered_in_order_the_bad_ones_too() {
    let target = Target::get();
    let id = |number: u8| format!("00000000-0000-4000-8000-0000000000{number:02}");
    let requests = [
        (target.request("GET", LIST), 200),
        (target.post(ENCRYPT, "[1,2"), 400),
        (target.request("GET", "/nowhere"), 404),
        (target.post(ENCRYPT, VALID_BODY), 200),
        (Request::new("GET", LIST), 401),
        (target.request("PUT", LIST).body("{}"), 405),
        (
            target.post("/api/v1/signature/sign", "{\"message\":\"QQ==\"}"),
            200,
        ),
    ];
    let mut bytes = Vec::new();
    for (number, (request, _)) in (0..).zip(&requests) {
        bytes.extend(request.clone().header("x-request-id", id(number)).bytes());
    }
    let mut connection = target.connect();
    connection.send(&bytes);
    for (number, (_, status)) in (0..).zip(&requests) {
        let answer = connection.answer().expect("an answer to each");
        assert_eq!(
            (answer.status, answer.request_id()),
            (*status, id(number).as_str())
        );
    }
    target.still_works_on(&mut connection, "pipelined requests");
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let target = Target::get();
    let answered = |request: Request| -> (Answer, Connection) {
        let mut connection = target.connect();
        connection.send(&request.version("HTTP/1.0").bytes());
        let answer = connection.answer().expect("an answer");
        (answer, connection)
    };
    let (answer, mut connection) = answered(target.post(ENCRYPT, VALID_BODY));
    assert_eq!(answer.status, 200);
    assert!(connection.is_closed());
    let (answer, mut connection) = answered(target.post(ENCRYPT, "[]"));
    is_refused(&answer, 400, "ERR_INVALID_001", "HTTP/1.0");
    assert!(connection.is_closed());
}

#[test]
fn slow_heads_and_bodies_are_cut_off_within_a_bound() {
    let target = Target::get();
    let head = target.request("GET", LIST).bytes();
    let body = target
        .request("POST", ENCRYPT)
        .header("content-length", "1000")
        .unframed()
        .bytes();
    // Nothing at all; half a head; a head a byte a second; a body a byte a second.
    let clients: [(&str, &[u8], &[u8]); 4] = [
        ("silence", b"", b""),
        ("half a head", &head[..20], b""),
        ("a dripping head", b"", &head),
        ("a dripping body", &body, &[b' '; 1000]),
    ];
    let address = target.address.as_str();
    thread::scope(|scope| {
        for (what, first, drip) in clients {
            scope.spawn(move || {
                let began = Instant::now();
                let mut connection = Connection::open(address);
                connection.send(first);
                connection.drip(drip);
                let answer = connection.answer();
                assert!(connection.is_closed(), "{what}");
                assert!(began.elapsed() < AT_LAST, "{what}: {:?}", began.elapsed());
                match answer {
                    Some(answer) => is_refused(&answer, 400, "ERR_INVALID_005", what),
                    None => assert_ne!(what, "a dripping body", "has a whole head, so there is an answer"),
                }
            });
        }
    });
    target.still_works("slow clients");
}
