//! `lykta plan simulate`: weeks of a town's bins under several policies.

mod drawing;
mod ground;

use crate::cli::table::{Column, Table, count};
use crate::cli::{complain, exit};
use crate::route::collection::Rules;
use crate::route::problem::{Load, Rates, Site, Vehicle, Window};
use crate::route::simulation::tuning::{Kind, TURNS};
use crate::route::simulation::{Policy, Score, Tours, Town, Weeks, replay};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use ground::Ground;
use serde_json::{Value, json};
use std::io::{IsTerminal, Write, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Knobs are turned on so many times the days that count.
const TRAINING: usize = 2;
/// How often the line on the terminal changes.
const SHOWN_EVERY: Duration = Duration::from_millis(100);

/// Replays weeks of a town by chance under several policies and compares how far is driven.
///
/// Each policy has one knob, which is turned on other weeks of the same town until the bins are
/// overfull for the same time. Then all meet the same weeks, which are new to them. They know the
/// same: readings with noise and gaps, and what was emptied.
///
/// all: every bin every so many days. threshold: the bins from a level on, then the way around
/// them. risk: the bins that overflow before the next tour with some probability, then the way.
/// joint: each bin has a prize, and the way decides.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lykta plan simulate\n  lykta plan simulate --bins 150 --days 56 --seed 3 --policies all,threshold,risk,joint\n  lykta plan simulate --roads town.osm.pbf --svg pictures --json"
)]
pub(super) struct Args {
    /// How many days count
    #[arg(long, value_name = "N", default_value_t = 28, value_parser = clap::value_parser!(u32).range(1..=3_650))]
    days: u32,
    /// How many days are replayed before, so that something is known
    #[arg(long, value_name = "N", default_value_t = 14, value_parser = clap::value_parser!(u32).range(0..=365))]
    warm_up: u32,
    /// How many bins there are
    #[arg(long, value_name = "N", default_value_t = 180, value_parser = clap::value_parser!(u32).range(1..=2_000))]
    bins: u32,
    /// Where chance begins
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Which policies
    #[arg(long, value_name = "NAMES", value_delimiter = ',', default_value = "all,threshold,joint", value_parser = kinds())]
    policies: Vec<Kind>,
    /// On which weekdays vehicles leave
    #[arg(long, value_name = "DAYS", value_delimiter = ',', default_value = "mon,tue,wed,thu,fri", value_parser = weekdays())]
    tours: Vec<usize>,
    /// How many vehicles there are each day
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=50))]
    vehicles: u32,
    /// In how many of a hundred hours a bin may not be overfull
    #[arg(long, value_name = "PERCENT", default_value_t = 99.8, value_parser = percent)]
    service: f64,
    /// How long the solver searches for each day
    #[arg(long, value_name = "N", default_value_t = 2_000)]
    iterations: u64,
    /// Drive on the roads of an OpenStreetMap extract, not on straight lines × 1.4
    #[arg(long, value_name = "FILE.osm.pbf")]
    roads: Option<PathBuf>,
    /// Draw each policy's last tours into POLICY.svg in this directory; into a FILE.svg the last
    /// policy's
    #[arg(long, value_name = "DIR|FILE.svg")]
    svg: Option<PathBuf>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

fn kinds() -> impl TypedValueParser<Value = Kind> {
    let names = PossibleValuesParser::new(Kind::ALL.map(Kind::name));
    names.map(|name| {
        let mut kinds = Kind::ALL.into_iter();
        kinds.find(|kind| kind.name() == name).expect("the parser takes names of policies alone")
    })
}

fn weekdays() -> impl TypedValueParser<Value = usize> {
    const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
    PossibleValuesParser::new(DAYS)
        .map(|name| DAYS.into_iter().position(|day| day == name).unwrap_or_default())
}

fn percent(text: &str) -> Result<f64, String> {
    let value: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (50.0..100.0).contains(&value) {
        Ok(value)
    } else {
        Err("not from 50 to below 100".to_owned())
    }
}

/// What a policy came to.
struct Outcome {
    policy: Policy,
    score: Score,
}

/// Runs the command.
///
/// # Errors
/// When the roads cannot be read, or the result cannot be printed or written.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let ground = match Ground::new(args)? {
        Ok(ground) => ground,
        Err(why) => {
            complain(format_args!("{why}"));
            return Ok(exit::DATA.into());
        }
    };
    let town = &ground.town;
    let tours = tours(args, &ground);
    let days = (args.warm_up + args.days) as usize;
    // other weeks of the same town, and more of them: in a few days too much is luck
    let learning = days + (TRAINING - 1) * args.days as usize;
    let training = Weeks::new(town, learning, args.seed.wrapping_mul(2).wrapping_add(1_000_001));
    let weeks = Weeks::new(town, days, args.seed.wrapping_mul(2).wrapping_add(1_000_000));
    let hours = (args.days as usize * town.containers.len() * 24) as f64;
    let target = (hours * (100.0 - args.service) / 100.0).round() as u64;

    let mut line = stderr().is_terminal().then(Line::new);
    let mut outcomes = Vec::new();
    for (number, kind) in args.policies.iter().enumerate() {
        let mut show = |what: &str, day: usize| {
            if let Some(line) = &mut line {
                let policies = args.policies.len();
                line.show(format_args!(
                    "{} ({} of {policies}): {what}, day {}",
                    kind.name(),
                    number + 1,
                    day + 1
                ));
            }
        };
        let mut turn = 0;
        let tuned = kind.tuned(target * TRAINING as u64, &mut |policy| {
            turn += 1;
            let what = format!("knob {turn} of {TURNS}");
            let mut see = |day, _: &_, _: &_, _: &_| show(&what, day);
            replay(town, &training, &tours, policy, args.warm_up as usize, &mut see)
        });
        let mut last = None;
        let outcome = tuned.and_then(|(policy, _)| {
            let score = replay(
                town,
                &weeks,
                &tours,
                policy,
                args.warm_up as usize,
                &mut |day, collection, plan, reckoning| {
                    show("the weeks that count", day);
                    if args.svg.is_some() && !plan.routes.is_empty() {
                        last = Some((day, collection.clone(), plan.clone(), reckoning.clone()));
                    }
                },
            )?;
            Ok(Outcome { policy, score })
        });
        match outcome {
            Ok(outcome) => outcomes.push(outcome),
            Err(broken) => {
                clear(line.take());
                complain(format_args!("{broken}"));
                return Ok(exit::SOFTWARE.into());
            }
        }
        if let (Some(path), Some((day, collection, plan, reckoning))) = (&args.svg, last)
            && (number + 1 == args.policies.len() || !drawing::is_file(path))
        {
            let title = format!("{}, day {}", kind.name(), day + 1 - args.warm_up as usize);
            let picture = drawing::picture(&ground, title, &collection, &plan, &reckoning);
            drawing::write(path, kind.name(), &picture)?;
        }
    }
    clear(line);
    if args.json {
        writeln!(stdout().lock(), "{:#}", report(args, &ground, target, &outcomes))?;
    } else {
        print(args, &ground, target, &outcomes)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Three trucks with a crew of one, of six tonnes, from six to two.
fn tours(args: &Args, ground: &Ground) -> Tours {
    let vehicle = |number| Vehicle {
        id: format!("truck {number}"),
        start: Town::DEPOT,
        end: Town::DEPOT,
        shift: Window { earliest: 6 * 3600, latest: 14 * 3600 },
        // pressed, four of the loose cubic metres are one
        capacity: Load { volume: 60_000, mass: 6_000 },
        aboard: Load::default(),
        daily: Load::UNBOUNDED,
        most_stops: u32::MAX,
        most_unloadings: u32::MAX,
        pause: None,
        skills: 0,
        rates: Rates { fixed: 0, distance: 12, time: 100 },
        frozen: Vec::new(),
        not_before: 0,
    };
    let site = Site {
        id: "unloading site".to_owned(),
        place: Town::SITE,
        window: Window::ALWAYS,
        service: 900,
    };
    let mut week = [false; 7];
    for day in &args.tours {
        week[*day] = true;
    }
    Tours {
        matrix: ground.matrix.clone(),
        vehicles: (1..=args.vehicles).map(vehicle).collect(),
        sites: vec![site],
        week,
        rules: Rules::default(),
        iterations: args.iterations,
    }
}

/// What is driven less than under the first policy, in percents.
fn fewer(outcome: &Outcome, first: &Outcome) -> f64 {
    100.0 * (1.0 - outcome.score.km() / first.score.km().max(1e-9))
}

fn print(args: &Args, ground: &Ground, target: u64, outcomes: &[Outcome]) -> std::io::Result<()> {
    let mut out = stdout().lock();
    let bins = count(ground.town.containers.len() as u64, "bin");
    let roads = if args.roads.is_some() { "roads" } else { "straight lines × 1.4" };
    writeln!(
        out,
        "{bins}, {}, on {roads}; knobs tuned to {target} overfull hours ({} % without)\n",
        count(u64::from(args.days), "day"),
        args.service,
    )?;
    let mut table = Table::new([
        Column::Text("POLICY"),
        Column::Text("KNOB"),
        Column::Number("KM"),
        Column::Number("KM VS FIRST"),
        Column::Number("HOURS"),
        Column::Number("TOURS"),
        Column::Number("STOPS/DAY"),
        Column::Number("OVERFULL H"),
        Column::Number("FILL"),
        Column::Number("BELOW HALF"),
    ]);
    for outcome in outcomes {
        let Outcome { policy, score } = outcome;
        let stops = score.stops.max(1) as f64;
        table.row([
            policy.name().to_owned(),
            policy.to_string(),
            format!("{:.0}", score.km()),
            match fewer(outcome, &outcomes[0]).round() {
                0.0 => "0 %".to_owned(),
                less => format!("{:+.0} %", -less),
            },
            format!("{:.0}", score.seconds as f64 / 3600.0),
            score.tours.to_string(),
            format!("{:.1}", score.stops as f64 / f64::from(args.days)),
            score.overflow_hours.to_string(),
            format!("{:.0} %", score.fill() * 100.0),
            format!("{:.0} %", score.below_half as f64 / stops * 100.0),
        ]);
    }
    write!(out, "{table}")?;
    let missed: u64 = outcomes.iter().map(|outcome| outcome.score.missed).sum();
    if missed > 0 {
        writeln!(
            out,
            "\n{} that had to be emptied found no vehicle: the fleet is too small.",
            count(missed, "bin")
        )?;
    }
    let kept = |outcome: &Outcome| outcome.score.overflow_hours <= target + target / 2 + 10;
    if !outcomes.iter().all(kept) {
        writeln!(out, "\nNot all policies keep the target: their kilometres cannot be compared.")?;
    }
    Ok(())
}

fn report(args: &Args, ground: &Ground, target: u64, outcomes: &[Outcome]) -> Value {
    let policies = outcomes.iter().map(|outcome| {
        let Outcome { policy, score } = outcome;
        let (name, value) = match *policy {
            Policy::All { every } => ("everyDays", f64::from(every)),
            Policy::Threshold { level } => ("level", level),
            Policy::Risk { probability } => ("probability", probability),
            Policy::Joint { factor } => ("overflowFactor", factor),
        };
        json!({
            "policy": policy.name(),
            "knob": { name: value },
            "km": score.km(),
            "fewerKmThanFirst": fewer(outcome, &outcomes[0]) / 100.0,
            "hours": score.seconds as f64 / 3600.0,
            "drivingHours": score.driving as f64 / 3600.0,
            "tours": score.tours,
            "touringDays": score.touring_days,
            "stops": score.stops,
            "stopsPerDay": score.stops as f64 / f64::from(args.days),
            "overfullHours": score.overflow_hours,
            "service": score.service(),
            "fill": score.fill(),
            "belowHalf": score.below_half,
            "missed": score.missed,
        })
    });
    json!({
        "days": args.days,
        "warmUp": args.warm_up,
        "bins": ground.town.containers.len(),
        "vehicles": args.vehicles,
        "seed": args.seed,
        "iterations": args.iterations,
        "estimated": args.roads.is_none(),
        "targetOverfullHours": target,
        "policies": policies.collect::<Vec<_>>(),
    })
}

/// The line on the terminal. What cannot be written there is no reason to stop.
struct Line {
    shown: Option<Instant>,
}

impl Line {
    fn new() -> Self {
        Self { shown: None }
    }

    fn show(&mut self, what: std::fmt::Arguments<'_>) {
        let now = Instant::now();
        if self.shown.is_none_or(|shown| now.duration_since(shown) >= SHOWN_EVERY) {
            self.shown = Some(now);
            let _ = write!(stderr(), "\r\x1b[K{what}");
        }
    }
}

fn clear(line: Option<Line>) {
    if line.is_some() {
        let _ = write!(stderr(), "\r\x1b[K");
    }
}
