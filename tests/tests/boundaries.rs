//! Who links what, asked of cargo itself: the daemons share no code that they must not share, and the key daemon's
//! dependencies are exactly those that somebody decided on (`keyd/dependencies.txt`).

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Which of the workspace's crates each member may link, directly or through another. A member without a row is an
/// error: a new crate is a decision about this map.
const ARROWS: [(&str, &[&str]); 13] = [
    ("chancel-domain", &[]),
    ("chancel-wire", &["chancel-domain"]),
    ("chancel-pqc", &["chancel-domain"]),
    ("chancel-ledger", &["chancel-domain"]),
    ("chancel-sandbox", &[]),
    ("chancel-seccomp-compiler", &[]),
    ("chancel-service", &["chancel-sandbox"]),
    (
        "chancel-link",
        &["chancel-domain", "chancel-wire", "chancel-sandbox"],
    ),
    (
        "chancel-keyd",
        &[
            "chancel-domain",
            "chancel-wire",
            "chancel-ledger",
            "chancel-pqc",
            "chancel-sandbox",
            "chancel-service",
        ],
    ),
    (
        "chancel-policyd",
        &[
            "chancel-domain",
            "chancel-wire",
            "chancel-ledger",
            "chancel-sandbox",
            "chancel-service",
            "chancel-link",
        ],
    ),
    (
        "chancel-gateway",
        &[
            "chancel-domain",
            "chancel-wire",
            "chancel-pqc",
            "chancel-sandbox",
            "chancel-service",
            "chancel-link",
        ],
    ),
    (
        "chancel-cli",
        &[
            "chancel-domain",
            "chancel-wire",
            "chancel-ledger",
            "chancel-pqc",
            "chancel-sandbox",
            "chancel-link",
        ],
    ),
    ("chancel-quickstart", &[]),
];

/// Members that are never shipped and may link what their tests and measurements need.
const NOT_SHIPPED: [&str; 2] = ["chancel-tests", "chancel-bench"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn cargo(arguments: &[&str]) -> String {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .expect("cargo runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {}: {errors}", arguments.join(" "));
    String::from_utf8(output.stdout).expect("cargo writes text")
}

/// The names of all crates that a shipped binary of the package is linked from or expanded by, without the package.
fn dependencies(package: &str) -> BTreeSet<String> {
    let tree = cargo(&[
        "tree",
        "--offline",
        "--locked",
        "--edges",
        "normal",
        "--target",
        "x86_64-unknown-linux-gnu",
        "--prefix",
        "none",
        "--format",
        "{p}",
        "--package",
        package,
    ]);
    let mut names: BTreeSet<String> = tree
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    assert!(
        names.remove(package),
        "cargo tree does not begin with {package}:\n{tree}"
    );
    names
}

fn assert_free_of(package: &str, unwanted: &[&str]) {
    let linked = dependencies(package);
    let found: Vec<_> = unwanted.iter().filter(|name| linked.contains(**name)).collect();
    assert!(found.is_empty(), "{package} links {found:?}");
}

#[test]
fn every_arrow_between_our_crates_is_on_the_map() {
    let metadata: serde_json::Value = serde_json::from_str(&cargo(&[
        "metadata",
        "--offline",
        "--locked",
        "--no-deps",
        "--format-version",
        "1",
    ]))
    .expect("metadata");
    let members: BTreeSet<&str> = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .map(|package| package["name"].as_str().expect("name"))
        .collect();
    assert!(members.contains("chancel-keyd"), "no members in {members:?}");
    for member in &members {
        if NOT_SHIPPED.contains(member) {
            continue;
        }
        let (_, allowed) = ARROWS
            .iter()
            .find(|(name, _)| name == member)
            .unwrap_or_else(|| panic!("{member} is not on the map"));
        for linked in dependencies(member)
            .iter()
            .filter(|name| members.contains(name.as_str()))
        {
            assert!(
                allowed.contains(&linked.as_str()),
                "{member} links {linked}, which is not on the map"
            );
        }
    }
}

#[test]
fn no_daemon_and_not_the_command_line_links_another() {
    let programs = [
        "chancel-keyd",
        "chancel-policyd",
        "chancel-gateway",
        "chancel-cli",
    ];
    for program in programs {
        let others: Vec<_> = programs.into_iter().filter(|other| *other != program).collect();
        assert_free_of(program, &others);
    }
}

#[test]
fn keyd_links_no_http_no_sql_no_async_runtime_and_no_tls() {
    assert_free_of(
        "chancel-keyd",
        &[
            "hyper",
            "hyper-util",
            "http",
            "tokio",
            "mio",
            "rusqlite",
            "libsqlite3-sys",
            "rustls",
            "tokio-rustls",
            "ring",
        ],
    );
}

#[test]
fn keyd_links_exactly_the_crates_that_were_decided_on() {
    let file = root().join("keyd/dependencies.txt");
    let text = std::fs::read_to_string(&file).expect("keyd/dependencies.txt");
    let listed: Vec<&str> = text.lines().collect();
    assert!(listed.is_sorted(), "keyd/dependencies.txt is not sorted");
    let decided: BTreeSet<String> = listed.into_iter().map(str::to_owned).collect();
    let linked = dependencies("chancel-keyd");
    assert!(linked.contains("oqs"), "keyd without liboqs is another program");
    let new: Vec<_> = linked.difference(&decided).collect();
    let gone: Vec<_> = decided.difference(&linked).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "the trusted base changed: new {new:?}, no longer linked {gone:?}; \
         if that is meant, change keyd/dependencies.txt with the reason in the commit"
    );
}

#[test]
fn private_key_code_is_linked_by_keyd_alone() {
    for program in [
        "chancel-gateway",
        "chancel-policyd",
        "chancel-cli",
        "chancel-quickstart",
    ] {
        assert_free_of(program, &["oqs", "oqs-sys"]);
    }
}

#[test]
fn the_database_is_linked_by_policyd_alone() {
    assert!(dependencies("chancel-policyd").contains("rusqlite"));
    for program in [
        "chancel-gateway",
        "chancel-keyd",
        "chancel-cli",
        "chancel-quickstart",
    ] {
        assert_free_of(program, &["rusqlite", "libsqlite3-sys"]);
    }
}

#[test]
fn http_is_served_by_the_gateway_alone() {
    assert!(dependencies("chancel-gateway").contains("hyper"));
    for program in ["chancel-policyd", "chancel-keyd", "chancel-cli"] {
        assert_free_of(program, &["hyper", "hyper-util", "tokio-rustls"]);
    }
}

#[test]
fn the_sandbox_knows_neither_messages_nor_a_runtime() {
    assert_free_of(
        "chancel-sandbox",
        &["chancel-domain", "chancel-wire", "tokio", "serde_json"],
    );
}
