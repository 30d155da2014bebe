//! Secrets from files and systemd credentials.

use std::io;
use std::path::{Path, PathBuf};

/// Where a secret's file is: a bare name is a systemd credential.
pub fn secret_path(file: &Path) -> PathBuf {
    let bare = file.components().count() == 1 && !file.starts_with(".");
    match std::env::var_os("CREDENTIALS_DIRECTORY") {
        Some(directory) if bare => Path::new(&directory).join(file),
        _ => file.to_owned(),
    }
}

/// The first line of a secret's file.
///
/// # Errors
/// When the file cannot be read as text.
pub fn read_secret(file: &Path) -> io::Result<String> {
    let text = std::fs::read_to_string(secret_path(file))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
