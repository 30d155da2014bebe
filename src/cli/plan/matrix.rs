//! `lykta plan matrix`: how far it is on the roads, from each point to each other.

use super::points::{self, Point};
use crate::cli::{complain, exit};
use crate::route::Matrix;
use crate::route::matrix::NO_WAY;
use crate::route::road::cache::{Inputs, Kept, Snapped, snapped};
use crate::route::road::{Means, Position, Profile, ReadError, Roads, Weight};
use crate::units::Metres;
use anyhow::Context;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use std::fs::File;
use std::io::{Read, Write, stdin, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Measures how far it is on the roads from each point to each other.
///
/// Reads points from standard input, as CSV with the columns id, lat and lon, and prints
/// from,to,metres,seconds for each pair of two points. A point without a road that can be reached
/// is named on standard error and left out.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: lykta plan matrix --roads town.osm.pbf < points.csv > matrix.csv\n\n\
    Extracts: https://download.geofabrik.de, cut to the municipality. Their data is\n\
    © OpenStreetMap contributors, under the Open Database Licence."
)]
pub(super) struct Args {
    /// The roads: an OpenStreetMap extract
    #[arg(long, value_name = "FILE.osm.pbf")]
    roads: PathBuf,

    /// Who is under way: what is closed to them, and how fast they are
    #[arg(long, default_value = "truck", value_parser = profiles())]
    profile: Profile,

    /// Which way is the best: the fastest or the shortest
    #[arg(long, value_enum, default_value_t = Best::Time)]
    weight: Best,

    /// How far a point may be from a road, in metres
    #[arg(long, value_name = "METRES", default_value_t = 250, value_parser = clap::value_parser!(u32).range(..=10_000))]
    near: u32,

    /// Print one JSON object with points, metres and seconds instead of lines
    #[arg(long)]
    json: bool,

    /// Keep the matrix in this directory; what is known there is not measured again
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Best {
    /// Travel time
    Time,
    /// Distance
    Distance,
}

fn profiles() -> impl TypedValueParser<Value = Profile> {
    let parser = PossibleValuesParser::new(Means::ALL.map(Means::name));
    parser.map(|name| name.parse().expect("the parser takes names of profiles alone"))
}

/// Why there is no matrix.
enum Failure {
    Roads(ReadError),
    Io(anyhow::Error),
}

/// Runs the command.
///
/// # Errors
/// When the points or the roads cannot be read, or the result cannot be printed.
pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut bytes = Vec::new();
    stdin().lock().read_to_end(&mut bytes).context("the points cannot be read")?;
    let points = match points::read(&bytes) {
        Ok(points) => points,
        Err(fault) => {
            complain(format_args!("the points on standard input: {fault}"));
            return Ok(exit::DATA.into());
        }
    };
    drop(bytes);
    let kept = match measured(args, &points) {
        Ok(kept) => kept,
        Err(Failure::Io(error)) => return Err(error),
        Err(Failure::Roads(ReadError::Io(error))) => {
            return Err(error).context(format!("{} cannot be read", args.roads.display()));
        }
        Err(Failure::Roads(error)) => {
            complain(format_args!("{}: {error}", args.roads.display()));
            return Ok(exit::DATA.into());
        }
    };
    for (point, (_, snapped)) in points.iter().zip(&kept.stops) {
        if let Err(reason) = snapped {
            complain(format_args!("warning: point {:?} is left out: {reason}", point.id));
        }
    }
    let mut out = Chunks { bytes: Vec::with_capacity(2 * CHUNK), to: stdout().lock() };
    if args.json {
        json(&mut out, args, &points, &kept)?
    } else {
        lines(&mut out, &points, &kept)?
    }
    out.to.write_all(&out.bytes)?;
    out.to.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// The matrix, as far as possible from the cache.
fn measured(args: &Args, points: &[Point]) -> Result<Kept, Failure> {
    let weight = match args.weight {
        Best::Time => Weight::Time,
        Best::Distance => Weight::Distance,
    };
    let limit = Metres(f64::from(args.near));
    let places: Vec<Position> = points.iter().map(|point| point.position).collect();
    let unreadable = |e: std::io::Error| {
        Failure::Io(
            anyhow::Error::new(e).context(format!("{} cannot be read", args.roads.display())),
        )
    };
    let mut file = File::open(&args.roads).map_err(unreadable)?;

    let mut known = None;
    let mut cache = None;
    if let Some(directory) = &args.cache {
        let inputs = Inputs::of(&mut file, &args.profile, weight, limit).map_err(unreadable)?;
        let path = directory.join(inputs.file_name());
        let bytes = std::fs::read(&path).unwrap_or_default();
        known = Kept::decode(&bytes, &inputs, limit);
        cache = Some((path, inputs));
    }
    let rows = known.as_ref().map(|known| known.rows(&places));
    if let (Some(known), Some(rows)) = (&known, &rows)
        && let Some(rows) = rows.iter().copied().collect::<Option<Vec<usize>>>()
    {
        return Ok(known.picked(&rows));
    }

    let roads = Roads::read(&mut file, &args.profile).map_err(Failure::Roads)?;
    let snaps: Vec<_> = places.iter().map(|place| roads.snap(*place, limit)).collect();
    let stops = places.iter().copied().zip(snaps.iter().map(snapped)).collect();
    let on_roads: Vec<_> = snaps.into_iter().map(Result::ok).collect();
    // the known matrix goes before the new one is packed
    let matrix = match (known.take(), &rows) {
        (Some(known), Some(rows)) => roads.revised(&known.matrix, rows, &on_roads, weight),
        _ => roads.matrix(&on_roads, weight),
    };
    drop(roads);
    let kept = Kept { stops, matrix };
    if let Some((path, inputs)) = cache
        && let Err(e) = replace(&path, &kept.encode(&inputs))
    {
        // the matrix is there all the same
        complain(format_args!("warning: {} cannot be written: {e}", path.display()));
    }
    Ok(kept)
}

/// Writes a file that is there whole or not at all.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory)?;
    }
    let part = path.with_added_extension(format!("{}.part", std::process::id()));
    std::fs::write(&part, bytes)?;
    std::fs::rename(&part, path)
}

/// Bytes of output that are handed over at once.
const CHUNK: usize = 1 << 16;

/// Output that is handed over in large pieces: a matrix has a million entries.
struct Chunks<W> {
    bytes: Vec<u8>,
    to: W,
}

impl<W: Write> Chunks<W> {
    fn text(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
    }

    fn number(&mut self, mut number: u32) {
        let mut digits = [0; 10];
        let mut first = digits.len();
        loop {
            first -= 1;
            digits[first] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break;
            }
        }
        self.bytes.extend_from_slice(&digits[first..]);
    }

    /// Hands over what is there, if it is much.
    fn pass_on(&mut self) -> std::io::Result<()> {
        if self.bytes.len() >= CHUNK {
            self.to.write_all(&self.bytes)?;
            self.bytes.clear();
        }
        Ok(())
    }
}

/// One line for each pair of two points between which there is a way.
fn lines(out: &mut Chunks<impl Write>, points: &[Point], kept: &Kept) -> anyhow::Result<()> {
    let names: Vec<Vec<u8>> = points
        .iter()
        .map(|point| {
            let mut writer = csv::WriterBuilder::new()
                .terminator(csv::Terminator::Any(b','))
                .from_writer(Vec::new());
            writer.write_record([&point.id])?;
            Ok(writer.into_inner()?)
        })
        .collect::<anyhow::Result<_>>()?;
    out.text(b"from,to,metres,seconds\n");
    for (from, from_name) in names.iter().enumerate() {
        for (to, to_name) in names.iter().enumerate() {
            let metres = kept.matrix.distance(from, to);
            if from == to || metres == NO_WAY {
                continue;
            }
            out.text(from_name);
            out.text(to_name);
            out.number(metres);
            out.text(b",");
            out.number(kept.matrix.time(from, to));
            out.text(b"\n");
            out.pass_on()?;
        }
    }
    Ok(())
}

/// A point as it is printed.
#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct PrintedPoint<'a> {
    id: &'a str,
    lat: f64,
    lon: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    snapped_m: Option<Metres>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

fn printed<'a>(point: &'a Point, snapped: &Snapped) -> PrintedPoint<'a> {
    PrintedPoint {
        id: &point.id,
        lat: point.position.lat(),
        lon: point.position.lon(),
        snapped_m: snapped.ok(),
        reason: snapped.err().map(|reason| reason.to_string()),
    }
}

/// One object; where there is no way, there is `null`.
fn json(
    out: &mut Chunks<impl Write>,
    args: &Args,
    points: &[Point],
    kept: &Kept,
) -> anyhow::Result<()> {
    let all = points.iter().zip(&kept.stops);
    let printed: Vec<_> = all.map(|(point, (_, snapped))| printed(point, snapped)).collect();
    let weight = match args.weight {
        Best::Time => "time",
        Best::Distance => "distance",
    };
    out.text(
        format!(r#"{{"profile":"{}","weight":"{weight}","points":"#, args.profile.means).as_bytes(),
    );
    out.text(&serde_json::to_vec(&printed)?);
    for name in ["metres", "seconds"] {
        let entry = if name == "metres" { Matrix::distance } else { Matrix::time };
        out.text(format!(",\"{name}\":[").as_bytes());
        for (from, (_, snapped)) in kept.stops.iter().enumerate() {
            out.text(if from == 0 { b"\n[" } else { b",\n[" });
            for to in 0..kept.stops.len() {
                if to > 0 {
                    out.text(b",");
                }
                match entry(&kept.matrix, from, to) {
                    NO_WAY => out.text(b"null"),
                    // not even to itself
                    _ if snapped.is_err() => out.text(b"null"),
                    number => out.number(number),
                }
            }
            out.text(b"]");
            out.pass_on()?;
        }
        out.text(b"]");
    }
    out.text(b"}\n");
    Ok(())
}
