//! The radio HATs of this machine, together.

use super::worker::Worker;
use super::{GatewayError, OpenHat};
use crate::clock::Clock;
use crate::config::{RadioSettings, Settings};
use crate::fault::{Fault, Standing};
use crate::ingest::{Hears, Obey, Transmit, Watched};
use crate::ops::status::RadioStatus;
use crate::pulse::Pulse;
use crate::radio::concentrator::Roster;
use crate::radio::hat::{Command, CommandError, Hat, Parts, State};
use crate::radio::vigil::Step;
use crate::radio::{Outlet, Transmission, TxError};
use crate::units::{GatewayEui, GatewayId};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

/// Radios at work. Clones are the same ones.
#[derive(Debug, Clone, Default)]
pub(super) struct Hats(Arc<Vec<(Hat, RadioSettings)>>);

impl Hats {
    /// Starts a thread for each.
    pub(super) fn spawn(
        settings: &Settings,
        mut open: OpenHat,
        outlet: &Outlet,
        clock: &Clock,
        stop: &watch::Receiver<bool>,
    ) -> Result<(Self, Vec<Worker>), GatewayError> {
        let (mut hats, mut workers) = (Vec::new(), Vec::new());
        for (index, radio) in settings.radio.iter().enumerate() {
            let name = radio.called(index);
            let parts = Parts {
                name: name.clone(),
                settings: radio.clone(),
                eui: eui(&settings.gateway, index),
                outlet: outlet.clone(),
                clock: clock.clone(),
                stop: stop.clone(),
            };
            let name = format!("radio-{name}");
            let (hat, ended) = open(parts)
                .map_err(|source| GatewayError::Thread { name: name.clone(), source })?;
            hats.push((hat, radio.clone()));
            workers.push(Worker { name, ended });
        }
        Ok((Self(Arc::new(hats)), workers))
    }

    /// What each is to be watched for.
    pub(super) fn watched(settings: &Settings) -> Vec<Watched> {
        let watched = |(index, radio): (usize, &RadioSettings)| Watched {
            gateway: eui(&settings.gateway, index),
            frequency: radio.channel.0,
            spreading_factor: radio.spreading_factor,
            beside_concentrator: settings.concentrator.is_some(),
        };
        settings.radio.iter().enumerate().map(watched).collect()
    }

    /// Hands a transmission to the radio that it is for; one that is for none of them, to the
    /// concentrators.
    pub(super) fn transmit(&self, concentrators: mpsc::Sender<Transmission>) -> Transmit {
        let hats = self.clone();
        Box::new(move |transmission| {
            match hats.0.iter().find(|(hat, _)| hat.eui() == transmission.gateway) {
                Some((hat, _)) => {
                    hat.command(Command::Transmit(transmission)).map_err(|error| match error {
                        CommandError::Full => TxError::Collision,
                        CommandError::Stopped => TxError::NoWay,
                    })
                }
                None => concentrators.try_send(transmission).map_err(|_| TxError::NoWay),
            }
        })
    }

    /// Whether one of them hears, or a concentrator is there. Where there is nothing to hear with,
    /// nobody expects it.
    pub(super) fn hears(&self, concentrators: Option<Arc<Roster>>) -> Hears {
        let hats = self.clone();
        let is_mute = hats.len() == 0 && concentrators.is_none();
        Box::new(move || {
            let is_there = |roster: &Arc<Roster>| roster.is_there(Instant::now());
            is_mute || concentrators.as_ref().is_some_and(is_there) || hats.failing() < hats.len()
        })
    }

    /// Does what a vigil asks for.
    pub(super) fn obey(&self) -> Obey {
        let hats = self.clone();
        Box::new(move |gateway, step| {
            let Some((hat, _)) = hats.0.iter().find(|(hat, _)| hat.eui() == gateway) else {
                return false;
            };
            let works = matches!(hat.counters().state(), State::Up | State::Deaf);
            // that it hears is true also of one that has failed since
            if works || step == Step::Recovered {
                hat.obey(step);
            }
            works
        })
    }

    /// What shows that their threads go on, with the names of these.
    pub(super) fn pulses(&self) -> Vec<(String, Pulse)> {
        let pulse = |hat: &Hat| (format!("radio-{}", hat.name()), hat.counters().pulse().clone());
        self.0.iter().map(|(hat, _)| pulse(hat)).collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// How many of them do not work.
    pub(super) fn failing(&self) -> usize {
        let down = |hat: &Hat| matches!(hat.counters().state(), State::Down | State::Deaf);
        self.0.iter().filter(|(hat, _)| down(hat)).count()
    }

    /// What is wrong with them.
    pub(super) fn faults(&self) -> Vec<Standing> {
        let fault = |hat: &Hat| match hat.counters().state() {
            State::Down => Some(Fault::RadioDown),
            State::Deaf => Some(Fault::RadioDeaf),
            State::Opening | State::Up => None,
        };
        let hats = self.0.iter();
        hats.filter_map(|(hat, _)| Some(Standing::of(fault(hat)?, hat.name()))).collect()
    }

    pub(super) fn status(&self, now: Duration) -> Vec<RadioStatus> {
        self.0.iter().map(|(hat, settings)| RadioStatus::new(hat, settings, now)).collect()
    }
}

/// A HAT has no EUI of its own. This one is locally administered, and the same at each start:
/// a hash (FNV-1a) of the gateway's name, and which radio it is.
fn eui(gateway: &GatewayId, index: usize) -> GatewayEui {
    let hash = gateway.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    GatewayEui(0x0200_0000_0000_0000 | (hash >> 16) << 8 | index as u64 & 0xff)
}
