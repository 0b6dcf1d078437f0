//! What a connection owes its peer, and what a peer cannot do to the others.

use super::*;
use crate::config::KekConfig;
use crate::kek::Kek;
use crate::keydir::KeyDirectory;
use crate::keyring::Keyring;
use crate::pool::{Pool, Pools};
use chancel_sandbox::SecretArena;
use chancel_wire::hello::Role;
use chancel_wire::keyd::KeydRequest;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::Barrier;
use std::thread::{self, JoinHandle};

const A_WHILE: Duration = Duration::from_millis(300);

struct Rig {
    keyd: Arc<Keyd>,
    _home: tempfile::TempDir,
}

impl Rig {
    /// A keyd with one worker a role.
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("kek");
        fs::write(&path, [0x5a; 32]).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let arena = SecretArena::new(2, 4096).unwrap();
        let kek = Kek::obtain(&KekConfig::File { path, generation: 1 }, &arena).unwrap();
        let keys = KeyDirectory::open(&home.path().join("keys")).unwrap();
        let running = Arc::new(Barrier::new(3));
        let pools = Pools {
            gateway: Pool::start("gateway", 1, &running).unwrap(),
            policyd: Pool::start("policyd", 1, &running).unwrap(),
        };
        running.wait();
        Self {
            keyd: Arc::new(Keyd::new(Keyring::new(kek, keys, arena), pools)),
            _home: home,
        }
    }

    fn connect(&self, role: Role) -> (UnixStream, JoinHandle<Ended>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        // As the hello leaves it.
        theirs.set_read_timeout(Some(A_WHILE / 3)).unwrap();
        let keyd = Arc::clone(&self.keyd);
        let serving = thread::spawn(move || serve(theirs, AuthenticatedPeer::of_role(role), &keyd));
        (ours, serving)
    }
}

fn health(budget_ms: u32) -> Vec<u8> {
    frame::seal(7, budget_ms, &KeydRequest::Health)
}

fn ask(stream: &mut UnixStream, request: &[u8]) -> Vec<u8> {
    stream.write_all(request).unwrap();
    let mut answers = FrameBuffer::new();
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
    let (mut peer, serving) = Rig::new().connect(Role::Policyd);
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
