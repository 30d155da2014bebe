//! A disk of the test's own: ext4 on a loop device, which counts what is written to it, and can
//! be copied as it is at this instant.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Mounted for as long as it lives. Needs root.
pub struct Disk {
    /// `loop3`
    device: String,
    image: PathBuf,
    /// Where it is mounted.
    root: PathBuf,
    _directory: tempfile::TempDir,
}

/// What has reached the device since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    pub bytes: u64,
    /// How often its cache was to be emptied: each is an fsync or fdatasync, or a commit of the
    /// file system's own journal.
    pub flushes: u64,
}

impl std::ops::Sub for Written {
    type Output = Self;

    fn sub(self, before: Self) -> Self {
        Self { bytes: self.bytes - before.bytes, flushes: self.flushes - before.flushes }
    }
}

impl Disk {
    /// A new one of so many megabytes, empty. In memory where there is a file system for it: what
    /// is counted does not depend on speed.
    ///
    /// # Panics
    /// When this is not root, or there is no loop device.
    pub fn new(megabytes: u64) -> Self {
        Self::of(|image| {
            let file = std::fs::File::create(image).unwrap();
            file.set_len(megabytes << 20).unwrap();
            // everything at once: what mkfs leaves for later would be counted as ours
            let options = "lazy_itable_init=0,lazy_journal_init=0,nodiscard";
            run(&["mkfs.ext4", "-q", "-F", "-b", "4096", "-E", options, text(image)]);
        })
    }

    /// The one whose image this makes.
    ///
    /// # Panics
    /// As [`Disk::new`].
    pub fn of(make: impl FnOnce(&Path)) -> Self {
        let directory = directory();
        let image = directory.path().join("image");
        make(&image);
        Self::mount(directory, image)
    }

    /// What has reached this disk, as another one: as if the power were cut now, and came back.
    /// Whoever writes should be stopped, since the copy is taken when nothing changes meanwhile.
    pub fn cut(&self) -> Self {
        Self::of(|image| {
            let copied = (0..50).any(|_| {
                let before = self.reached();
                run(&["cp", "--sparse=always", text(&self.image), text(image)]);
                self.reached() == before
            });
            assert!(copied, "somebody writes to {} all the time", self.device);
        })
    }

    fn mount(directory: tempfile::TempDir, image: PathBuf) -> Self {
        let root = directory.path().join("root");
        std::fs::create_dir(&root).unwrap();
        let path = run(&["losetup", "--find", "--show", text(&image)]);
        let device = path.trim().strip_prefix("/dev/").unwrap().to_owned();
        let disk = Self { device, image, root, _directory: directory };
        run(&["mount", "-t", "ext4", "-o", "noatime", path.trim(), text(&disk.root)]);
        disk
    }

    /// Its file system meets an error that it does not get over: it is read-only from now on,
    /// whoever has what open.
    pub fn fail(&mut self) {
        run(&["mount", "-o", "remount,abort", text(&self.root)]);
    }

    /// Takes it away and mounts it again, as a reboot does.
    pub fn remount(&mut self) {
        run(&["umount", text(&self.root)]);
        let device = format!("/dev/{}", self.device);
        run(&["mount", "-t", "ext4", "-o", "noatime", &device, text(&self.root)]);
    }

    /// Where it is mounted.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What was written so far, with what the file system still held back.
    pub fn written(&self) -> Written {
        run(&["sync", "-f", text(&self.root)]);
        self.reached()
    }

    /// What has reached the device of itself.
    pub fn reached(&self) -> Written {
        let path = format!("/sys/block/{}/stat", self.device);
        let text = std::fs::read_to_string(path).unwrap();
        let field = |n: usize| -> u64 { text.split_whitespace().nth(n).unwrap().parse().unwrap() };
        // Documentation/block/stat.rst: write sectors of 512 bytes, and flush I/Os
        Written { bytes: field(6) * 512, flushes: field(15) }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // both, also where it never came to be mounted
        let _ = Command::new("umount").arg(&self.root).output();
        let _ = Command::new("losetup").args(["-d", &format!("/dev/{}", self.device)]).output();
    }
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Runs a program of the system; what it prints.
fn run(command: &[&str]) -> String {
    let output = Command::new(command[0]).args(&command[1..]).output();
    let output = output.unwrap_or_else(|e| panic!("{}: {e}", command[0]));
    assert!(
        output.status.success(),
        "{command:?} (only root may use loop devices): {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
