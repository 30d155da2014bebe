//! The UDP side of a concentrator: datagrams in, acknowledgements and transmissions out, frames
//! and reports on.

mod admission;
mod roster;
mod underway;

pub use roster::{MAX_CONCENTRATORS, Pull, Roster, SILENT_AFTER, Seen};

use super::gwmp::{self, Content, Datagram, Packet, PacketError};
use super::{AirEvent, Heard, Outlet, OutletError, Reception, Report, Transmission, TxError};
use crate::clock::{Clock, Moment};
use crate::message;
use crate::pulse::Pulse;
use crate::units::{GatewayEui, duration};
use admission::Admission;
use ipnet::IpNet;
use roster::Change;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, interval, sleep, sleep_until, timeout};
use underway::Underway;

/// One turn takes microseconds. One that takes so long is taken for one that hangs.
const TURN: Duration = Duration::from_secs(30);

/// How often silence is looked for.
const TICK: Duration = Duration::from_secs(10);

/// How long to wait before the port is tried again.
const BIND_RETRY: Duration = Duration::from_secs(10);

/// After an error of the socket.
const ERROR_PAUSE: Duration = Duration::from_millis(5);

/// How long a datagram may wait for the network. Later than that, its transmission is late.
const SEND_PATIENCE: Duration = Duration::from_millis(20);

/// How soon a report for which there was no room is offered again.
const REPORT_PAUSE: Duration = Duration::from_millis(20);

/// A burst of several hundred datagrams waits here while the card is busy.
const RECEIVE_BUFFER: usize = 2 << 20;

/// What came over UDP, since the start. Nothing is ever dropped without being counted here.
#[derive(Debug, Default)]
pub struct Counters {
    /// Datagrams, of any kind.
    pub datagrams: AtomicU64,
    /// Datagrams that are not of the protocol.
    pub malformed_datagrams: AtomicU64,
    /// Datagrams of concentrators that may not speak, or from networks that may not.
    pub not_allowed: AtomicU64,
    /// LoRa packets with a good CRC, before copies are joined.
    pub packets: AtomicU64,
    /// Packets with a bad CRC or none.
    pub bad_crc: AtomicU64,
    /// FSK packets.
    pub fsk: AtomicU64,
    /// Packets whose description is malformed.
    pub malformed_packets: AtomicU64,
    /// Where it is listened, once the port is open.
    pub listening: OnceLock<SocketAddr>,
    /// Shows that the listener goes on, whether anybody speaks or not.
    pub pulse: Pulse,
}

/// What a [`Listener`] is made of.
#[derive(Debug)]
pub struct Parts {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Who may speak; if empty, every concentrator.
    pub allow: Vec<GatewayEui>,
    /// From where; if empty, from anywhere.
    pub allow_from: Vec<IpNet>,
    /// For when a frame was heard.
    pub clock: Clock,
    /// Takes frames and reports.
    pub outlet: Outlet,
    /// What concentrators shall send.
    pub transmissions: mpsc::Receiver<Transmission>,
    /// What came.
    pub counters: Arc<Counters>,
    /// Who is there.
    pub roster: Arc<Roster>,
}

/// Listens for concentrators, and has them transmit.
#[derive(Debug)]
pub struct Listener {
    listen: SocketAddr,
    admission: Admission,
    clock: Clock,
    outlet: Outlet,
    transmissions: mpsc::Receiver<Transmission>,
    counters: Arc<Counters>,
    roster: Arc<Roster>,
    underway: Underway,
    /// Reports for which there was no room. While there are any, no transmission is taken.
    unsaid: VecDeque<Report>,
}

impl Listener {
    /// A listener that does not listen yet.
    pub fn new(parts: Parts) -> Self {
        let Parts { listen, allow, allow_from, clock, outlet, transmissions, counters, roster } =
            parts;
        Self {
            listen,
            admission: Admission::new(allow, allow_from),
            clock,
            outlet,
            transmissions,
            counters,
            roster,
            underway: Underway::new(),
            unsaid: VecDeque::new(),
        }
    }

    /// Runs until `stop` says so. `started` receives the outcome of the first attempt to open
    /// the port; a failure is retried for ever, since the port may be taken only for a while.
    pub async fn run(
        mut self,
        mut stop: watch::Receiver<bool>,
        started: impl FnOnce(Result<SocketAddr, io::Error>),
    ) {
        let mut started = Some(started);
        loop {
            self.counters.pulse.begins("waits for its port", BIND_RETRY + TURN);
            match bind(self.listen) {
                Ok(socket) => {
                    if let Ok(at) = socket.local_addr() {
                        let _ = self.counters.listening.set(at);
                    }
                    match started.take() {
                        Some(started) => started(socket.local_addr()),
                        None => log::info!(
                            MESSAGE_ID = message::CONCENTRATOR_PORT_OPEN;
                            "listening for concentrators at udp {}", self.listen
                        ),
                    }
                    let pulse = self.counters.pulse.clone();
                    self.listen(socket, stop).await;
                    return pulse.ends();
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
            let retry = Instant::now() + BIND_RETRY;
            while Instant::now() < retry {
                tokio::select! {
                    Some(transmission) = self.transmissions.recv(), if self.unsaid.is_empty() => {
                        self.report(transmission.id, transmission.gateway, Err(TxError::NoWay));
                    }
                    () = sleep(REPORT_PAUSE), if !self.unsaid.is_empty() => {}
                    () = sleep_until(retry) => {}
                    _ = stop.changed() => return self.counters.pulse.ends(),
                }
                self.say();
            }
        }
    }

    async fn listen(mut self, socket: UdpSocket, mut stop: watch::Receiver<bool>) {
        let mut tick = interval(TICK);
        // the largest UDP payload: a datagram is never cut
        let mut buffer = vec![0; 65_536];
        loop {
            self.counters.pulse.begins("waits for datagrams", TICK + TURN);
            let due = self.underway.next_due();
            let room = self.unsaid.is_empty() && !self.underway.is_full();
            tokio::select! {
                received = socket.recv_from(&mut buffer) => match received {
                    Ok((len, from)) => {
                        if let Some(ack) = self.datagram(&buffer[..len], from) {
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
                Some(transmission) = self.transmissions.recv(), if room => {
                    self.transmit(&socket, &transmission).await;
                }
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    while let Some(taken) = self.underway.take_due(Instant::now()) {
                        self.report(taken.id, taken.gateway, Ok(()));
                    }
                }
                () = sleep(REPORT_PAUSE), if !self.unsaid.is_empty() => {}
                _ = tick.tick() => self.look_for_silence(),
                _ = stop.changed() => return,
            }
            self.say();
        }
    }

    /// Takes a datagram in and returns its acknowledgement, which says "received" as the
    /// protocol has it, not "on disk". What had to be dropped is not acknowledged.
    fn datagram(&mut self, bytes: &[u8], from: SocketAddr) -> Option<[u8; 4]> {
        let counters = Arc::clone(&self.counters);
        counters.datagrams.fetch_add(1, Relaxed);
        if !self.admission.source(from.ip()) {
            counters.not_allowed.fetch_add(1, Relaxed);
            return None;
        }
        let datagram = match gwmp::parse(bytes) {
            Ok(datagram) => datagram,
            Err(error) => {
                counters.malformed_datagrams.fetch_add(1, Relaxed);
                log::debug!("datagram refused: {error}");
                return None;
            }
        };
        let Datagram { version, gateway, ack, content } = datagram;
        let now = self.clock.now();
        if !self.admission.gateway(gateway) {
            counters.not_allowed.fetch_add(1, Relaxed);
            return None;
        }
        let noted = self.roster.note(gateway, version, from, now, Instant::now());
        self.admission.note(gateway, noted);
        match content {
            Content::Push { packets, stat } => {
                let good = packets.iter().flatten().count();
                self.roster.pushed(gateway, good as u64, stat);
                let all_taken = self.pushed(packets, gateway, now);
                ack.filter(|_| all_taken)
            }
            Content::Pull => {
                let pull = Pull { address: from, at: now };
                if let Some(before) = self.roster.pulled(gateway, pull, Instant::now()) {
                    log::debug!("downlinks of concentrator {gateway} go to {from}, not {before}");
                }
                ack
            }
            Content::TxAck(verdict) => {
                match self.underway.take(gateway, verdict.token) {
                    Some(waiting) => self.report(waiting.id, gateway, verdict.result),
                    None => log::debug!("a TX_ACK of {gateway} is about nothing that waits"),
                }
                ack
            }
        }
    }

    /// Passes packets on; whether all could be.
    fn pushed(
        &mut self,
        packets: Vec<Result<Packet, PacketError>>,
        gateway: GatewayEui,
        now: Moment,
    ) -> bool {
        let counters = Arc::clone(&self.counters);
        let newest = packets.iter().rev().flatten().map(|p| p.tmst).next().unwrap_or_default();
        let mut all_taken = true;
        for packet in packets {
            match packet {
                Ok(packet) => {
                    counters.packets.fetch_add(1, Relaxed);
                    let at = earlier(now, gwmp::age(packet.tmst, newest));
                    all_taken &=
                        self.outlet.pass(AirEvent::Heard(heard(packet, gateway, at))).is_ok();
                }
                Err(error) => {
                    let counter = match error {
                        PacketError::Fsk => &counters.fsk,
                        PacketError::BadCrc | PacketError::NoCrc => &counters.bad_crc,
                        PacketError::Malformed => &counters.malformed_packets,
                    };
                    counter.fetch_add(1, Relaxed);
                }
            }
        }
        all_taken
    }

    /// Has a concentrator transmit.
    async fn transmit(&mut self, socket: &UdpSocket, transmission: &Transmission) {
        let Transmission { id, gateway, .. } = *transmission;
        let now = Instant::now();
        let Some((address, version)) = self.roster.way(gateway, now) else {
            return self.report(id, gateway, Err(TxError::NoWay));
        };
        let token = self.underway.enter(transmission, now);
        let datagram = gwmp::pull_resp(version, token, transmission);
        let sent = timeout(SEND_PATIENCE, socket.send_to(&datagram, address)).await;
        if !matches!(sent, Ok(Ok(_))) {
            log::debug!("PULL_RESP to concentrator {gateway} at {address}: {sent:?}");
            self.underway.take(gateway, token);
            self.report(id, gateway, Err(TxError::NoWay));
        }
    }

    /// Notes what became of a transmission, to be told as soon as there is room.
    fn report(&mut self, id: u64, gateway: GatewayEui, result: Result<(), TxError>) {
        match self.roster.judge(gateway, result) {
            Some(Change::Refuses(error)) => log::warn!(
                MESSAGE_ID = message::DOWNLINK_REFUSED,
                LYKTA_CONCENTRATOR = gateway.to_string(),
                LYKTA_REASON = error.to_string();
                "concentrator {gateway} sends no downlinks: {error}; others and the second window \
                 are tried"
            ),
            Some(Change::Takes) => log::info!(
                MESSAGE_ID = message::DOWNLINK_TAKEN,
                LYKTA_CONCENTRATOR = gateway.to_string();
                "concentrator {gateway} sends downlinks again"
            ),
            None => {}
        }
        self.unsaid.push_back(Report { id, gateway, result });
    }

    /// Tells what became of transmissions, as far as there is room.
    fn say(&mut self) {
        while let Some(report) = self.unsaid.pop_front() {
            match self.outlet.pass(AirEvent::Sent(report.clone())) {
                Ok(()) => {}
                Err(OutletError::Full) => return self.unsaid.push_front(report),
                // the gateway stops: nobody waits for reports any more
                Err(OutletError::Closed) => return self.unsaid.clear(),
            }
        }
    }

    fn look_for_silence(&mut self) {
        for gateway in self.roster.take_silent(Instant::now()) {
            log::warn!(
                MESSAGE_ID = message::CONCENTRATOR_SILENT,
                LYKTA_CONCENTRATOR = gateway.to_string();
                "concentrator {gateway} has been silent for {}: is its packet forwarder running, \
                 does it send to this address?",
                duration::format(SILENT_AFTER)
            );
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
