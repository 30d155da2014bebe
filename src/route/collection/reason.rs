//! Why a bin is in a plan or not, in words.

use jiff::civil::Weekday;
use std::fmt;

/// The language of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Swedish.
    Swedish,
}

/// Why a bin is in a plan or not.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reason {
    /// It is visited.
    In(WhyIn),
    /// It is left out.
    Out(WhyOut),
}

/// Why a bin is visited.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WhyIn {
    /// It must be.
    Must(MustBe),
    /// It would likely overflow.
    Overflow {
        /// How likely, before the next chance.
        probability: f64,
        /// The days up to there.
        days: f64,
        /// Which day that is.
        day: Option<Weekday>,
    },
    /// The way is short, and a later visit is saved.
    OnTheWay {
        /// What it adds to the tour, in metres.
        detour: u64,
        /// Its expected level.
        level: f64,
    },
}

/// Why a bin must be visited.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MustBe {
    /// It is expected to be full, or nearly.
    Full {
        /// Its expected level.
        level: f64,
        /// From where on it must be emptied.
        threshold: f64,
    },
    /// It has not been emptied for long.
    Old {
        /// For how many days.
        days: f64,
        /// How many are the most.
        most: f64,
    },
    /// Nothing is known about its level.
    Unknown {
        /// The days since it was emptied, if that is known.
        since: Option<f64>,
        /// How often such a bin is emptied, in days.
        every: f64,
    },
    /// It has fallen or was moved.
    Fallen,
    /// Somebody asked for it.
    Requested,
}

/// Why a bin is left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum WhyOut {
    /// It burns, or did, and the alarm is not cleared.
    Fire,
    /// It is out of use.
    Suspended,
    /// No road leads there and back.
    NoWay,
    /// No vehicle of the day can do what it needs.
    Skills,
    /// It is not full enough for the way.
    NotYet {
        /// Its expected level.
        level: f64,
        /// When it is expected to be full, in days; none if it does not fill.
        full_in: Option<f64>,
    },
    /// Nothing is known but when it was emptied, and that was of late.
    Emptied {
        /// How many days ago.
        days: f64,
        /// How often such a bin is emptied, in days.
        every: f64,
    },
    /// It may wait: the way costs more than it is worth today.
    Detour {
        /// Its expected level.
        level: f64,
        /// What it would add to a tour, in metres.
        detour: u64,
        /// When it is expected to be full, in days; none if it does not fill.
        full_in: Option<f64>,
    },
    /// It would be worth the way, or even must be emptied, but no vehicle has room or time for it.
    Capacity {
        /// Whether it must be emptied.
        must: bool,
        /// Its expected level, if there is one.
        level: Option<f64>,
    },
    /// Even alone it cannot be visited: it is closed at the time, or more than a vehicle holds.
    Alone,
}

impl Reason {
    /// Whether the bin is visited.
    #[must_use]
    pub fn is_in(&self) -> bool {
        matches!(self, Self::In(_))
    }

    /// The words for a planner, without a full stop.
    #[must_use]
    pub fn text(&self, language: Language) -> String {
        match (self, language) {
            (Self::In(why), Language::English) => why.english(),
            (Self::In(why), Language::Swedish) => why.swedish(),
            (Self::Out(why), Language::English) => why.english(),
            (Self::Out(why), Language::Swedish) => why.swedish(),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(Language::English))
    }
}

impl WhyIn {
    fn english(&self) -> String {
        match *self {
            Self::Must(must) => must.english(),
            Self::Overflow { probability, days, day } => {
                let when = match day {
                    Some(day) => format!("before {}", english(day)),
                    None => format!("within {}", span(days, "day", "days", '.')),
                };
                format!("overflows {when} with {}", percent(probability))
            }
            Self::OnTheWay { detour, level } => {
                format!(
                    "on the way: {} full, costs {}, saves a visit later",
                    percent(level),
                    way(detour, '.')
                )
            }
        }
    }

    fn swedish(&self) -> String {
        match *self {
            Self::Must(must) => must.swedish(),
            Self::Overflow { probability, days, day } => {
                let when = match day {
                    Some(day) => format!("före {}", swedish(day)),
                    None => format!("inom {}", span(days, "dag", "dagar", ',')),
                };
                format!("blir överfull {when} med {} sannolikhet", percent(probability))
            }
            Self::OnTheWay { detour, level } => {
                format!(
                    "på vägen: {} full, kostar {}, sparar ett senare besök",
                    percent(level),
                    way(detour, ',')
                )
            }
        }
    }
}

impl MustBe {
    fn english(self) -> String {
        match self {
            Self::Full { level, threshold } => {
                format!("must: {} full, its limit is {}", percent(level), percent(threshold))
            }
            Self::Old { days, most } => format!(
                "must: not emptied for {}, {} at most",
                span(days, "day", "days", '.'),
                span(most, "day", "days", '.')
            ),
            Self::Unknown { since: None, every } => format!(
                "must: nothing is known about its level; emptied every {}",
                span(every, "day", "days", '.')
            ),
            Self::Unknown { since: Some(days), every } => format!(
                "must: nothing is known since it was emptied {} ago; emptied every {}",
                span(days, "day", "days", '.'),
                span(every, "day", "days", '.')
            ),
            Self::Fallen => "must: it has fallen or was moved".to_owned(),
            Self::Requested => "must: somebody asked for it".to_owned(),
        }
    }

    fn swedish(self) -> String {
        match self {
            Self::Full { level, threshold } => {
                format!("måste: {} full, gränsen är {}", percent(level), percent(threshold))
            }
            Self::Old { days, most } => format!(
                "måste: inte tömd på {}, högst {}",
                span(days, "dag", "dagar", ','),
                span(most, "dag", "dagar", ',')
            ),
            Self::Unknown { since: None, every } => {
                format!("måste: nivån är okänd; töms minst var {:.0}:e dag", every.round())
            }
            Self::Unknown { since: Some(days), every } => format!(
                "måste: inget är känt sedan tömningen för {} sedan; töms minst var {:.0}:e dag",
                span(days, "dag", "dagar", ','),
                every.round()
            ),
            Self::Fallen => "måste: den har fallit eller flyttats".to_owned(),
            Self::Requested => "måste: någon har bett om det".to_owned(),
        }
    }
}

impl WhyOut {
    fn english(&self) -> String {
        let full = |full_in: Option<f64>| match full_in {
            Some(days) => format!("full in {}", span(days, "day", "days", '.')),
            None => "does not fill".to_owned(),
        };
        match *self {
            Self::Fire => "fire alarm: no stop until it is cleared".to_owned(),
            Self::Suspended => "out of use".to_owned(),
            Self::NoWay => "no way by road".to_owned(),
            Self::Skills => "no vehicle can do what it needs".to_owned(),
            Self::NotYet { level, full_in } => {
                format!("{} full, {}", percent(level), full(full_in))
            }
            Self::Emptied { days, every } => format!(
                "emptied {} ago, nothing else is known; due every {}",
                span(days, "day", "days", '.'),
                span(every, "day", "days", '.')
            ),
            Self::Detour { level, detour, full_in } => format!(
                "{} full, {}; {} are too far today",
                percent(level),
                full(full_in),
                way(detour, '.')
            ),
            Self::Capacity { must, level } => {
                let level = level.map(|level| format!(", {} full", percent(level)));
                format!(
                    "{}no vehicle has room or time{}",
                    if must { "must, but " } else { "" },
                    level.unwrap_or_default()
                )
            }
            Self::Alone => "cannot be visited even alone: closed, too far or too much".to_owned(),
        }
    }

    fn swedish(&self) -> String {
        let full = |full_in: Option<f64>| match full_in {
            Some(days) => format!("full om {}", span(days, "dag", "dagar", ',')),
            None => "fylls inte".to_owned(),
        };
        match *self {
            Self::Fire => "brandlarm: inget stopp förrän det är kvitterat".to_owned(),
            Self::Suspended => "tagen ur bruk".to_owned(),
            Self::NoWay => "ingen väg dit".to_owned(),
            Self::Skills => "inget fordon klarar det som krävs".to_owned(),
            Self::NotYet { level, full_in } => {
                format!("{} full, {}", percent(level), full(full_in))
            }
            Self::Emptied { days, every } => format!(
                "tömd för {} sedan, inget annat är känt; töms minst var {:.0}:e dag",
                span(days, "dag", "dagar", ','),
                every.round()
            ),
            Self::Detour { level, detour, full_in } => format!(
                "{} full, {}; {} är för långt i dag",
                percent(level),
                full(full_in),
                way(detour, ',')
            ),
            Self::Capacity { must, level } => {
                let level = level.map(|level| format!(", {} full", percent(level)));
                format!(
                    "{}inget fordon har plats eller tid{}",
                    if must { "måste, men " } else { "" },
                    level.unwrap_or_default()
                )
            }
            Self::Alone => {
                "kan inte besökas ens ensam: stängd, för långt eller för mycket".to_owned()
            }
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// Days, with a decimal only below three.
fn span(days: f64, one: &str, many: &str, point: char) -> String {
    let days = days.clamp(0.0, 999.0);
    let text = if days < 2.95 { format!("{days:.1}") } else { format!("{days:.0}") };
    let text = text.trim_end_matches(".0").replace('.', &point.to_string());
    let unit = if text == "1" { one } else { many };
    format!("{text} {unit}")
}

fn way(metres: u64, point: char) -> String {
    match metres {
        0..1000 => format!("{metres} m"),
        _ => format!("{:.1} km", metres as f64 / 1000.0).replace('.', &point.to_string()),
    }
}

fn english(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

fn swedish(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "måndag",
        Weekday::Tuesday => "tisdag",
        Weekday::Wednesday => "onsdag",
        Weekday::Thursday => "torsdag",
        Weekday::Friday => "fredag",
        Weekday::Saturday => "lördag",
        Weekday::Sunday => "söndag",
    }
}
