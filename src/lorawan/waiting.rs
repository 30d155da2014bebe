//! Downlinks of applications, which wait until their device is heard.

use super::answer;
use super::event::News;
use super::link::{Awaited, Link};
use super::received::Received;
use super::server::{EdgeServer, Known};
use super::session::{Changes, Downlink, Slot, Waiting};
use crate::device::Device;
use crate::units::DevEui;
use jiff::Timestamp;
use std::sync::Arc;

/// How many downlinks may wait for one device.
const MAX_WAITING: usize = 16;

/// Why a downlink cannot wait for a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// No such device.
    #[error("no such device")]
    UnknownDevice,
    /// Enough wait already.
    #[error("{MAX_WAITING} downlinks wait for this device already")]
    Full,
    /// One of this name waits already.
    #[error("a downlink of this id waits already")]
    Twice,
}

impl EdgeServer {
    /// Puts a payload in line for a device.
    ///
    /// # Errors
    /// When there is no such device, or enough waits for it.
    pub fn enqueue(&mut self, dev_eui: DevEui, item: Downlink) -> Result<(), QueueError> {
        let known = self.devices.get_mut(&dev_eui).ok_or(QueueError::UnknownDevice)?;
        if known.waiting.len() >= MAX_WAITING {
            return Err(QueueError::Full);
        }
        if known.waiting.iter().any(|waiting| waiting.item.id == item.id) {
            return Err(QueueError::Twice);
        }
        known.waiting.push_back(Waiting { item, sending: None });
        Ok(())
    }

    /// Takes a payload out of the line: it could not be made durable.
    pub fn withdraw(&mut self, dev_eui: DevEui, id: &str) {
        if let Some(known) = self.devices.get_mut(&dev_eui) {
            known.waiting.retain(|waiting| waiting.item.id != id);
        }
    }

    /// Notes that a payload was sent. It waits no longer; if it was to be acknowledged, the next
    /// uplink tells whether it was. What it returns is to be made durable.
    pub fn sent(&mut self, dev_eui: DevEui, id: &str, f_cnt: u32) -> Option<Changes> {
        let known = self.devices.get_mut(&dev_eui)?;
        let at = known.waiting.iter().position(|waiting| waiting.item.id == id)?;
        let item = known.waiting.remove(at)?.item;
        let mut changes = Changes { ended: vec![item.id.clone()], ..Changes::default() };
        if item.confirmed
            && let Some(session) = &mut known.active
        {
            session.link.awaited = Some(Awaited { id: item.id, f_cnt });
            changes.sessions.push((Slot::Active, Some(session.clone())));
        }
        Some(changes)
    }

    /// Notes that nobody knows whether a payload was sent. It is not sent again.
    pub fn unsure(&mut self, dev_eui: DevEui, id: &str) -> Option<Changes> {
        let known = self.devices.get_mut(&dev_eui)?;
        let at = known.waiting.iter().position(|waiting| waiting.item.id == id)?;
        let item = known.waiting.remove(at)?.item;
        Some(Changes { ended: vec![item.id], ..Changes::default() })
    }

    /// Notes that a payload could not be sent. It goes out with the next uplink, if that comes
    /// in time.
    pub fn not_sent(&mut self, dev_eui: DevEui, id: &str) {
        if let Some(known) = self.devices.get_mut(&dev_eui)
            && let Some(waiting) = known.waiting.iter_mut().find(|w| w.item.id == id)
        {
            waiting.sending = None;
        }
    }

    /// Notes that an answer to a device was not sent: nothing that it asked was heard.
    pub fn not_answered(&mut self, dev_eui: DevEui) {
        if let Some(session) = self.devices.get_mut(&dev_eui).and_then(|k| k.active.as_mut()) {
            session.link.unanswered();
        }
    }

    /// Takes out of the line what has waited too long: device and id of each. To be asked only
    /// when the clock can be trusted.
    pub fn expire(&mut self, now: Timestamp) -> Vec<(Arc<Device>, String)> {
        let mut expired = Vec::new();
        for known in self.devices.values_mut() {
            let device = &known.device;
            known.waiting.retain(|waiting| {
                let over = waiting.sending.is_none() && waiting.item.expires <= now;
                if over {
                    expired.push((Arc::clone(device), waiting.item.id.clone()));
                }
                !over
            });
        }
        expired
    }
}

impl Known {
    /// Takes out of the line what the device acknowledges before its gateway has said that it was
    /// sent.
    pub(super) fn take_acknowledged(&mut self, ack: bool, news: &mut Vec<News>) -> Vec<Waiting> {
        let first = self.waiting.front().filter(|waiting| ack && waiting.item.confirmed);
        let Some(f_cnt) = first.and_then(|waiting| waiting.sending) else { return Vec::new() };
        let taken = Vec::from_iter(self.waiting.pop_front());
        news.extend(taken.iter().map(|waiting| News::Acknowledged {
            id: waiting.item.id.clone(),
            f_cnt,
            acknowledged: true,
        }));
        taken
    }

    /// Takes out of the line what cannot be sent any more, up to the first that can.
    pub(super) fn take_unsendable(
        &mut self,
        link: &Link,
        received: &Received<'_>,
        news: &mut Vec<News>,
    ) -> Vec<Waiting> {
        let room = answer::room(link, received, &[]);
        let mut ended = Vec::new();
        while let Some(Waiting { item, sending: None }) = self.waiting.front() {
            // a clock that nobody has set judges no deadline
            if received.synced && item.expires <= received.at {
                news.push(News::Expired(item.id.clone()));
            } else if item.payload.len() > room {
                news.push(News::TooLong(item.id.clone(), room));
            } else {
                break;
            }
            ended.extend(self.waiting.pop_front());
        }
        ended
    }
}
