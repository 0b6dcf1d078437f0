//! `chancel generate …`

use clap::Subcommand;
use std::path::PathBuf;

/// What to make of the command line's definition.
#[derive(Debug, Subcommand)]
pub enum GenerateCommand {
    /// Write a manual page for each command
    Man {
        /// Where to; made when it is missing
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
    /// Write completions for bash, zsh and fish
    Completions {
        /// Where to; made when it is missing
        #[arg(value_name = "DIR")]
        directory: PathBuf,
    },
}
