//! That a database was damaged is told whatever comes in between: a start that fails over another
//! tenant, a kill, a power cut. A note lies beside the new file until it was.

use super::damaged::{self, with};
use super::rescue::Rescue;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

fn beside(file: &Path) -> PathBuf {
    with(file, ".untold")
}

/// Writes it down, before the new file is in its place.
pub(super) fn note(file: &Path, rescue: &Rescue) -> io::Result<()> {
    let mut note = File::create(beside(file))?;
    note.write_all(&serde_json::to_vec(rescue)?)?;
    note.sync_all()?;
    damaged::sync_directory(file)
}

/// What was not told so far. A note of what did not come about is none.
pub(super) fn read(file: &Path) -> Option<Rescue> {
    let note = std::fs::read(beside(file)).ok()?;
    let rescue: Rescue = serde_json::from_slice(&note).ok()?;
    damaged::asides(file).contains(&rescue.aside).then_some(rescue)
}

/// It was told, and that is on the disk.
pub(super) fn forget(file: &Path) {
    // one that stays is told once more
    let _ = std::fs::remove_file(beside(file));
}
