//! That a database was damaged is told whatever comes in between: a start that fails over another
//! tenant, a kill, a power cut. A note lies beside the new file until it was.

use super::damaged::{self, with};
use super::rescue::Rescue;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const NOTE: &str = ".untold";

/// Of what has yet to come about.
const DRAFT: &str = ".untold-draft";

/// Writes it down, before the new file is in its place.
pub(super) fn note(file: &Path, rescue: &Rescue) -> io::Result<()> {
    // what is gone has come about already
    let path = with(file, if rescue.is_kept { DRAFT } else { NOTE });
    damaged::remove(&path)?;
    let mut note = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    note.write_all(&serde_json::to_vec(rescue)?)?;
    note.sync_all()?;
    damaged::sync_directory(file)
}

/// Holds to what was noted if it came about: what is set aside may be gone by the time it is told.
pub(super) fn settle(file: &Path) -> io::Result<()> {
    let draft = with(file, DRAFT);
    if draft.symlink_metadata().is_err() {
        return Ok(());
    }
    match parse(&draft).filter(|rescue| damaged::is_there(&rescue.aside)) {
        Some(_) => std::fs::rename(&draft, with(file, NOTE))?,
        None => damaged::remove(&draft)?,
    }
    damaged::sync_directory(file)
}

/// What was not told so far.
pub(super) fn read(file: &Path) -> Option<Rescue> {
    let mut rescue = parse(&with(file, NOTE))?;
    rescue.is_kept = damaged::is_there(&rescue.aside);
    Some(rescue)
}

/// It was told, and that is on the disk.
pub(super) fn forget(file: &Path) {
    // one that stays is told once more
    let _ = std::fs::remove_file(with(file, NOTE));
}

fn parse(note: &Path) -> Option<Rescue> {
    serde_json::from_slice(&std::fs::read(note).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rescue(aside: &Path) -> Rescue {
        Rescue {
            reason: "torn".into(),
            aside: aside.into(),
            is_kept: true,
            saved: [1; 5],
            left: [0; 5],
            sessions: 2,
            all_sessions: true,
            all_counted: true,
            lost_pages: 3,
            lost_rows: 0,
            is_doubtful: false,
        }
    }

    #[test]
    fn what_came_about_is_told_until_it_was_and_nothing_else() {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, aside) = (dir.path().join("waste.db"), dir.path().join("aside"));
        note(&file, &rescue(&aside)).expect("notes");
        // a power cut before anything is set aside
        settle(&file).expect("settles");
        assert!(read(&file).is_none());
        note(&file, &rescue(&aside)).expect("notes");
        std::fs::write(&aside, "").expect("writes");
        assert!(read(&file).is_none());
        settle(&file).expect("settles");
        // whoever takes it away to look at it
        std::fs::remove_file(&aside).expect("removes");
        settle(&file).expect("settles");
        assert_eq!(read(&file).map(|rescue| rescue.lost_pages), Some(3));
        forget(&file);
        assert!(read(&file).is_none());
        // there is nothing that could be set aside, and a power cut before there is a new one
        note(&file, &Rescue { is_kept: false, ..rescue(&aside) }).expect("notes");
        settle(&file).expect("settles");
        assert!(read(&file).is_some());
        forget(&file);
        assert_eq!(std::fs::read_dir(dir.path()).expect("reads").count(), 0, "nothing is left");
    }

    #[test]
    fn a_note_is_not_written_through_a_link() {
        let dir = tempfile::tempdir().expect("a directory");
        let (file, other) = (dir.path().join("waste.db"), dir.path().join("other"));
        std::fs::write(&other, "theirs").expect("writes");
        std::os::unix::fs::symlink(&other, with(&file, DRAFT)).expect("links");
        note(&file, &rescue(&other)).expect("notes");
        assert_eq!(std::fs::read_to_string(&other).expect("reads"), "theirs");
    }
}
