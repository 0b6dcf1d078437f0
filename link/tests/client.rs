//! The asking end against peers that work, restart, hang, lie and stay away.

mod support;

use chancel_link::{CallError, Client, Endpoint};
use chancel_wire::frame::{FrameBuffer, GOODBYE, seal, seal_ping};
use chancel_wire::hello::Role;
use chancel_wire::limits::{MAX_IN_FLIGHT, SILENCE_LIMIT};
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};
use support::{Scratch, Served, client, endpoint, own_uid, services, token, welcome};

const SECOND: Duration = Duration::from_secs(1);
const AGES: Duration = Duration::from_secs(10);

async fn ask(client: &Client, number: u64, deadline: Duration) -> Result<u64, CallError> {
    let answer = client.call(&number, deadline).await?;
    Ok(answer.decode().expect("the handler answers numbers"))
}

/// Reads requests on a thread and gives each to a closure.
fn requests(mut stream: UnixStream, mut each: impl FnMut(&mut UnixStream, u64, &[u8]) + Send + 'static) {
    std::thread::spawn(move || {
        let mut buffer = FrameBuffer::new(chancel_wire::limits::MAX_BATCH_FRAME_BODY);
        while let Ok(count @ 1..) = stream.read(buffer.spare()) {
            buffer.filled(count);
            while let Ok(Some(frame)) = buffer.next_frame() {
                let (correlation, body) = (frame.correlation, frame.body.to_vec());
                each(&mut stream, correlation, &body);
            }
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_find_their_callers_with_hundreds_in_flight() {
    let scratch = Scratch::new();
    let server = Served::start(&scratch.socket(), services(), Duration::from_millis(5));
    let client = client(&scratch.socket());
    let calls: Vec<_> = (0..400u64)
        .map(|number| {
            let client = client.clone();
            tokio::spawn(async move { ask(&client, number, SECOND).await })
        })
        .collect();
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.expect("no panic"), Ok(number as u64 + 1));
    }
    server.stop().await;
}

#[tokio::test]
async fn one_call_too_many_fails_at_once_and_the_others_succeed() {
    let scratch = Scratch::new();
    let server = Served::start(&scratch.socket(), services(), Duration::from_millis(100));
    let client = client(&scratch.socket());
    let calls: Vec<_> = (0..MAX_IN_FLIGHT as u64)
        .map(|n| client.call(&(2 * n + 1), SECOND))
        .collect();
    assert_eq!(ask(&client, 1, SECOND).await, Err(CallError::Overloaded));
    for call in calls {
        assert!(call.await.is_ok());
    }
    assert_eq!(ask(&client, 4, SECOND).await, Ok(5));
    server.stop().await;
}

#[tokio::test]
async fn a_deadline_passes_in_time_and_the_late_answer_reaches_nobody_else() {
    let scratch = Scratch::new();
    let server = Served::start(&scratch.socket(), services(), Duration::from_millis(150));
    let client = client(&scratch.socket());
    let begun = Instant::now();
    assert_eq!(
        ask(&client, 1, Duration::from_millis(50)).await,
        Err(CallError::DeadlinePassed)
    );
    assert!(begun.elapsed() < Duration::from_millis(140));
    tokio::time::sleep(Duration::from_millis(150)).await;
    assert_eq!(ask(&client, 7, SECOND).await, Ok(8));
    server.stop().await;
}

#[tokio::test]
async fn an_abandoned_call_frees_its_place() {
    let scratch = Scratch::new();
    let server = Served::start(&scratch.socket(), services(), Duration::from_millis(20));
    let client = client(&scratch.socket());
    for _ in 0..2 * MAX_IN_FLIGHT {
        drop(client.call(&1u64, SECOND));
    }
    assert_eq!(ask(&client, 2, SECOND).await, Ok(3));
    server.stop().await;
}

#[tokio::test]
async fn a_quick_restart_costs_no_call_that_had_not_left() {
    let scratch = Scratch::new();
    let server = Served::start(&scratch.socket(), services(), Duration::ZERO);
    let client = client(&scratch.socket());
    let mut connections = client.connections();
    assert_eq!(ask(&client, 2, SECOND).await, Ok(3));
    server.kill().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    let waiting = client.call(&10u64, SECOND);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let server = Served::start(&scratch.socket(), services(), Duration::ZERO);
    let answer = waiting.await.expect("it waited for the new connection");
    assert_eq!(answer.decode(), Ok(11u64));
    assert_eq!(*connections.borrow_and_update(), 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_may_have_arrived_is_not_sent_again() {
    let scratch = Scratch::new();
    let listener = UnixListener::bind(scratch.socket()).expect("the path is free");
    let client = client(&scratch.socket());
    let call = client.call(&1u64, SECOND);
    let peer = std::thread::spawn(move || {
        let mut first = welcome(&listener);
        let mut byte = [0];
        first.read_exact(&mut byte).expect("the request begins");
        drop(first);
        let mut second = welcome(&listener);
        second
            .set_read_timeout(Some(Duration::from_millis(200)))
            .expect("a time-out is set");
        let mut rest = Vec::new();
        let _ = second.read_to_end(&mut rest);
        rest
    });
    assert_eq!(call.await.expect_err("the peer hung up"), CallError::Lost);
    assert_eq!(
        peer.join().expect("no panic"),
        b"",
        "bytes of the lost request on the new connection"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_says_goodbye_still_answers_what_it_was_sent_although_nobody_comes_after_it() {
    let scratch = Scratch::new();
    let path = scratch.socket();
    let listener = UnixListener::bind(&path).expect("the path is free");
    let client = client(&path);
    let owed = client.call(&1u64, AGES);
    let (is_asked_again, again) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let stream = welcome(&listener);
        std::fs::remove_file(path).expect("nobody comes after it");
        requests(stream, move |stream, correlation, _| {
            stream.write_all(&seal_ping(GOODBYE)).expect("said");
            // Not an error for what was on its way meanwhile: nobody waits for it any more.
            let _ = again.recv();
            stream.write_all(&seal(correlation, 0, &2u64)).expect("answered");
        });
    });
    until_unreachable(&client).await;
    is_asked_again.send(()).expect("it lives");
    let answer = owed.await.expect("the answer comes all the same");
    assert_eq!(answer.decode::<u64>().expect("a number"), 2);
}

async fn until_unreachable(client: &Client) {
    let end = Instant::now() + AGES;
    // What is asked before the goodbye has arrived is not answered either.
    while ask(client, 3, Duration::from_millis(50)).await != Err(CallError::Unreachable) {
        assert!(Instant::now() < end);
    }
}

#[tokio::test]
async fn a_peer_that_stays_away_is_known_to_be_away_and_found_when_it_returns() {
    let scratch = Scratch::new();
    let client = client(&scratch.socket());
    let begun = Instant::now();
    assert_eq!(ask(&client, 2, AGES).await, Err(CallError::Unreachable));
    assert!(
        begun.elapsed() < Duration::from_millis(700),
        "{:?}",
        begun.elapsed()
    );
    let begun = Instant::now();
    assert_eq!(ask(&client, 2, AGES).await, Err(CallError::Unreachable));
    assert!(begun.elapsed() < Duration::from_millis(5));
    let server = Served::start(&scratch.socket(), services(), Duration::ZERO);
    let begun = Instant::now();
    client.connections().changed().await.expect("the client lives");
    assert!(
        begun.elapsed() < Duration::from_millis(300),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(ask(&client, 2, SECOND).await, Ok(3));
    server.stop().await;
}

#[tokio::test]
async fn a_hung_peer_yields_errors_well_before_a_long_deadline() {
    let scratch = Scratch::new();
    let listener = UnixListener::bind(scratch.socket()).expect("the path is free");
    let client = client(&scratch.socket());
    let peer = std::thread::spawn(move || (welcome(&listener), listener));
    client.connections().changed().await.expect("the client lives");
    let (_stream, _listener) = peer.join().expect("no panic");
    let begun = Instant::now();
    assert_eq!(ask(&client, 1, AGES).await, Err(CallError::Hung));
    assert!(
        begun.elapsed() < SILENCE_LIMIT + Duration::from_millis(100),
        "{:?}",
        begun.elapsed()
    );
    let begun = Instant::now();
    assert_eq!(ask(&client, 1, AGES).await, Err(CallError::Unreachable));
    assert!(begun.elapsed() < Duration::from_millis(5));
}

#[tokio::test]
async fn a_busy_peer_that_answers_pings_is_not_hung() {
    let scratch = Scratch::new();
    let listener = UnixListener::bind(scratch.socket()).expect("the path is free");
    let client = client(&scratch.socket());
    std::thread::spawn(move || {
        let stream = welcome(&listener);
        requests(stream, |stream, correlation, body| {
            if body.is_empty() {
                stream
                    .write_all(&seal_ping(correlation))
                    .expect("the client reads");
            } else {
                let mut later = stream.try_clone().expect("a second handle");
                std::thread::spawn(move || {
                    std::thread::sleep(3 * SILENCE_LIMIT);
                    later
                        .write_all(&seal(correlation, 0, &99u64))
                        .expect("the client reads");
                });
            }
        });
    });
    assert_eq!(ask(&client, 1, AGES).await, Ok(99));
}

#[tokio::test]
async fn an_imposter_never_sees_a_byte() {
    let scratch = Scratch::new();
    let listener = UnixListener::bind(scratch.socket()).expect("the path is free");
    let endpoint = Endpoint::Unix {
        path: scratch.socket(),
        uid: own_uid() + 1,
    };
    let client = Client::new(endpoint, Role::Gateway, token());
    let imposter = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client comes");
        let mut seen = Vec::new();
        let _ = stream.read_to_end(&mut seen);
        seen
    });
    let begun = Instant::now();
    assert_eq!(ask(&client, 1, AGES).await, Err(CallError::Unreachable));
    assert!(begun.elapsed() < Duration::from_millis(200));
    assert_eq!(imposter.join().expect("no panic"), b"");
}

#[tokio::test]
async fn a_peer_of_another_version_is_not_spoken_to() {
    let scratch = Scratch::new();
    let listener = UnixListener::bind(scratch.socket()).expect("the path is free");
    let client = client(&scratch.socket());
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept() {
            stream.write_all(b"CHNC\xff\xff").expect("the welcome fits");
            kept.push(stream);
        }
    });
    assert_eq!(ask(&client, 1, AGES).await, Err(CallError::Unreachable));
}

async fn answered_with(path: &Path, bytes: Vec<u8>) -> Result<u64, CallError> {
    let listener = UnixListener::bind(path).expect("the path is free");
    let client = Client::new(endpoint(path), Role::Gateway, token());
    std::thread::spawn(move || {
        let stream = welcome(&listener);
        requests(stream, move |stream, _, _| {
            let _ = stream.write_all(&bytes);
        });
    });
    ask(&client, 1, SECOND).await
}

#[tokio::test]
async fn garbage_and_oversized_frames_cost_the_connection_and_nothing_else() {
    for bytes in [vec![0xff; 64], vec![0; 64], u32::MAX.to_be_bytes().to_vec()] {
        let scratch = Scratch::new();
        assert_eq!(
            answered_with(&scratch.socket(), bytes).await,
            Err(CallError::Lost)
        );
    }
}

#[tokio::test]
async fn an_answer_nobody_waits_for_is_ignored() {
    let scratch = Scratch::new();
    let mut bytes = seal(12345, 0, &1u64);
    bytes.extend(seal(1, 0, &2u64));
    assert_eq!(answered_with(&scratch.socket(), bytes).await, Ok(2));
}

#[tokio::test]
async fn the_connection_ends_with_the_last_clone() {
    let scratch = Scratch::new();
    let listener = UnixListener::bind(scratch.socket()).expect("the path is free");
    let client = client(&scratch.socket());
    let peer = std::thread::spawn(move || {
        let mut stream = welcome(&listener);
        stream.read(&mut [0; 1]).expect("an orderly end")
    });
    client.connections().changed().await.expect("the client lives");
    drop(client);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(peer.join().expect("no panic"), 0);
}
