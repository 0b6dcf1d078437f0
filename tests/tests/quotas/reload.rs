//! The plans' file: read at start and on SIGHUP; a wrong one changes nothing.

use chancel_tests::api::refused;
use chancel_tests::{Api, Daemon, Installation, Options, plans};
use nix::sys::signal::Signal;

const QUOTA: (u16, &str) = (403, "ERR_QUOTA_001");

fn installation(calls: u64) -> Installation {
    Installation::with(Options {
        plans: Some(of(calls)),
        ..Options::default()
    })
}

fn of(calls: u64) -> String {
    plans::of("free", &[("calls_per_month", calls)])
}

/// Calls until one is denied; returns how many were not.
#[track_caller]
fn calls_left(api: &Api) -> u64 {
    for count in 0..100 {
        let outcome = api.get("/api/v1/tenants/");
        if outcome.is_err() {
            refused(outcome, QUOTA.0, QUOTA.1);
            return count;
        }
    }
    panic!("there is no limit");
}

#[test]
fn new_terms_apply_on_sighup_and_nothing_that_was_counted_is_forgotten() {
    let system = installation(3);
    let tenant = system.tenant("reloads", "free");
    let api = system.api(&system.api_key(&tenant, "*"));
    assert_eq!(calls_left(&api), 3);
    system.reload_plans(&of(5));
    assert_eq!(calls_left(&api), 2);
    let shown = system.cli(&["plans", "show"]);
    assert!(shown.to_string().contains("\"calls_per_month\":5"), "{shown}");
    // A smaller number takes nothing back and allows nothing.
    system.reload_plans(&of(1));
    assert_eq!(calls_left(&api), 0);
    assert_eq!(system.calls(&tenant), 5);
    system.restart(Daemon::Policyd);
    system.wait_ready();
    assert_eq!(calls_left(&api), 0);
    assert_eq!(system.calls(&tenant), 5);
}

#[test]
fn a_wrong_plans_file_is_refused_by_line_and_reason_and_the_old_terms_stay() {
    let system = installation(3);
    let tenant = system.tenant("careful", "free");
    let api = system.api(&system.api_key(&tenant, "*"));
    assert_eq!(calls_left(&api), 3);
    let pid = system.pid(Daemon::Policyd);
    let bad = [
        "this is no TOML [",
        "[platinum]\ncalls_per_month = 100\n",
        "[free]\ncalls = 100\n",
        "[free]\ncalls_per_month = -1\n",
        "[free]\ncalls_per_month = \"many\"\n",
        "[free]\nrate = { per_second = 0, burst = 10 }\ncalls_per_month = 100\n",
        "[free]\nfeatures = [\"teleportation\"]\ncalls_per_month = 100\n",
    ];
    for text in bad {
        let before = system.log(Daemon::Policyd).len();
        system.reload_plans(text);
        let log = system.log(Daemon::Policyd);
        let said = &log[before..];
        assert!(said.contains("plans.toml:"), "{text:?}: {said}");
        assert!(said.contains("the plans stay as they were"), "{text:?}: {said}");
        assert_eq!(calls_left(&api), 0, "{text:?}");
    }
    // A file that is gone is a wrong one as well.
    std::fs::remove_file(system.layout().plans_file()).expect("removed");
    system.signal(Daemon::Policyd, Signal::SIGHUP);
    assert_eq!(calls_left(&api), 0);
    assert_eq!(system.pid(Daemon::Policyd), pid);
    system.reload_plans(&of(4));
    assert_eq!(calls_left(&api), 1, "a good file is taken after bad ones");
}

#[test]
fn policyd_does_not_start_with_a_wrong_plans_file() {
    let system = Installation::prepare(Options {
        plans: Some("[platinum]\n".to_owned()),
        ..Options::default()
    });
    system.start(Daemon::Keyd);
    system.spawn(Daemon::Policyd);
    assert!(!system.wait_end(Daemon::Policyd).success());
    assert!(system.log(Daemon::Policyd).contains("plan"));
}
