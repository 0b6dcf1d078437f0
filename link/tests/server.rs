//! The answering end against peers that may not connect, do not speak the protocol, or overdo it.

mod support;

use chancel_link::{Admission, BindError, Expected, Listener, OperatorRule, Refusal};
use chancel_wire::frame::{FrameBuffer, seal, seal_ping};
use chancel_wire::hello::{Hello, Role, ServiceToken};
use chancel_wire::limits::{FRAME_TIMEOUT, HELLO_TIMEOUT, MAX_IN_FLIGHT};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};
use support::{Scratch, Served, greeted, is_cut, own_uid, services, token};

fn connect(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).expect("the server listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(5)))
        .expect("a time-out is set");
    stream
}

/// Reads `count` answers as (correlation, number); pings have no number.
fn answers(stream: &mut UnixStream, count: usize) -> Vec<(u64, Option<u64>)> {
    let mut buffer = FrameBuffer::new(chancel_wire::limits::MAX_BATCH_FRAME_BODY);
    let mut seen = Vec::new();
    while seen.len() < count {
        let read = stream.read(buffer.spare()).expect("answers come");
        assert!(read > 0, "the server hung up after {} answers", seen.len());
        buffer.filled(read);
        while let Some(frame) = buffer.next_frame().expect("frames are sound") {
            let number =
                (!frame.body.is_empty()).then(|| chancel_wire::decode(frame.body).expect("a number"));
            seen.push((frame.correlation, number));
        }
    }
    seen
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.expect("no panic")
}

/// Sends bytes instead of a hello and expects to be turned away for one reason, within a time.
async fn turned_away(admission: Admission, bytes: Vec<u8>, reason: Refusal, within: Duration) {
    let scratch = Scratch::new();
    let server = Served::start(&scratch.socket(), admission, Duration::ZERO);
    let path = scratch.socket();
    let elapsed = blocking(move || {
        let begun = Instant::now();
        let mut stream = connect(&path);
        let _ = stream.write_all(&bytes);
        assert!(is_cut(&mut stream), "{reason:?}: no answer may be given");
        begun.elapsed()
    })
    .await;
    assert!(elapsed < within, "{reason:?} took {elapsed:?}");
    assert_eq!(server.refusals.count(reason), 1, "{reason:?}");
    server.stop().await;
}

fn hello(role: Role, token: ServiceToken) -> Vec<u8> {
    Hello::new(role, token).to_bytes().to_vec()
}

#[tokio::test]
async fn who_does_not_belong_is_turned_away_for_the_right_reason() {
    let soon = Duration::from_millis(500);
    let stranger = Admission::Services(vec![Expected {
        role: Role::Gateway,
        uid: own_uid() + 1,
        token: token(),
    }]);
    turned_away(stranger, Vec::new(), Refusal::WrongUser, soon).await;
    let wrong = ServiceToken::from_bytes([8; 32]);
    turned_away(services(), hello(Role::Gateway, wrong), Refusal::WrongToken, soon).await;
    turned_away(
        services(),
        hello(Role::Policyd, token()),
        Refusal::WrongHello,
        soon,
    )
    .await;
    turned_away(services(), vec![0x16; 64], Refusal::WrongHello, soon).await;
    let late = HELLO_TIMEOUT + soon;
    turned_away(services(), Vec::new(), Refusal::NoHello, late).await;
    turned_away(
        services(),
        hello(Role::Gateway, token())[..20].to_vec(),
        Refusal::NoHello,
        late,
    )
    .await;
}

#[tokio::test]
async fn operators_are_admitted_by_user_or_group_and_nobody_else() {
    let nobody = OperatorRule {
        uids: vec![own_uid() + 1],
        gid: Some(u32::MAX - 7),
    };
    let bytes = hello(Role::Operator, ServiceToken::none());
    turned_away(
        Admission::Operators(nobody),
        bytes.clone(),
        Refusal::WrongUser,
        Duration::from_millis(500),
    )
    .await;
    let own = OperatorRule {
        uids: vec![own_uid()],
        gid: None,
    };
    let service = hello(Role::Gateway, token());
    turned_away(
        Admission::Operators(own.clone()),
        service,
        Refusal::WrongHello,
        Duration::from_millis(500),
    )
    .await;

    let scratch = Scratch::new();
    let server = Served::start(&scratch.socket(), Admission::Operators(own), Duration::ZERO);
    let path = scratch.socket();
    let seen = blocking(move || {
        let mut stream = connect(&path);
        stream.write_all(&bytes).expect("the hello fits");
        stream.read_exact(&mut [0; 6]).expect("a welcome comes");
        stream.write_all(&seal(3, 1000, &4u64)).expect("the request fits");
        answers(&mut stream, 1)
    })
    .await;
    assert_eq!(seen, [(3, Some(5))]);
    server.stop().await;
}

#[tokio::test]
async fn a_batch_of_requests_is_answered_whole_and_pings_overtake_slow_work() {
    let scratch = Scratch::new();
    let server = Served::start(&scratch.socket(), services(), Duration::from_millis(100));
    let path = scratch.socket();
    let seen = blocking(move || {
        let mut stream = greeted(&path);
        let batch = [seal(1, 1000, &1u64), seal(2, 1000, &2u64), seal_ping(9).to_vec()].concat();
        stream.write_all(&batch).expect("the batch fits");
        answers(&mut stream, 3)
    })
    .await;
    assert_eq!(seen, [(2, Some(3)), (9, None), (1, Some(2))]);
    server.stop().await;
}

#[tokio::test]
async fn a_flood_of_slow_requests_is_answered_with_overload_beyond_the_bound() {
    let scratch = Scratch::new();
    let server = Served::start(&scratch.socket(), services(), Duration::from_millis(300));
    let path = scratch.socket();
    let seen = blocking(move || {
        let mut stream = greeted(&path);
        let flood: Vec<u8> = (0..MAX_IN_FLIGHT as u64 + 5)
            .flat_map(|n| seal(n, 1000, &1u64))
            .collect();
        stream.write_all(&flood).expect("the flood fits");
        answers(&mut stream, MAX_IN_FLIGHT + 5)
    })
    .await;
    let refused = seen.iter().filter(|(_, number)| *number == Some(0)).count();
    assert_eq!(refused, 5);
    server.stop().await;
}

#[tokio::test]
async fn malformed_and_half_open_frames_cut_the_connection() {
    for (bytes, reason, within) in [
        (
            u32::MAX.to_be_bytes().to_vec(),
            Refusal::MalformedFrame,
            Duration::from_millis(500),
        ),
        (
            3u32.to_be_bytes().to_vec(),
            Refusal::MalformedFrame,
            Duration::from_millis(500),
        ),
        (
            seal(1, 0, &1u64)[..10].to_vec(),
            Refusal::HalfOpenFrame,
            FRAME_TIMEOUT + Duration::from_millis(500),
        ),
    ] {
        let scratch = Scratch::new();
        let server = Served::start(&scratch.socket(), services(), Duration::ZERO);
        let path = scratch.socket();
        let elapsed = blocking(move || {
            let begun = Instant::now();
            let mut stream = greeted(&path);
            stream.write_all(&bytes).expect("the bytes fit");
            assert!(is_cut(&mut stream));
            begun.elapsed()
        })
        .await;
        assert!(elapsed < within, "{reason:?} took {elapsed:?}");
        assert_eq!(server.refusals.count(reason), 1, "{reason:?}");
        server.stop().await;
    }
}

#[tokio::test]
async fn a_frame_that_trickles_is_cut_however_steady() {
    let scratch = Scratch::new();
    let server = Served::start(&scratch.socket(), services(), Duration::ZERO);
    let path = scratch.socket();
    blocking(move || {
        let mut stream = greeted(&path);
        let frame = seal(1, 0, &vec![0u8; 4096]);
        let begun = Instant::now();
        for byte in &frame {
            if stream.write_all(&[*byte]).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(begun.elapsed() < 2 * FRAME_TIMEOUT, "{:?}", begun.elapsed());
    })
    .await;
    assert_eq!(server.refusals.count(Refusal::HalfOpenFrame), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_peer_that_does_not_take_its_answers_is_cut() {
    let scratch = Scratch::new();
    let server = Served::start(&scratch.socket(), services(), Duration::ZERO);
    let path = scratch.socket();
    blocking(move || {
        let mut stream = greeted(&path);
        let begun = Instant::now();
        let pings = seal_ping(1).repeat(1024);
        while stream.write_all(&pings).is_ok() {}
        assert!(begun.elapsed() < 2 * FRAME_TIMEOUT);
    })
    .await;
    assert_eq!(server.refusals.count(Refusal::UnreadAnswers), 1);
    server.stop().await;
}

#[tokio::test]
async fn work_under_way_is_finished_and_answered_when_the_server_stops() {
    let scratch = Scratch::new();
    let server = Served::start(&scratch.socket(), services(), Duration::from_millis(200));
    let client = support::client(&scratch.socket());
    let call = client.call(&1u64, Duration::from_secs(1));
    tokio::time::sleep(Duration::from_millis(50)).await;
    server.stop().await;
    assert_eq!(call.await.expect("an answer").decode(), Ok(2u64));
}

#[tokio::test]
async fn a_living_listener_is_not_displaced_and_a_dead_one_is() {
    let scratch = Scratch::new();
    let living = UnixListener::bind(scratch.socket()).expect("the path is free");
    assert!(matches!(
        Listener::bind(&scratch.socket(), 0o600),
        Err(BindError::InUse(_))
    ));
    drop(living);
    let _listener = Listener::bind(&scratch.socket(), 0o660).expect("a stale socket is removed");
    let mode = std::fs::metadata(scratch.socket())
        .expect("it exists")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o660);

    let file = scratch.socket().with_extension("file");
    std::fs::write(&file, b"precious").expect("written");
    assert!(matches!(
        Listener::bind(&file, 0o600),
        Err(BindError::NotASocket(_))
    ));
    assert_eq!(std::fs::read(&file).expect("still there"), b"precious");
}
