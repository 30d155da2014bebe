//! `lykta codec`: scripts of sensors' vendors.

mod examples;
mod install;

use std::process::ExitCode;

/// Works with vendors' codecs.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Install(install::Args),
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be read or written.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Install(args) => install::run(args),
    }
}
