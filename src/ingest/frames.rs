//! What becomes of a frame that was heard.

use super::batch::{Back, Departure};
use super::bins::Change;
use super::{Ingest, bins, care, decode, expiry};
use crate::clock::ClockQuality;
use crate::codec::{DecodeError, Decoded};
use crate::config::TenantKind;
use crate::device::Device;
use crate::lorawan::{Accepted, Event, News, Received, Refusal, Uplink};
use crate::radio::Heard;
use crate::store::{Entry, Message};
use crate::upstream::event;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

impl Ingest {
    pub(super) fn take_due(&mut self, due: Duration) {
        while let Some(frame) = self.dedup.take_due(due) {
            self.take(frame);
        }
        self.counters.copies.store(self.dedup.copies(), Relaxed);
    }

    fn take(&mut self, heard: Heard) {
        self.counters.heard.fetch_add(1, Relaxed);
        let len = heard.phy.len();
        self.heard.heard(heard.frequency, heard.modulation, len, heard.at.monotonic);
        self.take_in(heard);
    }

    /// A frame as the server wants it.
    pub(super) fn received<'a>(&self, heard: &'a Heard) -> Option<Received<'a>> {
        let best = heard.receptions.first()?;
        Some(Received {
            phy: &heard.phy,
            at: heard.at.wall,
            age: self.age(heard),
            synced: heard.at.quality == ClockQuality::Synced,
            frequency: heard.frequency,
            modulation: heard.modulation,
            snr: best.snr,
            receivers: heard.receptions.len(),
        })
    }

    /// Takes a frame in, with what its script made of it, if one was asked.
    pub(super) fn receive(&mut self, heard: &Heard, decoded: Option<Result<Decoded, DecodeError>>) {
        let Some(received) = self.received(heard) else { return };
        match self.server.uplink(&received) {
            Ok(accepted) => self.accept(heard, accepted, decoded),
            Err(refusal) => self.refuse(refusal),
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.journal.refused(refusal, &self.server);
        let counter = match refusal {
            Refusal::NotLoRaWan(_) | Refusal::NotUplink => &self.counters.not_uplink,
            Refusal::UnknownDevAddr(_) | Refusal::UnknownDevEui(_) => &self.counters.unknown_device,
            Refusal::BadMic(_) | Refusal::BadJoinMic(_) => &self.counters.bad_mic,
            Refusal::Repeat(_) | Refusal::LateJoin(_) => &self.counters.repeats,
            Refusal::Replay(_) | Refusal::JoinReplay(_) => &self.counters.replays,
            Refusal::ResetRefused(_) => &self.counters.resets_refused,
            Refusal::JoinOfAbp(_) | Refusal::WrongJoinEui(..) | Refusal::JoinsTooOften(_) => {
                &self.counters.joins_refused
            }
        };
        counter.fetch_add(1, Relaxed);
    }

    fn accept(
        &mut self,
        heard: &Heard,
        accepted: Accepted,
        decoded: Option<Result<Decoded, DecodeError>>,
    ) {
        let Accepted { device, event, news, changes, answer, undo } = accepted;
        let heartbeat = device.profile.heartbeat;
        self.watch.heard(device.dev_eui, heartbeat, heard);
        let mut told = care::Told::default();
        let (mut messages, change) = match &event {
            Event::Uplink(uplink) if self.is_of_home(&device) => {
                told = self.sense(&device, uplink, decoded);
                (Vec::new(), None)
            }
            Event::Uplink(uplink) => self.decode(heard, &device, uplink, decoded),
            Event::Join(dev_addr) => {
                self.journal.joined(&device);
                (vec![event::join(&device, heard.at, *dev_addr)], None)
            }
            Event::Again => (Vec::new(), None),
        };
        messages.extend(news.iter().filter_map(|news| self.tell(heard, &device, news)));
        let ended = self.begin.elapsed().saturating_sub(self.age(heard));
        let Some((sink, batch)) = self.tenants.get_mut(&device.tenant) else { return };
        match event {
            Event::Uplink(_) => batch.uplinks += 1,
            Event::Join(_) => batch.joins += 1,
            Event::Again => {
                self.counters.repeats.fetch_add(1, Relaxed);
            }
        }
        let dev_eui = device.dev_eui;
        let mut states = Vec::new();
        if let Some(change) = change {
            change.news.iter().for_each(|news| bins::tell(&device.tenant, &change.bin, news));
            batch.full |= change.full;
            batch.back.push(Back::Bin(dev_eui, change.bin, change.before.map(Box::new)));
            states.push(change.state);
            messages.extend(change.messages);
        }
        // nothing of a single device leaves a care tenant
        if sink.kind == TenantKind::Care {
            messages.clear();
        }
        states.extend(told.states);
        messages.extend(told.messages);
        let entry = Entry { changes, states, ..Entry::of(dev_eui, messages) };
        let at_once = answer.is_some() || entry.is_urgent();
        let wait = if at_once { Duration::ZERO } else { self.commit_interval };
        batch.entries.push(entry);
        batch.back.push(Back::Frame(undo));
        batch.answers.extend(answer.map(|answer| Departure {
            dev_eui,
            answer,
            receptions: heard.receptions.clone(),
            ended,
        }));
        self.commit_within(wait);
    }

    /// The messages of an uplink, and what becomes known of its bin.
    fn decode(
        &mut self,
        heard: &Heard,
        device: &Arc<Device>,
        uplink: &Uplink,
        decoded: Option<Result<Decoded, DecodeError>>,
    ) -> (Vec<Message>, Option<Change>) {
        let decoded = decode::meaning(self.codecs.get(&device.profile.name), uplink, decoded);
        let Some((sink, _)) = self.tenants.get_mut(&device.tenant) else {
            return (Vec::new(), None);
        };
        let readings = decoded.iter().flatten().flat_map(|decoded| &decoded.readings);
        let change = device.bin.as_deref().and_then(|bin| {
            sink.tours.bins.offer(bin, &readings.cloned().collect::<Vec<_>>(), heard.at)
        });
        sink.counters.count(decoded.as_ref());
        self.journal.uplink(device, uplink, decoded.as_ref());
        (event::messages(heard, device, uplink, decoded.as_ref()), change)
    }

    /// What else became known with a frame, as a message.
    fn tell(&mut self, heard: &Heard, device: &Arc<Device>, news: &News) -> Option<Message> {
        Some(match news {
            News::Status(status) => event::status(device, heard.at, status.battery, status.margin),
            News::Acknowledged { id, f_cnt, acknowledged } => {
                event::ack(device, heard.at, id, *f_cnt, *acknowledged)
            }
            News::Expired(id) => expiry(device, heard.at, id),
            News::TooLong(id, room) => {
                let text = format!("at {} there is room for {room} bytes", heard.modulation);
                event::log(device, heard.at, id, event::Ending::PayloadSize, &text)
            }
            News::NotPinned => {
                self.journal.not_pinned(device);
                return None;
            }
        })
    }
}
