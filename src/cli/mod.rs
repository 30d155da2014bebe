//! The command line: one file per command.

pub mod check;
pub mod device;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Exit codes, after sysexits.h.
pub(crate) mod exit {
    /// The command was used in a wrong way (EX_USAGE).
    pub(crate) const USAGE: u8 = 64;
    /// The input is wrong (EX_DATAERR).
    pub(crate) const DATA: u8 = 65;
    /// A file cannot be read or written (EX_IOERR).
    pub(crate) const IO: u8 = 74;
    /// The configuration is wrong (EX_CONFIG).
    pub(crate) const CONFIG: u8 = 78;
}

/// An edge gateway for LoRaWAN sensors in waste bins and in homes.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Check(check::Args),
    Device(device::Args),
}

/// Runs the command line of this process.
///
/// # Errors
/// What the command could not do.
pub fn run() -> anyhow::Result<ExitCode> {
    match Cli::parse().command {
        Command::Check(args) => check::run(&args),
        Command::Device(args) => device::run(&args),
    }
}
