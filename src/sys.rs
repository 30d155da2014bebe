//! The one room where `unsafe` is allowed: calls into libc that no maintained crate wraps.
#![allow(unsafe_code)]

/// Whether the kernel's clock is disciplined by a time source (NTP, GNSS, a host).
///
/// This is the kernel's own word, `STA_UNSYNC` of adjtimex(2), and so holds for
/// systemd-timesyncd, chrony and ntpd alike. `None` where that may not be asked for.
pub(crate) fn clock_is_synchronized() -> Option<bool> {
    // SAFETY: `timex` is a plain C struct for which all-zero bytes are a valid value.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: `timex` is a valid, exclusive pointer for the call; `modes == 0` only reads.
    let state = unsafe { libc::adjtimex(&mut timex) };
    let is_set = state != libc::TIME_ERROR && timex.status & libc::STA_UNSYNC == 0;
    (state >= 0).then_some(is_set)
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

/// How many bytes of the disk under a directory are free for this process, and its size.
pub(crate) fn disk(directory: &std::path::Path) -> Option<(u64, u64)> {
    use std::os::unix::ffi::OsStrExt;
    let path = std::ffi::CString::new(directory.as_os_str().as_bytes()).ok()?;
    // SAFETY: `statvfs` is a plain C struct for which all-zero bytes are a valid value.
    let mut disk: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: `path` is a NUL-terminated string and `disk` a valid, exclusive pointer for the call.
    let failed = unsafe { libc::statvfs(path.as_ptr(), &mut disk) } != 0;
    // the types differ between architectures
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
    let bytes = |blocks| blocks as u64 * disk.f_frsize as u64;
    (!failed).then(|| (bytes(disk.f_bavail), bytes(disk.f_blocks)))
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

/// How long another process has computed; nothing if it is gone.
pub(crate) fn cpu_time_of(process: u32) -> std::time::Duration {
    let Ok(process) = libc::pid_t::try_from(process) else { return std::time::Duration::ZERO };
    let mut id = 0;
    // SAFETY: `id` is a valid, exclusive pointer for the call.
    let known = unsafe { libc::clock_getcpuclockid(process, &mut id) } == 0;
    if known { clock(id) } else { std::time::Duration::ZERO }
}

/// Lets all other threads and programs go before the calling thread; whether the kernel allows it.
pub(crate) fn yield_to_all() -> bool {
    const NICEST: libc::c_int = 19;
    // SAFETY: setpriority(2) takes no pointers. Linux keeps a value for each thread, and 0 is the
    // calling one.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICEST) == 0 }
}

/// Takes from this process, for good, all that a program of strangers could use against others:
/// no files, no sockets, no processes, no more memory than this, no rights by exec, no core dump;
/// its parent's end is its own. What is open on 0, 1 and 2 stays so.
///
/// Says whether the kernel filters system calls, too: some cannot.
///
/// # Errors
/// When the kernel refuses any of the others.
pub(crate) fn confine(memory: u64) -> std::io::Result<bool> {
    let to_result = |status: libc::c_int| match status {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    };
    let prctl = |option: libc::c_int, value: libc::c_ulong| {
        // SAFETY: prctl(2) with these options takes numbers alone.
        to_result(unsafe { libc::prctl(option, value, 0_usize, 0_usize, 0_usize) })
    };
    prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL as libc::c_ulong)?;
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1)?;
    // before Linux 5.9 there is none, and nothing is open that is not marked to be closed by exec
    // SAFETY: close_range(2) takes numbers alone; nothing in this process has a file open above 2.
    unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, 0_u32) };
    let limits = [
        (libc::RLIMIT_NOFILE, 0),
        (libc::RLIMIT_NPROC, 0),
        (libc::RLIMIT_FSIZE, 0),
        (libc::RLIMIT_CORE, 0),
        (libc::RLIMIT_DATA, memory),
    ];
    for (resource, most) in limits {
        let most = libc::rlim_t::try_from(most).unwrap_or(libc::RLIM_INFINITY);
        let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: `limit` is a valid pointer for the call.
        to_result(unsafe { libc::setrlimit(resource, &limit) })?;
    }
    Ok(filter::install())
}

/// What an interpreter needs of the kernel, as a seccomp filter: time, memory that is no code,
/// and what is open already. All else fails with EPERM, as if there were no right to it.
mod filter {
    /// AUDIT_ARCH_* of linux/audit.h. System calls have numbers of each architecture's own.
    const ARCHITECTURE: Option<u32> = if cfg!(target_arch = "x86_64") {
        Some(0xc000_003e)
    } else if cfg!(target_arch = "aarch64") {
        Some(0xc000_00b7)
    } else if cfg!(target_arch = "arm") {
        Some(0x4000_0028)
    } else {
        None
    };

    const CALLS: &[libc::c_long] = &[
        libc::SYS_read,
        libc::SYS_write,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_brk,
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_futex,
        libc::SYS_clock_gettime,
        libc::SYS_gettimeofday,
        libc::SYS_getrandom,
        libc::SYS_sched_yield,
        libc::SYS_restart_syscall,
        libc::SYS_rt_sigaction,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigreturn,
        libc::SYS_sigaltstack,
        // clock_gettime64 and futex_time64 of linux/arch/arm/tools/syscall.tbl, which libc lacks
        #[cfg(target_arch = "arm")]
        403,
        #[cfg(target_arch = "arm")]
        422,
    ];

    /// Those whose third argument says whether the memory is code.
    const MAPPING: &[libc::c_long] = &[
        libc::SYS_mprotect,
        #[cfg(not(target_arch = "arm"))]
        libc::SYS_mmap,
        #[cfg(target_arch = "arm")]
        libc::SYS_mmap2,
    ];

    /// Where things stand in `struct seccomp_data`: the number, the architecture, the low half of
    /// the third argument (all these machines are little-endian).
    const NUMBER: u32 = 0;
    const ARCH: u32 = 4;
    const THIRD: u32 = 16 + 2 * 8;

    /// Whether the kernel has taken it.
    pub(super) fn install() -> bool {
        let Some(architecture) = ARCHITECTURE else { return false };
        let mut program = program(architecture);
        let Ok(len) = u16::try_from(program.len()) else { return false };
        let program = libc::sock_fprog { len, filter: program.as_mut_ptr() };
        // SAFETY: `program` points to `len` instructions, and both live through the call.
        let taken = unsafe {
            let filter = libc::c_ulong::from(libc::SECCOMP_MODE_FILTER);
            libc::prctl(libc::PR_SET_SECCOMP, filter, &raw const program)
        };
        taken == 0
    }

    fn program(architecture: u32) -> Vec<libc::sock_filter> {
        let load = |from| instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, from);
        let end = |with| instruction(libc::BPF_RET | libc::BPF_K, 0, 0, with);
        // jumps are counted from the next instruction
        let skip_if =
            |test, value, over| instruction(libc::BPF_JMP | test | libc::BPF_K, over, 0, value);
        let skip_unless =
            |test, value, over| instruction(libc::BPF_JMP | test | libc::BPF_K, 0, over, value);
        let refuse = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
        let mut program = vec![
            load(ARCH),
            skip_if(libc::BPF_JEQ, architecture, 1),
            end(libc::SECCOMP_RET_KILL_PROCESS),
            load(NUMBER),
        ];
        for call in CALLS {
            program.push(skip_unless(libc::BPF_JEQ, *call as u32, 1));
            program.push(end(libc::SECCOMP_RET_ALLOW));
        }
        for call in MAPPING {
            program.push(skip_unless(libc::BPF_JEQ, *call as u32, 4));
            program.push(load(THIRD));
            program.push(skip_if(libc::BPF_JSET, libc::PROT_EXEC as u32, 1));
            program.push(end(libc::SECCOMP_RET_ALLOW));
            program.push(end(refuse));
        }
        program.push(end(refuse));
        program
    }

    fn instruction(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
        libc::sock_filter { code: code as u16, jt, jf, k }
    }
}

fn clock(id: libc::clockid_t) -> std::time::Duration {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid, exclusive pointer for the call.
    unsafe { libc::clock_gettime(id, &mut now) };
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    std::time::Duration::new(seconds, u32::try_from(now.tv_nsec).unwrap_or_default())
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use std::io::ErrorKind::PermissionDenied;

    /// The filter is of a thread and those that it starts, so that it can be tried on one.
    #[test]
    fn behind_the_filter_there_are_no_files_no_network_and_no_processes() {
        let tried = std::thread::spawn(|| {
            // SAFETY: prctl(2) with this option takes numbers alone.
            unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1_usize, 0_usize, 0_usize, 0_usize) };
            assert!(super::filter::install(), "the kernel takes the filter");
            // SAFETY: kill(2) takes no pointers, and signal 0 only asks.
            let kill = unsafe { libc::kill(libc::getppid(), 0) };
            (
                std::fs::File::open("/etc/hostname").map_err(|e| e.kind()).err(),
                std::fs::remove_file("/nowhere").map_err(|e| e.kind()).err(),
                std::net::TcpStream::connect("127.0.0.1:1").map_err(|e| e.kind()).err(),
                std::net::UdpSocket::bind("127.0.0.1:0").map_err(|e| e.kind()).err(),
                std::thread::Builder::new().spawn(|| ()).map_err(|e| e.kind()).err(),
                kill,
                vec![0_u8; 4 << 20].len(),
                std::time::SystemTime::now() > std::time::UNIX_EPOCH,
            )
        });
        let no = Some(PermissionDenied);
        assert_eq!(tried.join().expect("no panic"), (no, no, no, no, no, -1, 4 << 20, true));
    }
}
