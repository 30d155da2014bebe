//! The one room where `unsafe` is allowed: calls into libc that no maintained crate wraps.
#![allow(unsafe_code)]

/// Whether the kernel's clock is disciplined by a time source (NTP, GNSS, a host).
///
/// This is the kernel's own word, `STA_UNSYNC` of adjtimex(2), and so holds for
/// systemd-timesyncd, chrony and ntpd alike.
pub(crate) fn clock_is_synchronized() -> bool {
    // SAFETY: `timex` is a plain C struct for which all-zero bytes are a valid value.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: `timex` is a valid, exclusive pointer for the call; `modes == 0` only reads.
    let state = unsafe { libc::adjtimex(&mut timex) };
    state >= 0 && state != libc::TIME_ERROR && timex.status & libc::STA_UNSYNC == 0
}

/// Gives memory that is free again back to the system, which the C library else keeps for
/// later. For the moment after the configuration has been read: the text and trees of 5,000
/// devices take 65 MB, what remains of them 3 MB, and a Zero 2 W has 512 MB for everything.
pub(crate) fn return_free_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: malloc_trim(3) may be called at any time, by any thread; it takes no pointers.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Whether this process may create files in a directory, without trying to.
pub(crate) fn is_writable(directory: &std::path::Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let Ok(path) = std::ffi::CString::new(directory.as_os_str().as_bytes()) else {
        return false;
    };
    // SAFETY: `path` is a NUL-terminated string that lives through the call.
    unsafe { libc::access(path.as_ptr(), libc::W_OK | libc::X_OK) == 0 }
}

/// Names the time since the machine has booted.
pub(crate) fn boot_id() -> Option<uuid::Uuid> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().parse().ok()
}

/// Kills the process group of a child that leads one of its own.
pub(crate) fn kill_group(leader: u32) {
    let Ok(group) = libc::pid_t::try_from(leader) else { return };
    // 0 and 1 would be whole other groups; no child has them
    if group > 1 {
        // SAFETY: kill(2) takes no pointers. The child is not waited for yet, so that its number
        // is no other's.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
}

/// The kernel's monotonic clock, as it stamps the edges of GPIO lines with.
pub(crate) fn monotonic() -> std::time::Duration {
    clock(libc::CLOCK_MONOTONIC)
}

/// How long this process has computed, in all its threads, since it began.
pub(crate) fn cpu_time() -> std::time::Duration {
    clock(libc::CLOCK_PROCESS_CPUTIME_ID)
}

/// How long the calling thread has computed since it began.
pub(crate) fn thread_cpu_time() -> std::time::Duration {
    clock(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Lets all other threads and programs go before the calling thread; whether the kernel allows it.
pub(crate) fn yield_to_all() -> bool {
    const NICEST: libc::c_int = 19;
    // SAFETY: setpriority(2) takes no pointers. Linux keeps a value for each thread, and 0 is the
    // calling one.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICEST) == 0 }
}

fn clock(id: libc::clockid_t) -> std::time::Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid, exclusive pointer for the call.
    unsafe { libc::clock_gettime(id, &mut now) };
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    std::time::Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}
