//! The service manager: ready, status, alive, stopping. Without one, nothing of this does anything.

use sd_notify::NotifyState;
use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// A manager that does not read for so long is not told: it must not hold up the radio.
const PATIENCE: Duration = Duration::from_millis(100);

/// Every part has started, or has said why it has not.
pub fn ready(status: &str) {
    notify(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The start takes longer, and goes on: this much more time is asked for.
pub fn starting() {
    let minute = Duration::from_secs(60).as_micros() as u32;
    notify(&[NotifyState::ExtendTimeoutUsec(minute)]);
}

/// The settings are read again; [`ready`] says when that is over, however it went.
pub fn reloading() {
    let now = NotifyState::monotonic_usec_now();
    // without a time the manager takes the word for one of another reload
    match now {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(error) => log::debug!("the monotonic clock cannot be read: {error}"),
    }
}

/// How things are, for `systemctl status`.
pub fn status(status: &str) {
    notify(&[NotifyState::Status(status)]);
}

/// How often [`alive`] must be said at least; `None` if nobody waits for it.
pub fn watched() -> Option<Duration> {
    sd_notify::watchdog_enabled()
}

/// Every loop turns.
pub fn alive() {
    notify(&[NotifyState::Watchdog]);
}

/// The stop has begun.
pub fn stopping() {
    notify(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

fn notify(states: &[NotifyState<'_>]) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET") else { return };
    let text: String = states.iter().map(|state| format!("{state}\n")).collect();
    if let Err(error) = send(&socket, &text) {
        log::debug!("the service manager does not listen: {error}");
    }
}

/// As `sd_notify::notify`, which would wait for ever where nobody reads.
fn send(socket: &OsStr, text: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    socket.send_to_addr(text.as_bytes(), &address)?;
    Ok(())
}
