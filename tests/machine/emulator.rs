//! An emulated machine: a Debian with systemd in qemu, with a memory card of ours.

use crate::card::{Card, Mark, Shared};
use crate::nbd;
use crate::support::{free_udp_address, holds_within};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// An emulated processor takes twenty times as long, and more when there is other work.
const PATIENCE: Duration = Duration::from_secs(600);

/// Waits until a condition holds, in a machine's time.
pub(crate) fn wait_until(what: &str, holds: impl FnMut() -> bool) {
    assert!(holds_within(PATIENCE, holds), "waited in vain until {what}");
}

/// What `tests/machine/image` has made.
pub(crate) fn image(name: &str) -> PathBuf {
    let image = Path::new(env!("CARGO_TARGET_TMPDIR")).join("machine").join(name);
    assert!(image.exists(), "{image:?} is missing: `tests/run machine` makes it");
    image
}

/// Runs for as long as it lives.
pub(crate) struct Machine {
    qemu: Child,
    shell: RefCell<BufReader<UnixStream>>,
    card: Shared,
    accepted: Arc<AtomicU64>,
    /// Where its port 1700 is.
    pub(crate) udp: SocketAddr,
    directory: tempfile::TempDir,
}

impl Machine {
    /// Boots what is on this card. Its `/dev/vdb` are these goods; its clock shows this time.
    pub(crate) fn boot(card: Card, goods: &Path, clock: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listen = |name: &str| {
            let listener = UnixListener::bind(directory.path().join(name)).unwrap();
            listener.set_nonblocking(true).unwrap();
            listener
        };
        let (disk, agent, witness) = (listen("disk"), listen("agent"), listen("witness"));
        let udp = free_udp_address();
        let qemu = qemu(directory.path(), goods, clock, udp).spawn().unwrap();
        let card = Arc::new(Mutex::new(card));
        let [disk, agent, witness] = [disk, agent, witness].map(|listener| accept(&listener));

        let served = Arc::clone(&card);
        // it ends with an error when the machine does
        std::thread::spawn(move || nbd::serve(&served, disk));
        let accepted = Arc::new(AtomicU64::new(0));
        let (marked, told) = (Arc::clone(&card), Arc::clone(&accepted));
        std::thread::spawn(move || {
            for line in BufReader::new(witness).lines().map_while(Result::ok) {
                let uplinks = line.parse().unwrap();
                marked.lock().unwrap().mark(Mark::Accepted(uplinks));
                told.store(uplinks, SeqCst);
            }
        });
        agent.set_read_timeout(Some(PATIENCE)).unwrap();
        let shell = RefCell::new(BufReader::new(agent));
        let machine = Self { qemu, shell, card, accepted, udp, directory };
        assert_eq!(machine.line(), "ready");
        machine.tells("systemctl is-system-running --wait");
        machine
    }

    /// What this shell command, run by root, prints; it must not fail. One line.
    pub(crate) fn run(&self, command: &str) -> String {
        let (code, output) = self.tells(command);
        assert_eq!(code, 0, "{command}: {output}");
        output
    }

    /// The same, and its exit code.
    pub(crate) fn tells(&self, command: &str) -> (i32, String) {
        writeln!(self.shell.borrow_mut().get_mut(), "{command}").unwrap();
        let output = BASE64_STANDARD.decode(self.line()).unwrap();
        let code = self.line().parse().unwrap();
        (code, String::from_utf8_lossy(&output).into_owned())
    }

    fn line(&self) -> String {
        let mut line = String::new();
        let read = self.shell.borrow_mut().read_line(&mut line);
        assert!(read.is_ok() && line.ends_with('\n'), "the machine says nothing: {read:?}");
        line.trim_end().to_owned()
    }

    /// A property of the service.
    pub(crate) fn service(&self, property: &str) -> String {
        let value = self.run(&format!("systemctl show lykta --value -p {property}"));
        value.trim().to_owned()
    }

    /// How many uplinks the daemon has accepted since it was started, as told by itself.
    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(SeqCst)
    }

    pub(crate) fn card(&self) -> std::sync::MutexGuard<'_, Card> {
        self.card.lock().unwrap()
    }

    /// Cuts the power; what was on the card.
    pub(crate) fn cut(mut self) -> Shared {
        self.card().has_power = false;
        self.end();
        Arc::clone(&self.card)
    }

    fn end(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            // the journal is in it
            let console = std::fs::read(self.directory.path().join("console")).unwrap_or_default();
            println!("{}", String::from_utf8_lossy(&console));
        }
    }
}

fn qemu(directory: &Path, goods: &Path, clock: &str, udp: SocketAddr) -> Command {
    let own = |name: &str| directory.join(name).display().to_string();
    let mut qemu = Command::new("setpriv");
    // it goes with the test, also when that is killed
    qemu.args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
        // a processor in software: the same everywhere, also in a machine that is one itself
        .args(["-M", "q35", "-cpu", "max", "-accel", "tcg", "-smp", "1", "-m", "512"])
        .args(["-nodefaults", "-display", "none", "-no-reboot", "-rtc", &format!("base={clock}")])
        .arg("-kernel")
        .arg(image("vmlinuz"))
        .arg("-initrd")
        .arg(image("initrd"))
        .args(["-append", "console=ttyS0 mitigations=off systemd.journald.forward_to_console"])
        .args(["-serial", &format!("file:{}", own("console"))])
        .arg("-drive")
        .arg(format!(
            "if=virtio,format=raw,cache=writeback,file.driver=nbd,file.server.type=unix,\
             file.server.path={}",
            own("disk")
        ))
        .args(["-drive", &format!("if=virtio,format=raw,readonly=on,file={}", goods.display())])
        .args(["-device", "virtio-serial-pci"])
        .arg("-nic")
        .arg(format!("user,model=virtio-net-pci,hostfwd=udp:{udp}-10.0.2.15:1700"))
        .stdin(Stdio::null());
    for port in ["agent", "witness"] {
        qemu.args(["-chardev", &format!("socket,id={port},path={}", own(port))])
            .args(["-device", &format!("virtserialport,chardev={port},name={port}")]);
    }
    qemu
}

/// The connection that qemu makes.
fn accept(listener: &UnixListener) -> UnixStream {
    let mut stream = None;
    let connected = holds_within(crate::support::PATIENCE, || {
        stream = listener.accept().ok();
        stream.is_some()
    });
    assert!(connected, "qemu does not start; tests/run installs it");
    let (stream, _) = stream.expect("connected");
    stream.set_nonblocking(false).unwrap();
    stream
}
