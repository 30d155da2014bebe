//! `lykta codec-worker`: the process in which codecs run. The keeper starts it, nobody else.

use crate::codec::script::worker;
use std::process::ExitCode;

pub(super) fn run() -> anyhow::Result<ExitCode> {
    worker::run()?;
    Ok(ExitCode::SUCCESS)
}
