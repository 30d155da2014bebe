//! Answers to those who ask how the gateway is.

use super::hats::Hats;
use super::inlet::Inlet;
use crate::config::{Tenant, TenantKind};
use crate::device::Device;
use crate::fault::{Fault, Standing};
use crate::ingest::Sight;
use crate::lorawan::Session;
use crate::lorawan::statistics::Statistics;
use crate::ops::device::{DeviceStatus, DeviceSummary};
use crate::ops::inquiry::{Answer, Ask, Inquiry, Inside, Question};
use crate::ops::status::{CapacityStatus, SubBandStatus};
use crate::units::TenantId;
use std::collections::HashMap;
use std::sync::Arc;

/// The way to the loop that owns the devices, for those who ask.
pub(super) fn ask(inlet: Inlet, tenants: &[Tenant], hats: Hats) -> Ask {
    let kinds: HashMap<_, _> = tenants.iter().map(|t| (t.id.clone(), t.kind)).collect();
    let kinds = Arc::new(kinds);
    Ask::new(move |Inquiry { question, answer }| {
        let (kinds, hats) = (Arc::clone(&kinds), hats.clone());
        inlet.look(move |sight| {
            // nobody waits any more: no matter
            let _ = answer.send(tell(question, &kinds, &hats, sight));
        })
    })
}

fn tell(
    question: Question,
    kinds: &HashMap<TenantId, TenantKind>,
    hats: &Hats,
    sight: Sight<'_>,
) -> Answer {
    let kind = |device: &Device| kinds.get(&device.tenant).copied().unwrap_or(TenantKind::Care);
    let status = |(device, session): (&Arc<Device>, Option<&Session>)| {
        let never = Statistics::default();
        let statistics = session.map_or(&never, |session| &session.link.statistics);
        DeviceStatus::new(device, kind(device), Some(statistics), sight.now.wall)
    };
    match question {
        Question::Devices => Answer::Devices(sight.server.devices().map(status).collect()),
        Question::Device(dev_eui) => {
            let mut all = sight.server.devices();
            let found = all.find(|(device, _)| device.dev_eui == dev_eui);
            Answer::Devices(found.map(status).into_iter().collect())
        }
        Question::Status => {
            let devices: Vec<_> = sight.server.devices().map(status).collect();
            // when those of care speak is nobody's business
            let fleet = sight
                .server
                .devices()
                .filter(|(device, _)| kind(device) != TenantKind::Care)
                .filter_map(|(d, session)| Some((d.dev_eui, &session?.link.statistics)))
                .collect::<Vec<_>>();
            let now = sight.now.monotonic;
            let summary = DeviceSummary::new(&devices);
            let mut faults = hats.faults();
            if summary.silent.is_some_and(|silent| silent > 0) {
                faults.push(Standing::new(Fault::DevicesSilent));
            }
            let ledgers = sight.schedule.ledgers().map(|(_, ledger)| ledger);
            Answer::Status(Box::new(Inside {
                radios: hats.status(now),
                faults,
                answers: sight.schedule.counts().into(),
                airtime: SubBandStatus::list(ledgers, sight.radio_now),
                capacity: Some(CapacityStatus::new(sight.heard, fleet.iter().copied(), now)),
                devices: summary,
            }))
        }
    }
}
