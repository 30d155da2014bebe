//! `lykta replay bins`, as a planner types it.

use super::world::{BEGIN, DAY, HOUR, Make};
use lykta::bins::Echo;
use lykta::units::Metres;
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const SITE: &str = "timezone = \"Europe/Stockholm\"\n[bin.yard]\ndepth_m = 1.3\n\
                    dead_zone_m = 0.05\nthreshold_may = 0.6\nthreshold_must = 0.8\n";

fn replay(site: &str, directory: &Path, arguments: &[&str], record: &[u8]) -> Output {
    let path = directory.join("site.toml");
    std::fs::write(&path, site).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_lykta"))
        .args(["replay", "bins", "--site", "site.toml"])
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // who has seen enough may close it
        scope.spawn(move || stdin.write_all(record));
        child.wait_with_output().unwrap()
    })
}

fn record(days: i64, seed: u64) -> String {
    let mut text = "t_unix,bin,dist_cm,mv,temp_c,rssi\n".to_owned();
    for (input, _) in Make::default().history(days, seed).heard {
        let Echo::Distance(Metres(metres)) = input.echo else { continue };
        let degrees = input.temperature.unwrap().0;
        let at = input.at.as_second();
        writeln!(text, "{at},yard,{:.0},3600,{degrees:.0},-99", metres * 100.0).unwrap();
    }
    text
}

#[test]
fn each_reading_is_a_line() {
    let directory = tempfile::tempdir().unwrap();
    let text = record(40, 4);
    let output = replay(SITE, directory.path(), &[], text.as_bytes());
    assert!(output.status.success(), "{output:?}");
    let lines = String::from_utf8(output.stdout).unwrap();
    assert_eq!(lines.lines().count(), text.lines().count() - 1);
    let read = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let emptied = lines.lines().find(|line| !read(line)["emptied"].is_null()).unwrap();
    let first = lines.lines().next().unwrap();
    let last = lines.lines().last().unwrap();
    insta::assert_snapshot!("lines", [first, emptied, last].join("\n"));
}

#[test]
fn columns_that_say_nothing_are_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!(
        "bin,t_unix,dist_cm,temp_c,tilt_deg,fill_percent\n\
         yard,{0},254,,2,\nyard,{0},,20,2,\nyard,{1},,20,90,40\nyard,{2}.5,80,41,91,\n",
        BEGIN,
        BEGIN + HOUR,
        BEGIN + HOUR + 600
    );
    let output = replay(SITE, directory.path(), &[], text.as_bytes());
    assert!(output.status.success(), "{output:?}");
    insta::assert_snapshot!("sparse", String::from_utf8(output.stdout).unwrap());
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let mut told = String::new();
    for text in [
        "",
        "bin,t_unix\n",
        "bin,t_unix,dist_cm,bin\n",
        "bin,t_unix,dist_cm\nyard,1,20\n\nyard,soon,20\n",
        "bin,t_unix,dist_cm\nyard,NaN,20\n",
        "bin,t_unix,dist_cm\nyard,-1,20\n",
        "bin,t_unix,dist_cm\nyard,99999999999999,20\n",
        "bin,t_unix,dist_cm\nyard,1,inf\n",
        "bin,t_unix,dist_cm\nyard,1,-4\n",
        "bin,t_unix,dist_cm,temp_c\nyard,1,4,warm\n",
        "bin,t_unix,dist_cm\n,1,4\n",
        "bin,t_unix,dist_cm\nyard,1,4,5\n",
        "bin,t_unix,dist_cm\nbarn,1,4\n",
    ] {
        let output = replay(SITE, directory.path(), &[], text.as_bytes());
        assert_eq!(output.status.code(), Some(65), "{text:?}");
        told.push_str(std::str::from_utf8(&output.stderr).unwrap());
    }
    let output = replay(SITE, directory.path(), &[], b"bin,t_unix,dist_cm\n\xff,1,4\n");
    assert_eq!(output.status.code(), Some(65));
    told.push_str(std::str::from_utf8(&output.stderr).unwrap());
    for site in [
        "timezone = \"Mars/Olympus\"\n",
        "[bin.yard]\ndept_m = 1.0\n",
        "[bin.yard]\nvolumes = [0.0, 0.5]\n",
        "[bin.yard\n",
    ] {
        let output = replay(site, directory.path(), &[], b"bin,t_unix,dist_cm\n");
        assert_eq!(output.status.code(), Some(78), "{site:?}");
        told.push_str(std::str::from_utf8(&output.stderr).unwrap());
    }
    insta::assert_snapshot!("wrong", told);
}

#[test]
fn without_a_site_there_is_nothing_to_read() {
    let output = Command::new(env!("CARGO_BIN_EXE_lykta"))
        .args(["replay", "bins", "--site", "/nowhere/site.toml"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(74));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/site.toml"));
}

#[test]
fn a_report_compares_the_tours() {
    let directory = tempfile::tempdir().unwrap();
    let text = record(140, 4);
    let output = replay(SITE, directory.path(), &["--report", "--fixed", "2"], text.as_bytes());
    assert!(output.status.success(), "{output:?}");
    insta::assert_snapshot!("report", String::from_utf8(output.stdout).unwrap());

    let arguments = ["--report", "--json", "--fixed", "2"];
    let output = replay(SITE, directory.path(), &arguments, text.as_bytes());
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let fleet = &report["fleet"];
    let number = |of: &str, key: &str| fleet[of][key].as_f64().unwrap();
    let emptied = Make::default().history(140, 4).emptied;
    assert_eq!(number("driven", "emptyings"), emptied.len() as f64);
    let mean = emptied.iter().map(|(_, level)| level).sum::<f64>() / emptied.len() as f64;
    assert!((number("driven", "meanLevel") - mean).abs() < 0.05);
    assert!((fleet["completeness"].as_f64().unwrap() - 0.83).abs() < 0.03);
    assert!(number("fixed", "emptyings") > 2.0 * number("whenDue", "emptyings"));
    assert!(number("fixed", "belowHalfShare") > number("whenDue", "belowHalfShare"));
    assert_eq!(report["fixedDays"], 2);
}

#[test]
fn a_page_shows_each_bin_and_no_name_breaks_it() {
    let directory = tempfile::tempdir().unwrap();
    let name = "<b>&\\\"1\\\"";
    let site = format!("{SITE}[bin.\"{name}\"]\n[bin.\"..\"]\n");
    let mut text = record(60, 2);
    for hour in 0..30 {
        let at = BEGIN + 60 * DAY + hour * HOUR;
        writeln!(text, "{at},\"<b>&\"\"1\"\"\",{},3600,20,0", 100 - hour).unwrap();
        writeln!(text, "{at},..,254,3600,20,0").unwrap();
    }
    let output = replay(&site, directory.path(), &["--html", "out"], text.as_bytes());
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap().lines().count(), text.lines().count() - 1);
    let page =
        |file: &str| std::fs::read_to_string(directory.path().join("out").join(file)).unwrap();
    let list = page("index.html");
    assert!(list.contains("bin-yard.html") && list.contains("&lt;b&gt;&amp;"), "{list}");
    assert!(!list.contains("<b>"));
    assert!(page("bin-yard.html").contains("<polyline"));
    assert!(page("bin-yard.html").contains("Nivå / Level"));
    assert!(page("bin-...html").contains("No level"));
    assert!(page("bin-<b>&\"1\".html").contains("<polyline"));
}

#[test]
fn a_record_without_readings_is_reported_as_such() {
    let directory = tempfile::tempdir().unwrap();
    let header = b"bin,t_unix,dist_cm\n";
    let output = replay(SITE, directory.path(), &["--report"], header);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "No readings.\n");
    let output = replay(SITE, directory.path(), &["--report", "--json"], header);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("-0"), "{text}");
}

#[test]
fn the_zero_of_a_sensor_and_its_angle_count() {
    let directory = tempfile::tempdir().unwrap();
    let level = |more: &str, centimetres: &str| {
        let site = format!("[bin.yard]\ndepth_m = 1.0\n{more}");
        let line = format!("t_unix,bin,dist_cm\n{BEGIN},yard,{centimetres}\n");
        let output = replay(&site, directory.path(), &[], line.as_bytes());
        assert!(output.status.success(), "{output:?}");
        let line: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        line["fill"].as_f64().unwrap()
    };
    assert_eq!(level("", "50"), 0.5);
    // it hangs ten centimetres above the rim from which the depth was measured, and below
    assert_eq!(level("sensor_offset_m = -0.1\n", "60"), 0.5);
    assert_eq!(level("sensor_offset_m = 0.1\n", "40"), 0.5);
    assert_eq!(level("sensor_offset_m = 0.1\nsensor_angle_deg = 60.0\n", "90"), 0.5);
    assert_eq!(level("sensor_offset_m = -0.1\n", "5"), 1.0, "nearer than its zero");
}

#[test]
fn what_goes_back_in_time_is_told_once_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let text = record(3, 1);
    let (head, lines) = text.split_once('\n').unwrap();
    let lines: Vec<_> = lines.lines().rev().collect();
    let newest_first = format!("{head}\n{}\n", lines.join("\n"));
    for (text, told) in [(&text, ""), (&newest_first, " is older than a line of bin yard")] {
        let output = replay(SITE, directory.path(), &["--report"], text.as_bytes());
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains(told) && said.lines().count() == usize::from(!told.is_empty()),
            "{said}"
        );
    }
}

#[test]
fn the_report_reckons_with_how_often_a_sensor_reports() {
    let directory = tempfile::tempdir().unwrap();
    let report = |site: &str, each: i64, count: i64| {
        let line = |n: i64| format!("yard,{},8\n", BEGIN + n * each);
        let text: String = (0..count).map(line).collect();
        let text = format!("bin,t_unix,dist_cm\n{text}");
        let output = replay(site, directory.path(), &["--report", "--json"], text.as_bytes());
        assert!(output.status.success(), "{output:?}");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        report["bins"][0].clone()
    };
    // full all the time
    let daily = report(SITE, 24 * HOUR, 31);
    assert_eq!(daily["driven"]["overflowHours"], 720.0, "{daily}");
    // each second frame is missing, and nobody sees that but who set it
    let half = report(&format!("{SITE}report_interval = \"1h\"\n"), 2 * HOUR, 100);
    let heard = half["completeness"].as_f64().unwrap();
    assert!((0.49..0.52).contains(&heard), "{half}");
}
