//! `lykta device`: which sensors there are, how they are, and where they come from.

mod import;
mod list;
mod show;

use std::process::ExitCode;

/// Works with the list of devices.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    List(list::Args),
    Show(show::Args),
    Import(import::Args),
}

/// Runs the command.
///
/// # Errors
/// When the result cannot be printed, or a file cannot be read or written.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::List(args) => list::run(args),
        Command::Show(args) => show::run(args),
        Command::Import(args) => import::run(args),
    }
}
