//! Databases under a key.

use lykta::store::Database;
use lykta::units::StoreKey;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// The key with this number.
pub fn store_key(n: u8) -> StoreKey {
    StoreKey(std::array::from_fn(|at| n.wrapping_mul(31) ^ (at as u8).wrapping_mul(167)))
}

/// The line of a care tenant's settings that names its key, which is put into this directory.
pub fn care_key(directory: &Path) -> String {
    let file = directory.join("care.key");
    std::fs::write(&file, hex::encode(store_key(1).0)).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    format!("store_key_file = {file:?}\n")
}

/// A database under this key, if there is one.
pub fn database(file: &Path, key: Option<&StoreKey>) -> Database {
    Database::new(file, key.cloned(), None)
}
