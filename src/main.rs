//! The `lykta` program.

use std::process::ExitCode;

fn main() -> ExitCode {
    lykta::cli::main()
}
