//! Downlinks: what goes into one, and when a device listens for it.

use super::frame::{Direction, Outgoing};
use super::link::Link;
use super::mac::ToDevice;
use super::received::Received;
use super::session::{Downlink, Session};
use crate::device::Abp;
use crate::eu868;
use crate::units::{Hertz, LoRa};
use std::time::Duration;

/// A frame for a device, and when it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The PHYPayload, the same in each window.
    pub phy: Vec<u8>,
    /// When the device listens, the earlier window first. Never empty.
    pub windows: Vec<Window>,
    /// The downlink of the application that it carries, by its id, and the frame counter.
    pub carries: Option<(String, u32)>,
}

/// A moment in which a device listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// From the end of the uplink to the first symbol of the answer.
    pub delay: Duration,
    /// The channel's centre.
    pub frequency: Hertz,
    /// How the answer is to be modulated.
    pub modulation: LoRa,
    /// Whether it is RX2.
    pub second: bool,
    /// How many bytes of FOpts and payload it may carry.
    pub(super) room: usize,
}

/// From the end of a join request to its answer.
const JOIN_DELAY: Duration = Duration::from_secs(5);

/// After this a device that asked to join listens no longer.
pub(super) const JOIN_PATIENCE: Duration = Duration::from_secs(6);

/// The second window opens so long after the first.
const SECOND: Duration = Duration::from_secs(1);

/// MAC commands in a frame's header.
const MAX_F_OPTS: usize = 15;

fn first(delay: Duration, frequency: Hertz, data_rate: u8) -> Option<Window> {
    let rate = eu868::data_rate(data_rate)?;
    let (modulation, room) = (rate.modulation, rate.max_payload);
    Some(Window { delay, frequency, modulation, second: false, room })
}

fn second(delay: Duration, data_rate: u8) -> Option<Window> {
    let window = first(delay + SECOND, eu868::RX2_FREQUENCY, data_rate)?;
    Some(Window { second: true, ..window })
}

/// When a device listens after a join request: it has been told nothing yet.
pub(super) fn join_windows(received: &Received<'_>) -> Vec<Window> {
    let rate = eu868::index(received.modulation);
    let rx1 = rate.and_then(|rate| first(JOIN_DELAY, received.frequency, rate));
    rx1.into_iter().chain(second(JOIN_DELAY, eu868::RX2_DATA_RATE)).collect()
}

/// When a device listens after an uplink.
fn windows(link: &Link, received: &Received<'_>) -> Vec<Window> {
    let delay = Duration::from_secs(link.rx1_delay.into());
    let rate = eu868::index(received.modulation);
    let rate = rate.map(|rate| rate.saturating_sub(link.rx1_offset));
    let rx1 = rate.and_then(|rate| first(delay, received.frequency, rate));
    rx1.into_iter().chain(second(delay, link.rx2_data_rate)).collect()
}

/// What is to be put into a downlink.
pub(super) struct Contents<'a> {
    /// Acknowledge a confirmed uplink.
    pub(super) ack: bool,
    /// Say that the network controls the data rate.
    pub(super) adr: bool,
    /// Answers to the device's own questions: now or never.
    pub(super) answers: &'a [ToDevice],
    /// Questions, most urgent first, as far as there is room.
    pub(super) requests: &'a [ToDevice],
    /// An application's payload.
    pub(super) item: Option<&'a Downlink>,
    /// Whether more waits.
    pub(super) more: bool,
}

/// The greatest payload that fits into any answer to this uplink, beside these answers.
pub(super) fn room(link: &Link, received: &Received<'_>, answers: &[ToDevice]) -> usize {
    let widest = windows(link, received).iter().map(|w| w.room).max().unwrap_or(0);
    widest.saturating_sub(encoded(answers).len())
}

fn encoded(commands: &[ToDevice]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for command in commands {
        command.encode(&mut bytes);
    }
    bytes
}

/// Builds the answer to an uplink, takes its counter from the session, and says which of the
/// requests found room. `None` only when the counter is used up.
pub(super) fn build<'a>(
    session: &mut Session,
    keys: &Abp,
    received: &Received<'_>,
    contents: &Contents<'a>,
) -> Option<(Answer, Vec<ToDevice>)> {
    let f_cnt = session.f_cnt_down;
    session.f_cnt_down = f_cnt.checked_add(1)?;
    let payload = contents.item.map(|item| item.payload.as_slice());
    let mut windows = windows(&session.link, received);
    let room = windows.iter().map(|w| w.room).max().unwrap_or(0);
    let room = room.saturating_sub(payload.map_or(0, <[u8]>::len)).min(MAX_F_OPTS);
    let mut f_opts = encoded(contents.answers);
    let mut asked = Vec::new();
    for request in contents.requests {
        let bytes = encoded(&[*request]);
        if f_opts.len() + bytes.len() <= room {
            f_opts.extend(bytes);
            asked.push(*request);
        }
    }
    let len = f_opts.len() + payload.map_or(0, <[u8]>::len);
    windows.retain(|window| len <= window.room);
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    let phy = Outgoing {
        direction: Direction::Down,
        confirmed: contents.item.is_some_and(|item| item.confirmed),
        dev_addr: keys.dev_addr,
        f_ctrl: flag(contents.adr, 0x80) | flag(contents.ack, 0x20) | flag(contents.more, 0x10),
        f_cnt,
        f_opts: &f_opts,
        payload: contents.item.map(|item| item.f_port).zip(payload),
    }
    .encode(&keys.nwk_s_key, &keys.app_s_key);
    let carries = contents.item.map(|item| (item.id.clone(), f_cnt));
    Some((Answer { phy, windows, carries }, asked))
}
