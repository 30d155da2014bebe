//! What follows from a new uplink: what is agreed with the device, and what it is answered.

use super::answer::{self, Contents};
use super::counter::Counter;
use super::event::{Accepted, Event, News, Uplink};
use super::frame::DataFrame;
use super::link::{Awaited, Facts, Link};
use super::mac::{self, FromDevice, ToDevice};
use super::received::Received;
use super::server::EdgeServer;
use super::session::{Changes, Session, Slot};
use super::statistics::{Observation, demodulation_floor};
use crate::device::Device;
use crate::units::DevEui;
use std::sync::Arc;

/// A device that was heard by another network before has been answered at most once an uplink; but
/// one that was not takes no counter further ahead than this (MAX_FCNT_GAP of LoRaWAN 1.0.3).
const MAX_FIRST_F_CNT_DOWN: u32 = 16_384;

impl EdgeServer {
    /// A new uplink.
    pub(super) fn next(
        &mut self,
        received: &Received<'_>,
        frame: &DataFrame<'_>,
        dev_eui: DevEui,
        slot: Slot,
        counter: Counter,
        replayable: bool,
    ) -> Accepted {
        let known = self.devices.get_mut(&dev_eui).expect("candidates are known devices");
        let device = Arc::clone(&known.device);
        let before = known.session(slot).cloned().expect("candidates have a session");
        let keys = before.keys(&device).expect("candidates have keys").clone();
        known.past = None;
        known.again = 0;
        let mut session = before.clone();
        session.counter = Some(counter);
        let f_cnt = counter.f_cnt_up;
        let began_anew = before.counter.is_some_and(|last| last.reset_at != counter.reset_at);
        match before.counter {
            // the device began anew, and knows nothing of what was agreed
            Some(_) if began_anew => {
                let statistics = session.link.statistics;
                session.link = Link::default();
                session.link.statistics = statistics;
            }
            Some(_) => {}
            // one that was heard by others before: they answered at most once an uplink
            None if session.derived.is_none() => {
                session.f_cnt_down = f_cnt.min(MAX_FIRST_F_CNT_DOWN);
            }
            None => {}
        }
        let missed = match before.counter {
            Some(last) => f_cnt.saturating_sub(last.f_cnt_up).saturating_sub(1),
            // a session that began with a join began with zero
            None if session.derived.is_some() => f_cnt,
            None => 0,
        };
        if let (Slot::Pending, Some(active)) = (slot, &known.active) {
            session.link.statistics = active.link.statistics;
        }
        session.link.statistics.observe(&Observation {
            f_cnt,
            anew: began_anew || slot == Slot::Pending,
            at: received.at,
            snr: received.snr,
            modulation: received.modulation,
            frequency: received.frequency,
            len: received.phy.len(),
        });
        let clear = frame.decrypt(&keys.nwk_s_key, &keys.app_s_key, f_cnt);
        let (payload, commands) = match frame.f_port {
            Some(0) => (Vec::new(), mac::from_device(&clear).collect::<Vec<_>>()),
            _ => (clear, mac::from_device(frame.f_opts).collect()),
        };
        let mut news = Vec::new();
        if let Some(Awaited { id, f_cnt }) = session.link.awaited.take() {
            news.push(News::Acknowledged { id, f_cnt, acknowledged: frame.ack });
        }
        // a recording may be answered, but changes nothing that is agreed
        let commands = if replayable { Vec::new() } else { commands };
        let facts = Facts {
            dev_eui,
            f_cnt,
            missed,
            at: received.at,
            modulation: received.modulation,
            adr: frame.adr,
            adr_ack_req: frame.adr_ack_req,
            commands: &commands,
        };
        let needs = session.link.uplink(&self.plan, &facts);
        news.extend(needs.status.map(News::Status));
        if session.link.pin.is_some() {
            known.told_unpinned = false;
        } else if session.link.resists() && !std::mem::replace(&mut known.told_unpinned, true) {
            news.push(News::NotPinned);
        }
        let answers: Vec<_> = commands.iter().filter_map(|c| reply(*c, received)).collect();
        let ended = known.drop_unsendable(&session.link, received, &answers, &mut news);
        let item = known.waiting.front().filter(|w| !w.sending).map(|w| w.item.clone());
        let more = known.waiting.len() > 1;
        let wanted = frame.confirmed || needs.downlink || !answers.is_empty() || item.is_some();
        let contents = Contents {
            ack: frame.confirmed,
            adr: self.plan.pins(),
            answers: &answers,
            requests: &needs.requests,
            item: item.as_ref(),
            more,
        };
        let built =
            wanted.then(|| answer::build(&mut session, &keys, received, &contents)).flatten();
        let answer = built.map(|(answer, asked)| {
            session.link.answered(f_cnt, &asked, received.at);
            answer
        });
        if answer.as_ref().is_some_and(|a| a.carries.is_some())
            && let Some(first) = known.waiting.front_mut()
        {
            first.sending = true;
        }
        let uplink = Uplink {
            dev_addr: keys.dev_addr,
            f_cnt,
            f_port: frame.f_port,
            payload,
            confirmed: frame.confirmed,
            adr: frame.adr,
            replayable,
            missed,
            began_anew,
        };
        let ids = ended.iter().map(|waiting| waiting.item.id.clone()).collect();
        let mut accepted = self.settle(device, slot, session, Event::Uplink(uplink));
        accepted.news = news;
        accepted.answer = answer;
        accepted.changes.ended = ids;
        accepted.undo.waiting = ended;
        accepted
    }

    /// The last confirmed uplink once more: its acknowledgement was lost.
    pub(super) fn again(
        &mut self,
        received: &Received<'_>,
        dev_eui: DevEui,
        slot: Slot,
    ) -> Option<Accepted> {
        let known = self.devices.get(&dev_eui)?;
        let device = Arc::clone(&known.device);
        let mut session = known.session(slot)?.clone();
        let keys = session.keys(&device)?.clone();
        let contents = Contents {
            ack: true,
            adr: self.plan.pins(),
            answers: &[],
            requests: &[],
            item: None,
            more: !known.waiting.is_empty(),
        };
        let (answer, _) = answer::build(&mut session, &keys, received, &contents)?;
        let mut accepted = self.settle(device, slot, session, Event::Again);
        accepted.answer = Some(answer);
        Some(accepted)
    }

    /// Puts a session that advanced in its place. The first uplink after a join shows that the
    /// device has heard its answer: what it had before is over.
    fn settle(
        &mut self,
        device: Arc<Device>,
        slot: Slot,
        session: Session,
        event: Event,
    ) -> Accepted {
        let dev_eui = device.dev_eui;
        let mut sessions = vec![(Slot::Active, Some(session))];
        if slot == Slot::Pending {
            sessions.push((Slot::Pending, None));
        }
        let undo = self.replace(dev_eui, &sessions);
        let changes = Changes { sessions, ..Changes::default() };
        Accepted { device, event, news: Vec::new(), changes, answer: None, undo }
    }
}

/// The answer to a device's own question.
fn reply(command: FromDevice, received: &Received<'_>) -> Option<ToDevice> {
    match command {
        FromDevice::LinkCheckReq => {
            let margin =
                received.snr.0 - demodulation_floor(received.modulation.spreading_factor).0;
            Some(ToDevice::LinkCheckAns {
                margin: margin.round().clamp(0.0, 254.0) as u8,
                gateways: received.receivers.min(255) as u8,
            })
        }
        // a time that nobody has set is not told on
        FromDevice::DeviceTimeReq if received.synced => {
            let seconds = received.at.as_second() - GPS_EPOCH + LEAP_SECONDS;
            let fraction = received.at.subsec_nanosecond() / (1_000_000_000 / 256);
            Some(ToDevice::DeviceTimeAns {
                seconds: seconds.try_into().ok()?,
                fraction: fraction.clamp(0, 255) as u8,
            })
        }
        _ => None,
    }
}

/// GPS time began on 1980-01-06, and has been this far ahead of UTC since 2017.
const GPS_EPOCH: i64 = 315_964_800;
const LEAP_SECONDS: i64 = 18;
