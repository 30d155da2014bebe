//! `lykta plan matrix`, as people and programs run it.

use crate::town::{Town, about, position};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn town() -> Town {
    Town::drawn(&["ab.c", "d..e"])
        .way("abc", &[])
        .way("adec", &[("oneway", "yes")])
        .way("ae", &[("highway", "footway")])
}

fn run(arguments: &[&str], roads: &Path, points: &str) -> Output {
    let mut lykta = Command::new(env!("CARGO_BIN_EXE_lykta"))
        .args(["plan", "matrix", "--roads"])
        .arg(roads)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    lykta.stdin.take().unwrap().write_all(points.as_bytes()).unwrap();
    lykta.wait_with_output().unwrap()
}

/// A town on disk, and three points: in the north, in the south, in the sea.
fn site() -> (tempfile::TempDir, std::path::PathBuf, String) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("town.osm.pbf");
    std::fs::write(&file, town().file()).unwrap();
    let line = |id: &str, at: (f64, f64)| {
        let place = position(at);
        format!("{id},{},{}\n", place.lat(), place.lon())
    };
    let points =
        ["id,lat,lon\n".to_owned(), line("north", (50.0, 105.0)), line("\"so,uth\"", (150.0, 0.0))];
    (directory, file, points.concat() + &line("sea", (9_000.0, 0.0)))
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_line_for_each_pair() {
    let (_directory, file, points) = site();
    let output = run(&[], &file, &points);
    assert!(output.status.success(), "{output:?}");
    let lines: Vec<_> = text(&output.stdout).lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert_eq!(lines[0], "from,to,metres,seconds");
    let number = |line: &str, prefix: &str, column: usize| -> u32 {
        line.strip_prefix(prefix).unwrap().split(',').nth(column).unwrap().parse().unwrap()
    };
    let there = number(lines[1], "north,\"so,uth\",", 0);
    assert!(about(there, 50 + 100 + 150), "{there}");
    let back = number(lines[2], "\"so,uth\",north,", 0);
    assert!(about(back, 150 + 100 + 250), "{back}");
    // at 25 km/h
    assert!(number(lines[1], "north,\"so,uth\",", 1).abs_diff(43) <= 1);
    let told = text(&output.stderr);
    assert!(told.contains("point \"sea\" is left out: no road within 250 m"), "{told}");
    assert_eq!(told.lines().count(), 1);

    let foot = run(&["--profile", "foot"], &file, &points);
    assert!(about(number(text(&foot.stdout).lines().nth(2).unwrap(), "\"so,uth\",north,", 0), 300));
}

#[test]
fn one_object_with_everything() {
    let (_directory, file, points) = site();
    let output = run(&["--json", "--weight", "distance"], &file, &points);
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["profile"], "truck");
    assert_eq!(answer["weight"], "distance");
    let ids: Vec<_> = answer["points"].as_array().unwrap().iter().map(|p| &p["id"]).collect();
    assert_eq!(ids, ["north", "so,uth", "sea"]);
    assert!((answer["points"][0]["snappedM"].as_f64().unwrap() - 5.0).abs() < 0.1);
    assert!(answer["points"][0].get("reason").is_none());
    assert!(answer["points"][2].get("snappedM").is_none());
    assert!(answer["points"][2]["reason"].as_str().unwrap().starts_with("no road within"));
    for matrix in ["metres", "seconds"] {
        let rows = answer[matrix].as_array().unwrap();
        assert_eq!(rows.len(), 3);
        for (from, row) in rows.iter().enumerate() {
            for (to, entry) in row.as_array().unwrap().iter().enumerate() {
                assert_eq!(entry.is_null(), from == 2 || to == 2);
                assert_eq!(entry == 0, from == to && from != 2);
            }
        }
    }
}

#[test]
fn what_is_kept_is_the_same() {
    let (directory, file, points) = site();
    let cache = directory.path().join("kept").join("here");
    let cached = |points: &str| {
        let output = run(&["--json", "--cache", cache.to_str().unwrap()], &file, points);
        assert!(output.status.success(), "{output:?}");
        (output.stdout, output.stderr)
    };
    let fresh = |points: &str| {
        let output = run(&["--json"], &file, points);
        (output.stdout, output.stderr)
    };
    assert_eq!(cached(&points), fresh(&points));
    let kept = || {
        let files: Vec<_> = std::fs::read_dir(&cache).unwrap().map(|f| f.unwrap().path()).collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    };
    let bytes = std::fs::read(kept()).unwrap();
    assert_eq!(cached(&points), fresh(&points));
    // fewer, in another order, one twice under another name, one new
    let mut lines: Vec<String> = points.lines().map(str::to_owned).collect();
    lines[1..].reverse();
    let again = lines[3].replace("north", "north again");
    lines.push(again);
    let more = lines.join("\n");
    assert_eq!(cached(&more), fresh(&more));
    assert_eq!(std::fs::read(kept()).unwrap(), bytes, "nothing new, nothing written");
    let place = position((100.0, 100.0));
    let more = format!("{more}\nnew,{},{}\n", place.lat(), place.lon());
    assert_eq!(cached(&more), fresh(&more));
    assert_ne!(std::fs::read(kept()).unwrap(), bytes);
    // broken: made anew
    std::fs::write(kept(), &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(cached(&points), fresh(&points));
    assert_eq!(std::fs::read(kept()).unwrap(), bytes);
    // another extract
    std::fs::write(&file, Town::drawn(&["abc"]).way("abc", &[]).file()).unwrap();
    assert_eq!(cached(&points), fresh(&points));
}

#[test]
fn a_cache_that_cannot_be_written_is_no_reason_to_fail() {
    let (directory, file, points) = site();
    let occupied = directory.path().join("a file");
    std::fs::write(&occupied, "").unwrap();
    let output = run(&["--cache", occupied.to_str().unwrap()], &file, &points);
    assert!(output.status.success());
    assert!(text(&output.stderr).contains("cannot be written"), "{output:?}");
    assert_eq!(output.stdout, run(&[], &file, &points).stdout);
}

#[test]
fn what_is_wrong_is_named() {
    let (directory, file, points) = site();
    let fails = |arguments: &[&str], roads: &Path, points: &str, code: i32, says: &str| {
        let output = run(arguments, roads, points);
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(text(&output.stderr).contains(says), "{output:?} does not say {says}");
        assert_eq!(text(&output.stdout), "");
    };
    fails(&[], &file, "id,lat,lon\na,59,10\nb,59,north\n", 65, "line 3: column lon: \"north\"");
    fails(&[], &file, "id,lat,lon\na,59,10\na,59,11\n", 65, "line 3: column id: \"a\"");
    fails(&[], &file, "", 65, "line 1: there is no column id");
    let part = directory.path().join("part.osm.pbf");
    std::fs::write(&part, &town().file()[..100]).unwrap();
    fails(&[], &part, &points, 65, "part.osm.pbf: it ends at byte 100");
    fails(&[], &directory.path().join("none"), &points, 74, "none cannot be read");
    fails(&["--profile", "plane"], &file, &points, 64, "truck, van, car, foot");
    let sea = Town::drawn(&["ab"]).way("ab", &[("highway", "steps")]);
    std::fs::write(&part, sea.file()).unwrap();
    fails(&[], &part, &points, 65, "there is no road for a truck");
}

#[test]
fn no_points_are_no_pairs() {
    let (_directory, file, _) = site();
    assert_eq!(text(&run(&[], &file, "id,lat,lon\n").stdout), "from,to,metres,seconds\n");
    let output = run(&["--json"], &file, "id,lat,lon\n");
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["metres"], serde_json::json!([]));
}
