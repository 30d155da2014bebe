//! `lykta plan simulate`: weeks of a town's bins under several policies.

mod drawing;
mod ground;
mod history;
mod readings;
mod report;

use crate::cli::{complain, exit};
use crate::route::collection::{Collection, Rules};
use crate::route::problem::{Load, Rates, Site, Vehicle, Window};
use crate::route::simulation::tuning::{Kind, TURNS};
use crate::route::simulation::{Broken, Tours, Town, Weeks, replay};
use crate::route::{Plan, Reckoning};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use ground::Ground;
use history::History;
use report::{Outcome, Tried};
use std::io::{IsTerminal, Write, stderr, stdout};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Knobs are turned on so many times the days that count.
const TRAINING: usize = 2;
/// How often the line on the terminal changes.
const SHOWN_EVERY: Duration = Duration::from_millis(100);

/// Replays weeks of a town by chance, or recorded ones, under several policies and compares how far
/// is driven.
///
/// Each policy has one knob, which is turned on other weeks of the same town until the bins are
/// overfull for the same time. Then all meet the same weeks, which are new to them. They know the
/// same: readings with noise and gaps, and what was emptied. KM is what a policy drives there, but
/// the hours differ after all. So the knob is also turned on these weeks until the hours are the
/// same: the KM AT EQUAL HOURS compare the policies and not their luck.
///
/// all: every bin every so many days. threshold: the bins from a level on, then the way around
/// them. risk: the bins that overflow before the next tour with some probability, then the way.
/// joint: each bin has a prize, and the way decides.
///
/// With --history the bins fill as they did in a record of their sensors: what rises between two
/// emptyings came in, spread evenly over the time between two readings. A wrong echo or a bin that
/// was emptied changes nothing. Of what came while a bin was full, or around an emptying, the record
/// says nothing: then its mean comes, which is too little where a bin was often full. The last days
/// count. Knobs are turned on the days before them and see nothing of them. What is known of the
/// bins when either begins comes from the days to warm up just before. Days are those of UTC.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lykta plan simulate\n  lykta plan simulate --bins 150 --days 56 --seed 3 --policies all,threshold,risk,joint\n  lykta plan simulate --roads town.osm.pbf --svg pictures --json\n  lykta plan simulate --history readings.csv --places bins.csv --depot yard --site tip"
)]
pub(super) struct Args {
    /// How many days count [default: 28; with --history a third of what is left after the days to
    /// warm up]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=3_650))]
    days: Option<u32>,
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
    /// Replay this record of sensors: CSV with bin,t_unix,dist_cm, other columns are passed over
    #[arg(long, value_name = "READINGS.csv", requires = "places", requires = "depot", conflicts_with_all = ["bins", "seed"])]
    history: Option<PathBuf>,
    /// Where the bins of the record, the depot and the site are: CSV with id,lat,lon, and if they
    /// are there depth_m (else 1.5), dead_zone_m (else 0) and volume_l (else 1100)
    #[arg(long, value_name = "POINTS.csv", requires = "history")]
    places: Option<PathBuf>,
    /// From which of these places the vehicles leave
    #[arg(long, value_name = "ID", requires = "history")]
    depot: Option<String>,
    /// At which of these places they unload [default: the depot]
    #[arg(long, value_name = "ID", requires = "history")]
    site: Option<String>,
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

/// Weeks by chance that count, unless told.
const USUAL_DAYS: u32 = 28;

/// A town, the weeks that count there, and others before.
struct Setting {
    ground: Ground,
    /// How many days count,
    days: usize,
    /// and of how many days' weeks.
    recorded: Option<usize>,
    weeks: Weeks,
    /// On how many days knobs are turned.
    trained: usize,
    training: Weeks,
    /// For how many hours bins may be overfull in the days that count.
    target: u64,
}

impl Setting {
    fn new(args: &Args) -> anyhow::Result<Result<Self, String>> {
        let history = match &args.history {
            None => None,
            Some(record) => match History::read(args, record)? {
                Ok(history) => Some((record, history)),
                Err(why) => return Ok(Err(why)),
            },
        };
        let town = history.as_ref().map(|(_, history)| history.town.clone());
        let ground = match Ground::new(args, town)? {
            Ok(ground) => ground,
            Err(why) => return Ok(Err(why)),
        };
        let warm_up = args.warm_up as usize;
        let (days, trained, training, weeks) = match &history {
            Some((record, history)) => {
                let days = match history.counted(args) {
                    Ok(days) => days,
                    Err(why) => return Ok(Err(format!("{}: {why}", record.display()))),
                };
                let split = history.days - days;
                let training = history.weeks(0..split);
                (days, split - warm_up, training, history.weeks(split - warm_up..history.days))
            }
            None => {
                // other weeks of the same town, and more of them: in a few days too much is luck
                let days = args.days.unwrap_or(USUAL_DAYS) as usize;
                let by_chance = |days: usize, seed: u64| {
                    let seed = args.seed.wrapping_mul(2).wrapping_add(seed);
                    Weeks::new(&ground.town, warm_up + days, seed)
                };
                let training = by_chance(TRAINING * days, 1_000_001);
                (days, TRAINING * days, training, by_chance(days, 1_000_000))
            }
        };
        let hours = (days * ground.town.containers.len() * 24) as f64;
        let target = (hours * (100.0 - args.service) / 100.0).round() as u64;
        let recorded = history.map(|(_, history)| history.days);
        Ok(Ok(Self { ground, days, recorded, weeks, trained, training, target }))
    }

    /// The target on the days on which knobs are turned.
    fn learning_target(&self) -> u64 {
        (self.target as f64 * self.trained as f64 / self.days.max(1) as f64).round() as u64
    }
}

/// Runs the command.
///
/// # Errors
/// When the roads or the record cannot be read, or the result cannot be printed or written.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let setting = match Setting::new(args)? {
        Ok(setting) => setting,
        Err(why) => {
            complain(format_args!("{why}"));
            return Ok(exit::DATA.into());
        }
    };
    let tours = tours(args, &setting.ground);
    let mut line = stderr().is_terminal().then(Line::new);
    let mut outcomes = Vec::new();
    for (number, kind) in args.policies.iter().enumerate() {
        let mut show = |what: &str, day: usize| {
            if let Some(line) = &mut line {
                let policies = args.policies.len();
                let (name, number) = (kind.name(), number + 1);
                let day = day + 1;
                line.show(format_args!("{name} ({number} of {policies}): {what}, day {day}"));
            }
        };
        match outcome(args, &setting, &tours, *kind, &mut show) {
            Ok((outcome, last)) => {
                outcomes.push(outcome);
                if let (Some(path), Some(last)) = (&args.svg, last)
                    && (number + 1 == args.policies.len() || !drawing::is_file(path))
                {
                    let (day, collection, plan, reckoning) = last;
                    let title = format!("{}, day {}", kind.name(), day + 1 - args.warm_up as usize);
                    let ground = &setting.ground;
                    let picture = drawing::picture(ground, title, &collection, &plan, &reckoning);
                    drawing::write(path, kind.name(), &picture)?;
                }
            }
            Err(broken) => {
                clear(line.take());
                complain(format_args!("{broken}"));
                return Ok(exit::SOFTWARE.into());
            }
        }
    }
    clear(line);
    if args.json {
        writeln!(stdout().lock(), "{:#}", report::json(args, &setting, &outcomes))?;
    } else {
        report::print(args, &setting, &outcomes)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The last tours of a policy, for a picture.
type Last = (usize, Collection, Plan, Reckoning);

/// What a policy comes to: on weeks that are new to it, and with its knob turned on these.
fn outcome(
    args: &Args,
    setting: &Setting,
    tours: &Tours,
    kind: Kind,
    show: &mut dyn FnMut(&str, usize),
) -> Result<(Outcome, Option<Last>), Broken> {
    let (town, warm_up) = (&setting.ground.town, args.warm_up as usize);
    let mut tuned = |weeks: &Weeks, target: u64, what: &str| {
        let mut turn = 0;
        kind.tuned(target, &mut |policy| {
            turn += 1;
            let what = format!("{what} {turn} of {TURNS}");
            replay(town, weeks, tours, policy, warm_up, &mut |day, _, _, _| show(&what, day))
        })
    };
    let (policy, _) = tuned(&setting.training, setting.learning_target(), "knob")?;
    let (equal, at_equal) = tuned(&setting.weeks, setting.target, "equal hours, knob")?;
    let mut last = None;
    let mut see = |day, collection: &Collection, plan: &Plan, reckoning: &Reckoning| {
        show("the weeks that count", day);
        if args.svg.is_some() && !plan.routes.is_empty() {
            last = Some((day, collection.clone(), plan.clone(), reckoning.clone()));
        }
    };
    let score = replay(town, &setting.weeks, tours, policy, warm_up, &mut see)?;
    let kept = at_equal.overflow_hours <= setting.target;
    let equal = kept.then_some(Tried { policy: equal, score: at_equal });
    Ok((Outcome { new: Tried { policy, score }, equal }, last))
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
