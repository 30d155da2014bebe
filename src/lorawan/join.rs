//! Joins over the air (OTAA).

use super::answer::{self, Answer};
use super::event::{Accepted, Event, Refusal};
use super::frame::{self, JoinAccept, JoinRequest};
use super::link::{Link, Plan};
use super::received::Received;
use super::server::EdgeServer;
use super::session::{Binding, Changes, Join, Session, Slot, Undo};
use crate::device::{Abp, Activation, Otaa};
use crate::units::DevAddr;
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;

/// JoinNonces have 24 bits.
const MAX_JOIN_NONCE: u32 = 0x00ff_ffff;

/// A device that joins so often and never speaks does not hear us, and is answered seldom from
/// then on: each answer costs airtime that others need.
const MAX_UNUSED: u8 = 8;
const UNUSED_PAUSE: SignedDuration = SignedDuration::from_mins(10);

/// No network of its own: the NetID for private ones.
const NET_ID: u32 = 0;

impl EdgeServer {
    /// Answers an authentic request of a registered device, each number only once. The session that
    /// the device has goes on until the new one is used: the answer may be lost.
    pub(super) fn join(
        &mut self,
        received: &Received<'_>,
        request: &JoinRequest<'_>,
    ) -> Result<Accepted, Refusal> {
        let dev_eui = request.dev_eui;
        let known = self.devices.get_mut(&dev_eui).ok_or(Refusal::UnknownDevEui(dev_eui))?;
        let device = Arc::clone(&known.device);
        let (Activation::Otaa(otaa), Some((key, joins))) = (&device.activation, &mut known.joins)
        else {
            return Err(Refusal::JoinOfAbp(dev_eui));
        };
        if !request.mic_matches(key) {
            return Err(Refusal::BadJoinMic(dev_eui));
        }
        if request.join_eui != otaa.join_eui {
            return Err(Refusal::WrongJoinEui(dev_eui, request.join_eui));
        }
        if received.age >= answer::JOIN_PATIENCE {
            return Err(Refusal::LateJoin(dev_eui));
        }
        if known.last_dev_nonce == Some(request.dev_nonce) {
            return Err(Refusal::Repeat(dev_eui));
        }
        let (times, last) = known.joined;
        if times >= MAX_UNUSED && received.at.duration_since(last).abs() < UNUSED_PAUSE {
            return Err(Refusal::JoinsTooOften(dev_eui));
        }
        let join_nonce = next_join_nonce(joins.join_nonce, received.at)
            .filter(|_| !joins.dev_nonces.contains(&request.dev_nonce))
            .ok_or(Refusal::JoinReplay(dev_eui))?;
        let dev_addr = frame::dev_addr(key, dev_eui, join_nonce);
        let (accept, session) =
            session_of(otaa, request.dev_nonce, join_nonce, dev_addr, &self.plan, known.binding);
        let before = (joins.join_nonce, request.dev_nonce);
        joins.join_nonce = join_nonce;
        joins.dev_nonces.insert(request.dev_nonce);
        known.last_dev_nonce = Some(request.dev_nonce);
        known.joined = (times.saturating_add(1), received.at);
        known.told_unpinned = false;
        let join = Join { binding: known.binding, join_nonce, dev_nonce: request.dev_nonce };
        let sessions = vec![(Slot::Pending, Some(session))];
        let undo = Undo { join: Some(before), ..self.replace(dev_eui, &sessions) };
        Ok(Accepted {
            event: Event::Join(dev_addr),
            news: Vec::new(),
            changes: Changes { sessions, join: Some(join), ended: Vec::new() },
            answer: Some(Answer {
                phy: accept.encode(&otaa.app_key),
                windows: answer::join_windows(received),
                carries: None,
            }),
            undo,
            device,
        })
    }
}

/// The number of the next answer to a join: greater than all before, also when the store that
/// remembered them is lost, since then it goes on from the minutes since 2025. A clock that is
/// decades ahead uses up no more than half of the numbers.
fn next_join_nonce(last: u32, now: Timestamp) -> Option<u32> {
    const BEGIN: i64 = 1_735_689_600;
    let minutes = (now.as_second() - BEGIN) / 60;
    let minutes = minutes.clamp(0, i64::from(MAX_JOIN_NONCE / 2)) as u32;
    (last < MAX_JOIN_NONCE).then(|| (last + 1).max(minutes))
}

fn session_of(
    otaa: &Otaa,
    dev_nonce: u16,
    join_nonce: u32,
    dev_addr: DevAddr,
    plan: &Plan,
    binding: Binding,
) -> (JoinAccept, Session) {
    let link = Link::joined(plan);
    let accept = JoinAccept {
        join_nonce,
        net_id: NET_ID,
        dev_addr,
        rx1_offset: link.rx1_offset,
        rx2_data_rate: link.rx2_data_rate,
        rx1_delay: link.rx1_delay,
        cf_list: plan.cf_list(),
    };
    let (nwk_s_key, app_s_key) = accept.session_keys(&otaa.app_key, dev_nonce);
    let derived = Some(Abp { dev_addr, nwk_s_key, app_s_key });
    (accept, Session { derived, counter: None, f_cnt_down: 0, link, binding })
}
