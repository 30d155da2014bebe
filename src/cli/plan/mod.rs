//! `lykta plan`: how far it is, which stops are visited, in which order.

mod matrix;
mod points;
mod report;
mod solve;

use std::process::ExitCode;

/// Plans tours.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Solve(solve::Args),
    Matrix(matrix::Args),
}

/// Runs the command.
///
/// # Errors
/// When the result cannot be printed, or a file cannot be read or written.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Solve(args) => solve::run(args),
        Command::Matrix(args) => matrix::run(args),
    }
}
