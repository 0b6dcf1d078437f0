//! What streams may cost, and what is refused of them.

use super::client::{parse, post};
use super::{DECRYPT, ENCRYPT, LONGEST, SEGMENT, SIGN, VERIFY, base64url, message, party, system};
use chancel_tests::{Daemon, Installation};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// A client that waits for leave to send gets it, before anything is answered that it would take for the end.
#[test]
fn a_client_that_waits_for_leave_to_send_a_stream_gets_it() {
    let system = system();
    let (_, api_key) = party(&system, "expect");
    let address = system.address();
    let plaintext = message(3 * SEGMENT);
    for path in [ENCRYPT, SIGN] {
        let mut stream = TcpStream::connect(&address).expect("the gateway listens");
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a socket takes options");
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: test\r\nx-api-key: {api_key}\r\nexpect: 100-continue\r\n\
             content-type: application/octet-stream\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            plaintext.len()
        );
        stream.write_all(head.as_bytes()).expect("sent");
        let mut leave = [0; 25];
        stream.read_exact(&mut leave).expect("leave to send");
        assert_eq!(&leave, b"HTTP/1.1 100 Continue\r\n\r\n", "{path}");
        stream.write_all(&plaintext).expect("sent");
        let mut received = Vec::new();
        let _ = stream.read_to_end(&mut received);
        assert_eq!(parse(received).status, 200, "{path}");
    }
}

#[test]
fn what_a_stream_does_not_take_is_refused_and_not_left_out_of_account() {
    let system = system();
    let (_, api_key) = party(&system, "queries");
    let address = system.address();
    let code = |path: &str| {
        let answer = post(&address, &api_key, path, &[7; 64], false);
        (answer.status, answer.json()["error"]["error_code"].to_string())
    };
    for query in [
        "mode=deterministic&salt=AAAA",
        "AAD=AAAA",
        "plaintext=AAAA",
        "key_version=%2B1",
        "key_version=x",
        "key_version=4294967296",
        "key_version=1&key_version=1",
        "algorithm=Kyber768&algorithm=X-Wing",
    ] {
        let refused = code(&format!("{ENCRYPT}?{query}"));
        assert_eq!(refused, (400, "\"ERR_INVALID_001\"".to_owned()), "{query}");
    }
    for query in ["message_type=EXTERNAL_MU", "hash_algorithm=SHA-256", "aad=AAAA"] {
        assert_eq!(code(&format!("{SIGN}?{query}")).0, 400, "{query}");
    }
    for query in [
        "signature_length=%2B3309",
        "signature_length=0",
        "signature_length=3310",
    ] {
        assert_eq!(code(&format!("{VERIFY}?key_version=1&{query}")).0, 400, "{query}");
    }
    assert_eq!(code(&format!("{ENCRYPT}?algorithm=Dilithium3")).0, 400);
    // Any bytes: these spell what API keys begin with.
    let aad = base64url(&[0xaa, 0x98, 0x7f]);
    assert_eq!(aad, "qph_");
    post(&address, &api_key, &format!("{ENCRYPT}?aad={aad}"), b"m", false).bytes();
}

/// Two tenants that send next to nothing do not keep a third from its streams.
#[test]
fn streams_of_one_tenant_leave_room_for_those_of_others() {
    let system = system();
    let address = system.address();
    let (_, api_key) = party(&system, "greedy");
    let open = |api_key: &str| {
        let mut stream = TcpStream::connect(&address).expect("the gateway listens");
        let head = format!(
            "POST {ENCRYPT} HTTP/1.1\r\nhost: test\r\nx-api-key: {api_key}\r\n\
             content-type: application/octet-stream\r\ncontent-length: {LONGEST}\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).expect("sent");
        stream.write_all(&[0; 100]).expect("sent");
        stream
    };
    let held: Vec<_> = (0..4).map(|_| open(&api_key)).collect();
    let refused = |api_key: &str| {
        let answer = post(&address, api_key, ENCRYPT, b"m", false);
        (answer.status, answer.head)
    };
    system.until("the tenant's part to be taken", || {
        (refused(&api_key).0 == 429).then_some(())
    });
    assert!(refused(&api_key).1.contains("retry-after: 1"));
    let (_, other) = party(&system, "modest");
    let whole = message(LONGEST);
    assert_eq!(post(&address, &other, ENCRYPT, &whole, true).status, 200);
    drop(held);
    system.until("the tenant's part to be given back", || {
        (refused(&api_key).0 == 200).then_some(())
    });
}

/// The most memory that a daemon has had since the last time it was asked, KiB.
fn peak(system: &Installation, daemon: Daemon) -> usize {
    let process = format!("/proc/{}", system.pid(daemon));
    let status = fs::read_to_string(format!("{process}/status")).expect("a running daemon");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = line
        .and_then(|line| line.trim().strip_suffix(" kB"))
        .expect("a peak");
    fs::write(format!("{process}/clear_refs"), "5").expect("root resets the peak");
    peak.trim().parse().expect("a number")
}

#[test]
fn a_stream_costs_the_gateway_a_few_pieces_and_keyd_nothing() {
    let system = Installation::new();
    let (_, api_key) = party(&system, "memory");
    let address = system.address();
    let plaintext = message(LONGEST);
    let daemons = [Daemon::Gateway, Daemon::Policyd, Daemon::Keyd];
    // What the first use of everything needs is there before it is measured.
    let small = post(&address, &api_key, ENCRYPT, &plaintext[..1 << 20], true).bytes();
    post(
        &address,
        &api_key,
        &format!("{DECRYPT}?key_version=1"),
        &small,
        true,
    )
    .bytes();
    post(&address, &api_key, SIGN, &plaintext[..2 << 20], true).data();
    let _ = daemons.map(|daemon| peak(&system, daemon));
    let before = daemons.map(|daemon| peak(&system, daemon));
    let sealed = post(&address, &api_key, ENCRYPT, &plaintext, true).bytes();
    assert!(
        post(
            &address,
            &api_key,
            &format!("{DECRYPT}?key_version=1"),
            &sealed,
            true
        )
        .bytes()
            == plaintext
    );
    post(&address, &api_key, SIGN, &plaintext, true).data();
    for (daemon, before) in daemons.into_iter().zip(before) {
        let grown = peak(&system, daemon).saturating_sub(before);
        println!("{daemon:?} grew by {grown} KiB at most");
        assert!(grown < 16 << 10, "{daemon:?} grew by {grown} KiB");
    }
}
