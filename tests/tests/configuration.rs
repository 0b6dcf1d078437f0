//! docs/configuration.md beside what the daemons take: every option that it shows is accepted, and every option that is
//! accepted is shown. The second is asked of the loaders themselves: of a key that does not exist they say which do.

use chancel_policyd::plans::PlanTable;
use chancel_service::config::{self, ConfigError};
use serde::de::DeserializeOwned;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const PAGE: &str = "docs/configuration.md";
/// A key that no table has.
const NOBODYS: &str = "nobodys_option";

type Names = BTreeSet<String>;

/// A line of an example: an option or the head of a table, behind `#` or not.
#[derive(Debug, Clone)]
struct Shown {
    table: String,
    name: String,
    line: String,
}

/// The example under a heading, with everything behind `#` taken as written.
fn example(heading: &str) -> Vec<Shown> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE));
    let page = page.expect("the page");
    let (_, after) = page
        .split_once(&format!("\n## {heading}\n"))
        .unwrap_or_else(|| panic!("{PAGE} has no section {heading}"));
    let (_, block) = after.split_once("```toml\n").expect("an example");
    let (block, _) = block.split_once("```").expect("the example's end");
    let mut shown = Vec::new();
    let mut table = String::new();
    for line in block.lines() {
        let line = line.strip_prefix("# ").unwrap_or(line);
        if let Some((name, _)) = line.strip_prefix('[').and_then(|head| head.split_once(']')) {
            name.clone_into(&mut table);
        } else if let Some((name, _)) = line.split_once(" = ").filter(|(name, _)| is_name(name)) {
            shown.push(Shown {
                table: table.clone(),
                name: name.to_owned(),
                line: here(name, line),
            });
        }
    }
    shown
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase())
}

/// Accounts are looked up when a file is read, and those of the page are not on every host.
fn here(name: &str, line: &str) -> String {
    match name {
        "account" => "account = 61001".to_owned(),
        "admin_group" => "admin_group = \"root\"".to_owned(),
        _ => line.to_owned(),
    }
}

/// The example of a daemon, with the options of ledgers, which have a section of their own.
fn daemon(heading: &str, with_ledger: bool) -> Vec<Shown> {
    let mut shown = example(heading);
    if with_ledger {
        assert_eq!(names(&shown, "ledger").len(), 1, "the directory alone");
        shown.retain(|option| option.table != "ledger");
        shown.extend(example("The ledger, of keyd and of policyd"));
    }
    shown
}

fn tables(shown: &[Shown]) -> BTreeSet<String> {
    shown.iter().map(|option| option.table.clone()).collect()
}

fn names(shown: &[Shown], table: &str) -> Names {
    let of_table = shown.iter().filter(|option| option.table == table);
    of_table.map(|option| option.name.clone()).collect()
}

/// A file of all of them, and of one more key in a table.
fn written(shown: &[Shown], and_in: Option<&str>) -> String {
    let mut text = String::new();
    for table in tables(shown) {
        if !table.is_empty() {
            text += &format!("[{table}]\n");
        }
        for option in shown.iter().filter(|option| option.table == table) {
            text += &option.line;
            text.push('\n');
        }
        if and_in == Some(&table) {
            text += &format!("{NOBODYS} = 1\n");
        }
    }
    text
}

fn load<T>(text: &str, how: fn(&Path) -> Result<T, ConfigError>) -> Result<T, String> {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("file.toml");
    fs::write(&path, text).expect("a file");
    how(&path).map_err(|error| error.to_string())
}

/// What could stand in a table: the loader's own words about a key that cannot.
#[track_caller]
fn accepted<T>(shown: &[Shown], table: &str, how: fn(&Path) -> Result<T, ConfigError>) -> Names {
    let Err(error) = load(&written(shown, Some(table)), how) else {
        panic!("[{table}] takes any key");
    };
    let (_, expected) = error
        .split_once(&format!("unknown field `{NOBODYS}`, expected "))
        .unwrap_or_else(|| panic!("[{table}]: refused for something else: {error}"));
    expected
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// Holds an example against its loader, both ways.
#[track_caller]
fn agrees<T>(shown: &[Shown], how: fn(&Path) -> Result<T, ConfigError>) {
    if let Err(error) = load(&written(shown, None), how) {
        panic!(
            "what the page shows is refused: {error}\n{}",
            written(shown, None)
        );
    }
    for table in tables(shown) {
        let mut on_page = names(shown, &table);
        if table.is_empty() {
            on_page.extend(tables(shown).into_iter().filter(|table| !table.is_empty()));
        }
        assert_eq!(
            on_page,
            accepted(shown, &table, how),
            "[{table}]: on the page, and accepted"
        );
    }
}

fn of_file<T: DeserializeOwned>(path: &Path) -> Result<T, ConfigError> {
    config::load(path)
}

#[test]
fn the_page_shows_what_policyd_takes() {
    agrees(
        &daemon("chancel-policyd", true),
        of_file::<chancel_policyd::config::Config>,
    );
}

#[test]
fn the_page_shows_what_the_gateway_takes() {
    agrees(
        &daemon("chancel-gateway", false),
        of_file::<chancel_gateway::config::Config>,
    );
}

/// Which options `[kek]` has depends on the source, so each source is looked at by itself.
#[test]
fn the_page_shows_what_keyd_takes() {
    let load_keyd = of_file::<chancel_keyd::config::Config>;
    let whole = daemon("chancel-keyd", true);
    let source = |name: &str, options: &[&str]| {
        let mut shown = whole.clone();
        shown.retain(|option| {
            option.table != "kek" || option.name == "source" || options.contains(&&*option.name)
        });
        for option in &mut shown {
            if option.name == "source" {
                option.line = format!("source = \"{name}\"");
            }
        }
        shown
    };
    let by_source = [
        source("credential", &["credential", "generation"]),
        source("file", &["path", "generation"]),
        source("environment", &["generation"]),
    ];
    let mut of_kek = Names::from(["source".to_owned()]);
    for shown in &by_source {
        if let Err(error) = load(&written(shown, None), load_keyd) {
            panic!("what the page shows is refused: {error}");
        }
        of_kek.extend(accepted(shown, "kek", load_keyd));
    }
    assert_eq!(names(&whole, "kek"), of_kek);
    let Err(error) = load(&written(&source("nobodys", &["generation"]), None), load_keyd) else {
        panic!("a source that does not exist is accepted");
    };
    let (_, sources) = error.split_once("expected ").expect("the sources there are");
    let sources: Names = sources.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    assert_eq!(sources.len(), by_source.len(), "{sources:?}");
    let line = whole
        .iter()
        .find(|option| option.name == "source")
        .expect("shown");
    for name in sources {
        assert!(
            line.line.contains(&format!("\"{name}\"")),
            "{name}: {}",
            line.line
        );
    }

    let mut rest = by_source[1].clone();
    rest.retain(|option| option.table != "kek");
    let mut of_others = accepted(&by_source[1], "", load_keyd);
    assert!(of_others.remove("kek"));
    let mut on_page = names(&rest, "");
    on_page.extend(tables(&rest).into_iter().filter(|table| !table.is_empty()));
    assert_eq!(on_page, of_others);
    for table in tables(&rest).iter().filter(|table| !table.is_empty()) {
        assert_eq!(
            names(&rest, table),
            accepted(&by_source[1], table, load_keyd),
            "[{table}]"
        );
    }
}

/// The page shows one plan; the others take the same, and it names them.
#[test]
fn the_page_shows_what_a_plans_file_takes() {
    let how = |path: &Path| PlanTable::load(Some(path));
    let shown = example("plans.toml");
    if let Err(error) = load(&written(&shown, None), how) {
        panic!("what the page shows is refused: {error}");
    }
    assert_eq!(names(&shown, "free"), accepted(&shown, "free", how));
    let mut all = shown.clone();
    all.insert(
        0,
        Shown {
            table: String::new(),
            name: NOBODYS.to_owned(),
            line: String::new(),
        },
    );
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE));
    let page = page.expect("the page");
    let head = page
        .lines()
        .find(|line| line.starts_with("[free]"))
        .expect("shown");
    for plan in accepted(&all, "", how) {
        assert!(head.contains(&plan), "{plan}: {head}");
    }
}
