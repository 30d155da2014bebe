//! What a device and its network have agreed on, and what is still to be agreed.
//!
//! Nothing is queued: with each uplink it is worked out anew what the device should be asked,
//! from what it is known to have taken. A lost request or a lost answer so heals itself.

use super::mac::{DevStatus, FromDevice, ToDevice};
use super::statistics::Statistics;
use crate::eu868;
use crate::units::{DevEui, Hertz, LoRa};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// What this gateway wants of its devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Which channels it hears.
    pub channels: Channels,
    /// From the end of an uplink to its answer, in seconds, 1 to 15.
    pub rx1_delay: u8,
    /// The data rate of the second answer window.
    pub rx2_data_rate: u8,
}

/// Which channels a gateway hears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Channels {
    /// All, by a concentrator: beside the three default ones these, if any, are handed out.
    All(Option<[Hertz; 5]>),
    /// One with one spreading factor for each radio. A device that is to be heard must stay on
    /// them: it is *pinned*, which LoRaWAN does not provide for.
    Only(Vec<(Hertz, u8)>),
}

impl Plan {
    /// The data rate and the channels that a device stays on which was heard with this
    /// modulation, so that every further uplink is heard as well.
    fn pin(&self, modulation: LoRa) -> Option<(u8, u16)> {
        let Channels::Only(radios) = &self.channels else { return None };
        let mask = radios
            .iter()
            .filter(|(_, spreading_factor)| *spreading_factor == modulation.spreading_factor)
            .filter_map(|(frequency, _)| channel(*frequency))
            .fold(0, |mask, channel| mask | 1 << channel);
        (mask != 0).then_some(())?;
        Some((eu868::index(modulation)?, mask))
    }

    /// The channels that a joining device is given. One that is to stay on a single channel is
    /// given none: it would hop over eight instead of three until it is pinned.
    pub(super) fn cf_list(&self) -> Option<[Hertz; 5]> {
        match self.channels {
            Channels::All(cf_list) => cf_list,
            Channels::Only(_) => None,
        }
    }

    /// Whether devices are told their data rate, which they must be told that they are.
    pub(super) fn pins(&self) -> bool {
        matches!(self.channels, Channels::Only(_))
    }
}

/// The index of a default channel.
fn channel(frequency: Hertz) -> Option<usize> {
    eu868::DEFAULT_CHANNELS.iter().position(|default| *default == frequency)
}

/// Where a device stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Its data rate.
    pub data_rate: u8,
    /// Its channels; bit 0 is the first.
    pub channels: u16,
}

/// How often something was asked for, and when last, by the uplink counter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Asked {
    times: u8,
    at: u32,
}

impl Asked {
    /// Asked with every uplink at first, then seldom: the device may never answer, and each
    /// request costs airtime that others need.
    const EAGER: u8 = 8;
    const SELDOM: u32 = 16;

    fn is_due(self, f_cnt: u32) -> bool {
        self.times < Self::EAGER || f_cnt.saturating_sub(self.at) >= Self::SELDOM
    }

    fn again(&mut self, f_cnt: u32) {
        *self = Self { times: self.times.saturating_add(1), at: f_cnt };
    }
}

/// A confirmed downlink that was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaited {
    /// Its id.
    pub id: String,
    /// Its counter.
    pub f_cnt: u32,
}

/// It is kept with each uplink: what goes without saying is not said.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What is agreed with a device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Link {
    /// From the end of an uplink to its answer, in seconds.
    pub rx1_delay: u8,
    /// How many data rates the first answer window is slower than the uplink.
    #[serde(skip_serializing_if = "is_default")]
    pub rx1_offset: u8,
    /// The data rate of the second answer window.
    pub rx2_data_rate: u8,
    /// Where the device has agreed to stay.
    #[serde(skip_serializing_if = "is_default")]
    pub pin: Option<Pin>,
    /// How well the device is heard, over all its sessions.
    pub statistics: Statistics,
    /// A confirmed downlink that the device has not acknowledged yet.
    #[serde(skip_serializing_if = "is_default")]
    pub awaited: Option<Awaited>,
    /// What was agreed before the device seemed to begin anew.
    #[serde(skip_serializing_if = "is_default")]
    before_reset: Option<Box<Link>>,
    #[serde(skip_serializing_if = "is_default")]
    pin_asked: Asked,
    /// The power index that goes with a pin: a device refuses the whole for one part.
    #[serde(skip_serializing_if = "is_default")]
    power: u8,
    #[serde(skip_serializing_if = "is_default")]
    windows_asked: Asked,
    #[serde(skip_serializing_if = "is_default")]
    delay_asked: Asked,
    /// How often it was answered because it urged.
    #[serde(skip_serializing_if = "is_default")]
    urged: Asked,
    /// The uplink counter at the last downlink.
    #[serde(skip_serializing_if = "is_default")]
    answered_at: Option<u32>,
    /// Whether it was ever asked how it is.
    #[serde(skip_serializing_if = "is_default")]
    status_asked: bool,
    /// From when on the next status is worth a downlink of its own.
    #[serde(skip_serializing_if = "is_default")]
    status_due: Option<Timestamp>,
}

impl Default for Link {
    /// What every device begins with that was told nothing.
    fn default() -> Self {
        Self {
            rx1_delay: 1,
            rx1_offset: 0,
            rx2_data_rate: eu868::RX2_DATA_RATE,
            pin: None,
            statistics: Statistics::default(),
            awaited: None,
            before_reset: None,
            pin_asked: Asked::default(),
            power: 0,
            windows_asked: Asked::default(),
            delay_asked: Asked::default(),
            urged: Asked::default(),
            answered_at: None,
            status_asked: false,
            status_due: None,
        }
    }
}

/// What an uplink says of the link.
pub(super) struct Facts<'a> {
    pub(super) dev_eui: DevEui,
    pub(super) f_cnt: u32,
    /// How many uplinks before it were not heard.
    pub(super) missed: u32,
    pub(super) at: Timestamp,
    pub(super) modulation: LoRa,
    pub(super) adr: bool,
    pub(super) adr_ack_req: bool,
    pub(super) commands: &'a [FromDevice],
}

/// What an uplink asks for.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// Whether a downlink must be sent for it, even an empty one.
    pub(super) downlink: bool,
    /// Whether the device asks for one with each uplink until it hears one.
    urged: bool,
    /// What is to be asked, most urgent first. Worth a downlink only if `downlink` says so.
    pub(super) requests: Vec<ToDevice>,
    /// What the device said of itself.
    pub(super) status: Option<DevStatus>,
}

/// After 64 uplinks without a downlink a device asks for one (ADR_ACK_LIMIT), and after 32 more
/// (ADR_ACK_DELAY) it begins to change data rate and channels. A downlink in good time, even if
/// the next is lost, keeps it where it is.
const KEEP_ALIVE: u32 = 48;
const DECAYED: u32 = 64 + 32;

/// So many uplinks missed in a row are seldom bad luck (1 in 1,300 at a loss of one in six), but
/// every fifth time the mark of a device that hops over three channels again.
const HOPPING: u32 = 4;

/// So many uplinks are not missed in a row by chance, just as a device passes its old count.
const LEAP: u32 = 16;

const STATUS_EVERY: SignedDuration = SignedDuration::from_hours(7 * 24);

/// When an asked status does not come.
const STATUS_RETRY: SignedDuration = SignedDuration::from_hours(24);

impl Link {
    /// What a device has that has just joined under this plan.
    pub(super) fn joined(plan: &Plan) -> Self {
        Self { rx1_delay: plan.rx1_delay, rx2_data_rate: plan.rx2_data_rate, ..Self::default() }
    }

    /// The device counts from zero again, and so knows nothing of what was agreed: unless it was
    /// a recording that did.
    pub(super) fn begin_anew(&mut self) {
        let mut before = std::mem::take(self);
        before.before_reset = None;
        self.statistics = before.statistics;
        self.awaited = before.awaited.take();
        self.before_reset = Some(Box::new(before));
    }

    /// The device is past its old count, so many uplinks after the last one. One that did begin
    /// anew has counted all the way; one that is suddenly where it was before never did, and
    /// what is agreed with it still holds.
    pub(super) fn outgrow_reset(&mut self, missed: u32) {
        if let Some(before) = self.before_reset.take()
            && missed > LEAP
        {
            let (statistics, awaited) = (self.statistics, self.awaited.take());
            *self = Self { statistics, awaited, ..*before };
        }
    }

    /// The last downlink was not sent: nothing was asked with it.
    pub(super) fn unanswered(&mut self) {
        let Some(at) = self.answered_at.take() else { return };
        for asked in [&mut self.pin_asked, &mut self.windows_asked, &mut self.delay_asked] {
            if asked.at == at {
                asked.times = asked.times.saturating_sub(1);
            }
        }
    }

    /// Takes an uplink in and says what it asks for.
    pub(super) fn uplink(&mut self, plan: &Plan, facts: &Facts<'_>) -> Needs {
        let mut needs = Needs { urged: facts.adr_ack_req, ..Needs::default() };
        let answered_pin = self.take_answers(plan, facts, &mut needs);
        if needs.urged {
            // one that never hears us is not answered for ever: others need the airtime
            needs.downlink = self.urged.is_due(facts.f_cnt);
            if needs.downlink {
                self.urged.again(facts.f_cnt);
            }
        } else {
            self.urged = Asked::default();
        }
        self.want_pin(plan, facts, answered_pin, &mut needs);
        self.want_windows(plan, facts, &mut needs);
        self.want_status(facts, &mut needs);
        let since = facts.f_cnt.saturating_sub(self.answered_at.unwrap_or(0));
        needs.downlink |= facts.adr && self.pin.is_some() && since >= KEEP_ALIVE;
        needs
    }

    /// Whether the uplink answered a question about the pin.
    fn take_answers(&mut self, plan: &Plan, facts: &Facts<'_>, needs: &mut Needs) -> bool {
        let mut answered = false;
        for command in facts.commands {
            match *command {
                FromDevice::LinkAdrAns { channels, data_rate, power }
                    if self.pin_asked.times > 0 =>
                {
                    answered = true;
                    if channels && data_rate && power {
                        self.pin = plan
                            .pin(facts.modulation)
                            .map(|(data_rate, channels)| Pin { data_rate, channels });
                        self.pin_asked = Asked::default();
                    } else {
                        if !power {
                            self.power = (self.power + 1) % 8;
                        }
                        // it may change its mind, but not at once
                        self.pin_asked.times = self.pin_asked.times.max(Asked::EAGER);
                    }
                }
                FromDevice::RxParamSetupAns { rx1_offset, rx2_data_rate, rx2_channel } => {
                    // repeated by the device until it hears a downlink
                    needs.urged = true;
                    if rx1_offset && rx2_data_rate && rx2_channel && self.windows_asked.times > 0 {
                        (self.rx1_offset, self.rx2_data_rate) = (0, plan.rx2_data_rate);
                        self.windows_asked = Asked::default();
                    }
                }
                FromDevice::RxTimingSetupAns => {
                    needs.urged = true;
                    if self.delay_asked.times > 0 {
                        self.rx1_delay = plan.rx1_delay;
                        self.delay_asked = Asked::default();
                    }
                }
                // repeated by the device as well
                FromDevice::DlChannelAns => needs.urged = true,
                FromDevice::DevStatusAns(said) => {
                    needs.status = Some(said);
                    self.statistics.observe_status(said.battery, said.margin, facts.at);
                    self.status_due = facts.at.checked_add(STATUS_EVERY).ok();
                }
                // requests are the server's; the other answers are to nothing that is asked
                FromDevice::LinkCheckReq
                | FromDevice::DeviceTimeReq
                | FromDevice::LinkAdrAns { .. }
                | FromDevice::DutyCycleAns
                | FromDevice::NewChannelAns
                | FromDevice::TxParamSetupAns
                | FromDevice::ClassB => {}
            }
        }
        answered
    }

    fn want_pin(&mut self, plan: &Plan, facts: &Facts<'_>, answered: bool, needs: &mut Needs) {
        let Some((data_rate, channels)) = plan.pin(facts.modulation) else {
            // a concentrator hears every channel: a device that was pinned is let go
            if self.pin.is_some() && !plan.pins() && self.pin_asked.is_due(facts.f_cnt) {
                let data_rate = eu868::index(facts.modulation).unwrap_or(0);
                needs.downlink = true;
                needs.requests.push(ToDevice::LinkAdrReq {
                    data_rate,
                    power: self.power,
                    channels: 0x00ff,
                    control: 6,
                });
            }
            return;
        };
        let wanted = Pin { data_rate, channels };
        let silent = facts.f_cnt.saturating_sub(self.answered_at.unwrap_or(facts.f_cnt));
        let slipped = self.pin.is_some_and(|pin| pin != wanted)
            || facts.missed >= HOPPING
            || facts.adr && silent >= DECAYED;
        if slipped && !answered && self.pin.take().is_some() {
            self.pin_asked = Asked::default();
        }
        if self.pin.is_none() && self.pin_asked.is_due(facts.f_cnt) {
            needs.downlink = true;
            needs.requests.push(ToDevice::LinkAdrReq {
                data_rate,
                power: self.power,
                channels,
                control: 0,
            });
        }
    }

    fn want_windows(&mut self, plan: &Plan, facts: &Facts<'_>, needs: &mut Needs) {
        let as_wanted = self.rx1_offset == 0 && self.rx2_data_rate == plan.rx2_data_rate;
        if !as_wanted && self.windows_asked.is_due(facts.f_cnt) {
            needs.downlink = true;
            needs.requests.push(ToDevice::RxParamSetupReq {
                rx1_offset: 0,
                rx2_data_rate: plan.rx2_data_rate,
                rx2_frequency: eu868::RX2_FREQUENCY,
            });
        }
        if self.rx1_delay != plan.rx1_delay && self.delay_asked.is_due(facts.f_cnt) {
            needs.downlink = true;
            needs.requests.push(ToDevice::RxTimingSetupReq(plan.rx1_delay));
        }
    }

    /// A status rides on another downlink when it can, and gets one of its own when it is due:
    /// the first within a day, at an hour of the device's own, so that a city of sensors that
    /// is heard for the first time does not use up the airtime.
    fn want_status(&mut self, facts: &Facts<'_>, needs: &mut Needs) {
        // consecutive DevEUIs lie far apart
        let hour = facts.dev_eui.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let spread = SignedDuration::from_secs((hour % (24 * 3600)) as i64);
        // a date beyond the next week was written by a clock that was wrong
        let latest = facts.at.checked_add(STATUS_EVERY).unwrap_or(facts.at);
        let due = self.status_due.filter(|due| *due <= latest);
        let due = due.unwrap_or_else(|| facts.at.checked_add(spread).unwrap_or(facts.at));
        self.status_due = Some(due);
        let never = !self.status_asked && self.statistics.dev_status().is_none();
        if facts.at >= due || never {
            needs.downlink |= facts.at >= due;
            needs.requests.push(ToDevice::DevStatusReq);
        }
    }

    /// Notes a downlink with these requests, in answer to the uplink with this counter.
    pub(super) fn answered(&mut self, f_cnt: u32, requests: &[ToDevice], now: Timestamp) {
        self.answered_at = Some(f_cnt);
        for request in requests {
            match request {
                ToDevice::LinkAdrReq { .. } => self.pin_asked.again(f_cnt),
                ToDevice::RxParamSetupReq { .. } => self.windows_asked.again(f_cnt),
                ToDevice::RxTimingSetupReq(_) => self.delay_asked.again(f_cnt),
                ToDevice::DevStatusReq => {
                    // whether it answers or not, it is not asked with every downlink
                    self.status_asked = true;
                    self.status_due = now.checked_add(STATUS_RETRY).ok();
                }
                ToDevice::LinkCheckAns { .. } | ToDevice::DeviceTimeAns { .. } => {}
            }
        }
    }

    /// Whether the device was asked to stay on the channel often enough to know that it does not.
    pub fn resists(&self) -> bool {
        self.pin.is_none() && self.pin_asked.times >= Asked::EAGER
    }
}
