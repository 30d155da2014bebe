//! Damaged files are kept under a dated name, for whoever wants to look; but not so many that
//! they fill the card.

use jiff::Timestamp;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// What belongs to a database.
pub(super) const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// What stands between the name of a file and the date of its damage.
const MARK: &str = ".damaged-";

/// So many are kept of each database, and of more than one together no more bytes than these.
const MAX_KEPT: usize = 3;
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// The name with something behind it.
pub(super) fn with(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

/// A database and what belongs to it.
pub(super) fn parts(database: &Path) -> [PathBuf; 3] {
    let [log, index] = COMPANIONS;
    ["", log, index].map(|suffix| with(database, suffix))
}

/// Whether anything of a database is there.
pub(super) fn is_there(database: &Path) -> bool {
    parts(database).iter().any(|part| part.symlink_metadata().is_ok())
}

/// How many bytes a file has; none where it cannot be asked.
pub(super) fn len(file: &Path) -> u64 {
    std::fs::metadata(file).map_or(0, |file| file.len())
}

/// How many bytes a database has together with its log.
pub fn len_with_log(file: &Path) -> u64 {
    len(file) + len(&with(file, "-wal"))
}

/// Renames the database together with what belongs to it; the new name. Where the database itself
/// is gone already, what belongs to it goes alone.
pub(super) fn set_aside(file: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let aside = name_aside(file, now);
    rename(file, &aside)?;
    Ok(aside)
}

/// What the database will be called when it is set aside now.
pub(super) fn name_aside(file: &Path, now: Timestamp) -> PathBuf {
    let date = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let names = std::iter::once(date.clone()).chain((2..).map(|n| format!("{date}-{n}")));
    names
        .map(|date| with(file, &format!("{MARK}{date}")))
        .find(|aside| !is_there(aside))
        .expect("there are more names than files")
}

/// Renames a database together with what belongs to it.
pub(super) fn rename(file: &Path, aside: &Path) -> io::Result<()> {
    // a WAL that were left behind would be applied to the new file
    for (part, aside) in parts(file).iter().zip(parts(aside)) {
        match std::fs::rename(part, aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Removes the oldest that were set aside: of each database a few are kept, and the last one in any
/// case. That is `last` where it is known: its date may be of a clock that nobody has set.
pub(super) fn tidy(file: &Path, last: Option<&Path>) {
    let mut kept = asides(file);
    kept.sort_by_key(|aside| Some(aside.as_path()) != last);
    let mut bytes = 0;
    for (n, aside) in kept.iter().enumerate() {
        bytes += len_with_log(aside);
        if n > 0 && (n >= MAX_KEPT || bytes > MAX_BYTES) {
            for part in parts(aside) {
                // one that cannot be removed is tried again at the next damage
                let _ = std::fs::remove_file(part);
            }
        }
    }
}

/// What was set aside of a database, the newest first.
pub(super) fn asides(file: &Path) -> Vec<PathBuf> {
    let Some((directory, name)) = file.parent().zip(file.file_name().and_then(OsStr::to_str))
    else {
        return Vec::new();
    };
    let mark = format!("{name}{MARK}");
    let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
    // of one that was gone there is no more than its companions
    let database = |name: &str| {
        let of = COMPANIONS.iter().find_map(|suffix| name.strip_suffix(suffix));
        of.unwrap_or(name).to_owned()
    };
    let kept: BTreeSet<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.starts_with(&mark))
        .map(|name| database(&name))
        .collect();
    kept.into_iter().rev().map(|name| directory.join(name)).collect()
}

/// Overwrites a file and removes it; nothing there is well, too. What a card keeps of it
/// elsewhere is out of reach.
pub(super) fn erase(file: &Path) -> io::Result<()> {
    erase_end(file, u64::MAX)
}

/// The same for its last bytes, at most so many: they are overwritten and cut off, and a file of
/// which nothing is left is removed.
pub(super) fn erase_end(file: &Path, most: u64) -> io::Result<()> {
    let mut open = match File::options().write(true).open(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let len = open.metadata()?.len();
    let from = len.saturating_sub(most);
    open.seek(SeekFrom::Start(from))?;
    io::copy(&mut io::repeat(0).take(len - from), &mut open)?;
    open.sync_all()?;
    if from > 0 { open.set_len(from) } else { std::fs::remove_file(file) }
}

/// Removes a database together with what belongs to it; nothing there is well, too.
pub(super) fn remove(file: &Path) -> io::Result<()> {
    for part in parts(file) {
        match std::fs::remove_file(part) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Makes the names in the directory of a file durable.
pub(super) fn sync_directory(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(directory) if directory != Path::new("") => File::open(directory)?.sync_all(),
        _ => File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_few_are_kept() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("t.db");
        for n in 0..6 {
            std::fs::write(&file, "x").expect("writes");
            std::fs::write(with(&file, "-wal"), "y").expect("writes");
            // two of them within one second
            let now = Timestamp::from_second(1_767_225_600 + n / 2).expect("in range");
            let aside = set_aside(&file, now).expect("renames");
            assert!(aside.exists() && with(&aside, "-wal").exists());
            tidy(&file, Some(&aside));
        }
        let names = std::fs::read_dir(dir.path()).expect("reads");
        let mut names: Vec<_> =
            names.map(|e| e.expect("reads").file_name().into_string().expect("a name")).collect();
        names.sort();
        let date = "t.db.damaged-20260101T00000";
        let expected = ["1Z-2", "1Z-2-wal", "2Z", "2Z-2", "2Z-2-wal", "2Z-wal"];
        assert_eq!(names, expected.map(|end| format!("{date}{end}")));
    }

    #[test]
    fn the_last_one_is_kept_whatever_the_clock_says() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join("t.db");
        for second in [3, 4, 5, 0] {
            // the database is gone, and only its log is there
            std::fs::write(with(&file, "-wal"), "y").expect("writes");
            let now = Timestamp::from_second(1000 * second).expect("in range");
            let aside = set_aside(&file, now).expect("renames");
            tidy(&file, Some(&aside));
            assert!(with(&aside, "-wal").exists());
        }
        assert_eq!(std::fs::read_dir(dir.path()).expect("reads").count(), MAX_KEPT);
    }
}
