//! Those who look now and then at how the gateway is, and do or tell what follows.

use super::hats::Hats;
use super::inlet::Inlet;
use crate::config::OutputSettings;
use crate::ingest::Input;
use crate::ops::button;
use crate::ops::card::{self, Card};
use crate::ops::health::{TenantView, View};
use crate::ops::machine::Told;
use crate::ops::output::{Lamp, Outputs};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// How often the status lamp is set.
const LAMP: Duration = Duration::from_secs(1);

/// How often it is looked how the machine is.
const MACHINE: Duration = Duration::from_secs(60);

/// Keeps lamp, relay and buzzer up to date. Without any there is nothing to do.
pub(super) fn lamp(settings: &OutputSettings, hats: Hats, view: &Arc<View>) -> JoinHandle<()> {
    let (outputs, view) = (Outputs::open(settings), Arc::clone(view));
    if settings.status_led.or(settings.relay).or(settings.buzzer).is_none() {
        return tokio::spawn(async {});
    }
    tokio::spawn(async move {
        let connected = |tenant: &TenantView| tenant.upstream.connected.load(Relaxed);
        let disk_fails = |tenant: &TenantView| tenant.counters.disk_fails.load(Relaxed);
        loop {
            outputs.lamp(if hats.failing() > 0 || view.tenants().iter().any(disk_fails) {
                Lamp::Fault
            } else if view.tenants().iter().all(connected) {
                Lamp::Well
            } else {
                Lamp::NoBroker
            });
            // who cannot be told by a broker may be near
            let calls = |tenant: &TenantView| {
                tenant.counters.of_care().unanswered > 0 && !connected(tenant)
            };
            let calls = view.tenants().iter().any(calls);
            outputs.relay(calls);
            outputs.buzzer(calls);
            sleep(LAMP).await;
        }
    })
}

/// Brings the presses of the button to the ingest loop.
pub(super) fn answered_here(pin: Option<u8>, inlet: Inlet) -> JoinHandle<()> {
    tokio::spawn(async move {
        let Some(pin) = pin else { return };
        // a press that finds no room is repeated by whoever still hears the buzzer
        button::watch(pin, || _ = inlet.pass(Input::Answered)).await;
    })
}

/// Notes now and then what was written, so that a day begins with itself.
pub(super) fn account(card: Arc<Card>, view: Arc<View>) -> JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            card.note(view.now());
            sleep(card::NOTE).await;
        }
    })
}

/// Looks now and then how the machine is.
pub(super) fn caretaker(view: Arc<View>) -> JoinHandle<()> {
    tokio::spawn(async move {
        let mut told = Told::default();
        loop {
            told.note(&view.machine_faults(&view.machine()));
            sleep(MACHINE).await;
        }
    })
}
