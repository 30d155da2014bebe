//! When plans are made, and for which day.

use jiff::civil::{Date, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};

/// The days and times of a plan.
#[derive(Debug, Clone)]
pub struct Calendar {
    /// Where its clocks hang.
    pub zone: TimeZone,
    /// When a day's plan is made, on that day.
    pub at: Time,
    /// The days on which tours leave.
    pub days: Vec<Weekday>,
    /// When the last shift of a day ends, by the clock, in seconds after midnight; it may be the
    /// day after.
    pub last: u32,
    /// With less than this left of the last shift, plans are made for the next day.
    pub least_left: SignedDuration,
}

impl Calendar {
    /// Seconds after midnight of a day, as plans count them, as a moment.
    ///
    /// They are counted from noon less twelve hours, as timetables are: on a day on which clocks
    /// are changed in the night, 06:00 is six o'clock all the same.
    #[must_use]
    pub fn moment(&self, day: Date, seconds: u32) -> Timestamp {
        self.at_time(day, Time::constant(12, 0, 0, 0))
            .checked_sub(SignedDuration::from_hours(12))
            .and_then(|zero| zero.checked_add(SignedDuration::from_secs(seconds.into())))
            .unwrap_or(Timestamp::MAX)
    }

    /// What a time by the clock, in seconds after midnight of a day, is in the seconds of that
    /// day's plan. They are the same but behind a night in which clocks are changed.
    #[must_use]
    pub fn second(&self, day: Date, clock: u32) -> u32 {
        const DAY: u32 = 24 * 3600;
        let days = i64::from(clock / DAY);
        let Ok(date) = day.checked_add(days.days()) else { return clock };
        let midnight = Time::midnight();
        let time = midnight.saturating_add(i64::from(clock % DAY).seconds());
        self.seconds(day, self.at_time(date, time))
    }

    /// What a moment is in the seconds of a day's plan; 0 before it begins.
    #[must_use]
    pub fn seconds(&self, day: Date, moment: Timestamp) -> u32 {
        let passed = moment.duration_since(self.moment(day, 0)).as_secs();
        u32::try_from(passed.max(0)).unwrap_or(u32::MAX)
    }

    /// When the plan of this day is made. A time that is skipped in spring comes an hour later,
    /// one that comes twice in autumn comes the first time.
    #[must_use]
    pub fn nightly(&self, day: Date) -> Timestamp {
        self.at_time(day, self.at)
    }

    /// The day whose plan has to be made now: tours leave on it, its time has come, its tours are
    /// not over, those of the day before are, and it is later than `done`, the last one that was made, as far as that can be
    /// believed. A gateway that was off at the time makes the plan when it is back.
    #[must_use]
    pub fn due(&self, now: Timestamp, done: Option<Date>) -> Option<Date> {
        if self.days.is_empty() {
            return None;
        }
        let done = self.credible(done, now);
        let days = self.days_around(now).take(2);
        let open = days.filter(|day| self.has(*day) && done.is_none_or(|done| *day > done));
        let free = |day: &Date| self.free_from(*day) <= now;
        open.filter(|day| self.nightly(*day) <= now && !self.nearly_over(*day, now) && free(day))
            .last()
    }

    /// A day that is remembered as done, if it is not after tomorrow: then a clock was wrong.
    #[must_use]
    pub fn credible(&self, done: Option<Date>, now: Timestamp) -> Option<Date> {
        let tomorrow = self.today(now).checked_add(1.days()).ok();
        done.filter(|done| tomorrow.is_none_or(|tomorrow| *done <= tomorrow))
    }

    /// The day that a plan is made for when somebody asks for one: the first whose tours are not
    /// nearly over.
    #[must_use]
    pub fn target(&self, now: Timestamp) -> Date {
        let mut days = self.days_around(now).take(10);
        let first = days.find(|day| self.has(*day) && !self.nearly_over(*day, now));
        first.unwrap_or_else(|| self.today(now))
    }

    /// The next day on which tours leave after this one.
    #[must_use]
    pub fn after(&self, day: Date) -> Date {
        let mut days = (1..=7).filter_map(|n| day.checked_add(n.days()).ok());
        days.find(|day| self.has(*day)).unwrap_or(day)
    }

    /// Whether the tours of a day are over, or so nearly that nothing can be planned any more.
    #[must_use]
    pub fn nearly_over(&self, day: Date, now: Timestamp) -> bool {
        now.checked_add(self.least_left).is_ok_and(|soon| soon >= self.end(day))
    }

    /// When the last shift of a day ends.
    fn end(&self, day: Date) -> Timestamp {
        self.moment(day, self.second(day, self.last))
    }

    /// When the tours of the day before are over.
    #[must_use]
    pub fn free_from(&self, day: Date) -> Timestamp {
        let before = day.yesterday().ok().filter(|before| self.has(*before));
        before.map_or(Timestamp::MIN, |before| self.end(before))
    }

    /// A plan without days is made when somebody asks, on any.
    fn has(&self, day: Date) -> bool {
        self.days.is_empty() || self.days.contains(&day.weekday())
    }

    fn today(&self, now: Timestamp) -> Date {
        now.to_zoned(self.zone.clone()).date()
    }

    /// Shifts that began yesterday may go on today.
    fn days_around(&self, now: Timestamp) -> impl Iterator<Item = Date> + use<> {
        let today = self.today(now);
        (-1..9).filter_map(move |n: i64| today.checked_add(n.days()).ok())
    }

    fn at_time(&self, day: Date, time: Time) -> Timestamp {
        self.zone.to_zoned(day.to_datetime(time)).map_or(Timestamp::MAX, |zoned| zoned.timestamp())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u32 = 24 * 3600;

    fn calendar(at: &str, last: u32, days: &[Weekday]) -> Calendar {
        Calendar {
            zone: TimeZone::get("Europe/Stockholm").expect("tzdata is installed"),
            at: at.parse().expect("a time"),
            days: days.to_vec(),
            last,
            least_left: SignedDuration::from_hours(1),
        }
    }

    const WEEK: [Weekday; 5] =
        [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday];

    fn at(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    fn day(text: &str) -> Date {
        text.parse().expect("a day")
    }

    #[test]
    fn a_plan_is_made_once_on_each_of_its_days() {
        let plan = calendar("04:30", 14 * 3600, &WEEK);
        let monday = day("2026-11-23");
        assert_eq!(plan.due(at("2026-11-23T04:29:59+01:00"), None), None);
        assert_eq!(plan.due(at("2026-11-23T04:30:00+01:00"), None), Some(monday));
        assert_eq!(plan.due(at("2026-11-23T04:31:00+01:00"), Some(monday)), None);
        let late = plan.due(at("2026-11-23T09:00:00+01:00"), Some(day("2026-11-20")));
        assert_eq!(late, Some(monday), "the gateway was off in the night");
        assert_eq!(plan.due(at("2026-11-23T13:30:00+01:00"), None), None, "too late for today");
        assert_eq!(plan.due(at("2026-11-22T05:00:00+01:00"), None), None, "a Sunday");
        assert_eq!(calendar("04:30", DAY, &[]).due(at("2026-11-23T05:00:00+01:00"), None), None);
    }

    #[test]
    fn a_clock_that_was_put_back_makes_no_plan_twice() {
        let plan = calendar("04:30", 14 * 3600, &WEEK);
        assert_eq!(plan.due(at("2026-11-23T05:00:00+01:00"), Some(day("2026-11-24"))), None);
        assert_eq!(plan.due(at("2026-11-20T18:00:00+01:00"), Some(day("2026-11-23"))), None);
        assert_eq!(plan.due(at("2026-11-21T18:00:00+01:00"), Some(day("2026-11-23"))), None);
    }

    #[test]
    fn a_clock_that_was_far_ahead_is_forgotten() {
        let plan = calendar("04:30", 14 * 3600, &WEEK);
        let monday = Some(day("2026-11-23"));
        assert_eq!(plan.due(at("2026-11-23T05:00:00+01:00"), Some(day("2036-01-01"))), monday);
        assert_eq!(plan.credible(monday, at("2026-11-22T05:00:00+01:00")), monday);
        assert_eq!(plan.credible(monday, at("2026-11-21T05:00:00+01:00")), None);
    }

    #[test]
    fn who_asks_gets_a_plan_for_tours_that_can_still_be_driven() {
        let plan = calendar("04:30", 14 * 3600, &WEEK);
        let target = |text| plan.target(at(text)).to_string();
        assert_eq!(target("2026-11-23T03:00:00+01:00"), "2026-11-23");
        assert_eq!(target("2026-11-23T12:59:00+01:00"), "2026-11-23");
        assert_eq!(target("2026-11-23T13:00:00+01:00"), "2026-11-24");
        assert_eq!(target("2026-11-27T18:00:00+01:00"), "2026-11-30", "over the weekend");
        assert_eq!(plan.after(day("2026-11-27")), day("2026-11-30"));
    }

    #[test]
    fn a_night_belongs_to_the_day_on_which_it_began() {
        let patrol = calendar("20:00", 30 * 3600, &[Weekday::Saturday]);
        let saturday = day("2026-11-21");
        assert_eq!(patrol.target(at("2026-11-22T02:00:00+01:00")), saturday);
        assert_eq!(patrol.due(at("2026-11-22T02:00:00+01:00"), None), Some(saturday));
    }

    #[test]
    fn a_nights_plan_waits_for_the_end_of_the_night_before() {
        let patrol = calendar("04:30", 30 * 3600, &[]);
        assert_eq!(patrol.due(at("2026-11-22T05:00:00+01:00"), None), None, "no days");
        let week = [WEEK.as_slice(), &[Weekday::Saturday, Weekday::Sunday]].concat();
        let patrol = calendar("04:30", 30 * 3600, &week);
        let done = Some(day("2026-11-21"));
        assert_eq!(patrol.due(at("2026-11-22T05:00:00+01:00"), done), None);
        assert_eq!(patrol.due(at("2026-11-22T06:00:00+01:00"), done), Some(day("2026-11-22")));
    }

    #[test]
    fn three_o_clock_is_three_o_clock_in_the_night_in_which_clocks_are_changed() {
        let patrol = calendar("21:00", 30 * 3600, &[]);
        for (evening, three, six) in [
            ("2026-03-28", "2026-03-29T03:00:00+02:00", "2026-03-29T06:00:00+02:00"),
            ("2026-10-24", "2026-10-25T03:00:00+01:00", "2026-10-25T06:00:00+01:00"),
            ("2026-11-21", "2026-11-22T03:00:00+01:00", "2026-11-22T06:00:00+01:00"),
        ] {
            let evening = day(evening);
            let clock = |hour: u32| patrol.moment(evening, patrol.second(evening, hour * 3600));
            assert_eq!((clock(27), clock(30)), (at(three), at(six)));
            assert_eq!(clock(22).to_zoned(patrol.zone.clone()).hour(), 22);
            assert!(!patrol.nearly_over(evening, at(six).checked_sub(2.hours()).expect("a time")));
            assert!(patrol.nearly_over(evening, at(six).checked_sub(1.hour()).expect("a time")));
        }
    }

    #[test]
    fn six_o_clock_is_six_o_clock_when_clocks_are_changed() {
        let plan = calendar("02:30", 14 * 3600, &[]);
        let spring = day("2026-03-29");
        assert_eq!(plan.moment(spring, 6 * 3600), at("2026-03-29T06:00:00+02:00"));
        assert_eq!(plan.nightly(spring), at("2026-03-29T03:30:00+02:00"), "02:30 is skipped");
        let autumn = day("2026-10-25");
        assert_eq!(plan.moment(autumn, 6 * 3600), at("2026-10-25T06:00:00+01:00"));
        assert_eq!(plan.nightly(autumn), at("2026-10-25T02:30:00+02:00"), "the first of two");
        assert_eq!(plan.seconds(autumn, at("2026-10-25T06:00:30+01:00")), 6 * 3600 + 30);
        assert_eq!(plan.moment(day("2026-11-23"), DAY + 3600), at("2026-11-24T01:00:00+01:00"));
    }
}
