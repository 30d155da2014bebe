//! A bin that is tended: what begins and what ends with it is told once each.

use super::bin::{Alarm, Bin, Emptying, Outcome, Rules};
use super::{Due, Input, Posture};
use crate::units::Ratio;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A bin that must be emptied and is not for so long was missed, in seconds: crews drive once a day.
const MISSED: i64 = 30 * 3600;
/// A battery with so many days left is to be changed with the next tour.
const LOW: f64 = 45.0;
/// And with more than this it has been.
const CHANGED: f64 = 90.0;
/// What a crew reports is the emptying that was seen so many seconds before or after: reports are
/// written down at the end of the tour, and sensors report each hour or less.
const SAME: i64 = 12 * 3600;
/// A crew that reports at all reports within this time, in seconds.
const REPORTED: i64 = 36 * 3600;
/// A crew that has reported nothing for so many seconds does not report.
const REPORTS: i64 = 60 * 86_400;
/// So many readings after a report show whether the level has fallen,
const READINGS: u8 = 3;
/// and below this level nobody can tell.
const LITTLE: f64 = 0.3;
/// A level that is so much lower than before shows that something was taken.
const FALLEN: f64 = 0.1;

/// What begins or ends, each told once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum News {
    /// It burns.
    Fire,
    /// It does not burn any more, or never did.
    FireOver,
    /// What it looks like now.
    Posture(Posture),
    /// Its echoes come from a fixed part: its level is not seen.
    EchoFixed,
    /// Its level is seen again.
    EchoFree,
    /// Somebody emptied it.
    Emptied(Emptying),
    /// Whether it is to be emptied.
    Due(Due),
    /// Nothing was heard of its sensor since then, and its own losses do not explain it.
    SensorLost(Timestamp),
    /// Its sensor is heard again.
    SensorHeard,
    /// Its battery is empty in so many days.
    BatteryLow(f64),
    /// Its battery was changed.
    BatteryChanged,
    /// It must be emptied since then, and nobody was there.
    PickupMissed(Timestamp),
    /// Somebody was there after all.
    PickupMade,
    /// A crew says that it was emptied then, and its level says no.
    Unconfirmed(Timestamp),
    /// It was emptied then, and no crew says so, though they do at other times.
    Unreported(Timestamp),
}

/// What a crew reports, as far as the sensor knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// The level has fallen.
    Confirmed,
    /// The next readings will show.
    Open,
    /// Nothing is known of the level.
    Unseen,
}

/// A bin, and what was told of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tended {
    /// What is known of it.
    #[serde(flatten)]
    pub bin: Bin,
    #[serde(default, skip_serializing_if = "Said::is_nothing")]
    said: Said,
}

/// What was told, and what waits for an answer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Said {
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    lost: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    low: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    missed: bool,
    /// Since when it must be emptied.
    #[serde(skip_serializing_if = "Option::is_none")]
    must: Option<i64>,
    /// A report that its level has still to show: when it was, how full the bin was then, and how
    /// many readings came since.
    #[serde(skip_serializing_if = "Option::is_none")]
    open: Option<(i64, f32, u8)>,
    /// When it was reported to be emptied last.
    #[serde(skip_serializing_if = "Option::is_none")]
    reported: Option<i64>,
    /// An emptying that nobody has reported yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<i64>,
}

impl Said {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

fn stamp(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl Tended {
    /// One that nothing is known of.
    #[must_use]
    pub fn new(rules: &Rules) -> Self {
        Self { bin: Bin::new(rules), said: Said::default() }
    }

    /// Takes an uplink: what it means, and what begins and ends with it.
    pub fn offer(&mut self, rules: &Rules, input: &Input) -> (Outcome, Vec<News>) {
        let (burnt, was_fixed) = (self.bin.burns(), self.bin.is_degraded());
        let outcome = self.bin.offer(rules, input);
        let mut news = Vec::new();
        if outcome.alarm == Some(Alarm::Fire) {
            news.push(News::Fire);
        } else if burnt && !self.bin.burns() {
            news.push(News::FireOver);
        }
        news.extend(outcome.posture.map(News::Posture));
        match (was_fixed, self.bin.is_degraded()) {
            (false, true) => news.push(News::EchoFixed),
            (true, false) => news.push(News::EchoFree),
            _ => {}
        }
        if std::mem::take(&mut self.said.lost) {
            news.push(News::SensorHeard);
        }
        let emptied = outcome.emptied.filter(Emptying::counts);
        if let Some(emptying) = emptied {
            news.push(News::Emptied(emptying));
            self.seen(emptying.at.as_second());
        }
        let at = input.at.as_second();
        if let Some(due) = outcome.due {
            self.due(due, at, &mut news);
        }
        if input.synced {
            self.count_reading(rules, input.at, &mut news);
            self.charge(rules, &mut news);
        }
        (outcome, news)
    }

    /// What has begun by the mere passing of time.
    pub fn pass(&mut self, rules: &Rules, now: Timestamp) -> Vec<News> {
        let (mut news, at) = (Vec::new(), now.as_second());
        if !self.said.lost && self.bin.lost_at(rules).is_some_and(|lost| lost <= now) {
            self.said.lost = true;
            news.push(News::SensorLost(stamp(self.bin.at)));
        }
        if let Some(due) = self.bin.pass(rules, now) {
            self.due(due, at, &mut news);
        }
        if let Some(since) = self.said.must
            && !self.said.missed
            && at - since >= MISSED
        {
            self.said.missed = true;
            news.push(News::PickupMissed(stamp(since)));
        }
        if let Some(seen) = self.said.seen
            && at - seen >= REPORTED
        {
            self.said.seen = None;
            if self.said.reported.is_some_and(|reported| seen - reported < REPORTS) {
                news.push(News::Unreported(stamp(seen)));
            }
        }
        news
    }

    /// A crew says that it was emptied then.
    pub fn report(&mut self, rules: &Rules, at: Timestamp, now: Timestamp) -> Report {
        let second = at.as_second();
        self.said.reported = self.said.reported.max(Some(second));
        let is_same = |seen: &i64| (seen - second).abs() <= SAME;
        if self.said.seen.take_if(|seen| is_same(seen)).is_some()
            || self.bin.emptied().map(Timestamp::as_second).is_some_and(|seen| is_same(&seen))
        {
            return Report::Confirmed;
        }
        let Some(Ratio(fill)) = self.bin.fill(rules, at.min(now)) else {
            self.bin.note_emptied(second);
            return Report::Unseen;
        };
        self.said.open = Some((second, fill as f32, 0));
        Report::Open
    }

    fn seen(&mut self, at: i64) {
        let is_reported = self.said.reported.is_some_and(|reported| (reported - at).abs() <= SAME);
        self.said.seen = (!is_reported).then_some(at);
        self.said.open.take_if(|(reported, ..)| (*reported - at).abs() <= SAME);
    }

    fn due(&mut self, due: Due, at: i64, news: &mut Vec<News>) {
        news.push(News::Due(due));
        if due == Due::Must {
            self.said.must.get_or_insert(at);
        } else {
            self.said.must = None;
            if std::mem::take(&mut self.said.missed) {
                news.push(News::PickupMade);
            }
        }
    }

    /// Whether the level shows what a crew reported.
    fn count_reading(&mut self, rules: &Rules, now: Timestamp, news: &mut Vec<News>) {
        let Some((reported, before, readings)) = &mut self.said.open else { return };
        if now.as_second() <= *reported {
            return;
        }
        *readings = readings.saturating_add(1);
        let (reported, before, readings) = (*reported, f64::from(*before), *readings);
        if readings < READINGS {
            return;
        }
        self.said.open = None;
        let fill = self.bin.fill(rules, now).map_or(0.0, |fill| fill.0);
        let shows = !self.bin.is_degraded() && before >= LITTLE;
        if shows && fill > before - FALLEN {
            news.push(News::Unconfirmed(stamp(reported)));
        } else {
            self.bin.note_emptied(reported);
        }
    }

    fn charge(&mut self, rules: &Rules, news: &mut Vec<News>) {
        let days = self.bin.battery_days(rules);
        match days {
            Some(days) if days <= LOW && !self.said.low => {
                self.said.low = true;
                news.push(News::BatteryLow(days.max(0.0).round()));
            }
            _ if self.said.low && days.is_none_or(|days| days > CHANGED) => {
                self.said.low = false;
                news.push(News::BatteryChanged);
            }
            _ => {}
        }
    }
}

/// How long after the last look time may have brought something.
pub const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(5);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bins::{Echo, Geometry};
    use crate::units::{Celsius, Metres};
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    const HOUR: i64 = 3600;
    /// A Monday, five in the morning.
    const BEGIN: i64 = 1_700_456_400;

    fn rules() -> Rules {
        let geometry = Geometry::straight(Metres(1.5), Metres(0.1));
        Rules { must: Ratio(0.8), ..Rules::new(geometry, TimeZone::UTC) }
    }

    fn at(hour: i64) -> Timestamp {
        stamp(BEGIN + hour * HOUR)
    }

    fn reading(hour: i64, fill: f64) -> Input {
        let mut input = Input::new(at(hour), true);
        input.echo = Echo::Distance(Metres(1.5 - 1.4 * fill));
        input.temperature = Some(Celsius(8.0));
        input
    }

    /// A bin that fills by a tenth a day for so many hours, and what was told of it.
    fn filled(hours: i64) -> (Tended, Vec<News>) {
        let mut bin = Tended::new(&rules());
        let mut told = Vec::new();
        for hour in 0..hours {
            told.extend(bin.offer(&rules(), &reading(hour, hour as f64 / 240.0)).1);
            told.extend(bin.pass(&rules(), at(hour)));
        }
        (bin, told)
    }

    fn go_on(bin: &mut Tended, from: i64, levels: &[f64]) -> Vec<News> {
        let mut told = Vec::new();
        for (hour, fill) in (from..).zip(levels) {
            told.extend(bin.offer(&rules(), &reading(hour, *fill)).1);
            told.extend(bin.pass(&rules(), at(hour)));
        }
        told
    }

    #[test]
    fn a_threshold_is_told_once_and_a_missed_pickup_clears_itself() {
        let (mut bin, told) = filled(200);
        let due: Vec<_> = told.iter().filter(|news| matches!(news, News::Due(_))).collect();
        assert_eq!(due, [&News::Due(Due::May), &News::Due(Due::Must)]);
        assert!(!told.iter().any(|news| matches!(news, News::PickupMissed(_))), "{told:?}");
        let told = go_on(&mut bin, 200, &[0.85; 40]);
        let missed = told.iter().filter(|news| matches!(news, News::PickupMissed(_)));
        assert_eq!(missed.count(), 1, "{told:?}");
        let told = go_on(&mut bin, 240, &[0.02; 6]);
        assert!(told.iter().any(|news| matches!(news, News::Emptied(_))), "{told:?}");
        assert!(told.contains(&News::PickupMade) && told.contains(&News::Due(Due::No)), "{told:?}");
    }

    #[test]
    fn a_report_is_confirmed_by_the_level_before_or_after_it() {
        let (mut bin, _) = filled(150);
        assert_eq!(bin.report(&rules(), at(150), at(150)), Report::Open);
        let told = go_on(&mut bin, 151, &[0.02; 60]);
        let odd = |news: &News| matches!(news, News::Unconfirmed(_) | News::Unreported(_));
        assert!(!told.iter().any(odd), "{told:?}");

        let (mut bin, _) = filled(150);
        go_on(&mut bin, 150, &[0.02; 6]);
        assert_eq!(bin.report(&rules(), at(149), at(156)), Report::Confirmed);
        assert!(!go_on(&mut bin, 156, &[0.03; 60]).iter().any(odd));
    }

    #[test]
    fn a_report_that_the_level_denies_is_told_and_so_is_an_emptying_that_nobody_reports() {
        let (mut bin, _) = filled(150);
        assert_eq!(bin.report(&rules(), at(150), at(150)), Report::Open);
        let told = go_on(&mut bin, 151, &[0.63; 30]);
        assert_eq!(
            told.iter().filter(|n| **n == News::Unconfirmed(at(150))).count(),
            1,
            "{told:?}"
        );
        // this crew reports, but not this one
        let told = go_on(&mut bin, 181, &[0.02; 60]);
        assert!(told.iter().any(|n| matches!(n, News::Unreported(_))), "{told:?}");
        // and of one that never does nothing is told
        let (mut bin, _) = filled(150);
        let told = go_on(&mut bin, 150, &[0.02; 60]);
        assert!(!told.iter().any(|n| matches!(n, News::Unreported(_))), "{told:?}");
    }

    #[test]
    fn a_silent_sensor_is_lost_once_and_found_again() {
        let (mut bin, told) = filled(150);
        assert!(!told.iter().any(|news| matches!(news, News::SensorLost(_))));
        let lost: Vec<_> = (150..400).flat_map(|hour| bin.pass(&rules(), at(hour))).collect();
        let silent = lost.iter().filter(|news| **news == News::SensorLost(at(149))).count();
        assert_eq!(silent, 1, "{lost:?}");
        // what nobody sees goes on filling
        assert!(lost.contains(&News::Due(Due::Must)), "{lost:?}");
        assert!(go_on(&mut bin, 400, &[0.1]).contains(&News::SensorHeard));
    }

    #[test]
    fn a_bin_that_nothing_is_known_of_takes_a_report_as_it_is() {
        let mut bin = Tended::new(&rules());
        assert_eq!(bin.report(&rules(), at(0), at(1)), Report::Unseen);
        assert!(bin.pass(&rules(), at(500)).is_empty(), "nobody knows whether it has a sensor");
    }

    #[test]
    fn a_fire_is_told_by_its_beginning_and_its_end() {
        let (mut bin, _) = filled(100);
        let mut told = Vec::new();
        for (minute, degrees) in [(0, 12.0), (5, 24.0), (10, 38.0), (15, 60.0), (20, 85.0)] {
            let mut input = reading(100, 0.4);
            input.at = stamp(BEGIN + 100 * HOUR + minute * 60);
            input.temperature = Some(Celsius(degrees));
            told.extend(bin.offer(&rules(), &input).1);
        }
        assert_eq!(told.iter().filter(|news| **news == News::Fire).count(), 1, "{told:?}");
        let told = go_on(&mut bin, 102, &[0.4; 12]);
        assert_eq!(told.iter().filter(|news| **news == News::FireOver).count(), 1, "{told:?}");
    }

    /// What can happen to a bin.
    #[derive(Debug, Clone)]
    enum Happening {
        Heard(f64, Option<f64>),
        Reported(i64),
        Silence(i64),
    }

    fn happening() -> impl Strategy<Value = Happening> {
        prop_oneof![
            6 => (-0.2..1.3, prop::option::of(-30.0..90.0))
                .prop_map(|(fill, degrees)| Happening::Heard(fill, degrees)),
            1 => (-50_i64..3).prop_map(Happening::Reported),
            1 => (1_i64..300).prop_map(Happening::Silence),
        ]
    }

    proptest! {
        /// Whatever happens, it goes on after a restart as if there had been none, fits into its
        /// room, and what begins is not told twice before it ends: but a fire is, every four hours.
        #[test]
        fn it_is_remembered_as_it_was(all in prop::collection::vec(happening(), 1..120)) {
            let mut bin = Tended::new(&rules());
            let (mut hour, mut told) = (0, Vec::new());
            for happening in all {
                let body = serde_json::to_string(&bin).expect("a plain struct");
                prop_assert!(body.len() < 2048, "{} bytes", body.len());
                let mut again: Tended = serde_json::from_str(&body).expect("as it was written");
                hour += 1;
                let (one, other) = match happening {
                    Happening::Heard(fill, degrees) => {
                        let mut input = reading(hour, fill);
                        input.temperature = degrees.map(Celsius);
                        (bin.offer(&rules(), &input).1, again.offer(&rules(), &input).1)
                    }
                    Happening::Reported(ago) => {
                        let report = |bin: &mut Tended| bin.report(&rules(), at(hour + ago), at(hour));
                        prop_assert_eq!(report(&mut bin), report(&mut again));
                        (Vec::new(), Vec::new())
                    }
                    Happening::Silence(hours) => {
                        hour += hours;
                        (bin.pass(&rules(), at(hour)), again.pass(&rules(), at(hour)))
                    }
                };
                prop_assert_eq!(&one, &other);
                told.extend(one);
            }
            type Is = dyn Fn(&News) -> bool;
            let pairs: [(&Is, &Is); 2] = [
                (&|n| matches!(n, News::SensorLost(_)), &|n| *n == News::SensorHeard),
                (&|n| matches!(n, News::PickupMissed(_)), &|n| *n == News::PickupMade),
            ];
            for (begins, ends) in pairs {
                let mut open = false;
                for news in &told {
                    prop_assert!(!(open && begins(news)), "{:?}", told);
                    open = (open || begins(news)) && !ends(news);
                }
            }
        }
    }
}
