//! Radios that hear nothing although their devices are due.

use crate::lorawan::EdgeServer;
use crate::radio::Reception;
use crate::radio::vigil::{Step, Vigil};
use crate::units::{DevEui, GatewayEui, Hertz};
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

/// Does what a vigil asks for; whether the radio works at all, as far as it knows itself.
pub type Obey = Box<dyn FnMut(GatewayEui, Step) -> bool + Send>;

/// A radio to be watched.
#[derive(Debug, Clone, Copy)]
pub struct Watched {
    /// Under which name it is a gateway.
    pub gateway: GatewayEui,
    /// What it listens on.
    pub frequency: Hertz,
    /// What it listens for.
    pub spreading_factor: u8,
}

/// Watches over the radio HATs.
pub struct Watch {
    vigils: HashMap<GatewayEui, Vigil>,
    obey: Obey,
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watch").field(&self.vigils).finish()
    }
}

impl Watch {
    /// Watches over these radios from `now` (monotonic) on. Each ought to hear the devices that
    /// were last heard where it listens.
    pub fn new(radios: &[Watched], server: &EdgeServer, now: Duration, obey: Obey) -> Self {
        let vigil = |radio: &Watched| {
            let mut vigil = Vigil::new(now);
            for (device, session) in server.devices() {
                let Some(statistics) = session.map(|session| &session.link.statistics) else {
                    continue;
                };
                let here = statistics.frequency() == Some(radio.frequency)
                    && statistics.modulation().map(|m| m.spreading_factor)
                        == Some(radio.spreading_factor);
                if here {
                    vigil.expect(device.dev_eui, device.profile.heartbeat, now);
                }
            }
            (radio.gateway, vigil)
        };
        Self { vigils: radios.iter().map(vigil).collect(), obey }
    }

    /// An authenticated frame of a device that sends at least once in `heartbeat`.
    pub(super) fn heard(
        &mut self,
        device: DevEui,
        heartbeat: Duration,
        receptions: &[Reception],
        now: Duration,
    ) {
        for reception in receptions {
            if let Some(vigil) = self.vigils.get_mut(&reception.gateway) {
                vigil.heard(device, heartbeat, now);
            }
        }
    }

    /// Looks after all radios.
    pub(super) fn tick(&mut self, now: Duration) {
        for (gateway, vigil) in &mut self.vigils {
            while let Some(step) = vigil.tick(now) {
                if !(self.obey)(*gateway, step) {
                    // it says itself that it does not work: its silence says nothing more
                    vigil.restarted(now);
                }
            }
        }
    }
}
