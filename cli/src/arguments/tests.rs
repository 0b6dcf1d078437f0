//! What the command line takes, and what it refuses.

use super::*;
use clap::CommandFactory;
use clap::error::ErrorKind;

const ID: &str = "0190b6c0-0000-4000-8000-000000000000";

fn parsed(line: &str) -> Result<Arguments, ErrorKind> {
    let words = line.split(' ').map(|word| match word {
        "ID" => ID,
        word => word,
    });
    Arguments::try_parse_from(std::iter::once("chancel").chain(words)).map_err(|error| error.kind())
}

#[test]
fn the_definition_is_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn the_documented_lines_are_understood() {
    for line in [
        "tenant create Example --plan pro",
        "tenant list --json",
        "tenant suspend ID",
        "tenant resume ID",
        "tenant set-plan ID pro",
        "tenant delete ID --yes",
        "tenant usage ID",
        "--admin-socket /tmp/s api-key list --tenant ID",
        "api-key create --tenant ID --name ci --scopes sign",
        "api-key create --tenant ID --name ci --scope sign --network 192.0.2.0/24 --network 2001:db8::/32",
        "api-key create --tenant ID --name ci --expires 30d",
        "api-key rotate --tenant ID --id ID",
        "api-key revoke --tenant ID --id ID",
        "operator-key create --name ci --network 10.0.0.0/8",
        "operator-key list",
        "operator-key rotate --id ID",
        "operator-key revoke --id ID",
        "key-budget set ID ML-DSA-65 1000",
        "key-budget set ID ML-KEM-768 none",
        "plans show",
        "policy rules list ID",
        "policy rules add ID --name night --operation sign --from 22:00 --until 06:00 --day sat --day sun",
        "policy rules add ID --name office --outside 192.0.2.0/24",
        "policy rules remove ID ID",
        "policy explain ID --api-key ID --operation sign --source 192.0.2.1 --at 2030-01-01T00:00:00Z",
        "break-glass open --for 5m --reason outage",
        "--keyd-socket /tmp/k break-glass status",
        "break-glass close",
        "audit public-key --output /tmp/audit.pem",
        "audit verify --public-key audit.pem",
        "audit verify --decisions d --uses u --public-key audit.pem",
        "audit verify --chain-only",
        "audit tail -f -n 50 --tenant ID",
        "audit query --ledger uses --directory d --operation sign --since 2h",
        "audit export --since 7d --until 1d --format csv",
        "status",
        "init",
        "init --tenant Example --plan pro --scopes sign",
        "init --json",
        "tls import chain.pem key.pem",
        "tls import chain.pem key.pem --no-reload",
        "tls show",
        "doctor --json",
        "--config-directory /tmp/c doctor",
        "generate man /tmp/m",
        "generate completions /tmp/c",
    ] {
        assert!(parsed(line).is_ok(), "{line}: {:?}", parsed(line));
    }
}

#[test]
fn what_is_no_domain_value_is_a_usage_error() {
    for line in [
        "tenant create two\nlines",
        "tenant create x --plan platinum",
        "tenant suspend ../etc",
        "api-key create --tenant ID --name ci --scopes root",
        "api-key create --tenant ID --name ci --expires 2001-01-01T00:00:00Z",
        "api-key create --tenant ID --name ci --network 192.0.2.1/24",
        "key-budget set ID ML-DSA-65 -1",
        "key-budget set ID RSA 1",
        "policy rules add ID --name x --operation fly",
        "policy rules add ID --name x --from 25:00 --until 06:00",
        "break-glass open --for 5h --reason outage",
        "break-glass open --for 0m --reason outage",
        "audit tail --since yesterday",
        "init --tenant two\nlines",
        "init --plan platinum",
        "init --scopes root",
    ] {
        let kind = parsed(line).map(|_| ());
        assert!(
            matches!(kind, Err(ErrorKind::ValueValidation | ErrorKind::UnknownArgument)),
            "{line}: {kind:?}"
        );
    }
}

#[test]
fn what_belongs_together_cannot_be_given_apart() {
    for line in [
        "policy rules add ID --name x --from 08:00",
        "policy rules add ID --name x --day mon",
        "break-glass open --for 5m",
        "break-glass open --reason outage",
        // Nobody shall take a ledger for verified whose signatures were not checked.
        "audit verify",
        "audit verify --uses u --public-key k",
        "tls import chain.pem",
    ] {
        let kind = parsed(line).map(|_| ());
        assert_eq!(kind, Err(ErrorKind::MissingRequiredArgument), "{line}");
    }
    let both = "policy rules add ID --name x --within 10.0.0.0/8 --outside 10.0.0.0/8";
    assert_eq!(parsed(both).map(|_| ()), Err(ErrorKind::ArgumentConflict));
}
