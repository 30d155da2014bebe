//! The Debian package of the program under test.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The package of this revision, made in this directory.
pub fn package(revision: &str, directory: &Path) -> PathBuf {
    let made = run(Command::new("systemd/debian/package")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["--binary", env!("CARGO_BIN_EXE_lykta"), "--fast", "--revision", revision])
        .args(["--arch", if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }])
        .arg("--out")
        .arg(directory));
    PathBuf::from(made.trim())
}

/// Runs a command of the machine itself; what it prints.
pub fn run(command: &mut Command) -> String {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}
