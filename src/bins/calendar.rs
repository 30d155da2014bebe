//! Weekdays, and the public holidays on which as much comes as on a Sunday.

use jiff::tz::TimeZone;

/// The days of waste are numbered in two bytes, from 1970 to 2149.
const DAYS: usize = 1 << 16;
const WORD: usize = u64::BITS as usize;

/// A bit for each day: whether it is a holiday.
type Holidays = [u64; DAYS / WORD];

/// Days of the year, and days after Easter Sunday.
struct Feasts {
    fixed: &'static [(i64, i64)],
    moving: &'static [i64],
    /// Whether the Friday from 19 to 25 June is one, too.
    midsummer: bool,
}

/// Those that most of Europe has: New Year, 1 May, Christmas, Good Friday, Easter Monday and
/// Ascension Day.
static COMMON: Holidays = holidays(&Feasts {
    fixed: &[(1, 1), (5, 1), (12, 25), (12, 26)],
    moving: &[-2, 1, 39],
    midsummer: false,
});
/// Swedish holidays (lag 1989:253), and the eves on which nobody works.
static SWEDISH: Holidays = holidays(&Feasts {
    fixed: &[(1, 1), (1, 6), (5, 1), (6, 6), (12, 24), (12, 25), (12, 26), (12, 31)],
    moving: &[-2, 1, 39],
    midsummer: true,
});
/// Those that all of Germany has.
static GERMAN: Holidays = holidays(&Feasts {
    fixed: &[(1, 1), (5, 1), (10, 3), (12, 25), (12, 26)],
    moving: &[-2, 1, 39, 50],
    midsummer: false,
});

/// What kind of day a day is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calendar(&'static Holidays);

impl Calendar {
    /// That of the country whose time it is.
    pub(super) fn of(zone: &TimeZone) -> Self {
        Self(match zone.iana_name() {
            Some("Europe/Stockholm") => &SWEDISH,
            Some("Europe/Berlin" | "Europe/Busingen") => &GERMAN,
            _ => &COMMON,
        })
    }

    /// What weekday a day is like, from Monday, 0: a holiday is like a Sunday.
    pub(super) fn weekday(self, day: i64) -> usize {
        let place = usize::try_from(day).ok().filter(|day| *day < DAYS);
        let is_holiday = place.is_some_and(|day| self.0[day / WORD] >> (day % WORD) & 1 == 1);
        if is_holiday { SUNDAY } else { of_week(day) }
    }
}

const SUNDAY: usize = 6;
const FRIDAY: usize = 4;

const fn of_week(day: i64) -> usize {
    // 1970 began on a Thursday
    (day + 3).rem_euclid(7) as usize
}

const fn holidays(feasts: &Feasts) -> Holidays {
    let mut all = [0; DAYS / WORD];
    let mut year = 1970;
    while year < 2149 {
        let mut at = 0;
        while at < feasts.fixed.len() {
            let (month, day) = feasts.fixed[at];
            all = with(all, number(year, month, day));
            at += 1;
        }
        let mut at = 0;
        while at < feasts.moving.len() {
            all = with(all, easter(year) + feasts.moving[at]);
            at += 1;
        }
        if feasts.midsummer {
            let mut day = number(year, 6, 19);
            while of_week(day) != FRIDAY {
                day += 1;
            }
            all = with(all, day);
        }
        year += 1;
    }
    all
}

const fn with(mut all: Holidays, day: i64) -> Holidays {
    all[day as usize / WORD] |= 1 << (day as usize % WORD);
    all
}

/// The number of a day since 1970 (Hinnant, "chrono-compatible low-level date algorithms").
const fn number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Easter Sunday (Meeus, Jones, Butcher).
const fn easter(year: i64) -> i64 {
    let (a, b, c) = (year % 19, year / 100, year % 100);
    let h = (19 * a + b - b / 4 - (b - (b + 8) / 25 + 1) / 3 + 15) % 30;
    let l = (32 + 2 * (b % 4) + 2 * (c / 4) - h - c % 4) % 7;
    let m = (a + 11 * h + 22 * l) / 451;
    let n = h + l - 7 * m + 114;
    number(year, n / 31, n % 31 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::{Date, date};

    fn weekday(zone: &str, day: Date) -> usize {
        let zone = TimeZone::get(zone).expect("a zone");
        let number = day.since(date(1970, 1, 1)).expect("in range").get_days();
        Calendar::of(&zone).weekday(number.into())
    }

    #[test]
    fn holidays_are_those_of_the_almanac() {
        for (zone, holidays) in [
            (
                "Europe/Stockholm",
                &[
                    date(2026, 1, 1),
                    date(2026, 1, 6),
                    date(2026, 4, 3),
                    date(2026, 4, 6),
                    date(2026, 5, 1),
                    date(2026, 5, 14),
                    date(2027, 5, 6),
                    date(2025, 6, 6),
                    date(2026, 6, 19),
                    date(2025, 6, 20),
                    date(2026, 12, 24),
                    date(2026, 12, 25),
                    date(2026, 12, 31),
                    date(2038, 4, 26),
                ][..],
            ),
            ("Europe/Berlin", &[date(2020, 6, 1), date(2022, 10, 3), date(2020, 4, 13)][..]),
            ("Europe/Oslo", &[date(2024, 3, 29), date(2024, 5, 9), date(2100, 1, 1)][..]),
        ] {
            for day in holidays {
                assert_eq!(weekday(zone, *day), SUNDAY, "{day} in {zone}");
            }
        }
    }

    #[test]
    fn other_days_are_what_they_are() {
        let mut working = 0;
        for day in date(2026, 1, 1).series(jiff::ToSpan::days(1)).take(365) {
            let is = usize::from(day.weekday().to_monday_zero_offset().unsigned_abs());
            let like = weekday("Europe/Stockholm", day);
            assert!(like == is || like == SUNDAY, "{day}");
            working += usize::from(like < 5);
        }
        // 261 from Monday to Friday, of which ten are holidays
        assert_eq!(working, 261 - 10);
        assert_eq!(weekday("Europe/Berlin", date(2025, 6, 6)), FRIDAY);
    }
}
