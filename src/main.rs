//! The daemon and its commands.

use std::process::ExitCode;

fn main() -> anyhow::Result<ExitCode> {
    lykta::cli::run()
}
