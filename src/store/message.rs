//! What is kept: messages in the order of their importance, and what comes along with them.

use super::State;
use crate::clock::Moment;
use crate::lorawan::{Changes, Downlink};
use crate::units::DevEui;

/// How important a message is: decides the order out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Class {
    /// Somebody must act now.
    Alarm = 0,
    /// Something happened.
    Event = 1,
    /// What to do next.
    Plan = 2,
    /// What a sensor said.
    Measurement = 3,
    /// How the gateway is.
    Diagnostic = 4,
}

impl Class {
    /// All classes, most important first.
    pub const ALL: [Self; 5] =
        [Self::Alarm, Self::Event, Self::Plan, Self::Measurement, Self::Diagnostic];

    /// The word in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Event => "event",
            Self::Plan => "plan",
            Self::Measurement => "measurement",
            Self::Diagnostic => "diagnostic",
        }
    }

    /// Between which keys its messages lie; neither is one of them.
    pub(super) fn keys(self) -> (i64, i64) {
        (Key::new(self, 0).0, (self as i64 + 1) << Key::SEQUENCE_BITS)
    }
}

/// A message's place in the outbox: its class in the upper 8 bits, then its sequence number.
/// So the most important is always first, and no second index is written to the card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub(super) i64);

impl Key {
    const SEQUENCE_BITS: u32 = 56;

    /// The key of the n-th message of this store.
    pub fn new(class: Class, sequence: u64) -> Self {
        debug_assert!(sequence >> Self::SEQUENCE_BITS == 0, "2^56 messages outlast the gateway");
        Self((class as i64) << Self::SEQUENCE_BITS | sequence as i64)
    }

    /// How important the message is.
    pub fn class(self) -> Option<Class> {
        Class::ALL.get((self.0 >> Self::SEQUENCE_BITS) as usize).copied()
    }

    /// The number that is unique in this store and never used again.
    pub fn sequence(self) -> u64 {
        self.0 as u64 & ((1 << Self::SEQUENCE_BITS) - 1)
    }
}

/// A message to be kept until the cloud has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// How important it is.
    pub class: Class,
    /// When it was measured, by this clock in this boot.
    pub at: Moment,
    /// Its topic, below `{prefix}/{gateway}/{tenant}/`.
    pub topic: String,
    /// A JSON object, without what every message has (id, times, clock).
    pub body: String,
}

/// All that one accepted frame, report or command leaves behind.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Which device it is about.
    pub dev_eui: DevEui,
    /// What changed in what is remembered of it.
    pub changes: Changes,
    /// A downlink that waits for it from now on.
    pub queued: Option<Downlink>,
    /// A command that was answered.
    pub command: Option<Command>,
    /// What rooms remember from now on.
    pub states: Vec<State>,
    /// What goes to the cloud.
    pub messages: Vec<Message>,
}

impl Entry {
    /// Brings these messages and changes nothing.
    pub fn of(dev_eui: DevEui, messages: Vec<Message>) -> Self {
        Self {
            dev_eui,
            changes: Changes::default(),
            queued: None,
            command: None,
            states: Vec::new(),
            messages,
        }
    }

    /// Whether it must not wait for others to share its write: there is more in it than what a
    /// sensor says every day.
    pub fn is_urgent(&self) -> bool {
        self.messages.iter().any(|message| message.class < Class::Measurement)
    }

    /// Whether it leaves something on the disk by which the write is told from one that only
    /// removes messages: see [`super::wal`].
    pub(super) fn is_told_from_removals(&self) -> bool {
        !self.changes.sessions.is_empty() || !self.states.is_empty() || self.command.is_some()
    }
}

/// A command that was answered, so that it is never executed twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// Its id.
    pub id: String,
    /// The body of the reply.
    pub reply: String,
}
