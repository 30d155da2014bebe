//! Who is cared for, by which sensors and rules: what was agreed.

use super::time::Window;
use crate::units::Quantity;
use jiff::civil::Time;
use jiff::tz::TimeZone;
use std::time::Duration;

/// A resident, under a pseudonym, with all that was agreed.
#[derive(Debug, Clone, PartialEq)]
pub struct Resident {
    /// The pseudonym.
    pub id: String,
    /// Whether the resident, and whoever lives there too, consents. Without it nothing is decided.
    pub consent: bool,
    /// Whether somebody else lives there, whose consent counts too.
    pub cohabitant: bool,
    /// Where the clocks of the home hang.
    pub zone: TimeZone,
    /// What is installed.
    pub sensors: Vec<Sensor>,
    /// What an alarm is raised for.
    pub rules: Vec<Rule>,
    /// When somebody looks after the resident, one by one.
    pub checks: Vec<Check>,
}

/// What a sensor senses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SensorKind {
    /// Somebody lies on the bed.
    Bed,
    /// Somebody sits on the chair.
    Chair,
    /// Somebody moves.
    Motion,
    /// A door is open.
    Door,
    /// The toilet is used or flushed.
    Toilet,
    /// Somebody pressed a button.
    Button,
}

impl SensorKind {
    /// All, with the words for them in settings.
    pub const ALL: [(Self, &'static str); 6] = [
        (Self::Bed, "bed"),
        (Self::Chair, "chair"),
        (Self::Motion, "motion"),
        (Self::Door, "door"),
        (Self::Toilet, "toilet"),
        (Self::Button, "button"),
    ];

    /// The word for it in settings.
    #[must_use]
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(kind, _)| *kind == self).map_or("", |(_, word)| word)
    }

    /// What a sensor of this kind says of somebody, the plainest first.
    #[must_use]
    pub fn quantities(self) -> &'static [Quantity] {
        match self {
            Self::Bed | Self::Chair => &[Quantity::Occupied, Quantity::Motion],
            Self::Motion => &[Quantity::Motion, Quantity::Occupied],
            Self::Door => &[Quantity::ContactOpen],
            Self::Toilet => &[Quantity::Occupied, Quantity::Motion, Quantity::ContactOpen],
            Self::Button => &[Quantity::Button],
        }
    }

    /// Whether its "on" lasts as long as somebody is there.
    #[must_use]
    pub fn holds_somebody(self) -> bool {
        matches!(self, Self::Bed | Self::Chair)
    }
}

/// A sensor in a home.
#[derive(Debug, Clone, PartialEq)]
pub struct Sensor {
    /// Its name in that home.
    pub id: String,
    /// What it senses.
    pub kind: SensorKind,
    /// How long it keeps "occupied" or "motion" after the last sign.
    pub hold: Duration,
    /// How often it says something at least. None: it speaks when something changes, and its
    /// silence says nothing.
    pub heartbeat: Option<Duration>,
    /// The part of its frames that is lost; none: learned from its heartbeats.
    pub loss: Option<f64>,
    /// Whether it may see somebody who turns over in bed. Then it is no witness of their being up.
    pub sees_bed: bool,
}

/// A rule of a resident.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its name.
    pub id: String,
    /// What it says.
    pub kind: RuleKind,
    /// The sensors that it goes by, by their numbers.
    pub sensors: Vec<usize>,
}

/// What a rule says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum RuleKind {
    /// Somebody who lay in bed has left it and is not back. It is due in the window, or never.
    BedAbsence {
        /// The hours.
        window: Window,
        /// How long the bed is empty.
        after: Duration,
        /// For how long somebody must have lain there before.
        qualify: Duration,
        /// Whether another sensor must have seen them up.
        corroborate: bool,
    },
    /// Somebody went into the bathroom, and nothing else has seen them since.
    BathroomStay {
        /// The hours.
        window: Window,
        /// How long they are there.
        after: Duration,
    },
    /// A door was opened.
    DoorOpened {
        /// The hours.
        window: Window,
    },
    /// A door was used, and nobody is seen inside since.
    DoorNotReturned {
        /// The hours.
        window: Window,
        /// How long nobody is seen.
        after: Duration,
    },
    /// A door stands open.
    DoorLeftOpen {
        /// The hours.
        window: Window,
        /// How long.
        after: Duration,
    },
    /// Nothing is seen. With both: for so long within the hours; with hours alone: in all of them;
    /// with a time alone: for so long, at any hour. After an alarm the rule rests until something
    /// is seen.
    Quiet {
        /// The hours.
        window: Option<Window>,
        /// How long.
        after: Option<Duration>,
        /// How long before the alarm staff is told that it will come.
        warn: Option<Duration>,
    },
    /// Nobody has lain in bed when the hours end.
    NotToBed {
        /// The hours.
        window: Window,
    },
    /// Nobody has been seen up when the hours end.
    NotUp {
        /// The hours.
        window: Window,
    },
    /// The bed was left so many times in the hours.
    Restless {
        /// The hours.
        window: Window,
        /// How many times.
        times: u32,
        /// Whether another sensor must have seen them up.
        corroborate: bool,
    },
    /// The button was pressed.
    Button,
}

impl RuleKind {
    /// Whether it concludes from what is *not* heard. Then a lost frame looks like an alarm.
    #[must_use]
    pub fn goes_by_silence(self) -> bool {
        matches!(
            self,
            Self::Quiet { .. } | Self::BathroomStay { .. } | Self::DoorNotReturned { .. }
        )
    }

    /// The time after which it raises an alarm.
    #[must_use]
    pub fn delay(self) -> Option<Duration> {
        match self {
            Self::BedAbsence { after, .. }
            | Self::BathroomStay { after, .. }
            | Self::DoorNotReturned { after, .. }
            | Self::DoorLeftOpen { after, .. } => Some(after),
            Self::Quiet { after, .. } => after,
            _ => None,
        }
    }

    /// The same rule with another time.
    #[must_use]
    pub fn with_delay(mut self, delay: Duration) -> Self {
        match &mut self {
            Self::BedAbsence { after, .. }
            | Self::BathroomStay { after, .. }
            | Self::DoorNotReturned { after, .. }
            | Self::DoorLeftOpen { after, .. } => *after = delay,
            Self::Quiet { after: Some(after), .. } => *after = delay,
            _ => {}
        }
        self
    }
}

/// A night check (*tillsyn*): at this time of each night somebody wants to know that all is well.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// Its name; several times may share one.
    pub id: String,
    /// When.
    pub at: Time,
    /// How long it is looked again before the patrol goes.
    pub retry: Duration,
    /// How old a sign of life may be.
    pub fresh: Duration,
    /// How old a sign of a bed without heartbeat may be, if nobody was seen up since.
    pub lain: Duration,
    /// The sensors that it goes by, by their numbers.
    pub sensors: Vec<usize>,
}

/// A check is answered so soon after its time, or it has failed.
pub const LATEST_ANSWER: Duration = Duration::from_secs(30 * 60);
