//! Where a gateway keeps what it knows.

use super::GatewayError;
use crate::config::Tenant;
use crate::config::secret::read_store_key;
use crate::store::Database;
use crate::units::TenantId;
use std::fs::{DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where a tenant's database lies.
pub(crate) fn database_file(state_dir: &Path, tenant: &TenantId) -> PathBuf {
    state_dir.join(format!("{tenant}.db"))
}

/// A tenant's database with its keys.
///
/// # Errors
/// When a key cannot be read.
pub(crate) fn database(file: &Path, tenant: &Tenant) -> Result<Database, GatewayError> {
    let key = |file: &Option<PathBuf>| {
        let key = file.as_deref().map(read_store_key).transpose();
        key.map_err(|(what, help)| GatewayError::Key { tenant: tenant.id.clone(), what, help })
    };
    Ok(Database::new(file, key(&tenant.store_key_file)?, key(&tenant.earlier_store_key_file)?))
}

/// Makes the state directory and takes it for this process.
pub(crate) fn lock(path: &Path) -> Result<File, GatewayError> {
    let failed = |source| GatewayError::StateDir { path: path.to_owned(), source };
    // it holds what sensors said: nobody else's business
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed)?;
    // root takes it as well, in a directory that is not root's: no other file behind a link
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .custom_flags(libc::O_NOFOLLOW)
        .open(path.join("lock"))
        .map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(GatewayError::Locked { path: path.to_owned() })
        }
        Err(std::fs::TryLockError::Error(source)) => Err(failed(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_leads_elsewhere_is_not_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let state = dir.path().join("state");
        drop(lock(&state).expect("locks"));
        let other = dir.path().join("other");
        std::fs::write(&other, "of somebody else").expect("writes");
        std::fs::remove_file(state.join("lock")).expect("removes");
        std::os::unix::fs::symlink(&other, state.join("lock")).expect("links");
        assert!(matches!(lock(&state), Err(GatewayError::StateDir { .. })));
        assert_eq!(std::fs::read(&other).expect("reads"), b"of somebody else");
    }
}
