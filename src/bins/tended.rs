//! A bin that is tended: what begins and what ends with it is told once each.

use super::bin::Bin;
use super::crew::{Crew, Shown};
use super::due::Due;
use super::input::Input;
use super::news::{News, Report};
use super::outcome::{Alarm, Emptying, Outcome};
use super::packed::is_default;
use super::rules::Rules;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long after the last look time may have brought something.
pub const LOOK_AGAIN: SignedDuration = SignedDuration::from_mins(5);

/// A bin that must be emptied and is not for so long was missed, in seconds: crews drive once a day.
const MISSED: i64 = 30 * 3600;
/// A battery with so many days left is to be changed with the next tour.
const LOW: f64 = 45.0;
/// And with more than this it has been.
const CHANGED: f64 = 90.0;

/// A bin, and what was told of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Tended {
    /// What is known of it.
    #[serde(flatten)]
    pub bin: Bin,
    #[serde(default, skip_serializing_if = "is_default")]
    said: Said,
}

/// What was told of a bin that depends on what is settled about it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alerts {
    #[serde(rename = "d", default, skip_serializing_if = "is_default")]
    due: Due,
    #[serde(rename = "w", default, skip_serializing_if = "std::ops::Not::not")]
    low: bool,
    #[serde(rename = "x", default, skip_serializing_if = "std::ops::Not::not")]
    fixed: bool,
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
    fixed: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    missed: bool,
    /// Since when it must be emptied.
    #[serde(skip_serializing_if = "Option::is_none")]
    must: Option<i64>,
    #[serde(flatten)]
    crew: Crew,
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
        let burnt = self.bin.burns();
        let outcome = self.bin.offer(rules, input);
        let mut news = Vec::new();
        if outcome.alarm == Some(Alarm::Fire) {
            news.push(News::Fire);
        } else if burnt && !self.bin.burns() {
            news.push(News::FireOver);
        }
        news.extend(outcome.posture.map(News::Posture));
        let fixed = self.bin.is_degraded();
        match (std::mem::replace(&mut self.said.fixed, fixed), fixed) {
            (false, true) => news.push(News::EchoFixed),
            (true, false) => news.push(News::EchoFree),
            _ => {}
        }
        if std::mem::take(&mut self.said.lost) {
            news.push(News::SensorHeard);
        }
        if input.synced {
            self.set_clock(self.bin.at);
        }
        let emptied = outcome.emptied.filter(Emptying::counts);
        if let Some(emptying) = emptied {
            news.push(News::Emptied(emptying));
            self.said.crew.see(emptying.at.as_second());
        }
        let at = input.at.as_second();
        if let Some(due) = outcome.due {
            self.due(due, input.synced.then_some(at), &mut news);
        }
        if input.synced {
            // else it says nothing of the level
            if self.bin.seen == at {
                self.look(rules, input.at, &mut news);
            }
            self.charge(rules, &mut news);
        }
        (outcome, news)
    }

    /// The gateway was off, and it may have been its only clock: nobody knows for how long.
    pub fn resume(&mut self) {
        self.bin.resume();
    }

    /// What has begun by the mere passing of time while nobody has set the clock: a fire alone is
    /// told by such a time.
    pub fn pass_unset(&mut self, rules: &Rules, now: Timestamp, listening: Timestamp) -> Vec<News> {
        let burns = self.bin.wait(rules, now.as_second(), listening.as_second());
        burns.then_some(News::Fire).into_iter().collect()
    }

    /// What was told of it, by what is settled now.
    #[must_use]
    pub fn alerts(&self) -> Alerts {
        Alerts { due: self.bin.due, low: self.said.low, fixed: self.said.fixed }
    }

    /// An uplink is taken again after this was told with it, by what was settled then: what differs
    /// by what is settled now is news.
    pub fn were_told(&mut self, alerts: Alerts) {
        (self.bin.due, self.said.low, self.said.fixed) = (alerts.due, alerts.low, alerts.fixed);
        if alerts.due != Due::Must {
            (self.said.must, self.said.missed) = (None, false);
        }
    }

    /// What has begun by the mere passing of time, of which somebody has listened since then.
    pub fn pass(&mut self, rules: &Rules, now: Timestamp, listening: Timestamp) -> Vec<News> {
        let (mut news, at) = (Vec::new(), now.as_second());
        // what was heard before the clock was set was heard by now
        self.bin.trust(rules, now);
        if self.bin.wait(rules, at, listening.as_second()) {
            news.push(News::Fire);
        }
        if !self.said.lost && self.bin.lost_at(rules, listening).is_some_and(|lost| lost <= now) {
            self.said.lost = true;
            news.push(News::SensorLost(stamp(self.bin.at)));
        }
        // a sensor that burnt with its bin never says that it is over; who emptied the bin does
        let reported = self.said.crew.reported().filter(|_| self.said.lost);
        if reported.is_some_and(|at| self.bin.put_out(at)) {
            news.push(News::FireOver);
        }
        if let Some(reported) = self.said.crew.wait(at) {
            // it was going to show, and never did
            self.bin.believe_empty(reported);
        }
        if let Some(due) = self.bin.pass(rules, now) {
            self.due(due, Some(at), &mut news);
        }
        if self.bin.due() == Due::Must {
            self.said.must.get_or_insert(at);
        }
        if let Some(since) = self.said.must
            && !self.said.missed
            && at - since >= MISSED
        {
            self.said.missed = true;
            news.push(News::PickupMissed(stamp(since)));
        }
        let unreported = self.said.crew.unreported(at);
        news.extend(unreported.into_iter().map(|seen| News::Unreported(stamp(seen))));
        news
    }

    /// A crew says that it was emptied then.
    pub fn report(&mut self, rules: &Rules, at: Timestamp, now: Timestamp) -> Report {
        // nobody knows what will be
        let at = at.min(now);
        let (second, today) = (at.as_second(), now.as_second());
        let seen = self.bin.emptied().map(Timestamp::as_second);
        if self.said.crew.confirms(second, today, seen) {
            return Report::Confirmed;
        }
        let is_seen = !self.bin.is_estimated(at) && !self.bin.is_degraded();
        let Some(fill) = self.bin.fill(rules, at).filter(|_| is_seen) else {
            self.bin.believe_empty(second);
            return Report::Unseen;
        };
        if self.said.crew.open(second, today, fill) {
            return Report::Open;
        }
        self.bin.note_emptied(second);
        Report::Unseen
    }

    /// What a clock that was ahead has dated counts from now on.
    fn set_clock(&mut self, now: i64) {
        self.said.must = self.said.must.map(|must| must.min(now));
        self.said.crew.set_clock(now);
    }

    /// Of a clock that nobody has set no time is kept.
    fn due(&mut self, due: Due, at: Option<i64>, news: &mut Vec<News>) {
        news.push(News::Due(due));
        if due == Due::Must {
            self.said.must = self.said.must.or(at);
        } else {
            self.said.must = None;
            if std::mem::take(&mut self.said.missed) {
                news.push(News::PickupMade);
            }
        }
    }

    /// Whether a reading of the level shows what a crew reported.
    fn look(&mut self, rules: &Rules, now: Timestamp, news: &mut Vec<News>) {
        let fill = self.bin.fill(rules, now).filter(|_| !self.bin.is_degraded());
        match self.said.crew.look(now.as_second(), fill) {
            Some(Shown::Emptied(at)) => self.bin.note_emptied(at),
            Some(Shown::Not(at)) => news.push(News::Unconfirmed(stamp(at))),
            None => {}
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bins::{Echo, Geometry};
    use crate::units::{Celsius, Metres, Ratio};
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
            told.extend(bin.pass(&rules(), at(hour), Timestamp::MIN));
        }
        (bin, told)
    }

    fn go_on(bin: &mut Tended, from: i64, levels: &[f64]) -> Vec<News> {
        let mut told = Vec::new();
        for (hour, fill) in (from..).zip(levels) {
            told.extend(bin.offer(&rules(), &reading(hour, *fill)).1);
            told.extend(bin.pass(&rules(), at(hour), Timestamp::MIN));
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
        let lost: Vec<_> =
            (150..400).flat_map(|hour| bin.pass(&rules(), at(hour), Timestamp::MIN)).collect();
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
        assert!(
            bin.pass(&rules(), at(500), Timestamp::MIN).is_empty(),
            "nobody knows whether it has a sensor"
        );
    }

    #[test]
    fn a_gateway_that_was_off_has_lost_no_sensor_yet() {
        let (mut bin, _) = filled(150);
        let lost = |news: &[News]| news.iter().any(|news| matches!(news, News::SensorLost(_)));
        let listening = at(300);
        assert!(!lost(&bin.pass(&rules(), at(300), listening)));
        let news: Vec<_> =
            (300..500).flat_map(|hour| bin.pass(&rules(), at(hour), listening)).collect();
        assert!(lost(&news), "it is silent all the same");
    }

    #[test]
    fn what_was_heard_before_the_clock_was_set_grows_old_once_it_is() {
        let mut bin = Tended::new(&rules());
        let mut input = reading(0, 0.7);
        input.synced = false;
        bin.offer(&rules(), &input);
        let news: Vec<_> =
            (1000..1400).flat_map(|hour| bin.pass(&rules(), at(hour), Timestamp::MIN)).collect();
        assert!(news.contains(&News::SensorLost(at(1000))), "{news:?}");
        assert!(news.contains(&News::Due(Due::Must)), "{news:?}");
        let missed = news.iter().find_map(|news| match news {
            News::PickupMissed(since) => Some(*since),
            _ => None,
        });
        assert!(missed.is_some_and(|since| since > at(1000)), "{news:?}");
    }

    #[test]
    fn a_report_is_believed_where_nobody_sees_the_level() {
        let (mut bin, _) = filled(200);
        let silent: Vec<_> =
            (200..500).flat_map(|hour| bin.pass(&rules(), at(hour), Timestamp::MIN)).collect();
        assert!(silent.iter().any(|news| matches!(news, News::PickupMissed(_))));
        assert_eq!(bin.report(&rules(), at(500), at(500)), Report::Unseen);
        let news = bin.pass(&rules(), at(500), Timestamp::MIN);
        assert_eq!(news, [News::Due(Due::No), News::PickupMade]);
    }

    #[test]
    fn what_an_older_version_wrote_is_read() {
        let (mut bin, _) = filled(150);
        bin.report(&rules(), at(149), at(149));
        let mut old = serde_json::to_value(&bin).expect("a plain struct");
        let body = old.as_object_mut().expect("an object");
        // it knew a geometry by its step, and one emptying that waited for its report
        body.remove("mark");
        body.insert("step".to_owned(), 1.into());
        let said = body["said"].as_object_mut().expect("an object");
        assert!(said.contains_key("open") && said.contains_key("reported"), "{said:?}");
        said.insert("seen".to_owned(), BEGIN.into());
        said.remove("delay");
        let mut read: Tended = serde_json::from_value(old).expect("as it was written");
        let next = reading(150, 0.63);
        assert_eq!(read.offer(&rules(), &next).0.fill, bin.offer(&rules(), &next).0.fill);
        assert_eq!(read.bin, bin.bin, "nothing is forgotten");
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
                        (bin.pass(&rules(), at(hour), Timestamp::MIN), again.pass(&rules(), at(hour), Timestamp::MIN))
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
