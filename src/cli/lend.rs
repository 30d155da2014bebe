//! What a command writes beside the configuration is for the service.

use crate::config::secret::service_gid;
use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

/// Lets the service read a file that root writes into a directory of the service's: one of root's,
/// with its group.
pub(super) fn lend(file: &File, directory: &Path) -> io::Result<()> {
    lend_as(file, directory, 0o640)
}

/// Makes a directory where there is none, and lets the service read it as [`lend`] does.
pub(super) fn make(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    let above = match directory.parent() {
        Some(above) if above != Path::new("") => above,
        _ => Path::new("."),
    };
    make(above)?;
    std::fs::create_dir(directory)?;
    lend_as(&File::open(directory)?, above, 0o750)
}

fn lend_as(file: &File, directory: &Path, mode: u32) -> io::Result<()> {
    let directory = directory.metadata()?;
    if directory.uid() == 0 && service_gid() == Some(directory.gid()) && file.metadata()?.uid() == 0
    {
        fchown(file, None, Some(directory.gid()))?;
        file.set_permissions(Permissions::from_mode(mode))?;
    }
    Ok(())
}
