//! Who gets to speak at all: the kernel's word on the peer first, then the role and its token.

use crate::scene::{CONNECTIONS_REFUSED, assert_counted, connect, connect_as_policyd, scene, system, way_to};
use chancel_tests::actor::{Actor, Held};
use chancel_tests::raw::{Line, Peer};
use chancel_tests::{Daemon, Installation, Metrics, needs_separate_accounts};
use chancel_wire::admin::{AdminReply, AdminRequest};
use chancel_wire::decode;
use chancel_wire::hello::{Hello, Role, ServiceToken};
use chancel_wire::limits::PROTOCOL_VERSION;
use std::os::unix::net::UnixStream;
use std::path::Path;

const POLICYD_REFUSED: &str = "chancel_policyd_connections_refused_total";

/// Both daemons, watched from connections that stand throughout.
struct Watched {
    keyd: Held<Peer>,
    policyd: Held<Peer>,
}

impl Watched {
    fn new(system: &Installation) -> Self {
        Self {
            keyd: connect(system, Daemon::Keyd),
            policyd: connect(system, Daemon::Policyd),
        }
    }

    fn metrics(&mut self, daemon: Daemon) -> Metrics {
        match daemon {
            Daemon::Keyd => self.keyd.keyd_metrics(),
            _ => self.policyd.policyd_metrics(),
        }
    }

    /// Does something that must be refused once, for the reason that each daemon has its own name for.
    #[track_caller]
    fn refused(&mut self, daemon: Daemon, reasons: [&str; 2], attempt: impl FnOnce() -> bool) {
        let (name, reason) = match daemon {
            Daemon::Keyd => (CONNECTIONS_REFUSED, reasons[0]),
            _ => (POLICYD_REFUSED, reasons[1]),
        };
        let before = self.metrics(daemon);
        assert!(attempt(), "{daemon:?} let it in");
        let after = self.metrics(daemon);
        assert_counted(&before, &after, name, reason, 1);
    }
}

#[test]
fn another_account_is_refused_at_the_connection_though_it_has_the_token() {
    let system = system();
    needs_separate_accounts!(
        system,
        "attacker::another_account_is_refused_at_the_connection_though_it_has_the_token"
    );
    let mut watched = Watched::new(&system);
    let accounts = *system.accounts();
    for daemon in [Daemon::Keyd, Daemon::Policyd] {
        let (socket, token) = way_to(&system, daemon);
        let token = system.attacker_in_gateway().token(&token);
        let mut others = vec![accounts.stranger, accounts.keyd];
        if daemon == Daemon::Policyd {
            others.push(accounts.policyd);
        }
        for account in others {
            let actor = system.actor(account);
            watched.refused(daemon, ["wrong-account", "wrong-user"], || {
                actor.peer(&socket, Role::Gateway, &token).is_err()
            });
            // It is not even listened to.
            watched.refused(daemon, ["wrong-account", "wrong-user"], || {
                actor.connect(&socket).is_closed()
            });
        }
        // Root is no exception, though keyd listens to it: it may be an operator there, and no gateway.
        watched.refused(daemon, ["wrong-token", "wrong-user"], || {
            let stream = UnixStream::connect(&socket).expect("anybody may knock");
            Line::over(stream).hello(Role::Gateway, &token).is_err()
        });
    }
}

#[test]
fn the_gateways_account_in_the_role_of_policyd_is_refused() {
    let system = system();
    needs_separate_accounts!(
        system,
        "attacker::the_gateways_account_in_the_role_of_policyd_is_refused"
    );
    let mut watched = Watched::new(&system);
    let attacker = system.attacker_in_gateway();
    let (socket, own) = way_to(&system, Daemon::Keyd);
    // Its own token, nothing, a guess, and even the right one, which it cannot read.
    let right = system
        .actor(system.accounts().policyd)
        .token(&system.layout().path("policyd/policyd-keyd.token"));
    let tokens = [
        attacker.token(&own),
        ServiceToken::none(),
        ServiceToken::from_bytes([0x5a; 32]),
        right,
    ];
    for token in &tokens {
        watched.refused(Daemon::Keyd, ["wrong-token", ""], || {
            attacker.peer(&socket, Role::Policyd, token).is_err()
        });
    }
    watched.refused(Daemon::Keyd, ["wrong-token", ""], || {
        attacker.peer(&socket, Role::Operator, &tokens[0]).is_err()
    });
    drop(connect_as_policyd(&system));
}

#[test]
fn the_right_account_with_a_wrong_token_or_hello_is_refused() {
    let system = system();
    let mut watched = Watched::new(&system);
    let attacker = system.attacker_in_gateway();
    for daemon in [Daemon::Keyd, Daemon::Policyd] {
        let (socket, token) = way_to(&system, daemon);
        let right = attacker.read(&token).expect("its own token");
        for bit in [0, 7, 128, 255] {
            let mut wrong: [u8; 32] = right.clone().try_into().expect("32 bytes");
            wrong[bit / 8] ^= 1 << (bit % 8);
            watched.refused(daemon, ["wrong-token", "wrong-token"], || {
                attacker
                    .peer(&socket, Role::Gateway, &ServiceToken::from_bytes(wrong))
                    .is_err()
            });
        }
        let good = Hello::new(Role::Gateway, attacker.token(&token)).to_bytes();
        for (position, value) in [(0, b'X'), (4, 0xff), (5, PROTOCOL_VERSION as u8 + 1), (6, 9)] {
            let mut hello = good;
            hello[position] = value;
            watched.refused(daemon, ["bad-hello", "wrong-hello"], || {
                let held = attacker.connect(&socket);
                say(held, &hello)
            });
        }
        // HTTP, sent to the wrong door.
        watched.refused(daemon, ["bad-hello", "wrong-hello"], || {
            let held = attacker.connect(&socket);
            say(held, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        });
        // Half a hello, and then nothing: given up within its time.
        watched.refused(daemon, ["no-hello", "no-hello"], || {
            let held = attacker.connect(&socket);
            say(held, &good[..20])
        });
        attacker
            .connect(&socket)
            .line
            .send(&[])
            .expect("the daemon still listens");
        drop(connect(&system, daemon));
    }
}

fn say(mut held: Held<Line>, bytes: &[u8]) -> bool {
    // It may have closed before the last byte.
    let _ = held.send(bytes);
    held.is_closed()
}

#[test]
fn connections_of_the_gateway_do_not_crowd_policyds_out() {
    let mut scene = scene();
    needs_separate_accounts!(
        scene.system,
        "attacker::connections_of_the_gateway_do_not_crowd_policyds_out"
    );
    let (socket, token) = way_to(&scene.system, Daemon::Keyd);
    let token = scene.attacker.token(&token);
    let before = scene.keyd.keyd_metrics();
    let opened: Vec<_> = (0..20)
        .map(|_| scene.attacker.peer(&socket, Role::Gateway, &token))
        .collect();
    let refused = opened.iter().filter(|outcome| outcome.is_err()).count() as u64;
    assert!((1..20).contains(&refused), "{refused} of 20 refused");
    let after = scene.keyd.keyd_metrics();
    assert_counted(
        &before,
        &after,
        CONNECTIONS_REFUSED,
        "too-many-connections",
        refused,
    );
    // policyd still gets in, and lives: a key can be made.
    drop(connect_as_policyd(&scene.system));
    let (permit, input) = scene.permit_to_sign(b"in spite of the crowd");
    scene.works(&permit, &input);
    drop(opened);
    scene.system.until("the places to be free again", || {
        scene.attacker.peer(&socket, Role::Gateway, &token).ok()
    });
}

#[test]
fn the_admin_socket_is_closed_to_the_gateway_and_to_strangers() {
    let system = system();
    needs_separate_accounts!(
        system,
        "attacker::the_admin_socket_is_closed_to_the_gateway_and_to_strangers"
    );
    let mut watched = Watched::new(&system);
    let socket = system.layout().admin_socket();
    let accounts = *system.accounts();
    for account in [accounts.gateway, accounts.keyd, accounts.stranger] {
        let actor = system.actor(account);
        watched.refused(Daemon::Policyd, ["", "wrong-user"], || {
            asks_status(&actor, &socket).is_none()
        });
    }
    // policyd's own account and root may; anything but an operator's hello is refused to them as well.
    let policyd = system.actor(accounts.policyd);
    assert!(asks_status(&policyd, &socket).is_some());
    assert!(system.cli(&["status"])["policyd"].is_object());
    watched.refused(Daemon::Policyd, ["", "wrong-hello"], || {
        policyd
            .peer(&socket, Role::Gateway, &ServiceToken::none())
            .is_err()
    });
}

fn asks_status(actor: &Actor, socket: &Path) -> Option<()> {
    let mut peer = actor.peer(socket, Role::Operator, &ServiceToken::none()).ok()?;
    let body = peer.ask(&AdminRequest::Status).ok()?;
    matches!(decode(&body.0), Ok(AdminReply::Status(_))).then_some(())
}
