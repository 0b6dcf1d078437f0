//! What a connection owes its peer, and what a peer cannot do to the others.

use super::*;
use crate::listen::{Stopper, stop};
use chancel_wire::hello::Role;
use chancel_wire::keyd::KeydRequest;
use std::thread::{self, JoinHandle};

const A_WHILE: Duration = Duration::from_millis(300);

struct Rig {
    pools: Arc<Pools>,
    stop: Arc<Stop>,
    stopper: Option<Stopper>,
    _keyd: crate::rig::Rig,
}

impl Rig {
    /// A keyd with one worker a role.
    fn new() -> Self {
        let keyd = crate::rig::Rig::new();
        let (stopper, stop) = stop().unwrap();
        Self {
            pools: Arc::new(keyd.pools()),
            stop: Arc::new(stop),
            stopper: Some(stopper),
            _keyd: keyd,
        }
    }

    fn connect(&self, role: Role) -> (UnixStream, JoinHandle<Ended>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        // As the hello leaves it.
        theirs.set_read_timeout(Some(A_WHILE / 3)).unwrap();
        let (pools, stop) = (Arc::clone(&self.pools), Arc::clone(&self.stop));
        let serving = thread::spawn(move || serve(theirs, AuthenticatedPeer::of_role(role), &pools, &stop));
        (ours, serving)
    }
}

fn health(budget_ms: u32) -> Vec<u8> {
    frame::seal(7, budget_ms, &KeydRequest::Health)
}

fn ask(stream: &mut UnixStream, request: &[u8]) -> Vec<u8> {
    stream.write_all(request).unwrap();
    let mut answers = FrameBuffer::new(MAX_BATCH_FRAME_BODY);
    loop {
        if let Some(answer) = answers.next_frame().unwrap() {
            return answer.body.to_vec();
        }
        let count = stream.read(answers.spare()).unwrap();
        assert_ne!(count, 0, "the connection ended");
        answers.filled(count);
    }
}

#[test]
fn a_connection_may_rest_after_its_hello_and_between_frames() {
    let rig = Rig::new();
    let (mut peer, serving) = rig.connect(Role::Policyd);
    for _ in 0..2 {
        thread::sleep(A_WHILE);
        assert!(ask(&mut peer, &frame::seal_ping(1)).is_empty());
        let (one, two) = (&health(5000)[..9], &health(5000)[9..]);
        peer.write_all(one).unwrap();
        thread::sleep(A_WHILE / 3);
        ask(&mut peer, two);
    }
    drop(peer);
    assert_eq!(serving.join().unwrap(), Ended::ByPeer);
}

#[test]
fn a_frame_that_does_not_end_is_cut_and_frames_that_do_are_not_however_they_are_split() {
    let rig = Rig::new();
    let (mut stuck, stuck_serving) = rig.connect(Role::Gateway);
    let (mut busy, busy_serving) = rig.connect(Role::Gateway);
    let (one, two) = (&frame::seal_ping(1)[..9], &frame::seal_ping(1)[9..]);
    stuck.write_all(one).unwrap();
    busy.write_all(one).unwrap();
    let until = Instant::now() + FRAME_TIMEOUT + A_WHILE;
    // There is never a moment between two frames.
    while Instant::now() < until {
        thread::sleep(A_WHILE / 30);
        assert!(ask(&mut busy, &[two, one].concat()).is_empty());
    }
    assert_eq!(stuck_serving.join().unwrap(), Ended::HalfFrame);
    drop(busy);
    assert_eq!(busy_serving.join().unwrap(), Ended::ByPeer);
}

#[test]
fn answers_that_were_gathered_go_where_their_requests_came_from_and_each_once() {
    let rig = Rig::new();
    let mut peers: Vec<_> = (0..3).map(|_| rig.connect(Role::Gateway).0).collect();
    let numbers = |peer: u64| (0..100).map(move |number| peer * 1_000 + number);
    for (peer, stream) in (0..).zip(&mut peers) {
        let requests = numbers(peer).flat_map(|number| frame::seal(number, 5_000, &KeydRequest::Health));
        stream.write_all(&requests.collect::<Vec<u8>>()).unwrap();
    }
    for (peer, stream) in (0..).zip(&mut peers) {
        let (mut answers, mut answered) = (FrameBuffer::new(MAX_BATCH_FRAME_BODY), Vec::new());
        while answered.len() < 100 {
            let count = stream.read(answers.spare()).unwrap();
            assert_ne!(count, 0, "the connection ended");
            answers.filled(count);
            while let Some(answer) = answers.next_frame().unwrap() {
                answered.push(answer.correlation);
            }
        }
        assert!(answered.into_iter().eq(numbers(peer)));
    }
}

#[test]
fn a_gateway_that_takes_no_answers_does_not_keep_policyd_waiting() {
    let rig = Rig::new();
    let (mut deaf, _) = rig.connect(Role::Gateway);
    let (mut policyd, _) = rig.connect(Role::Policyd);
    deaf.write_all(&health(5000).repeat(MAX_IN_FLIGHT)).unwrap();
    thread::sleep(A_WHILE);
    let asked = Instant::now();
    ask(&mut policyd, &health(5000));
    assert!(asked.elapsed() < WRITE_TIMEOUT / 2, "{:?}", asked.elapsed());
}

#[test]
fn a_peer_hears_of_the_end_and_what_it_had_sent_is_answered() {
    let mut rig = Rig::new();
    let (mut peer, serving) = rig.connect(Role::Policyd);
    // Still on its way when keyd is told to stop, and sent while the goodbye is.
    peer.write_all(&health(5000)).unwrap();
    rig.stopper = None;
    peer.write_all(&health(5000)).unwrap();
    peer.shutdown(Shutdown::Write).unwrap();
    let mut answers = FrameBuffer::new(MAX_BATCH_FRAME_BODY);
    let (mut goodbyes, mut answered) = (0, 0);
    loop {
        while let Some(frame) = answers.next_frame().unwrap() {
            match frame.correlation {
                GOODBYE => goodbyes += 1,
                _ => answered += 1,
            }
        }
        match peer.read(answers.spare()).unwrap() {
            0 => break,
            count => answers.filled(count),
        }
    }
    assert_eq!((goodbyes, answered), (1, 2));
    assert_eq!(serving.join().unwrap(), Ended::ByPeer);
}

#[test]
fn a_peer_that_rests_and_does_not_hear_the_goodbye_keeps_nobody_from_stopping() {
    let mut rig = Rig::new();
    let (_peer, serving) = rig.connect(Role::Policyd);
    rig.stopper = None;
    assert_eq!(serving.join().unwrap(), Ended::ByPeer);
}
