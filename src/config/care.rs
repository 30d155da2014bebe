//! The settings of residents: who is cared for, by which sensors, rules and checks.

use super::key::KeyPath;
use super::read::{Read, Reader, known};
use super::schema::settings;
use super::timing::{DayTime, Hours};
use crate::care::{SensorKind, escalation::Chain};
use figment::value::Value;
use std::time::Duration;

settings! {
    /// A resident, under a pseudonym.
    pub struct ResidentSettings {
        /// The pseudonym: no name, no address. It is part of topics.
        pub id: String => "r1",
        /// Whether the resident consents. Without consent nothing is decoded and nothing decided.
        pub consent: bool => true,
        /// Whether whoever else lives there consents. Left out: nobody does.
        pub cohabitant_consent: Option<bool> => true,
        /// The sensors in the home. One of a device that is named by its kind alone ("bed") need not
        /// be here.
        pub sensor: Vec<SensorSettings> = [],
        /// What an alarm is raised for.
        pub rule: Vec<RuleSettings> = [],
        /// The night checks.
        pub check: Vec<CheckSettings> = [],
    }

    /// A sensor in a home.
    pub struct SensorSettings {
        /// Its name in that home.
        pub id: String => "bed",
        /// What it senses: "bed", "chair", "motion", "door", "toilet" or "button".
        pub kind: SensorKind => "bed",
        /// How long it keeps "occupied" or "motion" after the last sign. Left out: what the profile
        /// of its device says; in a replay "0s".
        pub hold: Option<Duration> => "5min",
        /// Whether it says something at least once in each heartbeat. Then its silence is a fault.
        /// Left out: of a device yes, in a replay no.
        pub supervised: Option<bool> => true,
        /// How often it says something at least, if it is supervised. Left out: what the profile of
        /// its device says; in a replay "60min".
        pub heartbeat: Option<Duration> => "60min",
        /// The part of its frames that is lost, from 0 to 0.9. Left out: learned from its
        /// heartbeats.
        pub loss: Option<f64> => 0.2,
        /// Whether it may see somebody who turns over in bed, such as a motion sensor in the
        /// bedroom. Then it is no witness of somebody being up.
        pub sees_bed: bool = false,
    }

    /// A rule. Each kind uses some of the keys.
    pub struct RuleSettings {
        /// Its name, in decisions.
        pub id: String => "up",
        /// Its kind: "bed_absence", "bathroom_stay", "door_at_night", "no_motion", "inactivity",
        /// "not_to_bed", "not_up", "restless" or "button".
        pub rule: RuleName => "bed_absence",
        /// The hours in which it holds.
        pub window: Option<Hours> => "22:00-07:00",
        /// How long it takes until the alarm.
        pub after: Option<Duration> => "15min",
        /// Of bed_absence: how long somebody must have lain there before. Left out: 10min.
        pub qualify: Option<Duration> => "10min",
        /// Of bed_absence and restless: whether another sensor must have seen somebody up. Left
        /// out: true.
        pub corroborate: Option<bool> => true,
        /// The sensors that it goes by. Left out: all of the kinds that fit. Of bathroom_stay: those
        /// in the bathroom and at its door.
        pub sensors: Vec<String> = [],
        /// Of door_at_night: "opened", "not_returned" or "left_open".
        pub mode: Option<DoorMode> => "opened",
        /// Of restless: how many times the bed is left. Left out: 4.
        pub times: Option<u32> => 4,
        /// Of no_motion and inactivity: how long before the alarm staff is told that it will come.
        pub warn: Option<Duration> => "10min",
    }

    /// Who is told of an alarm, one after the other, until somebody answers by the command
    /// `acknowledge`: the primary, the secondary, and the lead of the patrol.
    pub struct EscalationSettings {
        /// How long the primary is waited for before the secondary is told, too.
        pub primary: Duration = "2min",
        /// How long the secondary is waited for before the patrol's lead is told.
        pub secondary: Duration = "2min",
        /// How often the patrol's lead is told again; no more often than the others are waited for.
        pub repeat: Duration = "5min",
        /// Who has answered is there within this, or the alarm goes on.
        pub arrival: Duration = "60min",
    }

    /// A night check (tillsyn).
    pub struct CheckSettings {
        /// Its name, in decisions.
        pub id: String => "night",
        /// The agreed times.
        pub at: Vec<DayTime> => ["00:00", "03:00"],
        /// How long it is looked again before the patrol goes, up to 30min.
        pub retry: Duration = "15min",
        /// How old a sign of life may be.
        pub fresh: Duration = "15min",
        /// How old a sign of the bed may be if other sensors saw nobody up since. It is for mats
        /// that tell of changes alone, and lose whoever turns over; a bed with a heartbeat says
        /// itself that it is empty. "0s": no older than `fresh`.
        pub lain: Duration = "60min",
        /// The sensors that it goes by. Left out: all.
        pub sensors: Vec<String> = [],
    }
}

impl EscalationSettings {
    /// As the escalation goes by it.
    #[must_use]
    pub fn chain(&self) -> Chain {
        let &Self { primary, secondary, repeat, arrival } = self;
        Chain { primary, secondary, repeat, arrival }
    }
}

/// The kind of a rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleName {
    /// The bed is left for too long.
    BedAbsence,
    /// The bathroom is not left.
    BathroomStay,
    /// A door at night; its mode says what.
    DoorAtNight,
    /// No motion in the hours.
    NoMotion,
    /// Nothing for so long.
    Inactivity,
    /// Not in bed by the end of the hours.
    NotToBed,
    /// Not up by the end of the hours.
    NotUp,
    /// Out of bed many times.
    Restless,
    /// A button.
    Button,
}

impl RuleName {
    const ALL: [(Self, &'static str); 9] = [
        (Self::BedAbsence, "bed_absence"),
        (Self::BathroomStay, "bathroom_stay"),
        (Self::DoorAtNight, "door_at_night"),
        (Self::NoMotion, "no_motion"),
        (Self::Inactivity, "inactivity"),
        (Self::NotToBed, "not_to_bed"),
        (Self::NotUp, "not_up"),
        (Self::Restless, "restless"),
        (Self::Button, "button"),
    ];

    /// The word in settings.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.into_iter().find(|(name, _)| *name == self).map_or("", |(_, word)| word)
    }
}

/// What of a door is an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DoorMode {
    /// That it is opened.
    Opened,
    /// That nobody is seen inside after it was used.
    NotReturned,
    /// That it stands open.
    LeftOpen,
}

fn word<T: Copy>(
    reader: &mut Reader,
    path: &KeyPath,
    value: &Value,
    words: &[(T, &str)],
    what: &str,
) -> Option<T> {
    let parse = |text: &str| words.iter().find(|(_, word)| *word == text).map(|w| w.0).ok_or(());
    reader.parsed(path, value, parse, |text, ()| {
        let names: Vec<&str> = words.iter().map(|(_, word)| *word).collect();
        (format!("there is no such {what}"), known(text, &names, "known"))
    })
}

impl Read for RuleName {
    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        word(reader, path, value, &Self::ALL, "rule")
    }
}

impl Read for DoorMode {
    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        let modes = [
            (Self::Opened, "opened"),
            (Self::NotReturned, "not_returned"),
            (Self::LeftOpen, "left_open"),
        ];
        word(reader, path, value, &modes, "mode of a door")
    }
}

impl Read for SensorKind {
    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        if value.as_str().is_some_and(is_social_alarm) {
            let (what, help) = NO_SOCIAL_ALARM;
            reader.wrong(path, what, help);
            return None;
        }
        word(reader, path, value, &Self::ALL, "kind of sensor")
    }
}

/// Whether this is what people call a social alarm's button.
pub(super) fn is_social_alarm(kind: &str) -> bool {
    ALARM_BUTTONS.contains(&kind)
}

pub(super) const NO_SOCIAL_ALARM: (&str, &str) = (
    "lykta is no social alarm, and takes none",
    "leave what a resident wears to press in distress to an alarm receiving centre; lykta only helps \
     to decide whom to visit",
);

const ALARM_BUTTONS: [&str; 6] =
    ["pendant", "wristband", "social_alarm", "trygghetslarm", "larmknapp", "fall_alarm"];
