//! A database that cannot be used as it should.

use std::path::{Path, PathBuf};

/// A database that cannot be used as it should.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// SQLite says no.
    #[error("{}: {source}{}", file.display(), remedy(source))]
    Sqlite {
        /// The database file.
        file: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file is no database any more, or never was one.
    #[error("{}: {source}", file.display())]
    Damaged {
        /// The database file.
        file: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// Written by another version of lykta.
    #[error(
        "{}: written by a newer lykta (schema {found}, this one knows {known}); install that \
         version again, or move the file away to begin anew",
        file.display()
    )]
    Schema {
        /// The database file.
        file: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest one known here.
        known: i64,
    },
    /// Written by an earlier version, and the disk does not take what is to be changed.
    #[error(
        "{}: was written by an earlier lykta (schema {found}), and cannot be brought to schema \
         {known}: {source}; make room on the disk (some megabytes) or mend it. Nothing is lost, and \
         the next start tries again",
        file.display()
    )]
    Migration {
        /// The database file.
        file: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest one known here.
        known: i64,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// Under a key that is not known.
    #[error(
        "{}: encrypted with another key than the one given; name the right one in store_key_file, or \
         that of before as earlier_store_key_file, or for a command with --key. The file is as it \
         was. Only if its key is lost for good, move it away to begin anew",
        file.display()
    )]
    WrongKey {
        /// The database file.
        file: PathBuf,
    },
    /// Under a key, and none is given.
    #[error(
        "{}: encrypted, and no key is known here; name its key in the tenant's store_key_file, or for \
         a command with --key. The file is as it was. Only if its key is lost for good, move it away \
         to begin anew",
        file.display()
    )]
    NoKey {
        /// The database file.
        file: PathBuf,
    },
    /// The disk does not take a copy under another key.
    #[error(
        "{}: cannot be written anew under its key: {source}; make room on the disk, as much as it has \
         now. Nothing is lost, and the next start tries again",
        file.display()
    )]
    Renewal {
        /// The database file.
        file: PathBuf,
        /// What the disk says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Not yet of this version, and only looked at.
    #[error(
        "{}: written by an older lykta (schema {found}): the daemon brings it up to date as it starts",
        file.display()
    )]
    Older {
        /// The database file.
        file: PathBuf,
        /// Its schema version.
        found: i64,
    },
    /// The file is another than it was, or not there though it was before.
    #[error("{}: {what}", file.display())]
    Gone {
        /// The database file.
        file: PathBuf,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Something is missing in the middle of the log.
    #[error(
        "{}: its write-ahead log has a gap, as a power cut in the middle of a write leaves one, and \
         damage as well",
        file.display()
    )]
    Gap {
        /// The database file.
        file: PathBuf,
    },
    /// A damaged file cannot even be read, or there is no room for what it says.
    #[error("{}: cannot be read or copied: {source}", file.display())]
    Unreadable {
        /// The database file.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A damaged file cannot be read or renamed.
    #[error("{}: damaged, and cannot be set aside: {source}", file.display())]
    SetAside {
        /// The database file.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// What was set aside cannot be erased.
    #[error("{}: what was set aside of it cannot be erased: {source}", file.display())]
    Erase {
        /// The database file.
        file: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A damaged file could not be set aside a moment ago.
    #[error("{}: damaged, and not to be replaced yet: {why}", file.display())]
    Damage {
        /// The database file.
        file: PathBuf,
        /// What stands against it.
        why: String,
    },
}

/// What helps against what SQLite says, behind it.
fn remedy(source: &rusqlite::Error) -> &'static str {
    use rusqlite::ErrorCode::{CannotOpen, DiskFull, PermissionDenied, ReadOnly, SystemIoFailure};
    match source.sqlite_error_code() {
        Some(DiskFull) => "; make room on the disk, or allow more in `buffer`, and it goes on",
        Some(ReadOnly) => {
            "; look whether the disk is mounted read-only, as one that fails is, and whether the file is \
             lykta's"
        }
        Some(CannotOpen | PermissionDenied) => {
            "; let the user who runs lykta read and write it and its directory"
        }
        Some(SystemIoFailure) => "; look after the disk (dmesg)",
        _ => "",
    }
}

/// What SQLite says, told apart: a file that is damaged is set aside, any other trouble waits.
pub(super) fn failed(file: &Path, source: rusqlite::Error) -> StoreError {
    use rusqlite::Error;
    use rusqlite::ErrorCode::{DatabaseCorrupt, NotADatabase, Unknown};
    use rusqlite::ffi;
    let file = file.to_owned();
    let is_damage = match &source {
        Error::SqliteFailure(error, _) => {
            matches!(error.code, DatabaseCorrupt | NotADatabase)
                // a table or a column that is not there, and was
                || (error.code == Unknown && error.extended_code == ffi::SQLITE_ERROR)
                || [ffi::SQLITE_IOERR_READ, ffi::SQLITE_IOERR_SHORT_READ]
                    .contains(&error.extended_code)
        }
        Error::SqlInputError { .. } => true,
        // a value that was never written
        Error::FromSqlConversionFailure(..)
        | Error::IntegralValueOutOfRange(..)
        | Error::InvalidColumnType(..)
        | Error::Utf8Error(..)
        | Error::QueryReturnedNoRows => true,
        _ => false,
    };
    match is_damage {
        true => StoreError::Damaged { file, source },
        false => StoreError::Sqlite { file, source },
    }
}
