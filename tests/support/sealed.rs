//! Databases under a key.

use lykta::store::Database;
use lykta::units::StoreKey;
use std::path::Path;

/// The key with this number.
pub fn store_key(n: u8) -> StoreKey {
    StoreKey(std::array::from_fn(|at| n.wrapping_mul(31) ^ (at as u8).wrapping_mul(167)))
}

/// A database under this key, if there is one.
pub fn database(file: &Path, key: Option<&StoreKey>) -> Database {
    Database::new(file, key.cloned(), None)
}
