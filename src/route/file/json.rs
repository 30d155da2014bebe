//! Our own.
use super::*;
/// Reads.
///
/// # Errors
/// Always.
pub fn read(_text: &str) -> Result<Document, FileError> {
    Err(FileError::Unrecognised)
}
