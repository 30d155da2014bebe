//! `lykta decode --serve`: a line for a line.

use crate::codec::script::{Keeper, Routine, Script};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::io::{self, BufRead, Read, Write, stdin, stdout};
use std::path::Path;
use std::process::ExitCode;

/// The longest line that is understood, in bytes. A payload has at most 242.
const MAX_LINE: u64 = 1024 * 1024;

#[derive(Deserialize)]
struct Case<'a> {
    #[serde(borrow)]
    script: Cow<'a, Path>,
    routine: Routine,
    #[serde(borrow)]
    input: &'a RawValue,
}

#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Told {
    Out(Box<RawValue>),
    Err(String),
}

/// Answers until standard input ends.
///
/// # Errors
/// When standard input or output fails.
pub(super) fn serve() -> anyhow::Result<ExitCode> {
    let mut keeper = Keeper::default();
    let (mut input, mut output) = (stdin().lock(), stdout().lock());
    let mut line = Vec::new();
    while next(&mut input, &mut line)? {
        let told = answer(&mut keeper, &line).map_or_else(Told::Err, Told::Out);
        let mut text = serde_json::to_vec(&told)?;
        text.push(b'\n');
        output.write_all(&text)?;
        output.flush()?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads a line, of which no more than [`MAX_LINE`] is kept. Whether there was one.
fn next(input: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let read = input.by_ref().take(MAX_LINE).read_until(b'\n', line)?;
    if read as u64 == MAX_LINE && line.last() != Some(&b'\n') {
        // the rest is of no use, but the next line is
        input.skip_until(b'\n')?;
    }
    Ok(read > 0)
}

fn answer(keeper: &mut Keeper, line: &[u8]) -> Result<Box<RawValue>, String> {
    if line.len() as u64 >= MAX_LINE {
        return Err(format!("a line has more than {} KiB", MAX_LINE / 1024));
    }
    let case: Case<'_> =
        serde_json::from_slice(line).map_err(|error| format!("the line: {error}"))?;
    let script = Script::read(&case.script)
        .map_err(|error| format!("{}: {error}", case.script.display()))?;
    let answer = keeper.ask(&script, case.routine, case.input);
    for line in &answer.console {
        log::debug!("{}: console: {line}", case.script.display());
    }
    answer.out.map_err(|failure| failure.to_string())
}
