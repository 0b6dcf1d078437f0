//! chancel-quickstart: a whole Chancel on one machine, from nothing to a verified signature. It holds no logic of the
//! service: it writes configuration, starts the three daemons, and speaks to them as an operator and a client would.

mod accounts;
mod api;
mod audit;
mod certificates;
mod config;
mod daemons;
mod demo;
mod operator;
mod problem;
mod state;
mod stop_signal;

use accounts::Accounts;
use api::Api;
use clap::Parser;
use config::Serving;
use daemons::Daemons;
use operator::Environment;
use problem::{Context, Problem};
use state::State;
use std::fs;
use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use stop_signal::StopSignal;

const DEFAULT_LISTEN: &str = "127.0.0.1:8480";

/// Starts chancel-keyd, chancel-policyd and chancel-gateway on this machine, makes a tenant and an API key, runs
/// generate, encrypt, decrypt, sign and verify, checks the ledgers, and keeps serving until Ctrl-C.
///
/// State is kept: a second start finds the same keys, tenant and API key. As root, each daemon runs under an account
/// of its own (chancel-keyd, chancel-policyd and chancel-gateway where they exist, else uids 60801 to 60803), as it
/// would when installed; otherwise all run under yours, which is enough to try things out.
#[derive(Debug, Parser)]
#[command(name = "./dev quickstart", version)]
struct Arguments {
    /// Where state is kept. Default: $XDG_STATE_HOME/chancel-quickstart, or else ~/.local/state/chancel-quickstart;
    /// for root, whose home is closed to the daemons' accounts, /var/lib/chancel-quickstart
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Where the gateway listens; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT", default_value = DEFAULT_LISTEN)]
    listen: String,
    /// Serve HTTPS, with a private certificate authority made on the spot
    #[arg(long)]
    tls: bool,
    /// Stop the daemons and exit after the demonstration
    #[arg(long)]
    once: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(problem) => {
            let _ = io::stdout().flush();
            eprintln!("quickstart: {problem}");
            ExitCode::FAILURE
        }
    }
}

/// One line of the report.
fn say(step: &str, text: &str) {
    // A closed pipe must not end the run before the daemons are stopped.
    let _ = writeln!(io::stdout(), "{step:<10} {text}");
}

fn run(arguments: &Arguments) -> Result<(), Problem> {
    // 1. Signals first: from here on, whatever ends the run stops the daemons.
    let signal = StopSignal::listen().map_err(Problem::Signals)?;
    let accounts = Accounts::choose()?;
    let listen = Listen::parse(&arguments.listen, arguments.tls)?;
    let binaries = binaries()?;

    // 2. The state directory, locked, and whatever it lacks.
    let state = State::open(
        &state_directory(arguments.state.as_deref(), accounts.separate)?,
        &accounts,
    )?;
    say("state", &state.root().display().to_string());
    for name in daemons::end_leftovers(&state)? {
        say(
            "",
            &format!("{name} of an earlier start was still running and is stopped now"),
        );
    }
    listen.check_free()?;
    say_accounts(&accounts);
    say(
        "secrets",
        match state.make_secrets(&accounts)? {
            true => {
                "made: key-encryption key, three service tokens, API key secret; each readable by its daemon alone"
            }
            false => "from an earlier start",
        },
    );
    let authority = if arguments.tls {
        let made = certificates::ensure(&state, accounts.gateway, &listen.host)?;
        say(
            "tls",
            match made {
                true => "made: a private authority, whose key is forgotten, and the gateway's certificate",
                false => "certificate from an earlier start",
            },
        );
        Some(certificates::authority_file(&state))
    } else {
        None
    };

    // 3. The daemons.
    let serving = Serving {
        listen: listen.address,
        tls: arguments.tls,
    };
    config::write(&state, &accounts, &serving)?;
    let mut daemons = start(&state, &accounts, &binaries, &signal)?;

    // 4. A tenant and an API key, once; then the demonstration.
    let outcome = demonstrate(&state, &listen, authority, &binaries).and_then(|environment| {
        if arguments.once {
            return Ok(());
        }
        say_how_to_go_on(&state, &environment, &binaries);
        serve(&mut daemons, &signal)
    });

    // 5. Down again, whatever happened; an earlier problem is the one to report.
    say("stop", "chancel-gateway, chancel-policyd, chancel-keyd");
    let stopped = daemons.stop();
    outcome.and(stopped)
}

fn start(
    state: &State,
    accounts: &Accounts,
    binaries: &Path,
    signal: &StopSignal,
) -> Result<Daemons, Problem> {
    let (mut daemons, copied) = Daemons::prepare(state, accounts, binaries)?;
    if copied {
        say(
            "binaries",
            "copied into the state: the daemons' accounts cannot reach where they were built",
        );
    }
    let since = Instant::now();
    let (keyd_socket, policyd_socket) = (state.keyd_socket(), state.policyd_socket());
    for stale in [
        &keyd_socket,
        &policyd_socket,
        &state.admin_socket(),
        &state.address_file(),
        &state.monitor_address_file(),
    ] {
        match fs::remove_file(stale) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error).on("removing", stale),
            _ => {}
        }
    }
    let keyd = daemons.start(state, "chancel-keyd", accounts.keyd, accounts.separate)?;
    daemons.wait(signal, || keyd_socket.exists())?;
    let policyd = daemons.start(state, "chancel-policyd", accounts.policyd, accounts.separate)?;
    daemons.wait(signal, || policyd_socket.exists())?;
    let gateway = daemons.start(state, "chancel-gateway", accounts.gateway, accounts.separate)?;
    daemons.wait(signal, || {
        let monitor = written_address(&state.monitor_address_file());
        monitor.is_some_and(|address| api::answers(&format!("http://{address}/readyz")))
    })?;
    say(
        "daemons",
        &format!(
            "chancel-keyd ({keyd}), chancel-policyd ({policyd}), chancel-gateway ({gateway}), ready in {} ms; logs in {}",
            since.elapsed().as_millis(),
            state.path("log").display()
        ),
    );
    Ok(daemons)
}

fn demonstrate(
    state: &State,
    listen: &Listen,
    authority: Option<PathBuf>,
    binaries: &Path,
) -> Result<Environment, Problem> {
    let url = listen.url(state, authority.is_some())?;
    let monitor = written_address(&state.monitor_address_file());
    let monitor = monitor.map_or_else(String::new, |address| {
        format!("; health and metrics on http://{address}")
    });
    say("gateway", &format!("{url}{monitor}"));
    let api_key = match Environment::stored_api_key(state)? {
        Some(stored) => {
            say("tenant", "tenant and API key from an earlier start");
            stored
        }
        None => {
            let made = operator::make_api_key(state, binaries)?;
            say(
                "tenant",
                "\"quickstart\" on the enterprise plan, with an API key; both made with `chancel`",
            );
            made
        }
    };
    let environment = Environment {
        url,
        api_key,
        authority,
    };
    environment.store(state)?;
    say("env", &Environment::file(state).display().to_string());
    let pem = match &environment.authority {
        Some(path) => Some(fs::read(path).on("reading", path)?),
        None => None,
    };
    let api = Api::new(
        environment.url.clone(),
        environment.api_key.clone(),
        pem.as_deref(),
    )?;
    demo::run(&api, state)?;
    audit::run(&api, state, binaries)?;
    Ok(environment)
}

/// Until a signal or the end of a daemon.
fn serve(daemons: &mut Daemons, signal: &StopSignal) -> Result<(), Problem> {
    while !signal.within(Duration::from_millis(200)) {
        daemons.check()?;
    }
    Ok(())
}

fn say_accounts(accounts: &Accounts) {
    if accounts.separate {
        let (keyd, policyd, gateway) = (accounts.keyd.uid, accounts.policyd.uid, accounts.gateway.uid);
        say(
            "accounts",
            &format!("keyd is uid {keyd}, policyd {policyd}, gateway {gateway}"),
        );
        return;
    }
    say(
        "accounts",
        &format!("all three daemons run as you, uid {}", accounts.keyd.uid),
    );
    say(
        "",
        "WEAKER than an installation: the kernel does not keep one daemon from the files of another, so",
    );
    say(
        "",
        "whoever takes over the gateway can read the key-encryption key. Start as root for an account each.",
    );
}

fn say_how_to_go_on(state: &State, environment: &Environment, binaries: &Path) {
    let verify = audit::command(state, binaries);
    let file = operator::shell_quoted(&Environment::file(state).to_string_lossy());
    let authority = if environment.authority.is_some() {
        " --cacert \"$SSL_CERT_FILE\""
    } else {
        ""
    };
    let text = format!(
        r#"
Try it, in another terminal:

  . {file}
  curl{authority} -H "x-api-key: $QPHER_API_KEY" -H 'content-type: application/json' \
    -d '{{"message":"aGVsbG8="}}' "$QPHER_API_URL/api/v1/signature/sign"

or from Python (pip install qpher):

  import os
  from qpher import Qpher
  client = Qpher(os.environ["QPHER_API_KEY"], os.environ["QPHER_API_URL"])
  signed = client.signatures.sign(b"hello")
  print(client.signatures.verify(b"hello", signed.signature, signed.key_version).valid)

See what was recorded of it, and check that nobody changed the record:

  {verify}

Serving until Ctrl-C."#
    );
    let _ = writeln!(io::stdout(), "{text}");
}

fn state_directory(given: Option<&Path>, separate: bool) -> Result<PathBuf, Problem> {
    if let Some(given) = given {
        return Ok(given.to_owned());
    }
    let absolute = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    if let Some(base) = absolute("XDG_STATE_HOME") {
        return Ok(base.join("chancel-quickstart"));
    }
    if separate {
        return Ok(PathBuf::from("/var/lib/chancel-quickstart"));
    }
    absolute("HOME")
        .map(|home| home.join(".local/state/chancel-quickstart"))
        .ok_or(Problem::NoHome)
}

/// Where the daemons and `chancel` are: beside this program, unless the tests say where the shipped ones are.
fn binaries() -> Result<PathBuf, Problem> {
    if let Some(directory) = std::env::var_os("CHANCEL_BIN_DIR") {
        return Ok(directory.into());
    }
    let own = std::env::current_exe().on("finding", Path::new("/proc/self/exe"))?;
    Ok(own.parent().map_or_else(|| PathBuf::from("/"), Path::to_owned))
}

/// An address that the gateway wrote to a file; `None` while it has not.
fn written_address(file: &Path) -> Option<SocketAddr> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Where the gateway is to listen, and what clients on this machine call it.
#[derive(Debug)]
struct Listen {
    host: String,
    address: SocketAddr,
}

impl Listen {
    fn parse(text: &str, tls: bool) -> Result<Self, Problem> {
        let wrong = |reason: String| Problem::Listen {
            text: text.to_owned(),
            reason,
        };
        let (host, _) = text
            .rsplit_once(':')
            .ok_or_else(|| wrong("it has no port".to_owned()))?;
        let address = text
            .to_socket_addrs()
            .map_err(|error| wrong(error.to_string()))?
            .next()
            .ok_or_else(|| wrong("the name has no address".to_owned()))?;
        if !tls && !address.ip().is_loopback() {
            return Err(Problem::PlainOffLoopback(address));
        }
        let host = host.trim_start_matches('[').trim_end_matches(']');
        // The unspecified address is no place to connect to.
        let host = if address.ip().is_unspecified() {
            "localhost"
        } else {
            host
        };
        Ok(Self {
            host: host.to_owned(),
            address,
        })
    }

    /// Says so at once when the port is taken, rather than through the gateway's log.
    fn check_free(&self) -> Result<(), Problem> {
        TcpListener::bind(self.address)
            .map(drop)
            .map_err(|source| Problem::Bind {
                address: self.address,
                source,
            })
    }

    /// The URL, with the port that the gateway really has.
    fn url(&self, state: &State, tls: bool) -> Result<String, Problem> {
        let served = written_address(&state.address_file()).ok_or(Problem::Wrong(
            "the gateway has not written the address it serves on",
        ))?;
        let scheme = if tls { "https" } else { "http" };
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        Ok(format!("{scheme}://{host}:{}", served.port()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listen_addresses() {
        let listen = Listen::parse("127.0.0.1:0", false).expect("loopback");
        assert_eq!((listen.host.as_str(), listen.address.port()), ("127.0.0.1", 0));
        assert_eq!(Listen::parse("[::1]:8480", true).expect("IPv6").host, "::1");
        assert_eq!(
            Listen::parse("0.0.0.0:8480", true).expect("any").host,
            "localhost"
        );
        assert!(matches!(
            Listen::parse("0.0.0.0:8480", false),
            Err(Problem::PlainOffLoopback(_))
        ));
        assert!(matches!(
            Listen::parse("8480", false),
            Err(Problem::Listen { .. })
        ));
        assert!(matches!(
            Listen::parse("127.0.0.1:many", false),
            Err(Problem::Listen { .. })
        ));
    }
}
