//! `lykta check` as people and programs see it.

use crate::site::{LEAST, Site};
use std::process::Command;

pub(crate) struct Output {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Runs `lykta check --config …` in an environment without settings.
pub(crate) fn check(site: &Site, arguments: &[&str]) -> Output {
    let config = site.main();
    let mut all = vec!["check", "--config", config.to_str().unwrap()];
    all.extend(arguments);
    lykta(site, &all)
}

pub(crate) fn lykta(site: &Site, arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_lykta"))
        .args(arguments)
        .env_clear()
        .current_dir(site.path(""))
        .output()
        .unwrap();
    Output {
        code: output.status.code().unwrap(),
        stdout: site.neutral(&String::from_utf8(output.stdout).unwrap()),
        stderr: site.neutral(&String::from_utf8(output.stderr).unwrap()),
    }
}

#[test]
fn a_good_configuration() {
    let output = check(&Site::new(LEAST), &[]);
    assert_eq!((output.code, &*output.stderr), (0, ""));
    insta::assert_snapshot!(output.stdout);
}

#[test]
fn every_device_when_asked() {
    let output = check(&Site::new(LEAST), &["--devices"]);
    insta::assert_snapshot!(output.stdout);
}

#[test]
fn a_wrong_configuration() {
    let output = check(&Site::new(&LEAST.replace("260b1739", "260b")), &[]);
    assert_eq!((output.code, &*output.stdout), (78, ""));
    insta::assert_snapshot!(output.stderr);
}

#[test]
fn json_also_when_wrong() {
    let good = check(&Site::new(LEAST), &["--json"]);
    let wrong = check(&Site::new(&LEAST.replace("260b1739", "260b")), &["--json"]);
    assert_eq!((good.code, wrong.code, wrong.stderr.as_str()), (0, 78, ""));
    let good: serde_json::Value = serde_json::from_str(&good.stdout).unwrap();
    let wrong: serde_json::Value = serde_json::from_str(&wrong.stdout).unwrap();
    assert_eq!((&good["ok"], &wrong["ok"]), (&true.into(), &false.into()));
    insta::assert_json_snapshot!([good, wrong]);
}

#[test]
fn five_thousand_devices_fit_on_a_screen() {
    let site = Site::new(LEAST);
    let device = &LEAST[LEAST.find("[[device]]").unwrap()..];
    let many: String = (0..5000)
        .map(|n| {
            device
                .replace("70b3d50700001739", &format!("70b3d5070001{n:04x}"))
                .replace("260b1739", &format!("260c{n:04x}"))
                .replace("\"1739\"", &format!("\"bin-{n}\""))
                + "\n"
        })
        .collect();
    site.write("devices.d/many.toml", many);
    let output = check(&site, &[]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stdout.lines().count() < 40, "{}", output.stdout);
    assert!(output.stdout.contains("5000 devices"), "{}", output.stdout);
    assert!(output.stdout.contains("waste 5001"), "{}", output.stdout);
}

#[test]
fn a_missing_file() {
    let site = Site::new(LEAST);
    let output = lykta(&site, &["check", "--config", "none.toml"]);
    assert_eq!(output.code, 78);
    insta::assert_snapshot!(output.stderr);
}
