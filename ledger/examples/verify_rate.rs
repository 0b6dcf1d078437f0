//! Writes a million decisions and as many uses and verifies them; prints CPU time per record.
//! `cargo run --release -p chancel-ledger --example verify_rate [RECORDS]`

#[path = "../tests/support/mod.rs"]
mod support;

use chancel_ledger::verify::verify;
use chancel_ledger::{LedgerName, Options};
use nix::sys::resource::{UsageWho, getrusage};

fn cpu_us() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the process has a usage");
    [usage.user_time(), usage.system_time()]
        .iter()
        .map(|time| time.tv_sec() as f64 * 1e6 + time.tv_usec() as f64)
        .sum()
}

fn main() {
    let records: u64 = std::env::args()
        .nth(1)
        .map_or(1_000_000, |text| text.parse().expect("a number"));
    let root = tempfile::tempdir().expect("a directory");
    let [decisions, uses] = ["decisions", "uses"].map(|name| root.path().join(name));
    for (directory, name) in [(&decisions, LedgerName::Decisions), (&uses, LedgerName::Uses)] {
        std::fs::create_dir(directory).expect("a directory");
        let open = support::open(directory, Options::of(name));
        for tenth in 0..10 {
            let before = cpu_us();
            for serial in tenth * records / 10..(tenth + 1) * records / 10 {
                let event = match name {
                    LedgerName::Decisions => support::allow(serial),
                    LedgerName::Uses => support::used(serial),
                };
                open.ledger.append(&event).expect("room on the disk");
            }
            let each = (cpu_us() - before) / (records as f64 / 10.0);
            println!("{name}: append {each:.2} us of CPU a record, tenth {}", tenth + 1);
        }
    }
    let before = cpu_us();
    let report = verify(&decisions, Some(&uses), None).expect("readable files");
    assert!(report.is_sound(), "{:?}", report.findings);
    let each = (cpu_us() - before) / (2 * records) as f64;
    println!(
        "verify: {each:.2} us of CPU a record, {} records, {} uses agreed",
        2 * records,
        report.agreed
    );
}
