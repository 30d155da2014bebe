//! A Debian with systemd as pid 1, in a container.
#![allow(unsafe_code, reason = "a thread enters the container's network, which only libc can do")]

use crate::support::{run, wait_until};
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Runs for as long as it lives. Needs root.
pub(crate) struct Container {
    leader: u32,
    cgroup: PathBuf,
    process: Child,
    directory: tempfile::TempDir,
}

impl Container {
    pub(crate) fn boot() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let tree = directory.path().join("tree");
        fs::create_dir(&tree).unwrap();
        run(Command::new("tar").arg("-C").arg(&tree).arg("-xpf").arg(archive()));

        let v2 = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
            .into_iter()
            .find(|path| Path::new(path).join("cgroup.controllers").exists())
            .expect("there is a hierarchy of control groups, version 2");
        let cgroup = Path::new(v2).join(format!("lykta-{}", std::process::id()));
        let process = Command::new("tests/package/boot")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .args([&tree, &cgroup])
            .stdin(Stdio::null())
            .stdout(File::create(directory.path().join("console")).unwrap())
            .spawn()
            .unwrap();
        let scope = cgroup.join("payload/init.scope/cgroup.procs");
        let mut leader = None;
        wait_until("the container has a process 1", || {
            let processes = fs::read_to_string(&scope).unwrap_or_default();
            leader = processes.lines().find_map(|line| line.parse().ok());
            leader.is_some()
        });
        let container = Self { leader: leader.unwrap(), cgroup, process, directory };
        let states = ["running\n", "degraded\n"];
        wait_until("the container is up", || {
            states.contains(&container.tells("systemctl is-system-running --wait").1.as_str())
        });
        container
    }

    /// This file of the container, from outside.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join("tree").join(path.trim_start_matches('/'))
    }

    /// What this shell command, run by root, prints; it must not fail.
    pub(crate) fn run(&self, command: &str) -> String {
        let (code, output) = self.tells(command);
        assert_eq!(code, Some(0), "{command}: {output}");
        output
    }

    /// The same, and its exit code.
    pub(crate) fn tells(&self, command: &str) -> (Option<i32>, String) {
        let output = Command::new("nsenter")
            .args(["-t", &self.leader.to_string(), "-m", "-u", "-i", "-n", "-p", "-C"])
            .args(["setsid", "--wait", "bash", "-c", &format!("exec 2>&1\n{command}")])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("SYSTEMD_PAGER", "")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// A property of the service.
    pub(crate) fn service(&self, property: &str) -> String {
        let value = self.run(&format!("systemctl show lykta --value -p {property}"));
        value.trim().to_owned()
    }

    /// This thread, and what it starts from now on, has the container's network and no other.
    pub(crate) fn enter_network(&self) {
        let network = File::open(format!("/proc/{}/ns/net", self.leader)).unwrap();
        // SAFETY: the descriptor is open for as long as the call takes
        let entered = unsafe { libc::setns(network.as_raw_fd(), libc::CLONE_NEWNET) };
        assert_eq!(entered, 0, "{}", std::io::Error::last_os_error());
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let journal = "journalctl -u lykta --no-pager -n 60; systemctl --no-pager status lykta";
            println!("{}", self.tells(journal).1);
        }
        // all at once, as the power would: there is nothing in it that somebody needs
        let _ = fs::write(self.cgroup.join("cgroup.kill"), "1");
        let _ = self.process.wait();
    }
}

/// The tree as it comes from Debian, packed.
fn archive() -> PathBuf {
    let archive = Path::new(env!("CARGO_TARGET_TMPDIR")).join("debian.tar");
    assert!(archive.exists(), "{archive:?} is missing: `tests/run package` makes it");
    archive
}
