//! A listener without the rest of the gateway, and packet forwarders that speak to it.

use crate::support::PATIENCE;
use lykta::clock::Clock;
use lykta::radio::concentrator::{Counters, Listener, Parts, Roster};
use lykta::radio::{AirEvent, Heard, Outlet, OutletError, Report, Transmission, TxError};
use lykta::units::{Dbm, GatewayEui, Hertz, LoRa};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, channel};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};

/// What a running listener looks like from the rest of the gateway.
pub(crate) struct World {
    pub(crate) address: SocketAddr,
    pub(crate) roster: Arc<Roster>,
    pub(crate) counters: Arc<Counters>,
    /// How often the way to the rest of the gateway is found full from now on.
    pub(crate) full: Arc<AtomicUsize>,
    reports: Receiver<Report>,
    frames: Receiver<Heard>,
    transmissions: mpsc::Sender<Transmission>,
    stop: watch::Sender<bool>,
    runtime: Runtime,
}

impl World {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With an allow-list of networks.
    pub(crate) fn with(allow_from: &[&str]) -> Self {
        Self::at(([127, 0, 0, 1], 0).into(), allow_from)
    }

    /// At this address, which may be taken.
    pub(crate) fn at(listen: SocketAddr, allow_from: &[&str]) -> Self {
        let runtime = Runtime::new().unwrap();
        let (roster, counters) = (Arc::<Roster>::default(), Arc::<Counters>::default());
        let full = Arc::<AtomicUsize>::default();
        let (tell_report, reports) = channel();
        let (tell_frame, frames) = channel();
        let no_room = Arc::clone(&full);
        let outlet = Outlet::new(move |event| {
            if no_room.try_update(Relaxed, Relaxed, |n| n.checked_sub(1)).is_ok() {
                return Err(OutletError::Full);
            }
            match event {
                AirEvent::Heard(frame) => tell_frame.send(frame).map_err(|_| OutletError::Closed),
                AirEvent::Sent(report) => tell_report.send(report).map_err(|_| OutletError::Closed),
            }
        });
        let (transmissions, to_send) = mpsc::channel(8);
        let listener = Listener::new(Parts {
            listen,
            allow: Vec::new(),
            allow_from: allow_from.iter().map(|network| network.parse().unwrap()).collect(),
            clock: Clock::system(),
            outlet,
            transmissions: to_send,
            counters: Arc::clone(&counters),
            roster: Arc::clone(&roster),
        });
        let (stop, stopping) = watch::channel(false);
        let (tell, started) = channel();
        runtime.spawn(listener.run(stopping, move |outcome| tell.send(outcome).unwrap()));
        let address = started.recv_timeout(PATIENCE).unwrap().unwrap_or(listen);
        Self { address, roster, counters, full, reports, frames, transmissions, stop, runtime }
    }

    pub(crate) fn transmit(&self, transmission: Transmission) {
        self.transmissions.blocking_send(transmission).unwrap();
    }

    /// The way of transmissions, for another thread.
    pub(crate) fn sender(&self) -> mpsc::Sender<Transmission> {
        self.transmissions.clone()
    }

    /// The next report, as (id, gateway, result).
    pub(crate) fn report(&self) -> (u64, u64, Result<(), TxError>) {
        let Report { id, gateway, result } = self.reports.recv_timeout(PATIENCE).unwrap();
        (id, gateway.0, result)
    }

    /// The next frame.
    pub(crate) fn frame(&self) -> Heard {
        self.frames.recv_timeout(PATIENCE).unwrap()
    }

    /// Stops the listener; what it had told and nobody had asked for.
    pub(crate) fn stop(self) -> Vec<Report> {
        self.stop.send_replace(true);
        drop(self.runtime);
        self.reports.try_iter().collect()
    }
}

/// An answer in the first window: the counter at the end of the uplink was just before its wrap.
pub(crate) fn transmission(id: u64, gateway: GatewayEui) -> Transmission {
    Transmission {
        id,
        gateway,
        tmst: u32::MAX.wrapping_add(1_000_000),
        frequency: Hertz(868_100_000),
        modulation: LoRa { spreading_factor: 9, bandwidth: Hertz(125_000) },
        power: Dbm(14.0),
        phy: (0x20..0x31).collect(),
    }
}
