//! `lykta replay care`, as it is run.

use proptest::prelude::*;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const HOME: &str = r#"timezone = "Europe/Stockholm"
[[resident]]
id = "r1"
consent = true
[[resident.sensor]]
id = "bed"
kind = "bed"
hold = "5s"
[[resident.sensor]]
id = "hall"
kind = "motion"
[[resident.rule]]
id = "up"
rule = "bed_absence"
window = "22:00-07:00"
after = "15min"
[[resident.check]]
id = "night"
at = ["00:00", "03:00"]
"#;

/// Three nights in which the bed is left for a quarter of an hour and a bit, in winter time.
fn events() -> String {
    let mut csv = "t_unix,sensor,state,place\n".to_owned();
    for night in 0..3 {
        let noon = 1_763_809_200 + night * 86_400;
        for (hours, sensor, state) in [
            (9.0, "hall", 1),
            (9.01, "hall", 0),
            (9.1, "bed", 1),
            (13.9, "bed", 0),
            (13.91, "hall", 1),
            (13.92, "hall", 0),
            (14.2 + f64::from(night) * 0.02, "bed", 1),
            (14.5 + f64::from(night) * 0.02, "fridge", 1),
            (19.2, "bed", 0),
            (19.3, "hall", 1),
        ] {
            csv.push_str(&format!("{},{sensor},{state},home\n", noon + (hours * 3600.0) as i32));
        }
    }
    csv
}

fn replay(directory: &Path, home: &str, events: &[u8], more: &[&str]) -> Output {
    let file = directory.join("home.toml");
    std::fs::write(&file, home).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_lykta"))
        .args(["replay", "care", "--home"])
        .arg(&file)
        .args(more)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // it may have ended already: a home that is wrong is told before the events are read
    let _ = child.stdin.take().unwrap().write_all(events);
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8], directory: &Path) -> String {
    String::from_utf8_lossy(bytes).replace(directory.to_str().unwrap(), "DIR")
}

#[test]
fn lines_and_reports() {
    let directory = tempfile::tempdir().unwrap();
    let pages = directory.path().join("pages");
    let html = ["--html", pages.to_str().unwrap()];
    let output = replay(directory.path(), HOME, events().as_bytes(), &html);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr, directory.path()));
    let mut all = text(&output.stderr, directory.path()) + &text(&output.stdout, directory.path());
    for line in text(&output.stdout, directory.path()).lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(!line["because"].as_array().unwrap().is_empty());
    }
    let report = replay(directory.path(), HOME, events().as_bytes(), &["--report"]);
    all.push_str(&text(&report.stdout, directory.path()));
    let report = replay(directory.path(), HOME, events().as_bytes(), &["--report", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!(json["residents"][0]["checks"]["night"]["confirmed"], 6);
    insta::assert_snapshot!(all);
    let page = std::fs::read_to_string(pages.join("index.html")).unwrap();
    assert_eq!(page.matches("<svg").count(), 3, "a picture of each night");
    assert!(page.contains("sängen: tom sedan") && page.contains("bed: empty since"));
}

#[test]
fn without_consent_nothing_is_shown() {
    let directory = tempfile::tempdir().unwrap();
    for refused in [
        HOME.replace("consent = true", "consent = false"),
        HOME.replace("consent = true", "consent = true\ncohabitant_consent = false"),
    ] {
        let pages = directory.path().join("pages");
        let html = ["--html", pages.to_str().unwrap()];
        let output = replay(directory.path(), &refused, events().as_bytes(), &html);
        assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b""[..]));
        let page = std::fs::read_to_string(pages.join("index.html")).unwrap();
        assert!(!page.contains("svg xmlns"), "{page}");
        let report = replay(directory.path(), &refused, events().as_bytes(), &["--report"]);
        let report = text(&report.stdout, directory.path());
        assert_eq!(report, "r1: no consent; 27 events counted, nothing decided\n");
    }
}

#[test]
fn lines_may_come_in_any_order_and_a_second_is_untangled() {
    let directory = tempfile::tempdir().unwrap();
    let run = |events: &str| replay(directory.path(), HOME, events.as_bytes(), &[]).stdout;
    let ordered = events();
    let mut lines: Vec<&str> = ordered.lines().collect();
    lines[1..].reverse();
    assert_eq!(run(&ordered), run(&lines.join("\n")));
    // one interval ends in the second in which the next begins: nobody got up
    let tangled = "t_unix,sensor,state\n1763841600,bed,1\n1763856000,bed,1\n1763856000,bed,0\n\
                   1763856060,hall,1\n1763863200,bed,0\n";
    assert!(!text(&run(tangled), directory.path()).contains("alarm"));
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let mut all = String::new();
    let mut tell = |what: &str, home: &str, events: &[u8]| {
        let output = replay(directory.path(), home, events, &[]);
        let code = output.status.code();
        all.push_str(&format!(
            "# {what}: exit {code:?}\n{}\n",
            text(&output.stderr, directory.path())
        ));
    };
    for (what, events) in [
        ("empty", &b""[..]),
        ("no column", b"t_unix,sensor\n1,bed\n"),
        ("a state", b"t_unix,sensor,state\n1,bed,1\n\n2,bed,on\n"),
        ("a time", b"t_unix,sensor,state\n-1,bed,1\n"),
        ("no time", b"t_unix,sensor,state\nNaN,bed,1\n"),
        ("no sensor", b"t_unix,sensor,state\n1,,1\n"),
        ("too few", b"t_unix,sensor,state\n1,bed\n"),
        ("no text", b"t_unix,sensor,state\n1,\xff,1\n"),
        ("a century", b"t_unix,sensor,state\n1,bed,1\n3155760000,bed,1\n"),
        ("a strange name", b"t_unix,sensor,state\n1,\x1b[31mbed,1\n"),
    ] {
        tell(what, HOME, events);
    }
    for (what, from, to) in [
        ("no consent said", "consent = true\n", ""),
        ("no zone", "Europe/Stockholm", "Europe/Stokholm"),
        ("a kind", "kind = \"bed\"", "kind = \"bad\""),
        ("a pendant", "kind = \"motion\"", "kind = \"pendant\""),
        ("too short for anybody", "after = \"15min\"", "after = \"2min\""),
        ("too short for the sensor", "hold = \"5s\"", "hold = \"20min\""),
        ("no witness", "kind = \"motion\"", "kind = \"button\""),
        ("a key of another rule", "after = \"15min\"", "times = 3"),
        ("no window", "window = \"22:00-07:00\"\n", ""),
        ("a rule", "bed_absence", "bed_absense"),
        ("a sensor twice", "id = \"hall\"", "id = \"bed\""),
        ("a sensor that is not there", "at = [", "sensors = [\"hal\"]\nat = ["),
        ("a long retry", "at = [", "retry = \"45min\"\nat = ["),
        ("a time twice", "\"03:00\"", "\"00:00\""),
        ("lykta's own name", "id = \"night\"", "id = \"staff\""),
        ("a loss", "hold = \"5s\"", "loss = 1.5"),
        (
            "silence that no sensor can tell",
            "rule = \"bed_absence\"\nwindow = \"22:00-07:00\"\nafter = \"15min\"",
            "rule = \"inactivity\"\nafter = \"90min\"\nsensors = [\"pir\"]\n[[resident.sensor]]\nid = \"pir\"\nkind = \"motion\"\nhold = \"5min\"\nsupervised = true",
        ),
    ] {
        assert!(HOME.contains(from), "{from}");
        tell(what, &HOME.replacen(from, to, 1), b"t_unix,sensor,state\n");
    }
    insta::assert_snapshot!(all);
}

#[test]
fn a_month_with_much_chatter_is_decided_soon() {
    // 200,000 events; a gateway's worth of a home in years. What is asserted is that it ends
    let directory = tempfile::tempdir().unwrap();
    let mut csv = "t_unix,sensor,state\n".to_owned();
    for event in 0..200_000 {
        csv.push_str(&format!("{},bed,{}\n", 1_763_809_200 + event * 13, event % 2));
    }
    let output = replay(directory.path(), HOME, csv.as_bytes(), &["--report", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["residents"][0]["sensors"][0]["events"], 200_000);
    assert_eq!(json["residents"][0]["sensors"][0]["signs"], 1, "all of it is one");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A home that is not what it should be is refused or understood, and never a panic.
    #[test]
    fn a_changed_home(
        at in any::<prop::sample::Index>(),
        cut in 0usize..30,
        insert in r#"[ -~é\n"\[\]=]{0,10}"#,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("home.toml");
        let mut bytes = include_bytes!("home.toml").to_vec();
        let at = at.index(bytes.len());
        bytes.splice(at..(at + cut).min(bytes.len()), insert.into_bytes());
        let head = b"timezone = \"UTC\"\n[[resident]]\nid = \"r1\"\nconsent = true\n".to_vec();
        std::fs::write(&file, [head, bytes].concat()).unwrap();
        if let Err(problems) = lykta::config::Home::load(&file) {
            prop_assert!(!problems.errors.is_empty());
            prop_assert!(problems.errors.iter().all(|problem| !problem.help.is_empty()));
        }
    }
}
