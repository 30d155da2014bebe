//! `lykta replay`: history, decided again.

mod bins;
mod care;
mod html;

use std::process::ExitCode;

/// Decides again what a record of readings means.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Bins(bins::Args),
    Care(care::Args),
}

/// Runs the command.
///
/// # Errors
/// When the record cannot be read, or what it means cannot be printed.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Bins(args) => bins::run(args),
        Command::Care(args) => care::run(args),
    }
}
