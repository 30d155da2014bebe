//! The system calls that write, in the place of the C library's: each does what it is asked for,
//! and is written down when it concerns a directory under test.
//!
//! The one room of the tests where `unsafe` is allowed. What is mapped into memory is not seen:
//! SQLite maps nothing but its `-shm`, which is worth nothing after a power cut.
#![allow(unsafe_code)]

use crate::tape::{Event, Inode, Tape};
use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A recording that others may look into.
pub type Shared = Arc<Mutex<Tape>>;

static RECORDER: Mutex<Option<Recorder>> = Mutex::new(None);

#[derive(Default)]
struct Recorder {
    tapes: Vec<(PathBuf, Shared)>,
    open: HashMap<c_int, Open>,
}

#[derive(Clone)]
enum Open {
    File(Shared, Inode),
    Directory(Shared),
}

/// Records what is done to the files in this directory. Those that it has are on the disk.
pub fn record(directory: &Path) -> Shared {
    let tape = Shared::default();
    for file in std::fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let bytes = std::fs::read(file.path()).unwrap();
        let mut tape = lock(&tape);
        let inode = tape.open(file.file_name().to_str().unwrap(), false);
        tape.events.push(Event::Write { inode, at: 0, bytes });
        tape.events.extend([Event::Sync { inode }, Event::SyncNames]);
        tape.begin = tape.events.len();
    }
    let mut recorder = lock(&RECORDER);
    let tapes = &mut recorder.get_or_insert_default().tapes;
    tapes.push((directory.to_owned(), Arc::clone(&tape)));
    tape
}

/// Makes `synchronous` NORMAL for ever in databases below a directory of this name, whatever they
/// are told: the control, which must lose what was promised.
pub fn be_careless_in(name: &'static str) {
    use rusqlite::ffi;

    const SYNCHRONOUS: &CStr = c"synchronous";

    unsafe extern "C" fn authorize(
        _: *mut c_void,
        action: c_int,
        pragma: *const c_char,
        value: *const c_char,
        _: *const c_char,
        _: *const c_char,
    ) -> c_int {
        // SAFETY: for a PRAGMA SQLite gives its name, a NUL-terminated string.
        let meant = action == ffi::SQLITE_PRAGMA
            && !value.is_null()
            && unsafe { CStr::from_ptr(pragma) } == SYNCHRONOUS;
        if meant { ffi::SQLITE_IGNORE } else { ffi::SQLITE_OK }
    }

    unsafe extern "C" fn opened(
        db: *mut ffi::sqlite3,
        _: *mut *mut c_char,
        _: *const ffi::sqlite3_api_routines,
    ) -> c_int {
        // SAFETY: SQLite calls this with the connection that it has just opened; the name is its
        // own, and NUL-terminated.
        let file = unsafe { CStr::from_ptr(ffi::sqlite3_db_filename(db, c"main".as_ptr())) };
        if !file.to_string_lossy().contains(CARELESS.get().copied().unwrap_or("\n")) {
            return ffi::SQLITE_OK;
        }
        let normal = c"PRAGMA synchronous=NORMAL".as_ptr();
        let none = std::ptr::null_mut();
        // SAFETY: as above; no row is asked for and no message, and the callback needs no data.
        unsafe {
            let set = ffi::sqlite3_exec(db, normal, None, none, std::ptr::null_mut());
            assert_eq!(set, ffi::SQLITE_OK);
            ffi::sqlite3_set_authorizer(db, Some(authorize), none)
        }
    }

    static CARELESS: std::sync::OnceLock<&str> = std::sync::OnceLock::new();
    CARELESS.get_or_init(|| name);
    // SAFETY: the function lives as long as the program, and has the signature that SQLite calls
    // it with.
    let set = unsafe { ffi::sqlite3_auto_extension(Some(opened)) };
    assert_eq!(set, ffi::SQLITE_OK);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // a test that failed in another thread has said why
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Recorder {
    /// The recording that this path belongs to, with the name in it; an empty one is the
    /// directory itself.
    fn find(&self, path: &Path) -> Option<(Shared, String)> {
        let found = |(root, tape): &(PathBuf, Shared)| {
            let name = path.strip_prefix(root).ok()?;
            Some((Arc::clone(tape), name.to_str()?.to_owned()))
        };
        self.tapes.iter().find_map(found)
    }
}

fn find(path: &Path) -> Option<(Shared, String)> {
    // what is mapped into memory is not followed, and not needed
    lock(&RECORDER).as_ref()?.find(path).filter(|(_, name)| !name.ends_with("-shm"))
}

fn opened(fd: c_int) -> Option<Open> {
    lock(&RECORDER).as_ref()?.open.get(&fd).cloned()
}

fn file(fd: c_int) -> Option<(Shared, Inode)> {
    match opened(fd)? {
        Open::File(tape, inode) => Some((tape, inode)),
        Open::Directory(_) => None,
    }
}

fn note_open(path: &Path, flags: c_int, fd: c_int) {
    if fd < 0 {
        return;
    }
    let Some((tape, name)) = find(path) else { return };
    let open = if name.is_empty() {
        Open::Directory(tape)
    } else {
        let inode = lock(&tape).open(&name, flags & libc::O_TRUNC != 0);
        Open::File(tape, inode)
    };
    lock(&RECORDER).get_or_insert_default().open.insert(fd, open);
}

fn note_write(fd: c_int, at: u64, bytes: &[u8]) {
    if let Some((tape, inode)) = file(fd) {
        lock(&tape).events.push(Event::Write { inode, at, bytes: bytes.to_vec() });
    }
}

fn note_sync(fd: c_int) {
    match opened(fd) {
        Some(Open::File(tape, inode)) => lock(&tape).events.push(Event::Sync { inode }),
        Some(Open::Directory(tape)) => lock(&tape).events.push(Event::SyncNames),
        None => {}
    }
}

/// # Safety
/// As for the C functions: a NUL-terminated string.
unsafe fn path<'a>(path: *const c_char) -> &'a Path {
    // SAFETY: the caller's promise.
    let bytes = unsafe { CStr::from_ptr(path) }.to_bytes();
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

/// # Safety
/// As for the C functions: so many readable bytes.
unsafe fn bytes<'a>(buffer: *const c_void, len: isize) -> &'a [u8] {
    match usize::try_from(len) {
        // SAFETY: the caller's promise; the kernel has just read them.
        Ok(len @ 1..) => unsafe { std::slice::from_raw_parts(buffer.cast(), len) },
        _ => &[],
    }
}

// SAFETY, for all of these: they have the signatures of the C library's functions and do the same
// by the system call beneath, so whatever held for the C library's callers holds for ours. open()
// is variadic in C; on Linux a variadic integer comes in the same register as a named one.

/// open(2)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open64(name: *const c_char, flags: c_int, mode: libc::mode_t) -> c_int {
    // SAFETY: see above.
    unsafe { openat64(libc::AT_FDCWD, name, flags, mode) }
}

/// open(2)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(name: *const c_char, flags: c_int, mode: libc::mode_t) -> c_int {
    // SAFETY: see above.
    unsafe { openat64(libc::AT_FDCWD, name, flags, mode) }
}

/// openat(2)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn openat64(
    directory: c_int,
    name: *const c_char,
    flags: c_int,
    mode: libc::mode_t,
) -> c_int {
    let flags = flags | libc::O_LARGEFILE;
    // SAFETY: see above.
    let fd = unsafe { libc::syscall(libc::SYS_openat, directory, name, flags, mode) } as c_int;
    // SAFETY: see above.
    note_open(unsafe { path(name) }, flags, fd);
    fd
}

/// close(2)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn close(fd: c_int) -> c_int {
    // before the kernel can give the number to another thread
    if let Some(recorder) = lock(&RECORDER).as_mut() {
        recorder.open.remove(&fd);
    }
    // SAFETY: see above.
    unsafe { libc::syscall(libc::SYS_close, fd) as c_int }
}

/// pwrite(2)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite64(
    fd: c_int,
    buffer: *const c_void,
    len: usize,
    at: libc::off64_t,
) -> isize {
    // SAFETY: see above.
    let written = unsafe { libc::syscall(libc::SYS_pwrite64, fd, buffer, len, at) } as isize;
    // SAFETY: see above.
    note_write(fd, at.unsigned_abs(), unsafe { bytes(buffer, written) });
    written
}

/// pwrite(2)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite(
    fd: c_int,
    buffer: *const c_void,
    len: usize,
    at: libc::off_t,
) -> isize {
    // SAFETY: see above.
    unsafe { pwrite64(fd, buffer, len, at) }
}

/// write(2)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, len: usize) -> isize {
    // SAFETY: see above.
    let written = unsafe { libc::syscall(libc::SYS_write, fd, buffer, len) } as isize;
    if written > 0 && file(fd).is_some() {
        // SAFETY: takes no pointer.
        let end = unsafe { libc::lseek(fd, 0, libc::SEEK_CUR) };
        // SAFETY: see above.
        note_write(fd, (end - written as i64).unsigned_abs(), unsafe { bytes(buffer, written) });
    }
    written
}

/// fsync(2)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    // The kernel need not do it: it is the disk that is rebuilt that must hold.
    note_sync(fd);
    0
}

/// fdatasync(2)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    note_sync(fd);
    0
}

/// ftruncate(2)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate64(fd: c_int, len: libc::off64_t) -> c_int {
    // SAFETY: see above.
    let result = unsafe { libc::syscall(libc::SYS_ftruncate, fd, len) } as c_int;
    if let Some((tape, inode)) = file(fd).filter(|_| result == 0) {
        lock(&tape).events.push(Event::Length { inode, bytes: len.unsigned_abs() });
    }
    result
}

/// ftruncate(2)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate(fd: c_int, len: libc::off_t) -> c_int {
    // SAFETY: see above.
    unsafe { ftruncate64(fd, len) }
}

/// unlink(2)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlink(name: *const c_char) -> c_int {
    // SAFETY: see above.
    let result = unsafe { libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, name, 0) } as c_int;
    if result != 0 {
        // a lock would overwrite the reason
        return result;
    }
    // SAFETY: see above.
    if let Some((tape, name)) = find(unsafe { path(name) }) {
        lock(&tape).unlink(&name);
    }
    result
}

/// rename(2)
#[unsafe(no_mangle)]
pub unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    let here = libc::AT_FDCWD;
    // SAFETY: see above.
    let result = unsafe { libc::syscall(libc::SYS_renameat2, here, from, here, to, 0) } as c_int;
    if result != 0 {
        return result;
    }
    // SAFETY: see above.
    let (from, to) = unsafe { (find(path(from)), find(path(to))) };
    if let (Some((tape, from)), Some((_, to))) = (from, to) {
        lock(&tape).rename(&from, &to);
    }
    result
}
