//! Bytes that are no frames, from a peer that was let in: its connection is closed or it is told so, and nobody else
//! notices. A good client works beside each attempt.

use crate::scene::{CONNECTIONS_REFUSED, REQUESTS_REFUSED, Scene, assert_counted, connect, scene};
use chancel_tests::wait::until;
use chancel_tests::{Daemon, Metrics};
use chancel_wire::frame;
use chancel_wire::keyd::{KeydError, KeydReply, KeydRequest};
use chancel_wire::limits::{FRAME_TIMEOUT, MAX_BATCH_FRAME_BODY, MAX_FRAME_BODY};
use chancel_wire::policyd::{PolicydFailure, PolicydReply, PolicydRequest};
use std::time::{Duration, Instant};

const POLICYD_REFUSED: &str = "chancel_policyd_connections_refused_total";
/// Beyond a bound of the protocol, for a busy machine.
const MARGIN: Duration = Duration::from_secs(8);

/// Does something to some connections at once that gets each closed, counted under the reason that each daemon has its
/// own name for, while good clients of both daemons go on.
#[track_caller]
fn closed(scene: &mut Scene, reasons: [&str; 2], attacks: &[&[u8]]) {
    for daemon in [Daemon::Keyd, Daemon::Policyd] {
        let (name, reason) = match daemon {
            Daemon::Keyd => (CONNECTIONS_REFUSED, reasons[0]),
            _ => (POLICYD_REFUSED, reasons[1]),
        };
        let before = metrics(scene, daemon);
        let mut victims: Vec<_> = attacks
            .iter()
            .map(|bytes| {
                let mut victim = connect(&scene.system, daemon);
                // It may be closed before the last byte is sent.
                let _ = victim.send_bytes(bytes);
                victim
            })
            .collect();
        // Before the attacker's connections have ended, and after.
        works(scene);
        for (number, victim) in victims.iter_mut().enumerate() {
            assert!(victim.is_closed(), "{daemon:?} keeps connection {number}");
        }
        works(scene);
        // A connection is counted just after it was closed.
        let count = attacks.len() as u64;
        until("the connections to be counted", || {
            (metrics(scene, daemon).sum(name) >= before.sum(name) + count).then_some(())
        });
        assert_counted(&before, &metrics(scene, daemon), name, reason, count);
    }
}

fn metrics(scene: &mut Scene, daemon: Daemon) -> Metrics {
    match daemon {
        Daemon::Keyd => scene.keyd.keyd_metrics(),
        _ => scene.policyd.policyd_metrics(),
    }
}

#[track_caller]
fn works(scene: &mut Scene) {
    let (permit, input) = scene.permit_to_sign(b"beside the attack");
    scene.works(&permit, &input);
}

const OUT_OF_BOUNDS: [&str; 2] = ["frame-out-of-bounds", "malformed-frame"];

#[test]
fn an_oversized_frame_closes_that_connection_alone() {
    // One byte more than the largest body of all, and the largest number there is; the body is not even sent.
    let lengths = [12 + MAX_BATCH_FRAME_BODY as u32 + 1, u32::MAX, 1 << 31].map(u32::to_be_bytes);
    let attacks: Vec<&[u8]> = lengths.iter().map(<[u8; 4]>::as_slice).collect();
    closed(&mut scene(), OUT_OF_BOUNDS, &attacks);
}

#[test]
fn a_frame_shorter_than_its_header_closes_that_connection_alone() {
    let lengths = [0u32, 1, 11].map(u32::to_be_bytes);
    let attacks: Vec<&[u8]> = lengths.iter().map(<[u8; 4]>::as_slice).collect();
    closed(&mut scene(), OUT_OF_BOUNDS, &attacks);
}

#[test]
fn garbage_closes_that_connection_alone() {
    let mut scene = scene();
    for _ in 0..4 {
        let mut garbage = vec![0; 100_000];
        aws_lc_rs::rand::fill(&mut garbage).expect("randomness");
        // Its first four bytes are no length; what follows them is read by nobody.
        garbage[0] |= 0x80;
        closed(&mut scene, OUT_OF_BOUNDS, &[&garbage]);
    }
}

#[test]
fn a_half_open_frame_closes_that_connection_alone() {
    let whole = frame::seal(1, 1_000, &vec![7u8; 1_000]);
    let attacks: Vec<&[u8]> = [1, 4, 15, 16, whole.len() - 1]
        .into_iter()
        .map(|cut| &whole[..cut])
        .collect();
    let begun = Instant::now();
    closed(&mut scene(), ["half-frame", "half-open-frame"], &attacks);
    // For both daemons, one after the other.
    let took = begun.elapsed();
    assert!(took >= 2 * FRAME_TIMEOUT, "a slow peer has its time: {took:?}");
    assert!(took < 2 * FRAME_TIMEOUT + MARGIN, "{took:?}");
}

#[test]
fn a_truncated_frame_is_dropped_with_its_connection() {
    let mut scene = scene();
    let keyd = chancel_wire::encode(&KeydRequest::Health);
    let policyd = chancel_wire::encode(&PolicydRequest::Health);
    for (daemon, body) in [(Daemon::Keyd, keyd), (Daemon::Policyd, policyd)] {
        let before = (scene.keyd.keyd_metrics(), scene.policyd.policyd_metrics());
        let mut header = frame::seal_ping(1);
        header[..4].copy_from_slice(&(12 + body.len() as u32 + 1).to_be_bytes());
        let mut victim = connect(&scene.system, daemon);
        victim
            .send_bytes(&[header.as_slice(), &body].concat())
            .expect("sent");
        drop(victim);
        works(&mut scene);
        // A peer that goes away in the middle is nothing to be counted, and nothing was answered or done.
        let after = (scene.keyd.keyd_metrics(), scene.policyd.policyd_metrics());
        assert_eq!(before.0.sum(REQUESTS_REFUSED), after.0.sum(REQUESTS_REFUSED));
    }
}

#[test]
fn a_body_that_is_no_request_is_answered_as_such() {
    let mut scene = scene();
    let bodies: Vec<Vec<u8>> = vec![
        vec![0xff; 100],
        vec![7],
        vec![0; MAX_FRAME_BODY],
        b"{\"operation\": \"sign\"}".to_vec(),
        [chancel_wire::encode(&KeydRequest::Health), vec![0]].concat(),
    ];
    let before = scene.keyd.keyd_metrics();
    for body in &bodies {
        let answer = scene.keyd.ask_bytes(body).expect("keyd answers");
        assert!(
            matches!(answer.keyd(), KeydReply::Refused(KeydError::Malformed)),
            "{:?}",
            answer.keyd()
        );
    }
    let after = scene.keyd.keyd_metrics();
    assert_counted(
        &before,
        &after,
        REQUESTS_REFUSED,
        "malformed",
        bodies.len() as u64,
    );
    let bodies = [
        vec![0xff; 100],
        vec![0; MAX_FRAME_BODY],
        b"GET / HTTP/1.1".to_vec(),
        [chancel_wire::encode(&PolicydRequest::Health), vec![0]].concat(),
    ];
    for body in &bodies {
        let answer = scene.policyd.ask_bytes(body).expect("policyd answers");
        assert!(
            matches!(answer.policyd(), PolicydReply::Failed(PolicydFailure::Malformed)),
            "{:?}",
            answer.policyd()
        );
    }
    works(&mut scene);
}
