//! What several policies came to, as a table and as JSON.

use super::{Args, Setting};
use crate::cli::table::{Column, Table};
use crate::route::simulation::{Policy, Score};
use crate::units::count;
use serde_json::{Value, json};
use std::io::{Write, stdout};

/// A policy with its knob somewhere, and what it came to.
pub(super) struct Tried {
    pub(super) policy: Policy,
    pub(super) score: Score,
}

/// What a policy came to in the weeks that count.
pub(super) struct Outcome {
    /// With its knob as it was turned on other weeks.
    pub(super) new: Tried,
    /// With its knob turned on these very weeks; none if bins are overfull for longer however it
    /// is turned.
    pub(super) equal: Option<Tried>,
}

/// What is driven less than under the first policy.
fn fewer(score: &Score, first: &Score) -> f64 {
    1.0 - score.km() / first.km().max(1e-9)
}

/// The same at equal hours, if both can keep them.
fn fewer_at_equal(outcome: &Outcome, first: &Outcome) -> Option<f64> {
    Some(fewer(&outcome.equal.as_ref()?.score, &first.equal.as_ref()?.score))
}

fn percent(fewer: f64) -> String {
    match (100.0 * fewer).round() {
        0.0 => "0 %".to_owned(),
        less => format!("{:+.0} %", -less),
    }
}

/// Prints the table.
///
/// # Errors
/// When that is impossible.
pub(super) fn print(args: &Args, setting: &Setting, outcomes: &[Outcome]) -> std::io::Result<()> {
    let mut out = stdout().lock();
    let bins = count(setting.ground.town.containers.len() as u64, "bin");
    let roads = if args.roads.is_some() { "roads" } else { "straight lines × 1.4" };
    let days = match setting.recorded {
        Some(recorded) => format!("the last {} of {recorded} recorded days", setting.days),
        None => count(setting.days as u64, "day"),
    };
    let target = setting.target;
    writeln!(
        out,
        "{bins}, {days}, on {roads}; knobs tuned to {target} overfull hours ({} % without)\n",
        args.service,
    )?;
    let mut table = Table::new([
        Column::Text("POLICY"),
        Column::Text("KNOB"),
        Column::Number("KM"),
        Column::Number("VS FIRST"),
        Column::Number("HOURS"),
        Column::Number("TOURS"),
        Column::Number("STOPS/DAY"),
        Column::Number("OVERFULL H"),
        Column::Number("FILL"),
        Column::Number("BELOW HALF"),
        Column::Number("KM AT EQUAL HOURS"),
        Column::Number("VS FIRST"),
    ]);
    let none = || "-".to_owned();
    for outcome in outcomes {
        let Tried { policy, score } = &outcome.new;
        let stops = score.stops.max(1) as f64;
        let at_equal = outcome.equal.as_ref();
        table.row([
            policy.name().to_owned(),
            policy.to_string(),
            format!("{:.0}", score.km()),
            percent(fewer(score, &outcomes[0].new.score)),
            format!("{:.0}", score.seconds as f64 / 3600.0),
            score.tours.to_string(),
            format!("{:.1}", score.stops as f64 / setting.days as f64),
            score.overflow_hours.to_string(),
            format!("{:.0} %", score.fill() * 100.0),
            format!("{:.0} %", score.below_half as f64 / stops * 100.0),
            at_equal.map_or_else(none, |equal| format!("{:.0}", equal.score.km())),
            fewer_at_equal(outcome, &outcomes[0]).map_or_else(none, percent),
        ]);
    }
    write!(out, "{table}")?;
    let missed: u64 = outcomes.iter().map(|outcome| outcome.new.score.missed).sum();
    if missed > 0 {
        writeln!(
            out,
            "\n{} that had to be emptied found no vehicle: the fleet is too small.",
            count(missed, "bin")
        )?;
    }
    if outcomes.iter().any(|outcome| outcome.equal.is_none()) {
        writeln!(out, "\nNot all policies can keep the target, however their knobs are turned.")?;
    }
    Ok(())
}

/// All of it as one object.
pub(super) fn json(args: &Args, setting: &Setting, outcomes: &[Outcome]) -> Value {
    let policies = outcomes.iter().map(|outcome| {
        let Tried { policy, score } = &outcome.new;
        let equal = outcome.equal.as_ref().map(|Tried { policy, score }| {
            json!({
                "knob": knob(policy),
                "km": score.km(),
                "fewerKmThanFirst": fewer_at_equal(outcome, &outcomes[0]),
                "overfullHours": score.overflow_hours,
            })
        });
        json!({
            "policy": policy.name(),
            "knob": knob(policy),
            "km": score.km(),
            "fewerKmThanFirst": fewer(score, &outcomes[0].new.score),
            "hours": score.seconds as f64 / 3600.0,
            "drivingHours": score.driving as f64 / 3600.0,
            "tours": score.tours,
            "touringDays": score.touring_days,
            "stops": score.stops,
            "stopsPerDay": score.stops as f64 / setting.days as f64,
            "overfullHours": score.overflow_hours,
            "service": score.service(),
            "fill": score.fill(),
            "belowHalf": score.below_half,
            "missed": score.missed,
            "atEqualHours": equal,
        })
    });
    json!({
        "days": setting.days,
        "trainingDays": setting.trained,
        "recordedDays": setting.recorded,
        "warmUp": args.warm_up,
        "bins": setting.ground.town.containers.len(),
        "vehicles": args.vehicles,
        "seed": setting.recorded.is_none().then_some(args.seed),
        "iterations": args.iterations,
        "estimated": args.roads.is_none(),
        "targetOverfullHours": setting.target,
        "policies": policies.collect::<Vec<_>>(),
    })
}

fn knob(policy: &Policy) -> Value {
    let (name, value) = match *policy {
        Policy::All { every } => ("everyDays", f64::from(every)),
        Policy::Threshold { level } => ("level", level),
        Policy::Risk { probability } => ("probability", probability),
        Policy::Joint { factor } => ("overflowFactor", factor),
    };
    json!({ name: value })
}
