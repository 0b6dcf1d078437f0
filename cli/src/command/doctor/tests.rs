//! A host on which all is well, and one thing at a time that is not.

use super::checks;
use super::expected::{self, Group, Sockets};
use super::facts::{Facts, LedgerRoom};
use super::finding::{Finding, Report, Verdict};
use crate::certificate::Chain;
use crate::host::Look;
use crate::host::config::{Account, Configuration};
use crate::host::disk::Space;
use crate::host::file::{Found, Kind};
use crate::host::kernel::Kernel;
use crate::host::memory::{Swap, SwapKind};
use crate::host::monitor::Readiness;
use crate::host::process::Confined;
use crate::host::systemd::{GATEWAY, KEYD, UNITS, Unit};
use crate::test_certificates::{Made, at};
use std::path::Path;

const KEYD_UID: u32 = 901;
const POLICYD_UID: u32 = 902;
const GATEWAY_UID: u32 = 903;

const KEYD_TOML: &str = r#"
key_directory = "/var/lib/chancel-keyd/keys"
[kek]
source = "credential"
[ledger]
directory = "/var/lib/chancel-keyd/ledger"
[gateway]
account = 903
[policyd]
account = 902
"#;
const POLICYD_TOML: &str = r#"
socket = "/run/chancel-policyd/policyd.sock"
database = "/var/lib/chancel-policyd/chancel.db"
[ledger]
directory = "/var/lib/chancel-policyd/ledger"
[keyd]
account = 901
"#;
const GATEWAY_TOML: &str = "listen = \"0.0.0.0:8443\"\n[tls]\n";

fn unit(name: &str) -> Unit {
    let is_service = name.ends_with(".service");
    Unit {
        name: name.to_owned(),
        load_state: "loaded".to_owned(),
        active_state: "active".to_owned(),
        sub_state: "running".to_owned(),
        since: "Mon 2026-01-05 10:00:00 UTC".to_owned(),
        restarts: 0,
        pid: is_service.then_some(800),
        memlock: Some(8 << 20),
        open_files: Some(4096),
        core: Some(0),
    }
}

fn configuration() -> Configuration {
    Configuration {
        keyd: Look::Seen(toml::from_str(KEYD_TOML).unwrap()),
        policyd: Look::Seen(toml::from_str(POLICYD_TOML).unwrap()),
        gateway: Look::Seen(toml::from_str(GATEWAY_TOML).unwrap()),
    }
}

/// All is well.
fn well() -> Facts {
    let configuration = configuration();
    let sockets = Sockets {
        keyd: Path::new("/run/chancel-keyd/keyd.sock"),
        admin: Path::new("/run/chancel-policyd/admin.sock"),
    };
    let files = expected::all(Path::new("/etc/chancel"), &configuration, &sockets)
        .into_iter()
        .map(|expected| {
            let found = Found {
                kind: expected.kind,
                uid: expected.owners[0].uid.unwrap(),
                mode: 0o777 & !expected.forbidden,
                size: 100,
            };
            (expected, Look::Seen(Some(found)))
        })
        .collect();
    let made = Made::self_signed(&["localhost"]);
    let room = |name, directory: &str| LedgerRoom {
        name,
        directory: directory.into(),
        reserve: 64 << 20,
        space: Look::Seen(Space {
            free: 20 << 30,
            total: 40 << 30,
        }),
    };
    Facts {
        now: at(made.from.as_second() + 1),
        kernel: Kernel {
            release: Look::Seen("6.1.0-25-amd64".to_owned()),
            landlock: Look::Seen(2),
            memfd_secret: true,
            seccomp: Look::Seen(true),
        },
        accounts: [
            configuration.keyd_account(),
            configuration.policyd_account(),
            configuration.gateway_account(),
        ],
        configuration,
        units: Look::Seen(UNITS.map(unit).to_vec()),
        processes: vec![(
            KEYD.to_owned(),
            Look::Seen(Confined {
                uid: KEYD_UID,
                seccomp: 2,
                no_new_privs: true,
                capabilities: 0,
            }),
        )],
        files,
        sealed_by: Look::Seen("host+tpm2".to_owned()),
        has_tpm: true,
        ledgers: vec![
            room("decision ledger", "/var/lib/chancel-policyd/ledger"),
            room("use ledger", "/var/lib/chancel-keyd/ledger"),
        ],
        clock_synchronised: Look::Seen(true),
        certificate: Look::Seen(Some(Chain::parse(made.chain.as_bytes()).unwrap())),
        swaps: Look::Seen(Vec::new()),
        readiness: Look::Seen(Readiness {
            status: "ready".to_owned(),
            policyd: "ready".to_owned(),
            keyd: "ready".to_owned(),
        }),
    }
}

/// What is not ok after a change to the host on which all is well.
#[track_caller]
fn after(change: impl FnOnce(&mut Facts)) -> Vec<Finding> {
    let mut facts = well();
    change(&mut facts);
    let mut findings = checks::run(&facts);
    findings.retain(|finding| finding.verdict != Verdict::Ok);
    findings
}

/// The one finding of a change.
#[track_caller]
fn one(verdict: Verdict, check: &str, says: &str, change: impl FnOnce(&mut Facts)) {
    let findings = after(change);
    let [finding] = &findings[..] else {
        panic!("not one finding: {findings:#?}");
    };
    let text = format!("{} / {}", finding.found, finding.advice.as_deref().unwrap_or("-"));
    assert_eq!((finding.verdict, finding.check), (verdict, check), "{text}");
    assert!(text.contains(says), "{text}");
    assert_eq!(finding.advice.is_none(), verdict == Verdict::Skip, "{text}");
}

#[track_caller]
fn of_unit<'a>(facts: &'a mut Facts, name: &str) -> &'a mut Unit {
    let Look::Seen(units) = &mut facts.units else {
        panic!("units");
    };
    units.iter_mut().find(|unit| unit.name == name).unwrap()
}

#[track_caller]
fn of_file<'a>(facts: &'a mut Facts, end: &str) -> &'a mut Look<Option<Found>> {
    let file = facts
        .files
        .iter_mut()
        .find(|(expected, _)| expected.path.ends_with(end));
    &mut file.unwrap_or_else(|| panic!("{end} is not expected")).1
}

#[track_caller]
fn change_file(facts: &mut Facts, end: &str, change: impl FnOnce(&mut Found)) {
    let Look::Seen(Some(found)) = of_file(facts, end) else {
        panic!("{end}");
    };
    change(found);
}

#[test]
fn on_a_host_where_all_is_well_each_check_says_so_and_wants_nothing() {
    let findings = checks::run(&well());
    for finding in &findings {
        assert_eq!(finding.verdict, Verdict::Ok, "{finding:?}");
        assert_eq!(finding.advice, None);
    }
    let mut names: Vec<_> = findings.iter().map(|finding| finding.check).collect();
    names.dedup();
    assert_eq!(names.len(), 17, "{names:?}");
    assert_eq!(Report::new(findings).failed(), 0);
}

#[test]
fn an_unfit_kernel_is_told_by_what_it_lacks() {
    use Verdict::{Fail, Warn};
    one(Fail, "kernel", "5.19 or newer", |facts| {
        facts.kernel.release = Look::Seen("5.10.0-9".to_owned());
    });
    one(Fail, "landlock", "lsm=landlock", |facts| {
        facts.kernel.landlock = Look::Unseen("Operation not supported".to_owned());
    });
    one(Fail, "landlock", "ABI 1", |facts| {
        facts.kernel.landlock = Look::Seen(1)
    });
    one(Fail, "seccomp", "CONFIG_SECCOMP_FILTER", |facts| {
        facts.kernel.seccomp = Look::Seen(false);
    });
    one(Warn, "secret memory", "secretmem.enable=1", |facts| {
        facts.kernel.memfd_secret = false;
    });
}

#[test]
fn swap_counts_when_it_may_reach_a_disk() {
    let swap = |kind| {
        move |facts: &mut Facts| {
            facts.swaps = Look::Seen(vec![Swap {
                name: "/dev/sda2".to_owned(),
                kind,
            }]);
        }
    };
    one(Verdict::Warn, "swap", "/dev/sda2", swap(SwapKind::Plain));
    assert!(after(swap(SwapKind::Encrypted)).is_empty());
    assert!(after(swap(SwapKind::Memory)).is_empty());
}

#[test]
fn units_that_are_not_as_they_should_be_are_told_apart() {
    use Verdict::{Fail, Warn};
    one(Fail, "services", "failed (failed)", |facts| {
        let unit = of_unit(facts, GATEWAY);
        unit.active_state = "failed".to_owned();
        unit.sub_state = "failed".to_owned();
    });
    one(Fail, "services", "no such unit", |facts| {
        of_unit(facts, "chancel-keyd.socket").load_state = "not-found".to_owned();
    });
    one(Warn, "services", "ended by itself 3 times", |facts| {
        of_unit(facts, KEYD).restarts = 3;
    });
}

#[test]
fn limits_are_compared_with_what_the_configuration_needs() {
    use Verdict::{Fail, Warn};
    one(Fail, "limits", "LimitMEMLOCK=20490240", |facts| {
        facts.configuration.keyd =
            Look::Seen(toml::from_str(&format!("cached_keys = 4000{KEYD_TOML}")).unwrap());
    });
    one(Fail, "limits", "LimitNOFILE=2144", |facts| {
        of_unit(facts, GATEWAY).open_files = Some(2143);
    });
    one(Warn, "limits", "LimitCORE=0", |facts| {
        of_unit(facts, KEYD).core = None;
    });
    assert!(after(|facts| of_unit(facts, KEYD).memlock = None).is_empty());
}

#[test]
fn a_daemon_that_the_kernel_does_not_confine_fails() {
    let change = |change: fn(&mut Confined)| {
        move |facts: &mut Facts| {
            let Look::Seen(confined) = &mut facts.processes[0].1 else {
                panic!("a process");
            };
            change(confined);
        }
    };
    let fails = |changed: fn(&mut Confined)| one(Verdict::Fail, "sandbox", "journalctl", change(changed));
    fails(|confined| confined.seccomp = 0);
    fails(|confined| confined.no_new_privs = false);
    fails(|confined| confined.capabilities = 1);
    fails(|confined| confined.uid = 0);
}

#[test]
fn files_of_others_open_to_others_missing_and_of_another_kind_are_told_apart() {
    use Verdict::{Fail, Skip};
    one(Fail, "sockets", "systemctl start chancel-policyd", |facts| {
        *of_file(facts, "admin.sock") = Look::Seen(None);
    });
    one(Fail, "sockets", "belongs to uid 903", |facts| {
        change_file(facts, "admin.sock", |found| found.uid = GATEWAY_UID);
    });
    one(Fail, "sockets", "chmod 755 /run/chancel-keyd", |facts| {
        change_file(facts, "chancel-keyd", |found| found.mode = 0o777);
    });
    one(Fail, "sockets", "is a file, and should be a socket", |facts| {
        change_file(facts, "policyd.sock", |found| found.kind = Kind::File);
    });
    one(Fail, "state", "chmod 700 /var/lib/chancel-keyd/keys", |facts| {
        change_file(facts, "keys", |found| found.mode = 0o750);
    });
    one(Fail, "state", "belongs to uid 902", |facts| {
        change_file(facts, "chancel-keyd/ledger", |found| found.uid = POLICYD_UID);
    });
    one(Skip, "state", "root can look", |facts| {
        *of_file(facts, "chancel.db") = Look::Unseen("Permission denied".to_owned());
    });
    one(Fail, "credentials", "backup", |facts| {
        *of_file(facts, "kek.cred") = Look::Seen(None);
    });
    one(Fail, "credentials", "chmod 600", |facts| {
        change_file(facts, "tls-key.cred", |found| found.mode = 0o644);
    });
}

#[test]
fn a_group_may_read_a_ledger_and_systemd_may_own_keyds_socket() {
    let changed = after(|facts| {
        change_file(facts, "chancel-keyd/ledger", |found| found.mode = 0o750);
        change_file(facts, "keyd.sock", |found| found.uid = 0);
    });
    assert!(changed.is_empty(), "{changed:#?}");
}

#[test]
fn sealing_is_judged_by_what_the_machine_could_do() {
    one(Verdict::Warn, "credentials", "has a TPM", |facts| {
        facts.sealed_by = Look::Seen("host".to_owned());
    });
    let without_tpm = after(|facts| {
        facts.sealed_by = Look::Seen("host".to_owned());
        facts.has_tpm = false;
    });
    assert!(without_tpm.is_empty(), "{without_tpm:#?}");
    one(Verdict::Warn, "credentials", "not sealed", |facts| {
        facts.configuration.keyd =
            Look::Seen(toml::from_str(&KEYD_TOML.replace("\"credential\"", "\"file\"")).unwrap());
    });
}

#[test]
fn room_runs_out_by_and_by() {
    let free = |free| {
        move |facts: &mut Facts| {
            facts.ledgers[1].space = Look::Seen(Space {
                free,
                total: 40 << 30,
            });
        }
    };
    one(
        Verdict::Fail,
        "ledger space",
        "its reserve of 64 MiB",
        free((64 << 20) - 1),
    );
    one(Verdict::Warn, "ledger space", "retention_days", free(64 << 20));
    assert!(after(free(1 << 30)).is_empty());
}

#[test]
fn a_certificate_is_warned_about_before_it_ends() {
    use Verdict::{Fail, Warn};
    const DAY: i64 = 24 * 3600;
    let made = Made::self_signed(&["localhost"]);
    let chain = Chain::parse(made.chain.as_bytes()).unwrap();
    let left = |seconds: i64| {
        let chain = chain.clone();
        move |facts: &mut Facts| {
            facts.now = at(chain.own().not_after - seconds);
            facts.certificate = Look::Seen(Some(chain));
        }
    };
    assert!(after(left(14 * DAY)).is_empty());
    one(Warn, "certificate", "13 days left", left(14 * DAY - 1));
    one(Fail, "certificate", "EXPIRED", left(-1));
    one(Fail, "certificate", "clock", left(91 * DAY));
    let missing = |facts: &mut Facts| facts.certificate = Look::Seen(None);
    one(Fail, "certificate", "chancel tls import brings one", missing);
    one(Fail, "credentials", "chancel tls import brings it", |facts| {
        *of_file(facts, "tls-key.cred") = Look::Seen(None);
    });
    let advice: Vec<_> = after(|facts| {
        missing(facts);
        *of_file(facts, "tls-key.cred") = Look::Seen(None);
    })
    .into_iter()
    .filter_map(|finding| finding.advice)
    .collect();
    assert_eq!(advice.len(), 2, "{advice:?}");
    assert!(
        advice[1].contains("restart chancel-gateway makes both"),
        "{advice:?}"
    );
    let plain = after(|facts| {
        facts.configuration.gateway = Look::Seen(toml::from_str("listen = \"127.0.0.1:80\"").unwrap());
        facts.certificate = Look::Seen(None);
        facts
            .files
            .retain(|(expected, _)| !expected.path.ends_with("tls-key.cred"));
    });
    assert!(plain.is_empty(), "{plain:#?}");
}

#[test]
fn accounts_are_there_and_apart() {
    use Verdict::Fail;
    one(Fail, "accounts", "systemd-sysusers", |facts| {
        facts.accounts[0] = Account {
            name: "chancel-keyd".to_owned(),
            uid: None,
        };
    });
    one(Fail, "accounts", "cannot keep them apart", |facts| {
        facts.accounts[0].uid = Some(GATEWAY_UID);
    });
    one(Fail, "accounts", "root's", |facts| {
        facts.accounts[2] = Account::root()
    });
}

#[test]
fn the_clock_and_the_answer_of_the_monitor_count() {
    use Verdict::{Fail, Warn};
    one(Warn, "clock", "set-ntp", |facts| {
        facts.clock_synchronised = Look::Seen(false);
    });
    one(Fail, "readiness", "policyd is without keyd", |facts| {
        facts.readiness = Look::Seen(Readiness {
            status: "unavailable".to_owned(),
            policyd: "without keyd".to_owned(),
            keyd: "unavailable".to_owned(),
        });
    });
    one(Fail, "readiness", "connection refused", |facts| {
        facts.readiness = Look::Unseen("127.0.0.1:9464: connection refused".to_owned());
    });
}

#[test]
fn without_systemd_what_it_would_have_told_is_named_and_nothing_fails_for_it() {
    let findings = after(|facts| {
        facts.units = Look::Unseen("systemd does not run here".to_owned());
        facts.clock_synchronised = Look::Unseen("systemd does not run here".to_owned());
        facts.processes = Vec::new();
    });
    let skipped: Vec<_> = findings
        .iter()
        .map(|finding| (finding.verdict, finding.check))
        .collect();
    let skip = |check| (Verdict::Skip, check);
    assert_eq!(
        skipped,
        [skip("clock"), skip("services"), skip("limits"), skip("sandbox")]
    );
    assert_eq!(Report::new(findings).failed(), 0);
}

#[test]
fn without_configuration_that_is_what_fails() {
    let unread = || "/etc/chancel/x.toml: No such file or directory".to_owned();
    let findings = after(|facts| {
        facts.configuration = Configuration {
            keyd: Look::Unseen(unread()),
            policyd: Look::Unseen(unread()),
            gateway: Look::Unseen(unread()),
        };
        facts.readiness = Look::Unseen(unread());
        facts.ledgers = Vec::new();
        facts
            .files
            .retain(|(expected, _)| expected.group == Group::Sockets);
    });
    let failed: Vec<_> = findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Fail)
        .map(|finding| finding.check)
        .collect();
    assert_eq!(failed, ["configuration"; 3]);
}

#[test]
fn a_report_is_a_line_a_finding_and_one_of_what_to_do() {
    let report = Report::new(vec![
        Finding {
            check: "kernel",
            ..Finding::ok("Linux 6.1")
        },
        Finding {
            check: "clock",
            ..Finding::warn("not synchronised", "timedatectl set-ntp true")
        },
        Finding {
            check: "services",
            ..Finding::fail("x: failed", "journalctl -u x")
        },
    ]);
    assert_eq!(
        report.to_string(),
        "ok    kernel    Linux 6.1\n\
         warn  clock     not synchronised\n                do: timedatectl set-ntp true\n\
         FAIL  services  x: failed\n                do: journalctl -u x\n"
    );
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["failed"], 1);
    assert_eq!(json["findings"][0]["verdict"], "ok");
    assert!(json["findings"][0]["advice"].is_null());
}
