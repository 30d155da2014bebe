//! Durations in settings and profiles: `"90s"`, `"60min"`, `"1h 30m"`.

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer};
use std::time::Duration;

/// Parses a duration as people write it. Negative and unitless ones are errors.
///
/// # Errors
/// A sentence that names the text and shows what is accepted.
pub fn parse(text: &str) -> Result<Duration, String> {
    text.parse::<SignedDuration>()
        .ok()
        .and_then(|d| Duration::try_from(d).ok())
        .ok_or_else(|| format!("{text:?} is not a duration such as \"90s\", \"15min\" or \"2h\""))
}

/// For `#[serde(deserialize_with = "…")]`.
///
/// # Errors
/// As [`parse`].
pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(d)?).map_err(serde::de::Error::custom)
}

/// For optional fields, together with `#[serde(default)]`.
///
/// # Errors
/// As [`parse`].
pub fn deserialize_some<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Duration>, D::Error> {
    deserialize(d).map(Some)
}

/// The shortest text that [`parse`] reads back as the same duration.
pub fn format(duration: Duration) -> String {
    SignedDuration::try_from(duration).map_or_else(|_| "for ever".into(), |d| format!("{d:#}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn people_write_it_in_several_ways() {
        assert_eq!(parse("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse("60min"), Ok(Duration::from_secs(3600)));
        assert_eq!(parse("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse("0s"), Ok(Duration::ZERO));
        assert!(parse("90").is_err(), "a number without a unit is a mistake");
        assert!(parse("-5s").is_err());
    }

    proptest! {
        #[test]
        fn format_is_read_back(ms in 0u64..10_000_000_000) {
            let d = Duration::from_millis(ms);
            prop_assert_eq!(parse(&format(d)), Ok(d));
        }
    }
}
