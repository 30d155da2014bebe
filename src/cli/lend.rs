//! What a command writes beside the configuration is for the service.

use std::fs::{File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
use std::path::Path;

/// Lets the service read a file that root writes into a directory of the service's: one of root's,
/// with another group.
pub(super) fn lend(file: &File, directory: &Path) -> io::Result<()> {
    let directory = directory.metadata()?;
    if directory.uid() == 0 && directory.gid() != 0 && file.metadata()?.uid() == 0 {
        fchown(file, None, Some(directory.gid()))?;
        file.set_permissions(Permissions::from_mode(0o640))?;
    }
    Ok(())
}
