//! The UDP side of a concentrator: datagrams in, acknowledgements out, frames on.

use super::gwmp::{self, Content, Packet, PacketError};
use super::{AirEvent, Heard, Outlet, OutletError, Reception};
use crate::clock::{Clock, Moment};
use crate::message;
use crate::units::{GatewayEui, duration};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::time::{Instant, interval, sleep, timeout};

/// Of how many concentrators it is noted when they were heard. The protocol has no
/// authentication, so a stranger may make names up; they must neither make memory grow nor
/// shut anybody out.
const MAX_CONCENTRATORS: usize = 64;

/// A forwarder asks every 5 to 30 s whether there is something to send. Two missed in a row
/// are an accident, this is a fault.
const SILENT_AFTER: Duration = Duration::from_secs(90);

/// How often silence is looked for.
const TICK: Duration = Duration::from_secs(10);

/// How long to wait before the port is tried again.
const BIND_RETRY: Duration = Duration::from_secs(10);

/// After an error of the socket.
const ERROR_PAUSE: Duration = Duration::from_millis(5);

/// A burst of several hundred datagrams waits here while the card is busy.
const RECEIVE_BUFFER: usize = 2 << 20;

/// What came over UDP, since the start. Nothing is ever dropped without being counted here.
#[derive(Debug, Default)]
pub struct Counters {
    /// Datagrams, of any kind.
    pub datagrams: AtomicU64,
    /// Datagrams that are not of the protocol.
    pub malformed_datagrams: AtomicU64,
    /// Datagrams of concentrators that may not speak.
    pub not_allowed: AtomicU64,
    /// LoRa packets with a good CRC, before copies are joined.
    pub packets: AtomicU64,
    /// Packets with a bad CRC or none.
    pub bad_crc: AtomicU64,
    /// FSK packets.
    pub fsk: AtomicU64,
    /// Packets whose description is malformed.
    pub malformed_packets: AtomicU64,
    /// Good packets that were dropped because the rest of the gateway is too slow.
    pub dropped: AtomicU64,
}

/// Listens for concentrators.
#[derive(Debug)]
pub struct Listener {
    listen: SocketAddr,
    allow: Vec<GatewayEui>,
    clock: Clock,
    outlet: Outlet,
    counters: Arc<Counters>,
    known: HashMap<GatewayEui, Presence>,
    refused_before: bool,
    crowded_before: bool,
    dropping: bool,
}

#[derive(Debug)]
struct Presence {
    last: Instant,
    silent: bool,
}

impl Listener {
    /// A listener at this address. An empty `allow` lets every concentrator speak.
    pub fn new(
        listen: SocketAddr,
        allow: Vec<GatewayEui>,
        clock: Clock,
        outlet: Outlet,
        counters: Arc<Counters>,
    ) -> Self {
        Self {
            listen,
            allow,
            clock,
            outlet,
            counters,
            known: HashMap::new(),
            refused_before: false,
            crowded_before: false,
            dropping: false,
        }
    }

    /// Runs until `stop` says so. `started` receives the outcome of the first attempt to open
    /// the port; a failure is retried for ever, since the port may be taken only for a while.
    pub async fn run(
        self,
        mut stop: watch::Receiver<bool>,
        started: impl FnOnce(Result<SocketAddr, io::Error>),
    ) {
        let mut started = Some(started);
        loop {
            match bind(self.listen) {
                Ok(socket) => {
                    match started.take() {
                        Some(started) => started(socket.local_addr()),
                        None => log::info!(
                            MESSAGE_ID = message::CONCENTRATOR_PORT_OPEN;
                            "listening for concentrators at udp {}", self.listen
                        ),
                    }
                    return self.listen(socket, stop).await;
                }
                Err(error) => {
                    if let Some(started) = started.take() {
                        log::error!(
                            MESSAGE_ID = message::CONCENTRATOR_PORT;
                            "cannot listen for concentrators at udp {}: {error}; is another packet \
                             forwarder or gateway running? trying again every {}",
                            self.listen, duration::format(BIND_RETRY)
                        );
                        started(Err(error));
                    }
                }
            }
            if timeout(BIND_RETRY, stop.changed()).await.is_ok() {
                return;
            }
        }
    }

    async fn listen(mut self, socket: UdpSocket, mut stop: watch::Receiver<bool>) {
        let mut tick = interval(TICK);
        // the largest UDP payload: a datagram is never cut
        let mut buffer = vec![0; 65_536];
        loop {
            tokio::select! {
                received = socket.recv_from(&mut buffer) => match received {
                    Ok((len, from)) => {
                        if let Some(ack) = self.datagram(&buffer[..len]) {
                            // an acknowledgement that cannot be sent is as good as one lost on the way
                            let _ = socket.try_send_to(&ack, from);
                        }
                    }
                    // an earlier answer came back as "port unreachable": that forwarder is gone
                    Err(error) => {
                        log::debug!("udp: {error}");
                        // should it be something that stays, no core is burnt on it
                        sleep(ERROR_PAUSE).await;
                    }
                },
                _ = tick.tick() => self.look_for_silence(),
                _ = stop.changed() => return,
            }
        }
    }

    /// Takes a datagram in and returns its acknowledgement, which says "received" as the
    /// protocol has it, not "on disk". What had to be dropped is not acknowledged.
    fn datagram(&mut self, bytes: &[u8]) -> Option<[u8; 4]> {
        self.counters.datagrams.fetch_add(1, Relaxed);
        let datagram = match gwmp::parse(bytes) {
            Ok(datagram) => datagram,
            Err(error) => {
                self.counters.malformed_datagrams.fetch_add(1, Relaxed);
                log::debug!("datagram refused: {error}");
                return None;
            }
        };
        if !self.admit(datagram.gateway) {
            self.counters.not_allowed.fetch_add(1, Relaxed);
            return None;
        }
        let Content::Push(packets) = datagram.content else { return datagram.ack };
        let now = self.clock.now();
        let newest = packets.iter().rev().flatten().map(|p| p.tmst).next().unwrap_or_default();
        let mut all_taken = true;
        for packet in packets {
            match packet {
                Ok(packet) => {
                    self.counters.packets.fetch_add(1, Relaxed);
                    let at = earlier(now, gwmp::age(packet.tmst, newest));
                    all_taken &= self.pass_on(heard(packet, datagram.gateway, at));
                }
                Err(error) => {
                    let counter = match error {
                        PacketError::Fsk => &self.counters.fsk,
                        PacketError::BadCrc | PacketError::NoCrc => &self.counters.bad_crc,
                        PacketError::Malformed => &self.counters.malformed_packets,
                    };
                    counter.fetch_add(1, Relaxed);
                }
            }
        }
        datagram.ack.filter(|_| all_taken)
    }

    fn pass_on(&mut self, frame: Heard) -> bool {
        match self.outlet.pass(AirEvent::Heard(frame)) {
            Ok(()) => {
                self.dropping = false;
                true
            }
            Err(OutletError::Full) => {
                self.counters.dropped.fetch_add(1, Relaxed);
                if !std::mem::replace(&mut self.dropping, true) {
                    log::error!(
                        MESSAGE_ID = message::FRAMES_DROPPED;
                        "frames come faster than they can be written, and some are dropped"
                    );
                }
                false
            }
            // the gateway stops: nobody waits for this frame any more
            Err(OutletError::Closed) => false,
        }
    }

    /// Whether this concentrator may speak; notes that it did.
    fn admit(&mut self, gateway: GatewayEui) -> bool {
        let now = Instant::now();
        if let Some(presence) = self.known.get_mut(&gateway) {
            presence.last = now;
            if std::mem::take(&mut presence.silent) {
                log::info!(
                    MESSAGE_ID = message::CONCENTRATOR_HEARD,
                    LYKTA_CONCENTRATOR = gateway.to_string();
                    "concentrator {gateway} is heard again"
                );
            }
            return true;
        }
        if !self.allow.is_empty() && !self.allow.contains(&gateway) {
            if !std::mem::replace(&mut self.refused_before, true) {
                log::warn!(
                    MESSAGE_ID = message::CONCENTRATOR_REFUSED,
                    LYKTA_CONCENTRATOR = gateway.to_string();
                    "concentrator {gateway} is refused: it is not in [concentrator] allow; \
                     further ones are only counted"
                );
            }
            return false;
        }
        if self.known.len() >= MAX_CONCENTRATORS {
            if !std::mem::replace(&mut self.crowded_before, true) {
                log::warn!(
                    MESSAGE_ID = message::CONCENTRATORS_CROWD,
                    LYKTA_CONCENTRATOR = gateway.to_string();
                    "more than {MAX_CONCENTRATORS} concentrators speak, {gateway} is the next: \
                     what they hear is used, but nobody is told when one of them goes silent; \
                     if their names are made up, list yours in [concentrator] allow"
                );
            }
            return true;
        }
        log::info!(
            MESSAGE_ID = message::CONCENTRATOR_HEARD,
            LYKTA_CONCENTRATOR = gateway.to_string();
            "concentrator {gateway} is heard"
        );
        self.known.insert(gateway, Presence { last: now, silent: false });
        true
    }

    fn look_for_silence(&mut self) {
        for (gateway, presence) in &mut self.known {
            if !presence.silent && presence.last.elapsed() > SILENT_AFTER {
                presence.silent = true;
                log::warn!(
                    MESSAGE_ID = message::CONCENTRATOR_SILENT,
                    LYKTA_CONCENTRATOR = gateway.to_string();
                    "concentrator {gateway} has been silent for {}: is its packet forwarder \
                     running, does it send to this address?",
                    duration::format(SILENT_AFTER)
                );
            }
        }
    }
}

fn bind(listen: SocketAddr) -> io::Result<UdpSocket> {
    let socket = std::net::UdpSocket::bind(listen)?;
    // best effort: the kernel caps it at net.core.rmem_max
    let _ = socket2::SockRef::from(&socket).set_recv_buffer_size(RECEIVE_BUFFER);
    socket.set_nonblocking(true)?;
    UdpSocket::from_std(socket)
}

fn earlier(now: Moment, age: Duration) -> Moment {
    Moment {
        wall: now.wall.checked_sub(age).unwrap_or(now.wall),
        monotonic: now.monotonic.saturating_sub(age),
        ..now
    }
}

fn heard(packet: Packet, gateway: GatewayEui, at: Moment) -> Heard {
    Heard {
        phy: packet.phy,
        at,
        frequency: packet.frequency,
        modulation: packet.modulation,
        code_rate: packet.code_rate,
        receptions: vec![Reception {
            gateway,
            gateway_time: packet.time,
            tmst: packet.tmst,
            rssi: packet.rssi,
            snr: packet.snr,
            channel: packet.channel,
            rf_chain: packet.rf_chain,
        }],
    }
}
