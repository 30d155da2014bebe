//! What the loop does for bins: each uplink of one is understood in the write that keeps it.

use crate::bins::{
    self, Alerts, Bin, Due, EchoFrom, LOOK_AGAIN, News, Outcome, Posture, Report, Rules, Tended,
    Trust, View,
};
use crate::clock::{ClockQuality, Moment};
use crate::message;
use crate::store::{ADDITION, Message, Room, State};
use crate::units::{Ratio, Reading, TenantId};
use crate::upstream::event;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::time::Duration;

/// Who plans looks again when a bin must be emptied within so many days: no tours are farther
/// apart in most towns.
const SOON: Duration = Duration::from_secs(4 * 24 * 3600);

/// So many bins are enough to say what is usual.
const USUAL: usize = 3;

/// What is known of a bin is written down as a whole with one in so many of its uplinks, and what
/// the others said in between: a quarter of the bytes.
const WHOLE: u64 = 16;

/// A level is told when it has changed by so much,
const TOLD_FROM: f64 = 0.02;
/// or anything else in it, or so long after the last one: what a sensor says each time is in its
/// readings.
const TOLD_EACH: SignedDuration = SignedDuration::from_hours(6);

/// A tenant's bins, by their names.
#[derive(Debug, Default)]
pub struct Bins {
    all: HashMap<String, Known>,
    rules: HashMap<String, Rules>,
    /// When they are looked at next for what time brings, by the monotonic clock.
    look_at: Duration,
    /// Since when this gateway listens, and whether its clock was set then: what was silent before
    /// may have spoken.
    listening: Option<(Timestamp, bool)>,
}

/// What is known of a bin.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    /// After so many uplinks,
    n: u64,
    /// of which so many were known when it was written down as a whole.
    #[serde(skip)]
    whole: u64,
    /// The level that was told last.
    #[serde(skip)]
    told: Option<Told>,
    #[serde(flatten)]
    tended: Tended,
}

/// A level that was told.
#[derive(Debug, Clone, PartialEq)]
struct Told {
    at: Timestamp,
    fill: f64,
    /// All that is told as soon as it is another.
    state: (Trust, EchoFrom, Due, Posture, bool, bool),
}

impl Told {
    /// What is to be told, if it is news after this.
    fn after(before: Option<&Self>, bin: &Bin, outcome: &Outcome, at: Timestamp) -> Option<Self> {
        let now = Self {
            at,
            fill: outcome.fill.map_or(0.0, |fill| fill.0),
            state: (
                outcome.trust,
                outcome.echo,
                bin.due(),
                bin.posture(),
                bin.burns(),
                bin.is_estimated(at),
            ),
        };
        let is_known = before.is_some_and(|before| {
            // a clock that was set back tells anew
            let passed = at.duration_since(before.at);
            before.state == now.state
                && (before.fill - now.fill).abs() < TOLD_FROM
                && (SignedDuration::ZERO..TOLD_EACH).contains(&passed)
        });
        (!is_known).then_some(now)
    }
}

/// What one uplink said, until what is known is written down as a whole.
#[derive(Debug, Serialize, Deserialize)]
struct Said {
    /// Which it is of this bin's.
    n: u64,
    #[serde(flatten)]
    input: bins::Input,
    /// What was told after it.
    #[serde(flatten)]
    alerts: Alerts,
}

/// What becomes known of a bin.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) bin: String,
    /// What was known before.
    pub(super) before: Option<Known>,
    pub(super) state: State,
    pub(super) messages: Vec<Message>,
    /// Whether it must be emptied, or will have to be before long.
    pub(super) full: bool,
    /// What begins and ends.
    pub(super) news: Vec<News>,
}

impl Bins {
    /// These bins, and what is remembered of them. What cannot be read is forgotten.
    pub fn new(
        rules: HashMap<String, Rules>,
        remembered: impl IntoIterator<Item = (String, String)>,
    ) -> Self {
        let mut all: HashMap<String, Known> = HashMap::new();
        let mut said: Vec<(String, Said)> = Vec::new();
        for (key, body) in remembered {
            match key.split_once(ADDITION) {
                Some((bin, _)) => {
                    said.extend(
                        serde_json::from_str(&body).ok().map(|said| (bin.to_owned(), said)),
                    );
                }
                None => all.extend(serde_json::from_str(&body).ok().map(|known| (key, known))),
            }
        }
        said.sort_by_key(|(_, said)| said.n);
        for known in all.values_mut() {
            known.whole = known.n;
        }
        let mut bins = Self { all, rules, look_at: Duration::ZERO, listening: None };
        // what is usual belongs to what each of them means
        bins.learn();
        let Self { all, rules, .. } = &mut bins;
        for (bin, Said { n, input, alerts }) in said {
            let Some((known, rules)) = all.get_mut(&bin).zip(rules.get(&bin)) else { continue };
            if n > known.n {
                known.tended.offer(rules, &input);
                known.tended.were_told(alerts);
                known.n = n;
            }
        }
        all.values_mut().for_each(|known| known.tended.resume());
        bins.learn();
        bins
    }

    /// From now on these are the bins, and these their rules. What is known of them stays.
    pub(super) fn renew(&mut self, rules: HashMap<String, Rules>) {
        self.rules = rules;
        // what was said is read again by the rules of then: it is written down as a whole first
        self.all.values_mut().for_each(|known| known.whole = 0);
        // what is due by them is told at once
        self.look_at = Duration::ZERO;
        self.learn();
    }

    /// As those see them who drive to them.
    #[must_use]
    pub fn views(&self) -> HashMap<String, View> {
        let view = |(bin, known): (&String, &Known)| {
            Some((bin.clone(), known.tended.bin.view(self.rules.get(bin)?)?))
        };
        self.all.iter().filter_map(view).collect()
    }

    /// Takes the readings of one uplink, which may be none.
    pub(super) fn offer(&mut self, bin: &str, readings: &[Reading], at: Moment) -> Option<Change> {
        let rules = self.rules.get(bin)?;
        let synced = at.quality == ClockQuality::Synced;
        let input = bins::Input::of(readings, at.wall, synced);
        let before = self.all.get(bin).cloned();
        let known = self.all.entry(bin.to_owned()).or_insert_with(|| Known::new(rules));
        let (outcome, news) = known.tended.offer(rules, &input);
        known.n += 1;
        let state = match known.n - known.whole {
            1..WHOLE if known.whole > 0 => {
                Said { n: known.n, input, alerts: known.tended.alerts() }.state(bin)
            }
            _ => known.state(bin),
        };
        let tended = &known.tended;
        let forecast = tended.bin.forecast(rules, at.wall);
        let mut messages = Vec::new();
        let told = Told::after(known.told.as_ref(), &tended.bin, &outcome, at.wall);
        // with an emptying or a fire goes the level that shows it
        if told.is_some() || !news.is_empty() {
            messages.push(event::bin::level(bin, (tended, rules), &outcome, &forecast, at));
        }
        if told.is_some() {
            known.told = told;
        }
        messages.extend(news.iter().map(|news| event::bin::event(bin, news, at)));
        let full = tended.bin.due() == Due::Must
            || forecast.must_at.is_some_and(|must_at| must_at.p50 <= at.wall + SOON);
        Some(Change { bin: bin.to_owned(), before, state, messages, full, news })
    }

    /// What time has brought. A clock that nobody has set says nothing of it but that a fire goes on
    /// in silence.
    pub(super) fn pass(&mut self, now: Moment) -> Vec<Change> {
        if now.monotonic < self.look_at {
            return Vec::new();
        }
        self.look_at = now.monotonic + LOOK_AGAIN.unsigned_abs();
        self.learn();
        let is_set = now.quality != ClockQuality::Unsynced;
        let since = self.listening.filter(|(_, was_set)| *was_set == is_set);
        let (listening, _) = *self.listening.insert(since.unwrap_or((now.wall, is_set)));
        let changed = |(bin, known): (&String, &mut Known)| {
            let (before, rules) = (known.clone(), self.rules.get(bin)?);
            let pass = if is_set { Tended::pass } else { Tended::pass_unset };
            let news = pass(&mut known.tended, rules, now.wall, listening);
            (known.tended != before.tended).then(|| Change {
                bin: bin.clone(),
                state: known.state(bin),
                before: Some(before),
                messages: news.iter().map(|news| event::bin::event(bin, news, now)).collect(),
                full: known.tended.bin.due() == Due::Must,
                news,
            })
        };
        self.all.iter_mut().filter_map(changed).collect()
    }

    /// A crew says that a bin was emptied then. None if there is no such bin.
    pub(super) fn report(
        &mut self,
        bin: &str,
        at: Timestamp,
        now: Timestamp,
    ) -> Option<(Report, Change)> {
        let rules = self.rules.get(bin)?;
        let before = self.all.get(bin).cloned();
        let known = self.all.entry(bin.to_owned()).or_insert_with(|| Known::new(rules));
        let report = known.tended.report(rules, at, now);
        let state = known.state(bin);
        let (bin, messages, news) = (bin.to_owned(), Vec::new(), Vec::new());
        Some((report, Change { bin, before, state, messages, full: false, news }))
    }

    /// What the disk did not take was never known.
    pub(super) fn take_back(&mut self, bin: String, before: Option<Known>) {
        match before {
            Some(known) => self.all.insert(bin, known),
            None => self.all.remove(&bin),
        };
    }

    /// What comes into the others is expected of a bin that nothing is known of.
    fn learn(&mut self) {
        let rate =
            |(bin, known): (&String, &Known)| known.tended.bin.known_rate(self.rules.get(bin)?);
        let rates: Vec<f64> = self.all.iter().filter_map(rate).collect();
        if rates.len() < USUAL {
            return;
        }
        let usual = Ratio(rates.iter().sum::<f64>() / rates.len() as f64);
        self.rules.values_mut().for_each(|rules| rules.usual = usual);
    }
}

impl Known {
    fn new(rules: &Rules) -> Self {
        Self { n: 0, whole: 0, told: None, tended: Tended::new(rules) }
    }

    /// It as a whole.
    fn state(&mut self, bin: &str) -> State {
        self.whole = self.n;
        let body = serde_json::to_string(self).expect("a bin is a plain struct");
        State { room: Room::Bins, key: bin.to_owned(), body }
    }
}

impl Said {
    /// It in a place that is used again for one after the next whole.
    fn state(&self, bin: &str) -> State {
        let body = serde_json::to_string(self).expect("an input is a plain struct");
        State { room: Room::Bins, key: format!("{bin}{ADDITION}{}", self.n % WHOLE), body }
    }
}

/// Tells operations what asks for somebody: a fire, and sensors that must be looked at.
pub(super) fn tell(tenant: &TenantId, bin: &str, news: &News) {
    let (id, level, what) = match news {
        News::Fire => (message::BIN_FIRE, log::Level::Error, "burns".to_owned()),
        News::FireOver => (message::BIN_FIRE_OVER, log::Level::Info, "burns no longer".to_owned()),
        News::Posture(Posture::Vandalized) => {
            let what = "has a sensor that somebody tampers with".to_owned();
            (message::BIN_SENSOR_TAMPERED, log::Level::Warn, what)
        }
        News::SensorLost(since) => {
            let what = format!("has a sensor that has not been heard since {since}");
            (message::BIN_SENSOR_LOST, log::Level::Warn, what)
        }
        News::SensorHeard => {
            (message::BIN_SENSOR_HEARD, log::Level::Info, "has its sensor back".to_owned())
        }
        News::EchoFixed => {
            let what = "has a sensor that sees a fixed part of it; its level is an estimate";
            (message::BIN_ECHO_FIXED, log::Level::Warn, what.to_owned())
        }
        News::BatteryLow(days) => {
            let what = format!("has a sensor whose battery lasts for about {days} more days");
            (message::BIN_BATTERY_LOW, log::Level::Warn, what)
        }
        _ => return,
    };
    log::log!(
        level,
        MESSAGE_ID = id,
        LYKTA_TENANT = tenant.as_str(),
        LYKTA_BIN = bin;
        "bin {bin} of tenant {tenant} {what}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bins::Geometry;
    use crate::units::{Celsius, Measured, Metres, Quality, Quantity};
    use jiff::tz::TimeZone;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn at(second: i64) -> Moment {
        let wall = jiff::Timestamp::from_second(1_700_000_000 + second).expect("in range");
        let monotonic = Duration::from_secs(second.unsigned_abs());
        Moment { wall, quality: ClockQuality::Synced, monotonic }
    }

    fn readings(metres: f64, degrees: f64) -> [Reading; 2] {
        let good = |name: &str, quantity, measured| {
            let (name, measured) = (name.to_owned(), Some(measured));
            Reading { name, quantity, measured, quality: Quality::Good }
        };
        [
            good("distance", Quantity::Distance, Measured::Distance(Metres(metres))),
            good("temperature", Quantity::Temperature, Measured::Temperature(Celsius(degrees))),
        ]
    }

    fn rules() -> HashMap<String, Rules> {
        let geometry = Geometry::straight(Metres(1.5), Metres(0.0));
        HashMap::from([("7".to_owned(), Rules::new(geometry, TimeZone::UTC))])
    }

    /// The same with another level from which it must be emptied.
    fn with(must: f64) -> HashMap<String, Rules> {
        let mut rules = rules();
        rules.get_mut("7").expect("known").must = Ratio(must);
        rules
    }

    /// As the store keeps what was said, the last word of each key.
    #[derive(Debug, Default, Clone)]
    struct Kept(BTreeMap<String, String>);

    impl Kept {
        fn keep(&mut self, change: &Change) {
            self.0.insert(change.state.key.clone(), change.state.body.clone());
        }

        fn read(&self) -> Bins {
            Bins::new(rules(), self.0.clone())
        }
    }

    #[test]
    fn what_the_disk_did_not_take_was_never_known() {
        let mut bins = Bins::new(rules(), []);
        assert!(bins.offer("8", &readings(0.1, 8.0), at(0)).is_none(), "nobody's bin");
        let first = bins.offer("7", &readings(1.2, 8.0), at(0)).expect("known");
        assert!(first.before.is_none() && !first.full);
        let before = bins.all["7"].clone();
        let second = bins.offer("7", &readings(0.15, 8.0), at(3600)).expect("known");
        bins.take_back(second.bin, second.before);
        assert_eq!(bins.all["7"], before);
        bins.take_back(first.bin, first.before);
        assert!(bins.all.is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_forgotten() {
        let broken = [("7", "{"), ("7#1", r#"{"n":1}"#), ("8#1", "[]")];
        let broken = broken.map(|(key, body)| (key.to_owned(), body.to_owned()));
        assert!(Bins::new(rules(), broken).all.is_empty());
    }

    #[test]
    fn what_is_due_by_new_settings_is_told_after_a_restart() {
        let (mut bins, mut kept) = (Bins::new(with(0.95), []), Kept::default());
        for hour in 0..8 {
            let change = bins.offer("7", &readings(0.3, 8.0), at(hour * 3600)).expect("known");
            kept.keep(&change);
        }
        let told = |change: &Change| change.news.contains(&News::Due(Due::Must));
        let mut now = Bins::new(with(0.75), kept.0.clone());
        assert!(now.pass(at(9 * 3600)).iter().any(told), "by the next look");
        let mut now = Bins::new(with(0.75), kept.0.clone());
        let next = now.offer("7", &readings(0.3, 8.0), at(9 * 3600)).expect("known");
        assert!(told(&next), "or the next uplink");
        // and what was told is not told again
        let mut same = Bins::new(with(0.75), kept.0);
        let change = same.offer("7", &readings(0.3, 8.0), at(9 * 3600)).expect("known");
        let mut kept = Kept::default();
        kept.keep(&Change { state: same.all.get_mut("7").expect("known").state("7"), ..change });
        let mut again = Bins::new(with(0.75), kept.0);
        assert!(!again.pass(at(10 * 3600)).iter().any(told));
    }

    #[test]
    fn what_is_due_by_settings_that_were_read_again_is_told_by_the_next_look() {
        let mut bins = Bins::new(with(0.95), []);
        for hour in 0..8 {
            bins.offer("7", &readings(0.3, 8.0), at(hour * 3600)).expect("known");
        }
        bins.pass(at(8 * 3600));
        bins.renew(with(0.75));
        let told = |change: &Change| change.news.contains(&News::Due(Due::Must));
        assert!(bins.pass(at(8 * 3600 + 1)).iter().any(told));
        // the next uplink is written as a whole: it is not read again by other rules
        bins.renew(with(0.75));
        let change = bins.offer("7", &readings(0.3, 8.0), at(9 * 3600)).expect("known");
        assert_eq!(change.state.key, "7");
        // a bin that the settings know no longer is looked after no more, and not forgotten
        bins.renew(HashMap::new());
        assert!(bins.offer("7", &readings(0.3, 8.0), at(10 * 3600)).is_none());
        bins.renew(with(0.75));
        assert!(bins.views().contains_key("7"));
    }

    #[test]
    fn a_lone_fire_is_told_where_nobody_sets_the_clock() {
        let mut bins = Bins::new(rules(), []);
        let unset = |second: i64| Moment { quality: ClockQuality::Unsynced, ..at(second) };
        for hour in 0..40 {
            bins.offer("7", &readings(0.7, 15.0), unset(hour * 3600));
        }
        let hot = bins.offer("7", &readings(0.7, 130.0), unset(40 * 3600)).expect("known");
        assert!(!hot.news.contains(&News::Fire), "one reading");
        let passed = |n: i64| bins.pass(unset(40 * 3600 + n * 600));
        let news: Vec<_> = (0..300).flat_map(passed).flat_map(|change| change.news).collect();
        assert_eq!(news, [News::Fire]);
    }

    #[test]
    fn a_bin_is_found_frozen_by_the_same_reading_with_and_without_a_restart() {
        let all: Vec<String> = (0..4).map(|n| n.to_string()).collect();
        let rules = || -> HashMap<String, Rules> {
            all.iter().map(|bin| (bin.clone(), rules()["7"].clone())).collect()
        };
        let (mut bins, mut kept) = (Bins::new(rules(), []), Kept::default());
        for hour in 0..24 * 50 {
            let second = hour * 3600;
            bins.pass(at(second)).iter().for_each(|change| kept.keep(change));
            for (n, bin) in all.iter().enumerate() {
                // hardly anything comes into three of them; the fourth is new, and stands
                let fill = match n {
                    0..3 => hour as f64 / 24.0 * 0.01,
                    _ if hour < 24 * 30 => continue,
                    _ => 0.5,
                };
                let readings = readings(1.5 - 1.5 * fill, 8.0);
                kept.keep(&bins.offer(bin, &readings, at(second)).expect("known"));
            }
            if hour % 7 == 0 && hour > 24 * 40 {
                let again = Bins::new(rules(), kept.0.clone());
                let fixed = |bins: &Bins| bins.all["3"].tended.bin.is_degraded();
                assert_eq!(fixed(&bins), fixed(&again), "hour {hour}");
            }
        }
    }

    #[test]
    fn what_comes_into_others_is_expected_of_a_new_bin() {
        let all: Vec<String> = (0..4).map(|n| n.to_string()).collect();
        let rules = all.iter().map(|bin| (bin.clone(), rules()["7"].clone())).collect();
        let mut bins = Bins::new(rules, []);
        for hour in 0..24 * 40 {
            // three of them fill by a fifth a day and are emptied every fourth
            let fill = (f64::from(hour) / 120.0) % 0.8;
            for bin in &all[..3] {
                bins.offer(bin, &readings(1.5 - 1.5 * fill, 8.0), at(i64::from(hour) * 3600));
            }
        }
        bins.pass(at(24 * 40 * 3600));
        let usual = bins.rules["3"].usual.0;
        assert!((0.17..0.23).contains(&usual), "{usual}");
    }

    proptest! {
        /// Whenever the gateway is started anew, it knows what it knew.
        #[test]
        fn it_knows_after_a_restart_what_it_knew(
            all in prop::collection::vec((0.0f64..1.6, -20.0f64..95.0, 1i64..90_000, 0u8..20), 1..120),
        ) {
            let (mut bins, mut kept, mut second) = (Bins::new(rules(), []), Kept::default(), 0);
            for (metres, degrees, passed, what) in all {
                second += passed;
                match what {
                    0 => {
                        let wall = at(second).wall;
                        let (_, change) = bins.report("7", wall, wall).expect("known");
                        kept.keep(&change);
                    }
                    1 => bins.pass(at(second)).iter().for_each(|change| kept.keep(change)),
                    // a write that fails
                    2 => {
                        let change = bins.offer("7", &readings(metres, degrees), at(second));
                        let change = change.expect("known");
                        bins.take_back(change.bin, change.before);
                    }
                    _ => {
                        let change = bins.offer("7", &readings(metres, degrees), at(second));
                        kept.keep(&change.expect("known"));
                    }
                }
                let again = kept.read();
                let known = |bins: &Bins| bins.all.get("7").map(|known| (known.n, known.tended.clone()));
                prop_assert_eq!(known(&bins), known(&again));
            }
        }
    }
}
