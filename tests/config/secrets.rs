//! Keys and passwords appear nowhere, whatever is wrong around them.

use crate::check::check;
use crate::site::{KEY, LEAST, Site};
use proptest::prelude::*;

const NWK: &str = "8f1d4a90b7c3e25660a1f4d2798bce03";
const APP: &str = "c9e07a5134bd286ff15e90a24c8d3b76";

fn silent(text: &str) {
    for secret in [NWK, APP, KEY, "hunter2", "8f1d4a90", "c9e07a51", "4a1c9e27"] {
        assert!(!text.contains(secret), "{secret} is told:\n{text}");
    }
}

fn configuration() -> String {
    LEAST
        .replace("mqtt://127.0.0.1:1883", "mqtts://broker.city.example")
        .replace("bin =", "colour = 1\nbin =")
        .replace(
            "urls",
            "password = \"hunter2\"\nusername = \"gw\"\npassword_file = \"secret/mqtt\"\nurls",
        )
        .replace("[tenant.up", "store_key_file = \"keys/care\"\n[tenant.up")
}

#[test]
fn in_no_output() {
    for text in [
        configuration(),
        LEAST.to_owned(),
        LEAST.replace("[tenant.up", "store_key_file = \"keys/care\"\n[tenant.up"),
        LEAST.replace("{ abp", "{ abp ="),
        LEAST.replace("nwk_s_key", "nwk_skey"),
        LEAST.replace("\"8f1d", "\"x8f1d"),
    ] {
        let site = Site::new(&text);
        site.write("secret/mqtt", "hunter2\n");
        for arguments in [&[][..], &["--json"], &["--devices"], &["--json", "--devices"]] {
            let output = check(&site, arguments);
            silent(&output.stdout);
            silent(&output.stderr);
        }
    }
}

#[test]
fn in_no_debug() {
    let loaded = Site::new(LEAST).load().unwrap();
    silent(&format!("{loaded:?} {loaded:#?}"));
    silent(&format!("{:?}", Site::new(&configuration()).load().unwrap_err()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// However a line with keys is damaged, its excerpt does not show them.
    #[test]
    fn in_no_excerpt(at in 0..LEAST.len(), insert in r#"[ -~]{0,3}"#) {
        let mut text = LEAST.to_owned();
        // a change within a key splits it: what is left is no key
        prop_assume!(![NWK, APP].iter().any(|key| {
            let start = LEAST.find(key).unwrap();
            (start..start + key.len()).contains(&at)
        }));
        text.insert_str(at, &insert);
        let site = Site::new(&text);
        let told = site.told();
        prop_assert!(!told.contains(NWK) && !told.contains(APP), "{}", told);
    }
}

#[test]
fn files_that_everybody_can_read_are_named() {
    let site = Site::new(LEAST);
    site.open_to_all("lykta.toml");
    insta::assert_snapshot!(site.told());
    // below a directory that the others cannot enter they cannot
    let closed = std::os::unix::fs::PermissionsExt::from_mode(0o750);
    std::fs::set_permissions(site.path(""), closed).unwrap();
    assert_eq!(site.told(), "ok");
}
