//! What crews report, beside what sensors see.

use super::world::{BEGIN, HOUR};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use lykta::bins::{Due, Echo, Geometry, Input, News, Report, Rules, Tended};
use lykta::units::{Celsius, Metres, Ratio};

fn rules() -> Rules {
    let geometry = Geometry::straight(Metres(1.5), Metres(0.1));
    Rules { must: Ratio(0.8), ..Rules::new(geometry, TimeZone::UTC) }
}

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + hour * HOUR).unwrap()
}

/// A bin, its clock, and what was told of it.
struct Told {
    bin: Tended,
    hour: i64,
    news: Vec<News>,
}

impl Told {
    fn new() -> Self {
        Self { bin: Tended::new(&rules()), hour: 0, news: Vec::new() }
    }

    /// In each of the next hours it says this level; or nothing, or that there is no echo.
    fn live(&mut self, hours: i64, say: impl Fn(i64) -> Option<Option<f64>>) {
        for hour in self.hour..self.hour + hours {
            if let Some(fill) = say(hour) {
                let mut input = Input::new(at(hour), true);
                input.echo =
                    fill.map_or(Echo::Missing, |fill| Echo::Distance(Metres(1.5 - 1.4 * fill)));
                self.news.extend(self.bin.offer(&rules(), &input).1);
            }
            self.news.extend(self.bin.pass(&rules(), at(hour), Timestamp::MIN));
        }
        self.hour += hours;
    }

    fn report(&mut self, hour: i64) -> Report {
        self.bin.report(&rules(), at(hour), at(self.hour))
    }

    fn conflicts(&self) -> Vec<&News> {
        let is = |news: &&News| matches!(news, News::Unconfirmed(_) | News::Unreported(_));
        self.news.iter().filter(is).collect()
    }
}

/// By a quarter a day from empty, at nine o'clock on each third day.
fn emptied_each_third_day(hour: i64) -> Option<Option<f64>> {
    Some(Some((hour - 9).rem_euclid(72) as f64 / 100.0))
}

#[test]
fn a_list_that_is_handed_in_late_agrees_with_what_was_seen() {
    let mut told = Told::new();
    told.live(9 * 24, emptied_each_third_day);
    for hour in [9 + 72, 9 + 144] {
        assert_eq!(told.report(hour), Report::Confirmed, "in order: {hour}");
    }
    told.live(48, emptied_each_third_day);
    assert!(told.conflicts().is_empty(), "{:?}", told.conflicts());
}

#[test]
fn crews_that_report_once_a_week_are_not_told_of_each_emptying() {
    let mut told = Told::new();
    for week in 0..8 {
        told.live(7 * 24, emptied_each_third_day);
        let this = week * 168..(week + 1) * 168;
        for hour in this.filter(|hour| hour % 72 == 9 && *hour > 9) {
            assert_eq!(told.report(hour), Report::Confirmed, "{hour}");
        }
    }
    assert!(told.conflicts().is_empty(), "{:?}", told.conflicts());
    let kept = serde_json::to_string(&told.bin).unwrap().len();
    assert!(kept < 2048, "{kept} bytes");
    // when they stop, that is told
    told.live(14 * 24, emptied_each_third_day);
    assert!(told.conflicts().iter().any(|news| matches!(news, News::Unreported(_))));
}

#[test]
fn a_crew_may_report_some_hours_before_it_empties() {
    for early in [0, 2, 4, 6, 10] {
        let mut told = Told::new();
        told.live(72, emptied_each_third_day);
        told.live(9 - early, emptied_each_third_day);
        assert_eq!(told.report(81 - early), Report::Open, "{early} hours before");
        told.live(60, emptied_each_third_day);
        assert!(told.conflicts().is_empty(), "{early} hours before: {:?}", told.conflicts());
    }
}

#[test]
fn a_report_that_the_level_denies_is_a_conflict() {
    let mut told = Told::new();
    told.live(75, emptied_each_third_day);
    assert_eq!(told.report(75), Report::Open);
    told.live(40, |_| Some(Some(0.66)));
    assert_eq!(told.conflicts(), [&News::Unconfirmed(at(75))]);
}

#[test]
fn a_report_is_believed_where_the_sensor_is_blind_or_dies() {
    for silent in [Some(None), None] {
        let mut told = Told::new();
        told.live(80, emptied_each_third_day);
        told.live(24 * 10, |_| silent);
        assert_eq!(told.bin.bin.due(), Due::Must, "by what is expected");
        for week in 0..4 {
            assert_eq!(told.report(told.hour), Report::Unseen, "week {week}");
            assert_eq!(told.bin.bin.emptied(), Some(at(told.hour)));
            told.live(24, |_| silent);
            assert_eq!(told.bin.bin.due(), Due::No, "week {week}: {:?}", told.news);
            told.live(24 * 10, |_| silent);
        }
        assert!(told.conflicts().is_empty(), "{:?}", told.conflicts());
        assert!(told.news.contains(&News::PickupMade));
    }
    // and when it dies before it can show it
    let mut told = Told::new();
    told.live(80, emptied_each_third_day);
    assert_eq!(told.report(80), Report::Open);
    told.live(24 * 3, |_| None);
    assert_eq!(told.bin.bin.emptied(), Some(at(80)));
    let fill = told.bin.bin.fill(&rules(), at(told.hour)).unwrap().0;
    assert!(fill < 0.75, "{fill}: full if it is not believed");
}

#[test]
fn a_clock_that_was_a_year_ahead_misses_no_pickup() {
    let mut told = Told::new();
    for hour in 0..3 {
        let mut input = Input::new(at(24 * 365 + hour), true);
        input.echo = Echo::Distance(Metres(0.2));
        told.news.extend(told.bin.offer(&rules(), &input).1);
    }
    told.live(24 * 3, |_| Some(Some(0.9)));
    let missed = told.news.iter().filter(|news| matches!(news, News::PickupMissed(_)));
    assert_eq!(missed.collect::<Vec<_>>(), [&News::PickupMissed(at(0))], "{:?}", told.news);
}

#[test]
fn a_sensor_that_burnt_with_its_bin_holds_it_in_no_fire_for_ever() {
    let mut told = Told::new();
    told.live(48, emptied_each_third_day);
    let mut input = Input::new(at(48), true);
    (input.temperature, input.fire) = (Some(Celsius(120.0)), Some(true));
    let (_, news) = told.bin.offer(&rules(), &input);
    assert!(news.contains(&News::Fire));
    told.hour += 1;
    told.live(72, |_| None);
    assert!(told.news.iter().any(|news| matches!(news, News::SensorLost(_))));
    assert!(told.bin.bin.burns() && !told.news.contains(&News::FireOver), "nobody was there");
    // the list of the tour before it
    told.report(40);
    told.live(1, |_| None);
    assert!(told.bin.bin.burns(), "that was before");
    told.report(100);
    told.live(24, |_| None);
    assert!(!told.bin.bin.burns(), "a tour goes there again");
    let over = told.news.iter().filter(|news| **news == News::FireOver).count();
    assert_eq!(over, 1, "{:?}", told.news);
}
