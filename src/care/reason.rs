//! Why something was decided: kept as facts, told in words.

use super::house::Deafness;
use super::resident::Resident;
use super::time::At;
use std::fmt::Write;

/// A language that staff reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// English.
    English,
    /// Swedish.
    Swedish,
}

/// A fact that a decision rests on. Sensors and rules go by their numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the words of each say what its fields are")]
pub enum Reason {
    /// The sensor says that somebody is there.
    Occupied { sensor: usize, since: At, heard: At },
    /// The sensor saw somebody.
    Seen { sensor: usize, at: At },
    /// The bed felt somebody until then, and nobody was seen up since.
    Lay { since: At, last: At },
    /// The bed is empty.
    BedEmpty { since: At },
    /// Nothing has ever been seen of anybody in bed.
    NeverInBed,
    /// Nobody was in bed, or up, in the hours.
    NotInBed { since: At },
    /// The sensors saw nobody.
    NothingSeen { since: At },
    /// The sensor says that the door is open, or that somebody went in.
    Still { sensor: usize, since: At },
    /// The bed was left.
    Left { times: u32, since: At },
    /// Not heard, though it should have been.
    Silent { sensor: usize, since: At, beats: u32 },
    /// It never said anything.
    NeverHeard { sensor: usize },
    /// What it said is too long ago.
    Stale { sensor: usize, heard: At },
    /// What it says cannot be read.
    Unreadable { sensor: usize, since: At },
    /// It is heard again.
    HeardAgain { sensor: usize, at: At },
    /// Its battery.
    Battery { sensor: usize, percent: u8 },
    /// It has a new battery.
    BatteryChanged { sensor: usize, percent: u8 },
    /// Something speaks against what another sensor says.
    Doubt { sensor: usize, at: At },
    /// An alarm that is not cleared.
    Alarm { rule: usize, since: At },
    /// The gateway does not know what time it is.
    ClockUnset { since: At },
    /// The gateway knows what time it is.
    ClockSet,
    /// The gateway heard nobody.
    Deaf { from: At, to: At },
    /// The gateway hears nobody now.
    DeafSince { cause: Deafness, since: At },
    /// A check whose time has passed.
    Missed { at: At },
    /// Checks whose time has passed long ago.
    Skipped { times: u32 },
    /// Staff is in the home.
    Staff { since: At, until: At },
    /// The resident is not at home.
    Away { since: At, until: At },
    /// The mode has ended.
    ModeOver { at: At },
    /// What is going to happen.
    AlarmAt { at: At },
    /// Somebody is back in bed.
    Back { at: At },
}

impl Reason {
    /// The sensor that it is about, by its number.
    #[must_use]
    pub fn sensor(&self) -> Option<usize> {
        match *self {
            Self::Occupied { sensor, .. }
            | Self::Seen { sensor, .. }
            | Self::Still { sensor, .. }
            | Self::Silent { sensor, .. }
            | Self::NeverHeard { sensor }
            | Self::Stale { sensor, .. }
            | Self::Unreadable { sensor, .. }
            | Self::HeardAgain { sensor, .. }
            | Self::Battery { sensor, .. }
            | Self::BatteryChanged { sensor, .. }
            | Self::Doubt { sensor, .. } => Some(sensor),
            _ => None,
        }
    }

    /// The fact in words, with the times by the clocks of the home.
    #[must_use]
    pub fn words(&self, resident: &Resident, language: Language) -> String {
        let mut words = String::new();
        // a String takes everything
        let _ = self.write(&mut words, resident, language);
        words
    }

    fn write(&self, out: &mut String, resident: &Resident, language: Language) -> std::fmt::Result {
        let name = |number: &usize| resident.sensors.get(*number).map_or("?", |s| s.id.as_str());
        let rule = |number: &usize| resident.rules.get(*number).map_or("?", |r| r.id.as_str());
        let clock = |at: &At| {
            let time = resident.zone.to_datetime(at.timestamp());
            format!("{:02}:{:02}", time.hour(), time.minute())
        };
        let day = |at: &At| {
            let time = resident.zone.to_datetime(at.timestamp());
            format!("{} {:02}:{:02}", time.date(), time.hour(), time.minute())
        };
        let english = language == Language::English;
        /// One of two texts with the same arguments.
        macro_rules! say {
            ($english:literal, $swedish:literal $(, $($argument:tt)*)?) => {
                if english {
                    write!(out, $english $(, $($argument)*)?)
                } else {
                    write!(out, $swedish $(, $($argument)*)?)
                }
            };
        }
        match self {
            Self::Occupied { sensor, since, heard } => say!(
                "{}: occupied since {}, last heard {}",
                "{}: upptagen sedan {}, senast hörd {}",
                name(sensor),
                clock(since),
                clock(heard)
            ),
            Self::Seen { sensor, at } => say!("{} at {}", "{} kl. {}", name(sensor), clock(at)),
            Self::Lay { since, last } => say!(
                "bed: since {}, last sign {}, nobody seen up since",
                "sängen: sedan {}, senaste tecken {}, ingen sedd uppe sedan dess",
                clock(since),
                clock(last)
            ),
            Self::BedEmpty { since } => {
                say!("bed: empty since {}", "sängen: tom sedan {}", clock(since))
            }
            Self::NeverInBed => say!("bed: no sign of anybody yet", "sängen: inget tecken ännu"),
            Self::NotInBed { since } => {
                say!("bed: nobody since {}", "sängen: ingen sedan {}", clock(since))
            }
            Self::NothingSeen { since } => {
                say!("nothing seen since {}", "inget sett sedan {}", day(since))
            }
            Self::Still { sensor, since } => {
                say!("{} since {}", "{} sedan {}", name(sensor), clock(since))
            }
            Self::Left { times, since } => say!(
                "bed: left {} times since {}",
                "sängen: lämnad {} gånger sedan {}",
                times,
                clock(since)
            ),
            Self::Silent { sensor, since, beats } => say!(
                "{}: silent since {}, {} heartbeats missing",
                "{}: tyst sedan {}, {} livstecken saknas",
                name(sensor),
                day(since),
                beats
            ),
            Self::NeverHeard { sensor } => {
                say!("{}: not heard yet", "{}: inte hörd ännu", name(sensor))
            }
            Self::Stale { sensor, heard } => {
                say!("{}: not heard since {}", "{}: inte hörd sedan {}", name(sensor), day(heard))
            }
            Self::Unreadable { sensor, since } => say!(
                "{}: cannot be read since {}",
                "{}: går inte att läsa sedan {}",
                name(sensor),
                day(since)
            ),
            Self::HeardAgain { sensor, at } => {
                say!("{}: heard again at {}", "{}: hörs igen kl. {}", name(sensor), clock(at))
            }
            Self::Battery { sensor, percent } => say!(
                "{}: battery {} %, change it by day",
                "{}: batteri {} %, byt på dagen",
                name(sensor),
                percent
            ),
            Self::BatteryChanged { sensor, percent } => {
                say!("{}: battery {} %", "{}: batteri {} %", name(sensor), percent)
            }
            Self::Doubt { sensor, at } => {
                say!("but {} at {}", "men {} kl. {}", name(sensor), clock(at))
            }
            Self::Alarm { rule: number, since } => {
                say!("alarm {} since {}", "larm {} sedan {}", rule(number), clock(since))
            }
            Self::ClockUnset { since } => say!(
                "the gateway's clock is not set since {}",
                "gatewayens klocka är inte ställd sedan {}",
                day(since)
            ),
            Self::ClockSet => {
                say!("the gateway's clock is set", "gatewayens klocka är ställd")
            }
            Self::Deaf { from, to } => say!(
                "the gateway heard nothing from {} to {}",
                "gatewayen hörde inget från {} till {}",
                day(from),
                day(to)
            ),
            Self::DeafSince { cause: Deafness::Radio, since } => say!(
                "the gateway hears nothing since {}",
                "gatewayen hör inget sedan {}",
                day(since)
            ),
            Self::DeafSince { cause: Deafness::Consent, since } => say!(
                "nobody knows since {} whether there is consent: it has to be given anew",
                "sedan {} är det inte känt om samtycke finns: det måste lämnas på nytt",
                day(since)
            ),
            Self::Missed { at } => say!(
                "was due at {} and was not looked at in time",
                "skulle ha gjorts {} och gjordes inte i tid",
                day(at)
            ),
            Self::Skipped { times } => {
                say!("{} earlier ones were not looked at", "{} tidigare gjordes inte", times)
            }
            Self::Staff { since, until } => say!(
                "staff there since {}, ends by itself at {}",
                "personal på plats sedan {}, upphör av sig självt {}",
                clock(since),
                clock(until)
            ),
            Self::Away { since, until } => say!(
                "away since {}, ends by itself at {}",
                "borta sedan {}, upphör av sig självt {}",
                day(since),
                day(until)
            ),
            Self::ModeOver { at } => say!("ended at {}", "upphörde {}", day(at)),
            Self::AlarmAt { at } => {
                say!("alarm at {} unless something is seen", "larm {} om inget ses", clock(at))
            }
            Self::Back { at } => {
                say!("bed: occupied again since {}", "sängen: upptagen igen sedan {}", clock(at))
            }
        }
    }
}
