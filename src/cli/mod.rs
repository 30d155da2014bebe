//! The command line: one file for each command.

mod ask;
mod check;
mod codec;
mod codec_worker;
mod columns;
mod decode;
#[cfg(feature = "demo")]
mod demo;
mod device;
mod diagnose;
mod lend;
mod pages;
mod plan;
mod progress;
mod replay;
mod run;
mod status;
mod store;
mod table;

use crate::codec::script::worker;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Exit codes, after sysexits.h: scripts and the service manager tell causes apart by them.
pub(crate) mod exit {
    /// The command line is wrong.
    pub(crate) const USAGE: u8 = 64;
    /// A given file's content is wrong.
    pub(crate) const DATA: u8 = 65;
    /// Something that is needed is not there.
    pub(crate) const UNAVAILABLE: u8 = 69;
    /// A bug in lykta.
    pub(crate) const SOFTWARE: u8 = 70;
    /// Reading or writing failed.
    pub(crate) const IO: u8 = 74;
    /// The configuration is wrong: starting again does not help.
    pub(crate) const CONFIG: u8 = 78;
}

/// A LoRaWAN edge gateway for waste bins and undisturbed nights.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::Args),
    #[cfg(feature = "demo")]
    Demo(demo::Args),
    Check(check::Args),
    Status(status::Args),
    Device(device::Args),
    Plan(plan::Args),
    Replay(replay::Args),
    Decode(decode::Args),
    Codec(codec::Args),
    #[command(name = worker::COMMAND, hide = true)]
    CodecWorker,
    Store(store::Args),
    Diagnose(diagnose::Args),
    #[command(hide = true)]
    Pages(pages::Args),
}

/// Reads the command line and runs what it says.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => {
            let code = if answer.use_stderr() { exit::USAGE } else { 0 };
            // nobody is left to tell when even this cannot be printed
            let _ = answer.print();
            return code.into();
        }
    };
    let outcome = match &cli.command {
        Command::Run(args) => run::run(args),
        #[cfg(feature = "demo")]
        Command::Demo(args) => demo::run(args),
        Command::Check(args) => check::run(args),
        Command::Status(args) => status::run(args),
        Command::Device(args) => device::run(args),
        Command::Plan(args) => plan::run(args),
        Command::Replay(args) => replay::run(args),
        Command::Decode(args) => decode::run(args),
        Command::Codec(args) => codec::run(args),
        Command::CodecWorker => codec_worker::run(),
        Command::Store(args) => store::run(args),
        Command::Diagnose(args) => diagnose::run(args),
        Command::Pages(args) => pages::run(args),
    };
    outcome.unwrap_or_else(|error| {
        let io = error.chain().find_map(|cause| cause.downcast_ref::<std::io::Error>());
        match io.map(std::io::Error::kind) {
            // whoever read the output has seen enough, as in `lykta check | head`
            Some(std::io::ErrorKind::BrokenPipe) => ExitCode::SUCCESS,
            kind => {
                complain(format_args!("{error:#}"));
                if kind.is_some() { exit::IO.into() } else { exit::SOFTWARE.into() }
            }
        }
    })
}

/// Tells the person at the terminal what went wrong.
#[expect(clippy::print_stderr, reason = "a command's errors belong on stderr")]
fn complain(what: std::fmt::Arguments<'_>) {
    eprintln!("lykta: {what}");
}
