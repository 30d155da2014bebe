//! What the tests need around a real lykta: a real broker, a consumer that we did not write,
//! a concentrator, and sensors.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test binary uses its part of it"
)]

mod broker;
mod disk;
mod entry;
mod fate;
mod field;
mod forwarder;
mod left;
mod lykta;
mod mote;
mod package;
mod promises;
mod proxy;
mod sealed;
mod settings;

pub use broker::{Broker, Received, Subscriber};
pub use disk::{Disk, Written};
pub use entry::{entry, message};
pub use fate::Fate;
pub use field::{Concentrator, Sensor, packet, reception};
pub use forwarder::Forwarder;
pub use left::{Left, Messages, delivered};
pub use lykta::Lykta;
pub use mote::{Mote, Say, Told};
pub use package::{package, run};
pub use promises::{Channel, Promises, assert_kept};
pub use proxy::{Proxy, Way};
pub use sealed::{care_key, database, store_key};
pub use settings::upstream;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

/// Nothing here takes this long unless it is broken.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A TCP port that nobody listens on now. Below the range from which the kernel takes the
/// ports of outgoing connections: a client that knocks at the port of a broker that is down
/// would else sooner or later be given that very port, and be connected to itself.
pub fn free_tcp_port() -> u16 {
    free_port(|address| TcpListener::bind(address).is_ok())
}

/// A UDP address that nobody listens on now. Not of those, either, that the kernel gives to
/// whoever asks for any.
pub fn free_udp_address() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, free_port(|address| UdpSocket::bind(address).is_ok())).into()
}

fn free_port(is_free: impl Fn((Ipv4Addr, u16)) -> bool) -> u16 {
    let mut ports = std::iter::repeat_with(|| fastrand::u16(10_000..32_000));
    ports.find(|port| is_free((Ipv4Addr::LOCALHOST, *port))).unwrap()
}

/// Waits until a condition holds; panics with what was waited for when it does not.
pub fn wait_until(what: &str, holds: impl FnMut() -> bool) {
    assert!(holds_within(PATIENCE, holds), "waited in vain until {what}");
}

/// Whether a condition comes to hold within this time.
pub fn holds_within(patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    while !holds() {
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}
