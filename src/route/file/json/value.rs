//! Times as people write them.

use crate::units::duration;
use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Visitor};
use std::fmt;

const HOUR: u32 = 3600;
/// In seconds; nothing that is planned is longer.
const DAY: u32 = 24 * HOUR;
/// The latest second that can be written: more than ten years, so that other clocks than a day's
/// can be used.
const LATEST: u64 = 400_000_000;

/// A moment: `"06:30"`, or seconds from the zero of the plan. Hours go on after midnight:
/// `"25:30"` is half past one of the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// A time of day, in seconds after midnight.
    Clock(u32),
    /// Seconds from the zero of the plan.
    Seconds(u32),
}

impl Default for Moment {
    fn default() -> Self {
        Self::Seconds(0)
    }
}

impl Moment {
    /// Seconds from midnight of the day of the plan, which begins at `day_begins`.
    #[must_use]
    pub fn from_midnight(self, day_begins: u32) -> u32 {
        match self {
            Self::Clock(seconds) if seconds < day_begins => seconds + DAY,
            Self::Clock(seconds) | Self::Seconds(seconds) => seconds,
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (hours, minutes) = text.trim().split_once(':')?;
        let (minutes, seconds) = minutes.split_once(':').unwrap_or((minutes, "00"));
        let digits = |text: &str, least: usize, most: u32| {
            let plain =
                (least..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
            text.parse::<u32>().ok().filter(|number| plain && *number <= most)
        };
        let (hours, minutes) = (digits(hours, 1, 48)?, digits(minutes, 2, 59)?);
        Some(Self::Clock(hours * HOUR + minutes * 60 + digits(seconds, 2, 59)?))
    }
}

/// From one moment to another: `"06:00-14:30"`, or `[21600, 52200]` in seconds. A time of day
/// that ends before it begins ends on the next day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Its begin.
    pub from: Moment,
    /// Its end, included.
    pub to: Moment,
}

impl Span {
    /// Both ends in seconds from midnight of the day of the plan; `None` if they are upside down.
    #[must_use]
    pub fn from_midnight(self, day_begins: u32) -> Option<(u32, u32)> {
        let (from, to) = (self.from.from_midnight(day_begins), self.to.from_midnight(day_begins));
        match self.to {
            _ if from <= to => Some((from, to)),
            Moment::Clock(_) if from <= to + DAY => Some((from, to + DAY)),
            _ => None,
        }
    }
}

/// How long something takes: `"90s"`, `"30min"`, or seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Length(
    /// In seconds.
    pub u32,
);

fn seconds<E: Error>(number: u64) -> Result<u32, E> {
    let fits = u32::try_from(number).ok().filter(|_| number <= LATEST);
    fits.ok_or_else(|| E::custom(format!("{number} seconds are more than {LATEST}")))
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Moment;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a time such as \"06:30\", or seconds")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Moment, E> {
                Moment::parse(text)
                    .ok_or_else(|| E::custom(format!("{text:?} is no time such as \"06:30\"")))
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Moment, E> {
                seconds(number).map(Moment::Seconds)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a window such as \"06:00-14:30\" or [21600, 52200]")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Span, E> {
                text.split_once(['-', '–'])
                    .and_then(|(from, to)| Some((Moment::parse(from)?, Moment::parse(to)?)))
                    .map(|(from, to)| Span { from, to })
                    .ok_or_else(|| {
                        E::custom(format!("{text:?} is no window such as \"06:00-14:30\""))
                    })
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Span, A::Error> {
                let mut next = || -> Result<Moment, A::Error> {
                    seq.next_element()?.ok_or_else(|| A::Error::custom("two times are expected"))
                };
                let span = Span { from: next()?, to: next()? };
                match seq.next_element::<Moment>()? {
                    None => Ok(span),
                    Some(_) => Err(A::Error::custom("two times are expected")),
                }
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl Visitor<'_> for Reader {
            type Value = Length;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"5min\", or seconds")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Length, E> {
                let length = duration::parse(text).map_err(E::custom)?;
                // a plan counts whole seconds, and is rather late than wrong
                let whole = length.as_secs() + u64::from(length.subsec_nanos() > 0);
                seconds(whole).map(Length)
            }

            fn visit_u64<E: Error>(self, number: u64) -> Result<Length, E> {
                seconds(number).map(Length)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}
