//! Connections and bodies at their bounds: what is slow, large, too many, or cut off.

mod support;

use chancel_gateway::limits::{HEADER_TIMEOUT, MAX_BODY, MAX_REQUESTS};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread::sleep;
use std::time::{Duration, Instant};
use support::{API_KEY, Answer, Scene, Script, request};

const SIGN: &str = "/api/v1/signature/sign";
const MESSAGE: &str = r#"{"message": "aGk="}"#;

fn head(more: &str) -> String {
    format!("POST {SIGN} HTTP/1.1\r\nhost: test\r\nx-api-key: {API_KEY}\r\n{more}\r\n")
}

#[test]
fn a_body_that_is_declared_too_large_is_refused_after_it_was_sent_and_the_answer_arrives() {
    let scene = Scene::start(Script::default());
    let mut stream = scene.connect();
    let length = 20 << 20;
    stream
        .write_all(head(&format!("content-length: {length}\r\n")).as_bytes())
        .unwrap();
    for _ in 0..length >> 20 {
        stream.write_all(&vec![b'x'; 1 << 20]).unwrap();
    }
    let answer = Answer::read(&mut stream);
    assert_eq!((answer.status, answer.code().as_str()), (400, "ERR_INVALID_004"));
    // All of it was read, so that the connection is still good.
    stream
        .write_all(request("POST", SIGN, MESSAGE).as_bytes())
        .unwrap();
    assert_eq!(Answer::read(&mut stream).status, 200);
    // The answer gives its memory back once it has been written, which may be after it was read here.
    sleep(Duration::from_millis(100));
    assert_eq!(scene.gateway.limits.bytes_in_use(), 0);
}

#[test]
fn a_client_that_asks_first_is_told_before_it_sends() {
    let scene = Scene::start(Script::default());
    let mut stream = scene.connect();
    let asks = head(&format!(
        "content-length: {}\r\nexpect: 100-continue\r\n",
        MAX_BODY + 1
    ));
    stream.write_all(asks.as_bytes()).unwrap();
    let answer = Answer::read(&mut stream);
    assert_eq!((answer.status, answer.code().as_str()), (400, "ERR_INVALID_004"));
    assert!(answer.head.contains("connection: close\r\n"), "{}", answer.head);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn chunks_that_add_up_to_too_much_are_refused() {
    let scene = Scene::start(Script::default());
    let mut stream = scene.connect();
    stream
        .write_all(head("transfer-encoding: chunked\r\n").as_bytes())
        .unwrap();
    for _ in 0..MAX_BODY / 65536 + 1 {
        stream.write_all(b"10000\r\n").unwrap();
        stream.write_all(&[b' '; 65536]).unwrap();
        stream.write_all(b"\r\n").unwrap();
    }
    stream.write_all(b"0\r\n\r\n").unwrap();
    assert_eq!(Answer::read(&mut stream).code(), "ERR_INVALID_004");
}

#[test]
fn a_body_that_breaks_off_is_answered_or_dropped_and_leaves_nothing_behind() {
    let scene = Scene::start(Script::default());
    let mut stream = scene.connect();
    stream
        .write_all(head("content-length: 100000\r\n").as_bytes())
        .unwrap();
    stream.write_all(&[b'x'; 50_000]).unwrap();
    sleep(Duration::from_millis(100));
    assert_eq!(scene.gateway.limits.requests_in_use(), 1);
    stream.shutdown(Shutdown::Both).unwrap();
    sleep(Duration::from_millis(200));
    assert_eq!(scene.gateway.limits.requests_in_use(), 0);
    assert_eq!(scene.gateway.limits.bytes_in_use(), 0);
    assert_eq!(scene.uses(), 0);
}

#[test]
fn heads_that_trickle_are_cut_however_steady() {
    let scene = Scene::start(Script::default());
    let mut stream = scene.connect();
    stream.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let begun = Instant::now();
    let ended = 'trickle: loop {
        if stream.write_all(b"x").is_err() {
            break begun.elapsed();
        }
        let mut rest = [0; 64];
        match stream.read(&mut rest) {
            Ok(0) => break 'trickle begun.elapsed(),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break begun.elapsed(),
        }
        assert!(begun.elapsed() < 2 * HEADER_TIMEOUT, "still open");
    };
    assert!(ended >= HEADER_TIMEOUT - Duration::from_secs(1), "{ended:?}");
}

#[test]
fn one_connection_too_many_is_told_so_and_finds_room_later() {
    let scene = Scene::start(Script {
        most_connections: 3,
        ..Script::default()
    });
    let mut open: Vec<_> = (0..3).map(|_| scene.connect()).collect();
    for stream in &mut open {
        stream
            .write_all(request("POST", SIGN, MESSAGE).as_bytes())
            .unwrap();
        assert_eq!(Answer::read(stream).status, 200);
    }
    let mut one_more = scene.connect();
    let answer = Answer::read(&mut one_more);
    assert_eq!((answer.status, answer.code().as_str()), (503, "ERR_SERVICE_001"));
    assert!(answer.head.contains("retry-after: 1\r\n"));
    drop(open);
    sleep(Duration::from_millis(100));
    assert_eq!(scene.send("POST", SIGN, MESSAGE).0, 200);
}

#[test]
fn one_request_too_many_is_refused_and_the_gateway_stays_well() {
    let scene = Scene::start(Script::default());
    let taken: Vec<_> = (0..MAX_REQUESTS)
        .map(|_| scene.gateway.limits.enter().unwrap())
        .collect();
    let answer = scene.raw(&request("POST", SIGN, MESSAGE));
    assert_eq!((answer.status, answer.code().as_str()), (503, "ERR_SERVICE_001"));
    drop(taken);
    assert_eq!(scene.send("POST", SIGN, MESSAGE).0, 200);
}

#[test]
fn requests_in_one_packet_are_answered_in_order() {
    let scene = Scene::start(Script::default());
    let mut stream = scene.connect();
    let both = request("POST", SIGN, MESSAGE) + &request("GET", "/healthz", "");
    stream.write_all(both.as_bytes()).unwrap();
    assert!(Answer::read(&mut stream).json()["data"]["signature"].is_string());
    assert_eq!(Answer::read(&mut stream).json()["data"]["status"], "alive");
}

#[test]
fn what_is_under_way_is_finished_when_the_gateway_stops_and_nothing_new_is_begun() {
    let slow = |_: &[u8]| {
        sleep(Duration::from_millis(300));
        Ok(b"late".to_vec())
    };
    let mut scene = Scene::start(Script {
        work: Box::new(slow),
        ..Script::default()
    });
    let mut idle = scene.connect();
    let mut busy = scene.connect();
    busy.write_all(request("POST", SIGN, MESSAGE).as_bytes()).unwrap();
    sleep(Duration::from_millis(100));
    let begun = Instant::now();
    scene.begin_to_stop();
    assert_eq!(Answer::read(&mut busy).status, 200);
    assert_eq!(
        busy.read(&mut [0]).unwrap(),
        0,
        "the connection ends after its answer"
    );
    assert_eq!(idle.read(&mut [0]).unwrap(), 0, "idle connections end at once");
    scene.wait_until_stopped();
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(std::net::TcpStream::connect(scene.address).is_err());
}
