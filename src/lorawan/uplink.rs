//! What follows from a new uplink: what is agreed with the device, and what it is answered.

use super::answer::{self, Contents};
use super::counter::Counter;
use super::event::{Accepted, Event, News, Uplink};
use super::frame::DataFrame;
use super::link::{Awaited, Facts};
use super::mac::{self, FromDevice, ToDevice};
use super::received::Received;
use super::server::EdgeServer;
use super::session::{Changes, Session, Slot};
use super::statistics::{Observation, demodulation_floor};
use crate::device::Device;
use crate::units::DevEui;
use std::mem::discriminant;
use std::sync::Arc;

/// A device that was heard by another network before has been answered at most once an uplink; but
/// one that was not takes no counter as far ahead as 16,384 (MAX_FCNT_GAP of LoRaWAN 1.0.3).
const MAX_FIRST_F_CNT_DOWN: u32 = 16_383;

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
        let again = std::mem::take(&mut known.again);
        let f_cnt = counter.f_cnt_up;
        let clear = frame.decrypt(&keys.nwk_s_key, &keys.app_s_key, f_cnt);
        let (payload, commands) = match frame.f_port {
            Some(0) => (Vec::new(), mac::from_device(&clear).collect::<Vec<_>>()),
            _ => (clear, mac::from_device(frame.f_opts).collect()),
        };
        let began_anew = before.counter.is_some_and(|last| last.reset_at != counter.reset_at);
        let missed = match before.counter {
            Some(last) => f_cnt.saturating_sub(last.f_cnt_up).saturating_sub(1),
            // a session that began with a join began with zero
            None if before.derived.is_some() => f_cnt,
            None => 0,
        };
        let mut news = Vec::new();
        let mut session = before;
        session.go_on(counter, missed, replayable, began_anew);
        if let (Slot::Pending, Some(active)) = (slot, &known.active) {
            // the session is new, the device is not
            session.link.statistics = active.link.statistics;
            session.link.awaited = active.link.awaited.clone();
        }
        known.joined.0 = 0;
        // a recording acknowledges nothing and takes nothing along
        if !replayable && let Some(Awaited { id, f_cnt }) = session.link.awaited.take() {
            let acknowledged = frame.ack && slot == Slot::Active;
            news.push(News::Acknowledged { id, f_cnt, acknowledged });
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
        let answers = replies(&commands, received);
        let mut ended = known.take_acknowledged(frame.ack && !replayable, &mut news);
        ended.extend(known.take_unsendable(&session.link, received, &mut news));
        let room = answer::room(&session.link, received, &answers);
        let item = known.waiting.front().filter(|waiting| {
            !replayable && waiting.sending.is_none() && waiting.item.payload.len() <= room
        });
        let item = item.map(|waiting| waiting.item.clone());
        let contents = Contents {
            ack: frame.confirmed,
            adr: self.plan.pins(),
            answers: &answers,
            requests: &needs.requests,
            item: item.as_ref(),
            more: known.waiting.len() > usize::from(item.is_some()),
        };
        let wanted = frame.confirmed || needs.downlink || !answers.is_empty() || item.is_some();
        let built =
            wanted.then(|| answer::build(&mut session, &keys, received, &contents)).flatten();
        let answer = built.map(|(answer, asked)| {
            session.link.answered(f_cnt, &asked, received.at);
            answer
        });
        known.answered_at = answer.as_ref().map(|_| received.at);
        let carries = answer.as_ref().and_then(|answer| answer.carries.clone());
        if let (Some((_, f_cnt)), Some(first)) = (&carries, known.waiting.front_mut()) {
            first.sending = Some(*f_cnt);
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
        accepted.undo.again = again;
        accepted.undo.waiting = ended;
        accepted.undo.sending = carries.map(|(id, _)| id);
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
        let again = known.again;
        let mut accepted = self.settle(device, slot, session, Event::Again);
        accepted.answer = Some(answer);
        accepted.undo.again = again.saturating_sub(1);
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

impl Session {
    /// Goes on with this counter, so many uplinks after the last one.
    fn go_on(&mut self, counter: Counter, missed: u32, replayable: bool, began_anew: bool) {
        if self.counter.is_none() && self.derived.is_none() {
            // one that was heard by others before: they answered at most once an uplink
            self.f_cnt_down = counter.f_cnt_up.min(MAX_FIRST_F_CNT_DOWN);
        }
        self.counter = Some(counter);
        if began_anew {
            self.link.begin_anew();
        } else if !replayable {
            self.link.outgrow_reset(missed);
        }
    }
}

/// The answers to a device's own questions, each once however often it asks.
fn replies(commands: &[FromDevice], received: &Received<'_>) -> Vec<ToDevice> {
    let mut replies: Vec<ToDevice> = Vec::new();
    for reply in commands.iter().filter_map(|command| reply(*command, received)) {
        if !replies.iter().any(|known| discriminant(known) == discriminant(&reply)) {
            replies.push(reply);
        }
    }
    replies
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
