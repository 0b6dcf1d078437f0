//! chancel-bench: starts the three daemons as an installation does, loads them, and reports what a request costs.
//!
//! Client and daemons share this machine's cores, so requests per second and latency say little of an installation;
//! CPU time per request is a property of the programs, and is what to compare.

mod bare;
mod cpu;
mod http;
mod load;
mod machine;
mod problem;
mod report;
mod scenario;
mod system;

use clap::Parser;
use cpu::CpuClock;
use load::NamedClock;
use problem::Problem;
use report::{DAEMONS, Row};
use scenario::Operation;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use system::System;

/// Connections of the two rows of each operation.
const CONNECTIONS: [usize; 2] = [1, 64];

/// How long slow algorithms are measured at least.
const SLOW_SECONDS: u32 = 40;

/// Other programs may use this much of the machine before the numbers are called into question.
const QUIET: f64 = 0.05;

/// Starts chancel-keyd, chancel-policyd and chancel-gateway with TLS, sandbox and permits (as root each under its own
/// account), puts load on them, and reports CPU time per request, throughput and latency.
#[derive(Debug, Parser)]
#[command(name = "./dev bench", version)]
struct Arguments {
    /// Also write the rows to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Seconds measured for each row, after a warm-up
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    seconds: u32,
    /// Measure this operation only; may be given several times
    #[arg(long, value_name = "OPERATION")]
    only: Vec<Operation>,
    /// Measure with this many connections only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    connections: Option<u16>,
    /// Measure every other algorithm instead: fast ones at 64 connections, slow ones at one and for 40 seconds at least
    #[arg(long, conflicts_with_all = ["only", "connections"])]
    algorithms: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            eprintln!("bench: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_io()
        .enable_time()
        .build()
        .map_err(|source| Problem::System {
            what: "starting the runtime",
            source,
        })?;
    let system = System::start()?;
    say_header(&system, arguments.seconds);

    let clocks = clocks(&system)?;
    let scenarios = runtime.block_on(async {
        if arguments.algorithms {
            scenario::prepare_others(system.gateway()).await
        } else {
            scenario::prepare(system.gateway()).await
        }
    })?;
    let connections = match arguments.connections {
        Some(given) => vec![usize::from(given)],
        None => CONNECTIONS.to_vec(),
    };
    let wanted = |operation| arguments.only.is_empty() || arguments.only.contains(&operation);
    let mut rows = Vec::new();
    for scenario in scenarios.iter().filter(|scenario| wanted(scenario.operation)) {
        // While the daemons rest, on the same machine in the same minute.
        let bare_us = bare::measure(scenario.operation, scenario.algorithm)?;
        let is_slow = scenario.algorithm.is_slow();
        let connections = match (arguments.algorithms, is_slow) {
            (false, _) => connections.as_slice(),
            (true, false) => &CONNECTIONS[1..],
            (true, true) => &CONNECTIONS[..1],
        };
        for &connections in connections {
            // A window must see some signatures of seconds.
            let least = if is_slow { SLOW_SECONDS } else { 0 };
            let measured = Duration::from_secs(arguments.seconds.max(least).into());
            let load = load::measure(system.gateway(), scenario, connections, measured, &clocks);
            let windows = runtime.block_on(load)?;
            let row = Row::new(&scenario.name, connections, &windows, bare_us);
            println!("{}", row.to_line());
            rows.push(row);
        }
    }
    system.stop()?;
    say_what_else_ran(&rows);
    match &arguments.json {
        Some(file) => write(file, &rows.iter().map(Row::to_json).collect()),
        None => Ok(()),
    }
}

fn clocks(system: &System) -> Result<Vec<NamedClock>, Problem> {
    let of = |(process, pid)| match CpuClock::of_process(pid) {
        Ok(clock) => Ok((process, clock)),
        Err(source) => Err(Problem::Clock { process, source }),
    };
    let daemons = DAEMONS.into_iter().zip(system.pids()).map(of);
    let own = Ok(("the load generator", CpuClock::of_this_process()));
    daemons.chain([own]).collect()
}

fn say_header(system: &System, seconds: u32) {
    let window = f64::from(seconds) / f64::from(load::WINDOWS);
    println!(
        "Chancel {}, {}\n{}\n\
         Each row: warm-up, then {} windows of {window:.1} s, medians; range: least and most of the windows.\n\
         The client shares the cores with the daemons, so requests per second and latency are indicative:\n\
         CPU time per request is the figure to compare. bare: the primitive alone; client: the load generator;\n\
         others: what everything else used of the machine meanwhile.\n\n{}",
        env!("CARGO_PKG_VERSION"),
        machine::describe(),
        system.describe(),
        load::WINDOWS,
        report::header()
    );
}

/// Another program takes the caches from the daemons, and keeps the cores awake for them: either way the numbers are
/// not those of this program alone.
fn say_what_else_ran(rows: &[Row]) {
    let most = rows.iter().filter_map(Row::others).fold(0.0, f64::max);
    if most > QUIET {
        let percent = most * 100.0;
        println!();
        println!(
            "NOT QUIET: other programs used up to {percent:.0} % of the machine; run it when nothing else runs."
        );
    }
}

fn write(file: &Path, rows: &serde_json::Value) -> Result<(), Problem> {
    std::fs::write(file, format!("{rows:#}\n")).map_err(|source| Problem::System {
        what: "writing the rows",
        source,
    })
}
