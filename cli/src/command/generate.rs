//! `chancel generate`: manual pages and completions, from the same definition that reads the command line. For packages,
//! hence hidden: an installed host has them.

use crate::arguments::{Arguments, GenerateCommand};
use crate::failure::Failure;
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use clap_mangen::Man;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

const NAME: &str = "chancel";
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

pub(super) fn run(command: &GenerateCommand) -> Result<(), Failure> {
    let (directory, written) = match command {
        GenerateCommand::Man { directory } => (directory, manual(directory)),
        GenerateCommand::Completions { directory } => (directory, completions(directory)),
    };
    written.map_err(|source| Failure::NotStored {
        path: directory.clone(),
        source,
    })
}

/// A page for each command: `chancel.1`, `chancel-tenant.1`, `chancel-tenant-create.1`.
fn manual(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    let mut root = Arguments::command().disable_help_subcommand(true);
    root.build();
    pages(&root, NAME, directory)
}

fn pages(command: &Command, name: &str, directory: &Path) -> io::Result<()> {
    let shown = || {
        command
            .get_subcommands()
            .filter(|subcommand| !subcommand.is_hide_set())
    };
    for subcommand in shown() {
        pages(subcommand, &page_of(name, subcommand), directory)?;
    }
    let mut file = File::create(directory.join(format!("{name}.1")))?;
    let page = Man::new(command.clone())
        .title(name)
        .manual("Chancel")
        .source(concat!("Chancel ", env!("CARGO_PKG_VERSION")));
    page.render(&mut file)?;
    file.flush()
}

fn page_of(parent: &str, command: &Command) -> String {
    format!("{parent}-{}", command.get_name())
}

/// `chancel.bash`, `_chancel` for zsh, `chancel.fish`.
fn completions(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for shell in SHELLS {
        clap_complete::generate_to(shell, &mut Arguments::command(), NAME, directory)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(command: &Command, name: &str, all: &mut Vec<String>) {
        all.push(name.to_owned());
        for subcommand in command.get_subcommands() {
            names(subcommand, &page_of(name, subcommand), all);
        }
    }

    #[test]
    fn every_command_has_a_page_with_its_own_words() {
        let directory = tempfile::tempdir().unwrap();
        manual(directory.path()).unwrap();
        let mut all = Vec::new();
        names(&Arguments::command(), NAME, &mut all);
        let (hidden, shown): (Vec<_>, Vec<_>) = all
            .into_iter()
            .partition(|name| name.starts_with("chancel-generate"));
        assert!(
            shown.contains(&"chancel-policy-rules-add".to_owned()),
            "{shown:?}"
        );
        for name in &shown {
            let page = fs::read_to_string(directory.path().join(format!("{name}.1"))).expect(name);
            // Hyphens are escaped, so that they stay hyphens when they are copied.
            assert!(page.contains(&format!(".TH {name} 1")), "{name}: {page}");
            assert!(page.contains(".SH SYNOPSIS"), "{name}");
        }
        assert_eq!(hidden.len(), 3);
        let written = fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(written, shown.len(), "no page but of what is shown");
    }

    #[test]
    fn the_three_shells_are_told_of_the_commands() {
        let directory = tempfile::tempdir().unwrap();
        completions(directory.path()).unwrap();
        for file in ["chancel.bash", "_chancel", "chancel.fish"] {
            let text = fs::read_to_string(directory.path().join(file)).expect(file);
            assert!(
                text.contains("break-glass") && text.contains("doctor"),
                "{file} is no completion"
            );
        }
    }
}
