//! `lykta pages`: the manual and the completions of shells, for whoever makes a package.

use super::Cli;
use anyhow::Context;
use clap::CommandFactory;
use clap_complete::{Shell, generate_to};
use std::fs::create_dir_all;
use std::path::PathBuf;
use std::process::ExitCode;

/// Writes the manual pages and the completions of bash, fish and zsh.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example: lykta pages target/pages")]
pub(super) struct Args {
    /// The directory; it is made if need be
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let directory = &args.directory;
    let at = || directory.display().to_string();
    create_dir_all(directory).with_context(at)?;
    clap_mangen::generate_to(Cli::command(), directory).with_context(at)?;
    for shell in [Shell::Bash, Shell::Fish, Shell::Zsh] {
        generate_to(shell, &mut Cli::command(), "lykta", directory).with_context(at)?;
    }
    Ok(ExitCode::SUCCESS)
}
