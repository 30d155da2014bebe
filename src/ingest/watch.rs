//! Radios that hear nothing although their devices are due.

use crate::lorawan::EdgeServer;
use crate::lorawan::statistics::Statistics;
use crate::radio::Heard;
use crate::radio::vigil::{Step, Vigil};
use crate::units::{DevEui, GatewayEui, Hertz};
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// Does what a vigil asks for; whether the radio works at all, as far as it knows itself.
pub type Obey = Box<dyn FnMut(GatewayEui, Step) -> bool + Send>;

/// Whether any radio of this gateway works and hears its devices, as far as anybody knows.
pub type Hears = Box<dyn FnMut() -> bool + Send>;

/// A radio to be watched.
#[derive(Debug, Clone, Copy)]
pub struct Watched {
    /// Under which name it is a gateway.
    pub gateway: GatewayEui,
    /// What it listens on.
    pub frequency: Hertz,
    /// What it listens for.
    pub spreading_factor: u8,
    /// Whether there is a concentrator, so that its devices hop over more channels than it hears.
    pub beside_concentrator: bool,
}

/// Watches over the radio HATs.
pub struct Watch {
    vigils: HashMap<GatewayEui, (Watched, Vigil)>,
    obey: Obey,
    hears: Hears,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.vigils).finish()
    }
}

impl Watch {
    /// Watches over these radios from `now` (monotonic) on. Each ought to hear the devices that
    /// were last heard where it listens, and those that were never heard: nobody knows where.
    pub fn new(
        radios: &[Watched],
        server: &EdgeServer,
        now: Duration,
        obey: Obey,
        hears: Hears,
    ) -> Self {
        let vigil = |radio: &Watched| match radio.beside_concentrator {
            true => (radio.gateway, (*radio, Vigil::with_witness(now))),
            false => (radio.gateway, (*radio, Vigil::new(now))),
        };
        let vigils = radios.iter().map(vigil).collect();
        let mut watch = Self { vigils, obey, hears };
        watch.renew(server, now);
        watch
    }

    /// Expects the devices that there are by now, and no others.
    pub(super) fn renew(&mut self, server: &EdgeServer, now: Duration) {
        for (radio, vigil) in self.vigils.values_mut() {
            vigil.retain(|device| server.device(device).is_some());
            if radio.beside_concentrator {
                continue;
            }
            for (device, session) in server.devices() {
                let statistics = session.map(|session| &session.link.statistics);
                let frequency = statistics.and_then(Statistics::frequency);
                let modulation = statistics.and_then(Statistics::modulation);
                let here = frequency.is_none_or(|frequency| frequency == radio.frequency)
                    && modulation.is_none_or(|m| m.spreading_factor == radio.spreading_factor);
                if here && !vigil.knows(device.dev_eui) {
                    vigil.expect(device.dev_eui, device.profile.heartbeat, now);
                }
            }
        }
    }

    /// An authenticated frame of a device that sends at least once in `heartbeat`.
    pub(super) fn heard(&mut self, device: DevEui, heartbeat: Duration, frame: &Heard) {
        let now = frame.at.monotonic;
        for (gateway, (radio, vigil)) in &mut self.vigils {
            if frame.receptions.iter().any(|reception| reception.gateway == *gateway) {
                vigil.heard(device, heartbeat, now);
            } else if frame.frequency == radio.frequency
                && frame.modulation.spreading_factor == radio.spreading_factor
            {
                vigil.missed(device, now);
            }
        }
    }

    /// Looks after all radios; whether any of them hears.
    pub(super) fn tick(&mut self, now: Duration) -> bool {
        for (gateway, (_, vigil)) in &mut self.vigils {
            while let Some(step) = vigil.tick(now) {
                if !(self.obey)(*gateway, step) {
                    // it says itself that it does not work: its silence says nothing more
                    vigil.restarted(now);
                }
            }
        }
        (self.hears)()
    }
}
