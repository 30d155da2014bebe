//! `lykta plan`: which stops are visited, in which order, over which roads.

mod matrix;
mod now;
mod picture;
mod points;
mod report;
mod sheet;
mod show;
mod simulate;
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
    Matrix(matrix::Args),
    Now(now::Args),
    Show(show::Args),
    Simulate(simulate::Args),
    Solve(solve::Args),
}

/// Runs the command.
///
/// # Errors
/// When the result cannot be printed, or a file cannot be read or written.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    match &args.command {
        Command::Matrix(args) => matrix::run(args),
        Command::Now(args) => now::run(args),
        Command::Show(args) => show::run(args),
        Command::Simulate(args) => simulate::run(args),
        Command::Solve(args) => solve::run(args),
    }
}
