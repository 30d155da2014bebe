//! `lykta plan now`: a plan at once.

use super::sheet;
use super::show::{ask, refuse};
use crate::cli::ask::{Target, note_shown};
use crate::cli::exit;
use crate::cli::table::printable;
use crate::ops::access;
use crate::planning::Search;
use std::io::{IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

/// How often the daemon is asked how far it is.
const ASK_EVERY: Duration = Duration::from_millis(300);

/// Makes a plan at once, for the next tours, and shows it.
///
/// It takes the place of the one that holds, and is published. Interrupting this command does not
/// interrupt the planning.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  sudo lykta plan now tours")]
pub(super) struct Args {
    /// The plan's name; not needed where there is one plan only
    #[arg(value_name = "NAME")]
    name: Option<String>,
    #[command(flatten)]
    target: Target,
    /// Print the plan as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When the result cannot be printed.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let daemon = match args.target.daemon()? {
        Ok(daemon) => daemon,
        Err(code) => return Ok(code),
    };
    let before = match ask(&daemon, "plan", args.name.as_deref()) {
        Ok(answer) => answer,
        Err(silence) => return refuse(&silence),
    };
    // named from here on, also where there is only one
    let name = before.name.as_ref().map(|name| name.as_str().to_owned());
    let mut state = match ask(&daemon, "plan-now", name.as_deref()) {
        Ok(answer) => answer,
        Err(silence) => return refuse(&silence),
    };
    // others may ask for plans, too: by this number ours is known
    let ticket = state.ticket.map(|ticket| ticket.to_string()).unwrap_or_default();
    let order = name.as_ref().map(|name| format!("{name} {ticket}"));
    let terminal = stderr().is_terminal();
    while state.open {
        sleep(ASK_EVERY);
        state = match ask(&daemon, "plan-state", order.as_deref()) {
            Ok(answer) => answer,
            Err(silence) => return refuse(&silence),
        };
        if let Some(search) = state.search.filter(|_| terminal) {
            show(&search);
        }
    }
    if terminal {
        let _ = write!(stderr(), "\r\x1b[K");
    }
    if let Some(trouble) = &state.trouble {
        writeln!(stderr().lock(), "lykta: no plan: {}", printable(trouble))?;
        return Ok(exit::UNAVAILABLE.into());
    }
    let answer = match ask(&daemon, "plan", name.as_deref()) {
        Ok(answer) => answer,
        Err(silence) => return refuse(&silence),
    };
    let Some(sheet) = answer.plan else { return Ok(exit::UNAVAILABLE.into()) };
    note_shown(&answer.residents_of, access::VISITS);
    let mut out = stdout().lock();
    if args.json {
        writeln!(out, "{:#}", serde_json::json!(sheet))?;
    } else {
        write!(out, "{}", sheet::describe(&sheet))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The line on the terminal. What cannot be written there is no reason to stop.
fn show(search: &Search) {
    let Search { iterations, of, cost, missing } = *search;
    let share = iterations * 100 / of.max(1);
    let missing = if missing > 0 { format!(", {missing} not served") } else { String::new() };
    let _ = write!(stderr(), "\r\x1b[K{share} % of {of} moves, best {cost:.2}{missing}");
}
