//! `lykta plan solve`: a problem file to its plan.

use super::report::{Origin, report};
use crate::cli::exit;
use crate::cli::table::printable;
use crate::route::check::{Fault, alone};
use crate::route::file::{self, Document, Format, answer};
use crate::route::problem::Problem;
use crate::route::solver::{Progress, Settings, Solver};
use crate::route::{Plan, Reckoning, check};
use crate::sys;
use crate::units::{count, duration};
use std::io::{IsTerminal, Read, Write, stderr, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long is searched when neither time nor iterations are told.
const USUAL_BUDGET: Duration = Duration::from_secs(10);
/// How often the line on the terminal changes.
const SHOWN_EVERY: Duration = Duration::from_millis(100);
/// How many stops a message names.
const MOST_NAMES: usize = 20;

/// Solves a problem file and prints the plan.
///
/// Read are VRPLIB (.vrp: CVRP, with time windows, service and release times, and vehicles that
/// load again), Solomon's format, that of Kim's waste collection instances, and lykta's own JSON.
/// The answer is VRPLIB's .sol text, for JSON it is JSON. Each plan is counted again by an
/// independent checker before it is printed. Stops that have to be visited and are in no route
/// are named on stderr.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Examples:\n  lykta plan solve X-n101-k25.vrp --budget 10s\n  lykta plan solve monday.json --iterations 200000 --seed 7\n  lykta plan solve X-n101-k25.vrp --check X-n101-k25.sol --json"
)]
pub(super) struct Args {
    /// The problem, - for standard input
    file: PathBuf,
    /// How long to search, in CPU time of this process [default: 10s, without limit with
    /// --iterations]
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    budget: Option<Duration>,
    /// How many iterations to search: with the same seed the same plan on any machine
    #[arg(long, value_name = "N")]
    iterations: Option<u64>,
    /// Where chance begins
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Print one JSON object with times and loads
    #[arg(long)]
    json: bool,
    /// Solve nothing: check this answer (.sol) instead
    #[arg(long, value_name = "FILE", conflicts_with_all = ["budget", "iterations", "seed"])]
    check: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// When a file cannot be read, or the result cannot be printed.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let document = match text(&args.file)?.map(|text| file::read(&text)) {
        Ok(Ok(document)) => document,
        Ok(Err(error)) => return refuse(&args.file, &error),
        Err(error) => return refuse(&args.file, &error),
    };
    let problem = &document.problem;

    let (plan, origin) = match &args.check {
        None => {
            let (plan, origin) = search(&document, args);
            (plan, Some(origin))
        }
        Some(file) => match text(file)?.map(|text| answer::read(problem, &text)) {
            Ok(Ok((plan, _))) => (plan, None),
            Ok(Err(error)) => return refuse(file, &error),
            Err(error) => return refuse(file, &error),
        },
    };
    let reckoning = match check(problem, &plan) {
        Ok(reckoning) => reckoning,
        Err(faults) => return faulty(args.check.as_deref(), &faults),
    };
    if !reckoning.missing.is_empty() {
        tell_missing(problem, &reckoning.missing)?;
    }
    if document.estimated {
        writeln!(stderr(), "warning: distances are estimated, straight lines × 1.4")?;
    }
    print(args, &document, &plan, &reckoning, origin)?;
    Ok(ExitCode::SUCCESS)
}

/// A file's text, or that it is none.
///
/// # Errors
/// When the file cannot be read.
fn text(file: &Path) -> anyhow::Result<Result<String, std::string::FromUtf8Error>> {
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        stdin().lock().read_to_end(&mut bytes)?;
        bytes
    } else {
        // the file goes into the message; the cause under it decides the exit code
        let named = || format!("{} cannot be read", file.display());
        anyhow::Context::with_context(std::fs::read(file), named)?
    };
    Ok(String::from_utf8(bytes))
}

fn refuse(file: &Path, error: &dyn std::error::Error) -> anyhow::Result<ExitCode> {
    writeln!(stderr().lock(), "error: {}: {}", file.display(), printable(&error.to_string()))?;
    Ok(exit::DATA.into())
}

/// The rules that a plan breaks: a bug if the plan is ours, else an answer.
fn faulty(answer: Option<&Path>, faults: &[Fault]) -> anyhow::Result<ExitCode> {
    let mut err = stderr().lock();
    for fault in faults {
        writeln!(err, "error: {}", printable(&fault.to_string()))?;
    }
    let rules = count(faults.len() as u64, "fault");
    match answer {
        Some(file) => {
            writeln!(err, "{} has {rules}.", file.display())?;
            Ok(exit::DATA.into())
        }
        None => {
            writeln!(err, "The plan has {rules} and is not printed: a bug; please report this.")?;
            Ok(exit::SOFTWARE.into())
        }
    }
}

/// Names the stops that have to be visited and are not, and why as far as can be said.
fn tell_missing(problem: &Problem, missing: &[usize]) -> std::io::Result<()> {
    let mut err = stderr().lock();
    let stops = count(missing.len() as u64, "stop");
    let have = if missing.len() == 1 { "has" } else { "have" };
    writeln!(err, "warning: {stops} that {have} to be visited found no vehicle:")?;
    for &stop in missing.iter().take(MOST_NAMES) {
        let why = match alone(problem, stop) {
            Ok(()) => "no route has room or time for it".to_owned(),
            Err(faults) => {
                faults.first().map_or("there is no vehicle".to_owned(), Fault::to_string)
            }
        };
        writeln!(err, "  {}: {}", printable(&problem.stops[stop].id), printable(&why))?;
    }
    match missing.len().saturating_sub(MOST_NAMES) {
        0 => Ok(()),
        more => writeln!(err, "  and {more} more"),
    }
}

/// Asks the solver, and shows how far it is.
fn search(document: &Document, args: &Args) -> (Plan, Origin) {
    let budget = args.budget.or(args.iterations.is_none().then_some(USUAL_BUDGET));
    let solver = Solver::new(&document.problem);
    let iterations = args.iterations.unwrap_or_else(|| {
        let budget = budget.unwrap_or(USUAL_BUDGET);
        solver.calibrate(args.seed, None, budget, &mut sys::cpu_time)
    });
    let settings = Settings { seed: args.seed, iterations, from: None };
    let mut line = stderr().is_terminal().then(Line::new);
    let solution = solver.solve(&settings, &mut |progress| {
        if let Some(line) = &mut line {
            line.show(progress, &document.format.cost(progress.cost));
        }
        budget.is_none_or(|budget| sys::cpu_time() < budget)
    });
    if let Some(line) = line {
        line.clear();
    }
    (solution.plan, Origin { seed: args.seed, iterations: solution.iterations })
}

/// The line on the terminal. What cannot be written there is no reason to stop.
struct Line {
    begin: Instant,
    shown: Option<Instant>,
}

impl Line {
    fn new() -> Self {
        Self { begin: Instant::now(), shown: None }
    }

    fn show(&mut self, progress: Progress, cost: &str) {
        let now = Instant::now();
        if self.shown.is_some_and(|shown| now.duration_since(shown) < SHOWN_EVERY) {
            return;
        }
        self.shown = Some(now);
        let seconds = now.duration_since(self.begin).as_secs_f64();
        let Progress { iterations, missing, .. } = progress;
        let missing = if missing > 0 { format!(", {missing} not served") } else { String::new() };
        let _ = write!(
            stderr(),
            "\r\x1b[K{seconds:.1} s, {iterations} iterations, best {cost}{missing}"
        );
    }

    fn clear(self) {
        let _ = write!(stderr(), "\r\x1b[K");
    }
}

fn print(
    args: &Args,
    document: &Document,
    plan: &Plan,
    reckoning: &Reckoning,
    origin: Option<Origin>,
) -> std::io::Result<()> {
    let mut out = stdout().lock();
    if args.json || document.format == Format::Json {
        writeln!(out, "{:#}", report(document, plan, reckoning, origin))
    } else {
        out.write_all(answer::write(document, plan, document.format.told(reckoning)).as_bytes())
    }
}
