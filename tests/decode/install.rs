//! `lykta codec install`: from a vendor's script and its examples to a profile that works.

use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Output};

const SCRIPT: &str = "function decodeUplink(input) {
    var b = input.bytes;
    if (input.fPort !== 2) return {errors: ['unknown FPort']};
    return {data: {Distance: ((b[0] << 8) | b[1]) + ' mm', battery: b[2] / 10, serial: 'x1',
        temperature: {value: (b[3] << 24 >> 24) / 2, unit: '°C'}, status: {pir: b[4] ? 'trigger' : 'normal'}}};
}";

fn examples() -> Value {
    let data = json!({
        "Distance": "2000 mm", "battery": 3.6, "serial": "x1",
        "temperature": {"value": -2.5, "unit": "°C"}, "status": {"pir": "trigger"},
    });
    json!({"examples": [
        {"type": "uplink", "description": "frost", "input": {"fPort": 2, "bytes": [7, 208, 36, 251, 1]},
         "output": {"data": data, "warnings": []}},
        {"type": "uplink", "description": "another port", "input": {"fPort": 9, "bytes": "00"},
         "output": {"errors": ["unknown FPort"]}},
        {"type": "downlink-encode", "input": {"data": {"interval": 9}}, "output": {"bytes": [9]}},
    ]})
}

struct Place(tempfile::TempDir);

impl Place {
    fn new(script: &str, examples: &Value) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        std::fs::write(place.path().join("vendor.js"), script).unwrap();
        std::fs::write(place.path().join("examples.json"), examples.to_string()).unwrap();
        place
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn lykta(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lykta"));
        command.args(arguments).arg("--config").arg(self.path().join("etc/lykta.toml"));
        command.current_dir(self.path()).output().unwrap()
    }

    fn install(&self, more: &[&str]) -> Output {
        self.lykta(&[&["codec", "install", "vendor.js", "--profile", "acme-bin"], more].concat())
    }

    fn has_installed(&self) -> bool {
        self.path().join("etc").exists()
    }
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_vendors_codec_becomes_a_profile_with_readings() {
    let place = Place::new(SCRIPT, &examples());
    let shown = place.install(&["--dry-run", "--json"]);
    assert!(shown.status.success(), "{}", told(&shown));
    let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!((&shown["examples"], &shown["asTheVendorSays"]), (&json!(2), &json!(2)));
    assert_eq!(shown["ignored"], json!(["serial"]));
    assert!(!place.has_installed());

    let installed = place.install(&[]);
    assert!(installed.status.success(), "{}", told(&installed));
    assert!(String::from_utf8_lossy(&installed.stdout).contains("output = \"Distance\""));
    let profile = std::fs::read_to_string(place.path().join("etc/profiles/acme-bin.toml")).unwrap();
    assert!(profile.contains("downlinks = [\"interval\"]"), "{profile}");
    let payload = ["decode", "--profile", "acme-bin", "--fport", "2", "--hex", "0320240001"];
    let decoded = place.lykta(&payload);
    assert!(decoded.status.success(), "{}", told(&decoded));
    assert_eq!(told(&decoded), "", "nothing is left unmapped");
    let decoded: Value = serde_json::from_slice(&decoded.stdout).unwrap();
    assert_eq!(
        decoded["readings"],
        json!([
            {"name": "distance", "unit": "m", "value": 0.8, "quality": "good"},
            {"name": "battery_voltage", "unit": "V", "value": 3.6, "quality": "good"},
            {"name": "motion", "value": true, "quality": "good"},
            {"name": "temperature", "unit": "Cel", "value": 0.0, "quality": "good"},
        ])
    );

    let again = place.install(&[]);
    assert_eq!(again.status.code(), Some(64));
    assert!(told(&again).contains("--force"), "{}", told(&again));
    // the vendor publishes another one
    std::fs::write(place.path().join("vendor.js"), format!("{SCRIPT} // 2")).unwrap();
    assert!(place.install(&["--force"]).status.success());
    assert!(place.lykta(&payload).status.success());
    assert!(place.path().join("etc/profiles/acme-bin.toml.old").exists());
}

#[test]
fn what_is_wrong_is_told_and_nothing_is_installed() {
    let fails = |script: &str, examples: &Value, code: i32, part: &str| {
        let place = Place::new(script, examples);
        let output = place.install(&[]);
        assert_eq!(output.status.code(), Some(code), "{part}: {}", told(&output));
        assert!(told(&output).contains(part), "{part}:\n{}", told(&output));
        assert!(!place.has_installed(), "{part}");
    };
    let input = json!({"input": {"fPort": 2, "bytes": [1]}});
    fails(SCRIPT, &json!({}), 65, "no list of examples");
    fails(SCRIPT, &json!([]), 65, "no example of an uplink");
    fails(SCRIPT, &json!([{"input": {"fPort": 2, "bytes": "x"}}]), 65, "example 1: bytes: ");
    fails(SCRIPT, &json!([{"input": {"fPort": 2000, "bytes": ""}}]), 65, "example 1: fPort");
    fails(
        "function decodeUplink(i) {\n  return i.a.b;\n}",
        &json!([input]),
        65,
        "line 2: TypeError",
    );
    fails("function decodeUplink(i) { return {data: }", &json!([input]), 65, "SyntaxError");
    let place = Place::new(SCRIPT, &examples());
    std::fs::remove_file(place.path().join("examples.json")).unwrap();
    let output = place.install(&[]);
    assert_eq!(output.status.code(), Some(74));
    assert!(told(&output).contains("--examples"), "{}", told(&output));
}

#[test]
fn an_example_that_gives_something_else_is_shown() {
    let mut wrong = examples();
    wrong["examples"][0]["output"]["data"]["battery"] = json!(3.7);
    let place = Place::new(SCRIPT, &wrong);
    let output = place.install(&[]);
    assert!(output.status.success());
    assert!(told(&output).contains("example 1 (frost)"), "{}", told(&output));
    assert!(String::from_utf8_lossy(&output.stdout).contains("2 examples, 1 as the vendor says"));
}

/// The three forms in which examples are published, of the same script.
#[test]
fn examples_are_taken_as_they_are_published() {
    let yaml = "uplinkDecoder:
  fileName: vendor.js
  examples:
    - description: frost
      input:
        fPort: 2
        bytes: [0x07, 0xD0, 0x24, 0xFB, 0x01]
      output:
        data:
          Distance: '2000 mm'
          battery: 3.6
          serial: x1
          temperature: {value: -2.5, unit: '°C'}
          status: {pir: trigger}
    - description: another port
      input: {fPort: 9, bytes: [0]}
      output:
        errors: ['unknown FPort']
downlinkEncoder:
  fileName: vendor.js
  examples:
    - input: {data: {interval: 9}}
      output: {fPort: 2, bytes: [9]}
";
    let loose = "[
  // as a program of JavaScript reads it
  {name: 'frost', \"input\": {fPort: 2, bytes: [0x07, 0xd0, 0x24, 0xfb, 1,]},
   expected: {data: {Distance: '2000 mm', battery: 3.6, serial: 'x1',
     temperature: {value: -2.5, unit: '°C'}, status: {pir: 'trigger'}}}},
  {name: 'another port', input: {fPort: 9, bytes: '00'}, expected: {errors: ['unknown FPort']}},
]";
    let encoded = "[{name: 'often', input: {data: {interval: 9}}, expected: {bytes: [9]}}]";
    let of = |files: &[(&str, &str)], arguments: &[&str]| {
        let place = Place::new(SCRIPT, &json!([]));
        std::fs::remove_file(place.path().join("examples.json")).unwrap();
        for (name, text) in files {
            std::fs::write(place.path().join(name), text).unwrap();
        }
        let shown = place.install(&[&["--dry-run", "--json"], arguments].concat());
        assert!(shown.status.success(), "{files:?}: {}", told(&shown));
        let shown: Value = serde_json::from_slice(&shown.stdout).unwrap();
        assert_eq!((&shown["examples"], &shown["asTheVendorSays"]), (&json!(2), &json!(2)));
        assert!(shown["text"].as_str().unwrap().contains("downlinks = [\"interval\"]"), "{shown}");
    };
    of(&[("vendor-codec.yaml", yaml)], &[]);
    of(&[("test_decode_vendor.json", loose), ("test_encode_vendor.json", encoded)], &[]);
    let elsewhere = [("a.json", loose), ("b.json", encoded)];
    of(&elsewhere, &["--examples", "a.json", "--examples", "b.json"]);
}

#[test]
fn hostile_examples_are_refused() {
    let refused = |name: &str, text: &str, part: &str| {
        let place = Place::new(SCRIPT, &json!([]));
        std::fs::write(place.path().join(name), text).unwrap();
        let output = place.install(&["--examples", name]);
        assert_eq!(output.status.code(), Some(65), "{name}: {}", told(&output));
        assert!(told(&output).contains(part), "{part}: {}", told(&output));
        assert!(!place.has_installed());
    };
    let laughs = "a: &a [x, x]\nb: &b [*a, *a]\nexamples: [*b, *b]\n";
    refused("laughs.yaml", laughs, "aliases are not understood");
    refused("deep.yaml", &format!("examples: {}", "[".repeat(100)), "nested deeper than 64");
    refused("broken.yaml", "examples: [", "broken.yaml: ");
    refused("empty.yaml", "", "the file is empty");
    refused("long.json", &" ".repeat((1 << 20) + 1), "more than 1024 KiB");
    refused("loop.json", "(() => { for (;;); })()", "examples are JSON or YAML");
    refused("way-out.json", "0)}; } while (true); function f() { ({x: (0", "examples are JSON");
}
