//! Weeks that were recorded: what the sensors said, and the same kilometres from it.

use super::simulation::tours;
use lykta::bins::Inflow;
use lykta::route::road::{Area, Position};
use lykta::route::simulation::{Policy, Recorded, Town, Weeks, replay};
use lykta::units::Ratio;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const DAYS: usize = 63;
const WARM_UP: usize = 7;
/// A Monday.
const BEGIN: i64 = 1_704_067_200;
const DEPTH: f64 = 1.2;

fn town() -> Town {
    let place = |lat, lon| Position::from_degrees(lat, lon).unwrap();
    Town::new(30, Area { least: place(59.17, 17.58), greatest: place(59.21, 17.66) }, 5)
}

/// What the generator's sensors say, in seconds of the record, while each bin is emptied in the
/// morning when it is so full.
fn heard(town: &Town, weeks: &Weeks, emptied_from: f64) -> Vec<Vec<(i64, f64)>> {
    let bins = 0..town.containers.len();
    let heard = |bin: usize| {
        let mut level = 0.3;
        let mut heard = Vec::new();
        for hour in 0..DAYS * 24 {
            if let Some(share) = weeks.reading(bin, hour, level) {
                heard.push((hour as i64 * 3600 + 11 * bin as i64, share));
            }
            if hour % 24 == 9 && level >= emptied_from {
                level = 0.0;
            }
            level += weeks.comes(bin, hour);
        }
        heard
    };
    bins.map(heard).collect()
}

#[test]
fn a_record_of_the_generator_comes_to_its_kilometres() {
    let town = town();
    let truth = Weeks::new(&town, DAYS, 5);
    let at = |seconds: i64| jiff::Timestamp::from_second(BEGIN + seconds).unwrap();
    let bins: Vec<Recorded> = heard(&town, &truth, 0.6)
        .into_iter()
        .map(|heard| {
            let levels: Vec<_> =
                heard.iter().map(|(seconds, share)| (at(*seconds), Ratio(*share))).collect();
            let inflow = Inflow::new(&levels, at(0), DAYS * 24).unwrap();
            let heard = heard.iter().map(|(seconds, share)| ((seconds / 3600) as usize, *share));
            Recorded { comes: inflow.comes, level: inflow.level, heard: heard.collect() }
        })
        .collect();
    let hours = || (0..30).flat_map(|bin| (0..DAYS * 24).map(move |hour| (bin, hour)));
    let came = |weeks: &Weeks| hours().map(|(bin, hour)| weeks.comes(bin, hour)).sum::<f64>();
    let again = Weeks::recorded(&bins, 0..DAYS, 0);
    let ratio = came(&again) / came(&truth);
    assert!((0.95..1.05).contains(&ratio), "{ratio}");
    for policy in [Policy::Joint { factor: 1.0 }, Policy::Threshold { level: 0.6 }] {
        let km = |weeks: &Weeks| {
            let see = &mut |_, _: &_, _: &_, _: &_| ();
            replay(&town, weeks, &tours(&town), policy, WARM_UP, see).unwrap().km()
        };
        let (expected, km) = (km(&truth), km(&again));
        assert!((km / expected - 1.0).abs() < 0.1, "{policy}: {km}, {expected}");
    }
}

#[test]
fn a_part_of_a_record_begins_on_its_own_weekday() {
    let hours = 10 * 24;
    let comes: Vec<f64> = (0..hours).map(f64::from).collect();
    let level: Vec<f64> = (0..hours).map(|hour| f64::from(hour) / 240.0).collect();
    // the second is a wrong echo, the third says more than the others of its four hours
    let heard = vec![(72, 0.32), (76, 0.9), (80, 0.2), (81, 0.35)];
    let weeks = Weeks::recorded(&[Recorded { comes, level, heard }], 3..5, 5);
    assert_eq!(weeks.days(), 2);
    assert_eq!((weeks.comes(0, 0), weeks.comes(0, 47)), (72.0, 119.0));
    assert!((weeks.reading(0, 0, 0.5).unwrap() - 0.52).abs() < 1e-6);
    assert_eq!(weeks.reading(0, 4, 0.5), None);
    assert!((weeks.reading(0, 8, 0.5).unwrap() - 0.5125).abs() < 1e-6);
}

/// A record in files.
struct Files {
    directory: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        let files = Self { directory: tempfile::tempdir().unwrap() };
        let town = town();
        let mut places = "id,lat,lon,depth_m,volume_l\n".to_owned();
        let names = ["yard".to_owned(), "tip".to_owned()].into_iter();
        let names = names.chain(town.containers.iter().map(|bin| bin.id.clone()));
        for (id, place) in names.zip(&town.places).take(8) {
            writeln!(places, "{id},{},{},{DEPTH},660", place.lat(), place.lon()).unwrap();
        }
        let mut readings = "t_unix,mv,bin,dist_cm\n".to_owned();
        let weeks = Weeks::new(&town, DAYS, 5);
        for (bin, heard) in heard(&town, &weeks, 0.6).into_iter().enumerate().take(6) {
            for (seconds, share) in heard {
                let (id, time) = (&town.containers[bin].id, BEGIN + seconds);
                let distance = 100.0 * DEPTH * (1.0 - share);
                writeln!(readings, "{time},3600,{id},{distance:.0}").unwrap();
            }
        }
        files.write("places.csv", &places);
        files.write("readings.csv", &readings);
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// The files with other names, and what is said of them without the directory.
    fn simulate(
        &self,
        readings: &str,
        places: &str,
        more: &[&str],
    ) -> (Option<i32>, String, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_lykta"))
            .current_dir(&self.directory)
            .args(["plan", "simulate", "--iterations", "20", "--service", "99"])
            .args(["--history", readings, "--places", places, "--depot", "yard"])
            .args(more)
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }
}

#[test]
fn a_record_is_replayed_and_comes_to_the_same_again() {
    let files = Files::new();
    let (code, table, err) = files.simulate("readings.csv", "places.csv", &["--site", "tip"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    assert!(table.starts_with("6 bins, the last 16 of 62 recorded days, on straight"), "{table}");
    let again = files.simulate("readings.csv", "places.csv", &["--site", "tip"]);
    assert_eq!(again.1, table);

    // lines in another order are the same record
    let text = std::fs::read_to_string(files.path("readings.csv")).unwrap();
    let (header, rows) = text.split_once('\n').unwrap();
    let rows: Vec<_> = rows.lines().rev().collect();
    files.write("reversed.csv", format!("\u{feff}{header}\n{}\n", rows.join("\n")));
    let json = |name| files.simulate(name, "places.csv", &["--json", "--days", "7"]).1;
    assert_eq!(json("reversed.csv"), json("readings.csv"));
    let report: serde_json::Value = serde_json::from_str(&json("readings.csv")).unwrap();
    assert_eq!((&report["days"], &report["trainingDays"]), (&7.into(), &41.into()));
    assert_eq!((&report["recordedDays"], &report["seed"]), (&62.into(), &().into()));
    for policy in report["policies"].as_array().unwrap() {
        let hours = policy["atEqualHours"]["overfullHours"].as_u64().unwrap();
        assert!(hours <= report["targetOverfullHours"].as_u64().unwrap(), "{policy}");
        assert!(policy["atEqualHours"]["km"].as_f64().unwrap() > 0.0);
    }
}

#[test]
fn knobs_see_nothing_of_the_days_that_count() {
    let files = Files::new();
    let text = std::fs::read_to_string(files.path("readings.csv")).unwrap();
    // on the last day that counts all bins overflow
    let flood = BEGIN + 61 * 86_400;
    let rows = text.lines().map(|row| match row.split_once(',').unwrap() {
        (time, rest) if time.parse().is_ok_and(|time: i64| time > flood) => {
            format!("{time},{},1", rest.rsplit_once(',').unwrap().0)
        }
        _ => row.to_owned(),
    });
    files.write("flood.csv", rows.collect::<Vec<_>>().join("\n"));
    let knobs = |name: &str| -> Vec<serde_json::Value> {
        let (code, json, err) = files.simulate(name, "places.csv", &["--json", "--days", "7"]);
        assert_eq!(code, Some(0), "{err}");
        let report: serde_json::Value = serde_json::from_str(&json).unwrap();
        report["policies"].as_array().unwrap().iter().map(|p| p["knob"].clone()).collect()
    };
    assert_eq!(knobs("flood.csv"), knobs("readings.csv"));
}

#[test]
fn what_is_no_record_is_refused_with_its_line() {
    let files = Files::new();
    let good = std::fs::read_to_string(files.path("readings.csv")).unwrap();
    let head = "bin,t_unix,dist_cm\n";
    let places = std::fs::read_to_string(files.path("places.csv")).unwrap();
    let few: String = good.lines().take(120).map(|line| format!("{line}\n")).collect();
    let mut said = Vec::new();
    let mut say = |files: &Files, readings: &str, places: &str, more: &[&str]| {
        let (code, out, err) = files.simulate(readings, places, more);
        assert_eq!((code, out.as_str()), (Some(65), ""), "{err}");
        assert_eq!(err.lines().count(), 1, "{err}");
        said.push(err.trim_end().to_owned());
    };
    for readings in [
        "",
        "bin,t_unix\n",
        head,
        &format!("{head}bin-001,1704067200,\n"),
        &format!("{head}bin-001,soon,50\n"),
        &format!("{head}bin-001,1704067200,50\n\nbin-001,1e99,50\n"),
        &format!("{head}bin-001,1704067200,NaN\n"),
        &format!("{head}bin-001,1704067200,-1\n"),
        &format!("{head}bin-001,1704067200,12 cm\n"),
        &format!("{head},1704067200,12\n"),
        &format!("{head}bin-001,1704067200,12,13\n"),
        &format!("{good}1704067200,3600,bin-029,50\n"),
        &format!("{head}bin-001,0,50\nbin-001,1704067200,50\n"),
        &format!("{head}bin-001,1704067200,50\nbin-001,1704153600,50\n"),
        &few,
        // it says nothing but that there is no echo
        &format!("{good}1704067200,3600,tip,254\n"),
    ] {
        files.write("wrong.csv", readings);
        say(&files, "wrong.csv", "places.csv", &[]);
    }
    files.write("wrong.csv", b"bin,t_unix,dist_cm\n\xff,1,2\n");
    say(&files, "wrong.csv", "places.csv", &[]);
    for places in [
        "id,lat\n".to_owned(),
        places.replacen(",1.2,", ",deep,", 1),
        places.replacen(",660", ",-660", 1),
        places.replacen(",1.2,", ",inf,", 1),
        places.replacen("volume_l", "depth_m", 1),
        places.replacen("volume_l", "dead_zone_m", 1),
        places.replacen("yard", "court", 1),
        places.replacen("bin-003", "bin-03", 1),
    ] {
        files.write("elsewhere.csv", places);
        say(&files, "readings.csv", "elsewhere.csv", &[]);
    }
    say(&files, "readings.csv", "places.csv", &["--days", "30"]);
    say(&files, "readings.csv", "places.csv", &["--site", "dump"]);
    insta::assert_snapshot!(said.join("\n"));

    let code = |readings: &str, more: &[&str]| files.simulate(readings, "places.csv", more).0;
    assert_eq!(code("nowhere.csv", &[]), Some(74));
    assert_eq!(code("readings.csv", &["--bins", "3"]), Some(64));
    let alone = |args: &[&str]| {
        let lykta = Path::new(env!("CARGO_BIN_EXE_lykta"));
        Command::new(lykta).args(["plan", "simulate"]).args(args).output().unwrap().status.code()
    };
    assert_eq!(alone(&["--history", "readings.csv"]), Some(64));
    assert_eq!(alone(&["--depot", "yard"]), Some(64));
}
