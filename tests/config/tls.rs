//! Certificates and keys: the mix-ups that happen on site. The keys in `pem/` are for these
//! tests and guard nothing.

use crate::site::{LEAST, Site};

const FILES: &[(&str, &str)] = &[
    ("client.pem", include_str!("pem/client.pem")),
    ("client.key", include_str!("pem/client.key")),
    ("other.key", include_str!("pem/other.key")),
    ("locked.key", include_str!("pem/locked.key")),
    ("empty.pem", ""),
    ("cut.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n"),
    ("text.pem", "see attachment\n"),
];

/// What is told about a tenant with these lines about TLS, without the source lines.
fn told(lines: &str) -> String {
    let urls = "urls = [\"mqtts://broker.city.example\"]";
    let site = Site::new(
        &LEAST.replace("urls = [\"mqtt://127.0.0.1:1883\"]", &format!("{urls}\n{lines}")),
    );
    for (name, text) in FILES {
        site.write(name, text);
    }
    let told = site.told();
    told.lines().filter(|line| !line.contains('|')).collect::<Vec<_>>().join("\n")
}

#[test]
fn what_belongs_together_is_fine() {
    assert_eq!(told("ca = \"client.pem\"\ncert = \"client.pem\"\nkey = \"client.key\""), "ok");
}

#[test]
fn mix_ups() {
    let cases = [
        "cert = \"client.pem\"\nkey = \"other.key\"",
        "cert = \"client.key\"\nkey = \"client.pem\"",
        "cert = \"client.pem\"\nkey = \"locked.key\"",
        "ca = \"client.key\"",
        "ca = \"empty.pem\"",
        "ca = \"cut.pem\"",
        "ca = \"text.pem\"",
        "key = \"client.key\"",
    ];
    let told: Vec<String> =
        cases.iter().map(|lines| format!("{lines}\n\n{}", told(lines))).collect();
    insta::assert_snapshot!(told.join("\n\n————\n\n"));
}

#[test]
fn a_key_that_everybody_can_read() {
    let site = Site::new(&LEAST.replace(
        "urls = [\"mqtt:",
        "cert = \"client.pem\"\nkey = \"client.key\"\nurls = [\"mqtts:",
    ));
    for (name, text) in FILES {
        site.write(name, text);
    }
    site.open_to_all("client.key");
    insta::assert_snapshot!(site.told());
}
