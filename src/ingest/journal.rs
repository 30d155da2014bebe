//! What the loop tells operations: each change once, nothing for each frame.

use crate::codec::{DecodeError, Decoded};
use crate::device::Device;
use crate::lorawan::{EdgeServer, Refusal, Uplink};
use crate::message;
use crate::radio::schedule::Failure;
use crate::store::{Rescue, Stage, StoreError};
use crate::units::{DevEui, TenantId, count};
use std::collections::{HashMap, HashSet};

/// An answer that is not sent is no news: the air is shared. So many in a row are.
const TROUBLE: u32 = 3;

/// So many that are sent in a row end the news.
const WELL_AGAIN: u32 = 10;

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Journal {
    /// Devices, by port, whose last payload could not be decoded, or not mapped as a whole.
    undecodable: HashSet<(DevEui, Option<u8>)>,
    /// Devices whose counter reset was refused since their last accepted frame.
    reset: HashSet<DevEui>,
    /// Devices whose join was refused since their last one.
    joins: HashSet<DevEui>,
    /// Tenants whose disk failed at the last write.
    failing: HashSet<TenantId>,
    /// Tenants of whose residents nothing can be overwritten.
    unerased: HashSet<TenantId>,
    /// Tenants that lose alarms.
    alarms_lost: HashSet<TenantId>,
    /// What is given up for want of room.
    shedding: HashMap<TenantId, Stage>,
    /// How many answers in a row could not be sent, or could.
    failed_in_a_row: u32,
    sent_in_a_row: u32,
    /// Whether it was told that answers cannot be sent.
    unanswered: bool,
}

impl Journal {
    /// A frame that was refused. Each device's trouble is told once; nothing a stranger can
    /// bring about is told for each frame.
    pub(super) fn refused(&mut self, refusal: Refusal, server: &EdgeServer) {
        log::debug!("frame refused: {refusal}");
        let tenant = |device| {
            let device = server.device(device);
            device.map_or_else(String::new, |device| device.tenant.as_str().to_owned())
        };
        match refusal {
            Refusal::ResetRefused(device) if self.reset.insert(device) => log::error!(
                MESSAGE_ID = message::COUNTER_RESET_REFUSED,
                LYKTA_DEVICE = device.to_string(),
                LYKTA_TENANT = tenant(device);
                "device {device} counts its frames from zero again (a new battery?) and is no \
                 longer heard: its profile forbids that, or the last time is too recent; allow \
                 it with [counter] reset = true in a profile of your own, or join it anew"
            ),
            Refusal::BadJoinMic(device) if self.joins.insert(device) => {
                self.join_refused(device, &tenant(device), "its AppKey is another one than here");
            }
            Refusal::JoinOfAbp(device) if self.joins.insert(device) => {
                self.join_refused(device, &tenant(device), "it has a fixed session (abp) here");
            }
            Refusal::WrongJoinEui(device, asked) if self.joins.insert(device) => {
                let why = format!("it asks for JoinEUI {asked}, which is not the one here");
                self.join_refused(device, &tenant(device), &why);
            }
            Refusal::JoinReplay(device) if self.joins.insert(device) => {
                let why = "it uses a DevNonce again: a recording, or a device that forgot its own";
                self.join_refused(device, &tenant(device), why);
            }
            Refusal::JoinsTooOften(device) if self.joins.insert(device) => {
                let why = "it asks again and again and never speaks: it does not hear the answers";
                self.join_refused(device, &tenant(device), why);
            }
            _ => {}
        }
    }

    fn join_refused(&self, device: DevEui, tenant: &str, why: &str) {
        log::warn!(
            MESSAGE_ID = message::JOIN_REFUSED,
            LYKTA_DEVICE = device.to_string(),
            LYKTA_TENANT = tenant,
            LYKTA_REASON = why;
            "device {device} asks to join and is refused: {why}"
        );
    }

    /// A device joined.
    pub(super) fn joined(&mut self, device: &Device) {
        self.joins.remove(&device.dev_eui);
        log::info!(
            MESSAGE_ID = message::DEVICE_JOINED,
            LYKTA_DEVICE = device.dev_eui.to_string(),
            LYKTA_TENANT = device.tenant.as_str();
            "device {} joins", device.dev_eui
        );
    }

    /// An uplink was accepted, and decoded or not.
    pub(super) fn uplink(
        &mut self,
        device: &Device,
        uplink: &Uplink,
        decoded: Option<&Result<Decoded, DecodeError>>,
    ) {
        self.reset.remove(&device.dev_eui);
        if uplink.began_anew {
            log::warn!(
                MESSAGE_ID = message::COUNTER_RESET,
                LYKTA_DEVICE = device.dev_eui.to_string(),
                LYKTA_TENANT = device.tenant.as_str();
                "device {} counts its frames from zero again, as its profile allows; until it \
                 is past its old count its uplinks are marked replayable", device.dev_eui
            );
        }
        let Some(decoded) = decoded else { return };
        let trouble = match decoded {
            Err(error) => Some(error.without_payload()),
            Ok(decoded) => {
                let mut unmapped = decoded.unmapped.iter();
                unmapped.find(|unmapped| unmapped.is_loss()).map(ToString::to_string)
            }
        };
        let changed = match trouble {
            Some(_) => self.undecodable.insert((device.dev_eui, uplink.f_port)),
            None => self.undecodable.remove(&(device.dev_eui, uplink.f_port)),
        };
        if changed {
            tell_decoding(device.dev_eui, &device.tenant, trouble.as_deref());
        }
    }

    /// A device does not stay on the channel.
    pub(super) fn not_pinned(&self, device: &Device) {
        log::warn!(
            MESSAGE_ID = message::DEVICE_NOT_PINNED,
            LYKTA_DEVICE = device.dev_eui.to_string(),
            LYKTA_TENANT = device.tenant.as_str();
            "device {} was asked to stay on the channel that is heard here, and does not: most \
             of its frames are lost; set it to this channel and data rate by its vendor's tool",
            device.dev_eui
        );
    }

    /// An answer was sent; whether it was told that they fail.
    pub(super) fn answered(&mut self) -> bool {
        self.failed_in_a_row = 0;
        self.sent_in_a_row = self.sent_in_a_row.saturating_add(1);
        if self.unanswered && self.sent_in_a_row >= WELL_AGAIN {
            self.unanswered = false;
            log::info!(MESSAGE_ID = message::DOWNLINK_WORKS; "devices are answered again");
        }
        self.unanswered
    }

    /// An answer was not sent; whether it was told that they fail.
    pub(super) fn not_answered(&mut self, reason: &Failure) -> bool {
        log::debug!("an answer was not sent: {reason}");
        self.sent_in_a_row = 0;
        self.failed_in_a_row = self.failed_in_a_row.saturating_add(1);
        if self.failed_in_a_row >= TROUBLE && !std::mem::replace(&mut self.unanswered, true) {
            log::warn!(
                MESSAGE_ID = message::DOWNLINK_FAILED,
                LYKTA_REASON = reason.to_string();
                "answers to devices cannot be sent: {reason}; they ask again, further failures \
                 are only counted"
            );
        }
        self.unanswered
    }

    /// A damaged database was replaced.
    pub(super) fn rescued(&self, tenant: &TenantId, rescue: &Rescue) {
        let level = if rescue.is_doubtful { log::Level::Warn } else { log::Level::Error };
        log::log!(
            level,
            MESSAGE_ID = message::STORE_SET_ASIDE,
            LYKTA_TENANT = tenant.as_str(),
            LYKTA_REASON = rescue.reason.as_str(),
            LYKTA_FILE = rescue.aside.display().to_string();
            "the database of tenant {tenant} {rescue}"
        );
    }

    /// The second file of sessions was damaged.
    pub(super) fn copy_renewed(&self, tenant: &TenantId) {
        log::warn!(
            MESSAGE_ID = message::STORE_COPY_RENEWED, LYKTA_TENANT = tenant.as_str();
            "the second file with sessions of tenant {tenant} was damaged and is made anew of the \
             first; look after the disk"
        );
    }

    /// Residents of whom nothing is heard, at a start.
    pub(super) fn unheard(&self, tenant: &TenantId, withdrawn: usize, lost: usize) {
        if withdrawn > 0 {
            log::info!(
                LYKTA_TENANT = tenant.as_str();
                "nothing is read of {} of tenant {tenant}: consent was withdrawn by a command",
                count(withdrawn as u64, "resident")
            );
        }
        if lost > 0 {
            log::error!(
                MESSAGE_ID = message::CONSENT_LOST,
                LYKTA_TENANT = tenant.as_str(),
                LYKTA_RESIDENTS = lost;
                "it is lost whether {} of tenant {tenant} withdrew consent: \
                 nothing of them is read and each of their checks is a fault until the command \
                 `consent` says so; who they are is told on the topics of care",
                count(lost as u64, "resident")
            );
        }
    }

    /// What was removed of residents was overwritten, or could not be.
    pub(super) fn erased(&mut self, tenant: &TenantId, error: Option<&StoreError>) {
        match error {
            Some(error) if self.unerased.insert(tenant.clone()) => log::error!(
                MESSAGE_ID = message::NOT_ERASED,
                LYKTA_TENANT = tenant.as_str(),
                LYKTA_REASON = error.to_string();
                "what is to be erased of residents of tenant {tenant} is still on the disk, and \
                 is tried again: {error}"
            ),
            None if self.unerased.remove(tenant) => log::info!(
                LYKTA_TENANT = tenant.as_str();
                "what was to be erased of residents of tenant {tenant} is erased"
            ),
            _ => {}
        }
    }

    /// What is given up for want of room now.
    pub(super) fn shed(&mut self, tenant: &TenantId, stage: Option<Stage>) {
        let Some(stage) = stage else {
            if self.shedding.remove(tenant).is_some() {
                log::info!(
                    MESSAGE_ID = message::SHEDDING_ENDED, LYKTA_TENANT = tenant.as_str();
                    "the buffer of tenant {tenant} has room again"
                );
            }
            return;
        };
        // in one want of room each is told once, however often it comes round
        let told = self.shedding.get(tenant);
        if told.is_none_or(|told| *told < stage) {
            self.shedding.insert(tenant.clone(), stage);
            log::error!(
                MESSAGE_ID = message::SHEDDING,
                LYKTA_TENANT = tenant.as_str(),
                LYKTA_REASON = stage.as_str();
                "the buffer of tenant {tenant} is full; given up are now: {}", stage.as_str()
            );
        }
    }

    /// So many alarms were lost since the disk takes nothing.
    pub(super) fn alarms_lost(&mut self, tenant: &TenantId, lost: u64) {
        if lost == 0 {
            self.alarms_lost.remove(tenant);
        } else if self.alarms_lost.insert(tenant.clone()) {
            log::error!(
                MESSAGE_ID = message::ALARMS_LOST, LYKTA_TENANT = tenant.as_str();
                "alarms of tenant {tenant} are lost: neither the disk nor the memory has room"
            );
        }
    }

    /// A write to a tenant's disk.
    pub(super) fn stored(&mut self, tenant: &TenantId, result: Result<(), &StoreError>) {
        match result {
            Ok(()) => {
                if self.failing.remove(tenant) {
                    log::info!(
                        MESSAGE_ID = message::STORE_WORKS, LYKTA_TENANT = tenant.as_str();
                        "the disk takes the uplinks of tenant {tenant} again"
                    );
                }
            }
            Err(error) => {
                if self.failing.insert(tenant.clone()) {
                    log::error!(
                        MESSAGE_ID = message::STORE_FAILED,
                        LYKTA_TENANT = tenant.as_str(),
                        LYKTA_REASON = error.to_string();
                        "uplinks of tenant {tenant} cannot be kept: {error}; measurements are lost, \
                         alarms and events wait in memory"
                    );
                }
            }
        }
    }
}

fn tell_decoding(device: DevEui, tenant: &TenantId, trouble: Option<&str>) {
    match trouble {
        Some(trouble) => log::warn!(
            MESSAGE_ID = message::DECODE_FAILED,
            LYKTA_DEVICE = device.to_string(),
            LYKTA_TENANT = tenant.as_str(),
            LYKTA_REASON = trouble;
            "payloads of device {device} cannot be decoded: {trouble}; is its profile right?"
        ),
        None => log::info!(
            MESSAGE_ID = message::DECODE_WORKS,
            LYKTA_DEVICE = device.to_string(),
            LYKTA_TENANT = tenant.as_str();
            "payloads of device {device} can be decoded again"
        ),
    }
}
