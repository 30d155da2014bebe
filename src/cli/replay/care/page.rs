//! A page with a picture of each night, in Swedish and English.

use super::Replayed;
use super::record::Event;
use crate::care::{At, Decision, Kind, Language, Outcome, SensorKind};
use crate::cli::replay::html::{document, escaped};
use anyhow::Context;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

/// A picture is so wide; each sensor has a line of so much.
const WIDTH: f64 = 1000.0;
const LINE: f64 = 14.0;
/// The names stand here.
const LEFT: f64 = 170.0;
/// A night is from noon to noon.
const HALF_A_DAY: SignedDuration = SignedDuration::from_hours(12);
/// More nights nobody looks at on one page.
const MOST_NIGHTS: usize = 400;
/// Signs that are nearer are drawn as one.
const NEAR: Duration = Duration::from_secs(90);

/// Writes the page, `index.html`.
///
/// # Errors
/// When that is impossible.
pub(super) fn write(directory: &Path, all: &[Replayed], events: &[Event]) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory)
        .with_context(|| format!("{} cannot be made", directory.display()))?;
    let mut body = String::from(
        "<h1>Nätter / Nights</h1><p><small>Varje rad är en sensor, från tolv till tolv. Grönt: \
         kontroll bekräftad ✓. Gult: inte bekräftad ?. Rött: larm !. Violett: fel ×.<br>Each line is \
         a sensor, from noon to noon. Green: check confirmed ✓. Yellow: not confirmed ?. Red: alarm \
         !. Violet: fault ×.<br>Detta är hälsodata / This is health data.</small></p>",
    );
    for (number, of) in all.iter().enumerate() {
        resident(&mut body, of, events.iter().filter(|event| event.resident == number));
    }
    let path = directory.join("index.html");
    std::fs::write(&path, document("Nätter / Nights", &body))
        .with_context(|| format!("{} cannot be written", path.display()))
}

/// What happened in a night: of each sensor from when to when, and what was decided.
#[derive(Default)]
struct Night<'a> {
    bars: Vec<(usize, At, At)>,
    decisions: Vec<&'a Decision>,
}

fn night_of(zone: &TimeZone, at: At) -> Date {
    let noon = at.timestamp().checked_sub(HALF_A_DAY).unwrap_or(at.timestamp());
    zone.to_datetime(noon).date()
}

fn resident<'a>(body: &mut String, of: &Replayed, events: impl Iterator<Item = &'a Event>) {
    let resident = of.watch.resident();
    let _ = write!(body, "<h2>{}</h2>", escaped(&resident.id));
    if !resident.consent {
        body.push_str("<p>Inget samtycke: inget visas. / No consent: nothing is shown.</p>");
        return;
    }
    let zone = &resident.zone;
    let mut nights: BTreeMap<Date, Night<'_>> = BTreeMap::new();
    let mut begun: BTreeMap<usize, At> = BTreeMap::new();
    for event in events {
        let from = match (event.on, begun.remove(&event.sensor)) {
            (true, from) => {
                begun.insert(event.sensor, from.unwrap_or(event.at));
                if from.is_some() {
                    continue;
                }
                event.at
            }
            (false, from) => from.unwrap_or(event.at),
        };
        bar(&mut nights, zone, event.sensor, from, event.at);
    }
    for decision in &of.decisions {
        nights.entry(night_of(zone, decision.at)).or_default().decisions.push(decision);
    }
    for (date, night) in nights.iter().rev().take(MOST_NIGHTS) {
        draw(body, of, *date, night);
    }
}

fn bar(nights: &mut BTreeMap<Date, Night<'_>>, zone: &TimeZone, sensor: usize, from: At, to: At) {
    let last = night_of(zone, to);
    let mut night = night_of(zone, from);
    // one that was on for longer than that has said nothing for days
    for _ in 0..3 {
        let bars = &mut nights.entry(night).or_default().bars;
        match bars.iter_mut().rev().take(8).find(|bar| bar.0 == sensor && from.since(bar.2) < NEAR)
        {
            Some(near) => near.2 = near.2.max(to),
            None => bars.push((sensor, from, to)),
        }
        match night.checked_add(1.day()) {
            Ok(next) if night < last => night = next,
            _ => return,
        }
    }
}

fn draw(body: &mut String, of: &Replayed, date: Date, night: &Night<'_>) {
    let resident = of.watch.resident();
    let noon = |date: Date| {
        let noon = date.at(12, 0, 0, 0).to_zoned(resident.zone.clone());
        noon.map_or(0, |noon| noon.timestamp().as_second())
    };
    let (begin, end) = (noon(date), date.tomorrow().map_or(0, noon));
    let x = |at: At| {
        let part = (at.0 - begin) as f64 / (end - begin).max(1) as f64;
        LEFT + part.clamp(0.0, 1.0) * (WIDTH - LEFT)
    };
    let height = LINE * (resident.sensors.len() as f64 + 2.0);
    let _ = write!(
        body,
        "<h3>{date}</h3><svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\" font-size=\"11\"><title>{date}</title>"
    );
    // by the clock: in two nights of a year an hour is missing or twice
    for hour in (0..=24).step_by(3) {
        let at = At(begin + (end - begin) * hour / 24);
        let clock = resident.zone.to_datetime(at.timestamp());
        let _ = write!(
            body,
            "<path d=\"M{0:.1} 0V{height}\" stroke=\"#ddd\"/><text x=\"{1:.1}\" y=\"11\" \
             fill=\"#666\">{2:02}:{3:02}</text>",
            x(at),
            x(at) + 2.0,
            clock.hour(),
            clock.minute()
        );
    }
    for (number, sensor) in resident.sensors.iter().enumerate() {
        let y = LINE * (number as f64 + 2.0) - 3.0;
        let _ =
            write!(body, "<text x=\"0\" y=\"{y:.0}\">{}</text>", escaped(&shortened(&sensor.id)));
    }
    for (number, from, to) in &night.bars {
        let colour = match resident.sensors.get(*number).map(|sensor| sensor.kind) {
            Some(SensorKind::Bed) => "#27c",
            Some(SensorKind::Door) => "#a63",
            _ => "#777",
        };
        let _ = write!(
            body,
            "<rect x=\"{:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>",
            x(*from),
            LINE * (*number as f64 + 1.0) + 3.0,
            (x(*to) - x(*from)).max(1.0),
            LINE - 5.0
        );
    }
    let mut list = String::new();
    for decision in &night.decisions {
        let (mark, colour) = mark(decision);
        let words = |language| {
            let words = decision.because.iter().map(|reason| reason.words(resident, language));
            escaped(&words.collect::<Vec<_>>().join("; "))
        };
        let _ = write!(
            body,
            "<path d=\"M{0:.1} 14V{height}\" stroke=\"{colour}\"/><text x=\"{1:.1}\" y=\"{2:.0}\" \
             fill=\"{colour}\" font-weight=\"bold\">{mark}</text>",
            x(decision.at),
            x(decision.at) + 2.0,
            height - 2.0
        );
        let clock = resident.zone.to_datetime(decision.at.timestamp());
        let _ = write!(
            list,
            "<tr><td>{:02}:{:02}<td style=\"color:{colour}\">{mark}<td>{}<td>{}<br><small>{}</small>",
            clock.hour(),
            clock.minute(),
            escaped(&decision.rule),
            words(Language::Swedish),
            words(Language::English)
        );
    }
    let _ = write!(body, "</svg><table>{list}</table>");
}

/// A decision by a sign and a colour; each alone is enough.
fn mark(decision: &Decision) -> (&'static str, &'static str) {
    match (decision.kind, decision.outcome) {
        (Kind::Check, Some(Outcome::Confirmed)) => ("✓", "#186a3b"),
        (Kind::Check, Some(Outcome::NotConfirmed)) => ("?", "#9a6a00"),
        (Kind::Check | Kind::Fault, _) => ("×", "#7a5195"),
        (Kind::Alarm, _) => ("!", "#b3261e"),
        (Kind::Cleared, _) => ("–", "#555"),
        (Kind::Warning, _) => ("…", "#555"),
    }
}

fn shortened(name: &str) -> String {
    match name.char_indices().nth(26) {
        Some((end, _)) => format!("{}…", &name[..end]),
        None => name.to_owned(),
    }
}
