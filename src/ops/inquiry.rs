//! A question to the part of the gateway that owns the devices, and the way to it.
//!
//! The owner is a loop that must not wait for those who are curious: a question is handed over if
//! there is room for it, and whoever asked waits for a while and no longer.

use super::device::{DeviceStatus, DeviceSummary};
use super::status::{AnswerStatus, CapacityStatus, RadioStatus, SubBandStatus};
use crate::fault::Standing;
use crate::units::DevEui;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long an answer may take: a write to an old SD card is done by then.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// How everything is; answered by [`Answer::Status`].
    Status,
    /// How all devices are; answered by [`Answer::Devices`].
    Devices,
    /// How this one is; answered by [`Answer::Devices`] with one or none.
    Device(DevEui),
}

/// What the owner of the devices answers.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// How everything is.
    Status(Box<Inside>),
    /// The devices that were asked for.
    Devices(Vec<DeviceStatus>),
}

/// What only the owner of the devices knows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Inside {
    /// The radio HATs.
    pub radios: Vec<RadioStatus>,
    /// What is wrong with radios and devices.
    pub faults: Vec<Standing>,
    /// What became of answers to devices.
    pub answers: AnswerStatus,
    /// What the busiest gateway has sent, by sub-band.
    pub airtime: Vec<SubBandStatus>,
    /// How full the air is.
    pub capacity: Option<CapacityStatus>,
    /// How the devices are, in numbers.
    pub devices: DeviceSummary,
}

/// A question on its way.
#[derive(Debug)]
pub struct Inquiry {
    /// What is asked.
    pub question: Question,
    /// Where the answer goes; it may be that nobody waits for it any more.
    pub answer: oneshot::Sender<Answer>,
}

/// The way to the owner of the devices, which is bounded.
#[derive(Clone)]
pub struct Ask(Arc<dyn Fn(Inquiry) -> bool + Send + Sync>);

impl Ask {
    /// A way by this function. It must not block, and says whether there was room.
    pub fn new(pass: impl Fn(Inquiry) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(pass))
    }

    /// Asks, and waits for 2 s at most. `None` when there is no answer by then, or no room.
    pub async fn ask(&self, question: Question) -> Option<Answer> {
        let (answer, awaited) = oneshot::channel();
        if !(self.0)(Inquiry { question, answer }) {
            return None;
        }
        timeout(PATIENCE, awaited).await.ok()?.ok()
    }
}

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ask")
    }
}
