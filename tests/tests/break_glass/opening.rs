//! Who opens break-glass, and for how long.

use crate::needs_root;
use crate::scene::{Scene, command, open_for};
use chancel_tests::raw::Line;
use chancel_tests::{Daemon, Installation, Options};
use chancel_wire::hello::{Role, ServiceToken};
use chancel_wire::keyd::{BreakGlassCommand, KeydError, KeydRequest};
use std::os::unix::net::UnixStream;

fn installation() -> Installation {
    let installation = Installation::prepare(Options::default());
    installation.start(Daemon::Keyd);
    installation.start(Daemon::Policyd);
    installation.wait_compared();
    installation
}

#[test]
fn only_root_opens_break_glass_and_only_over_keyds_socket() {
    let system = installation();
    needs_root!(
        system,
        "break_glass::only_root_opens_break_glass_and_only_over_keyds_socket"
    );
    let layout = system.layout();
    let accounts = *system.accounts();
    // Every other account is refused as an operator, whatever token it shows.
    let gateway_token = system
        .attacker_in_gateway()
        .token(&layout.path("gateway/gateway-keyd.token"));
    let policyd = system.actor(accounts.policyd);
    let policyd_token = policyd.token(&layout.path("policyd/policyd-keyd.token"));
    for account in [
        accounts.gateway,
        accounts.policyd,
        accounts.keyd,
        accounts.stranger,
    ] {
        for token in [&ServiceToken::none(), &gateway_token, &policyd_token] {
            let actor = system.actor(account);
            let operator = actor.peer(&layout.keyd_socket(), Role::Operator, token);
            assert!(operator.is_err(), "{account:?}");
        }
    }
    // Those who are welcome in their own role may not ask for it.
    let commands = || {
        [
            open_for(1_000),
            BreakGlassCommand::Status,
            BreakGlassCommand::Close,
        ]
    };
    let mut gateway = system
        .attacker_in_gateway()
        .peer(&layout.keyd_socket(), Role::Gateway, &gateway_token)
        .expect("the gateway is welcome");
    let mut policyd = policyd
        .peer(&layout.keyd_socket(), Role::Policyd, &policyd_token)
        .expect("policyd is welcome");
    for command in commands() {
        let request = KeydRequest::BreakGlass(command);
        for peer in [&mut gateway, &mut policyd] {
            assert_eq!(peer.refusal(&request), KeydError::NotForThisPeer);
        }
    }
    assert_eq!(
        command(&system, BreakGlassCommand::Status).map(|state| state.remaining_ms),
        Ok(0)
    );
    // Root may, and root may do nothing else there.
    assert!(command(&system, open_for(1_000)).is_ok_and(|state| state.remaining_ms > 0));
    let mut operator = system.operator_at_keyd();
    for request in [
        KeydRequest::RenewPermitKey,
        KeydRequest::Inventory { after: None },
    ] {
        assert_eq!(operator.refusal(&request), KeydError::NotForThisPeer);
    }
    // And root in another's role is not welcome, token or not.
    for (role, token) in [(Role::Gateway, &gateway_token), (Role::Policyd, &policyd_token)] {
        let stream = UnixStream::connect(layout.keyd_socket()).expect("anybody may knock");
        assert!(Line::over(stream).hello(role, token).is_err());
    }
}

#[test]
fn break_glass_opens_for_no_longer_than_the_installation_says_and_never_for_more_than_a_quarter_of_an_hour() {
    let with = |longest: &str| {
        Installation::prepare(Options {
            sections: vec![(Daemon::Keyd, format!("[break_glass]\nlongest = \"{longest}\"\n"))],
            ..Options::default()
        })
    };
    const MINUTE: u64 = 60_000;
    let system = Installation::prepare(Options::default());
    needs_root!(
        system,
        "break_glass::break_glass_opens_for_no_longer_than_the_installation_says_and_never_for_more_than_a_quarter_of_an_hour"
    );
    for (system, longest) in [
        (system, 5 * MINUTE),
        (with("2m"), 2 * MINUTE),
        (with("15m"), 15 * MINUTE),
    ] {
        system.start(Daemon::Keyd);
        for wrong in [0, longest + 1, 16 * MINUTE, u64::MAX] {
            assert_eq!(
                command(&system, open_for(wrong)),
                Err(KeydError::BreakGlassTime),
                "{wrong}"
            );
        }
        let status = command(&system, BreakGlassCommand::Status).expect("a state");
        assert_eq!((status.remaining_ms, status.longest_ms), (0, longest));
        let opened = command(&system, open_for(longest)).expect("opened");
        assert!((1..=longest).contains(&opened.remaining_ms));
    }
    for impossible in ["16m", "1h", "-1s", "soon"] {
        let system = with(impossible);
        system.spawn(Daemon::Keyd);
        assert!(!system.wait_end(Daemon::Keyd).success(), "{impossible}");
    }
}

#[test]
fn an_installation_that_wants_none_has_none() {
    let system = Installation::prepare(Options {
        sections: vec![(Daemon::Keyd, "[break_glass]\nenabled = false\n".to_owned())],
        ..Options::default()
    });
    needs_root!(system, "break_glass::an_installation_that_wants_none_has_none");
    system.start(Daemon::Keyd);
    assert!(command(&system, open_for(1_000)).is_err());
    let output = system.cli_output(&["break-glass", "open", "--for", "1m", "--reason", "x"]);
    assert!(!output.status.success());
}

#[test]
fn the_command_line_opens_shows_and_closes_it_and_wants_a_reason() {
    let scene = Scene::new();
    needs_root!(
        scene.system,
        "break_glass::the_command_line_opens_shows_and_closes_it_and_wants_a_reason"
    );
    let system = &scene.system;
    for arguments in [
        &["break-glass", "open", "--for", "1m"][..],
        &["break-glass", "open", "--for", "1m", "--reason", ""],
        &["break-glass", "open", "--for", "6m", "--reason", "too long"],
        &["break-glass", "open", "--for", "0s", "--reason", "no time"],
    ] {
        let output = system.cli_output(arguments);
        assert!(!output.status.success(), "{arguments:?}");
    }
    assert_eq!(scene.events(), [""; 0]);
    let opened = scene.open("1m").to_string();
    let shown = system.cli(&["break-glass", "status"]);
    assert!(!shown.to_string().is_empty() && !opened.is_empty());
    // Loud in the status of the whole as well.
    assert!(system.cli(&["status"]).to_string().contains("break_glass"));
    system.cli(&["break-glass", "close"]);
    assert_eq!(scene.events(), ["opened", "closed"]);
    let records = system.records(chancel_ledger::LedgerName::Uses);
    let opened = records.kind("break-glass").next().expect("it was opened");
    assert_eq!(opened["reason"], "policyd's disk is full");
    assert_eq!(opened["uid"], 0);
    assert_eq!(opened["for_ms"], 60_000);
}

#[test]
fn break_glass_that_cannot_be_recorded_does_not_open() {
    let system = installation();
    needs_root!(
        system,
        "break_glass::break_glass_that_cannot_be_recorded_does_not_open"
    );
    // The ledger's file system is full.
    let directory = system.layout().ledger(chancel_ledger::LedgerName::Uses);
    system.stop(Daemon::Keyd);
    let Some(small) = chancel_tests::small_disk::SmallDisk::at(
        &directory,
        system.account(Daemon::Keyd),
        "break_glass::break_glass_that_cannot_be_recorded_does_not_open",
    ) else {
        return;
    };
    system.start(Daemon::Keyd);
    small.fill();
    // What is left of the last page is used up first.
    let refused = system.until("the disk to be full for the ledger as well", || {
        command(&system, open_for(1)).err()
    });
    assert_eq!(refused, KeydError::LedgerUnwritable);
    for _ in 0..5 {
        assert_eq!(
            command(&system, open_for(60_000)),
            Err(KeydError::LedgerUnwritable)
        );
        let state = command(&system, BreakGlassCommand::Status).expect("a state");
        assert_eq!(state.remaining_ms, 0);
    }
    small.free();
    system.until("break-glass to open again", || {
        command(&system, open_for(1_000)).ok()
    });
    system.stop(Daemon::Keyd);
    drop(small);
}
