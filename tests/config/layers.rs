//! Who wins, and whether the winner is named.

use crate::site::{LEAST, Site};
use lykta::config::Place;
use std::time::Duration;

fn source(site: &Site, loaded: &lykta::config::Loaded, key: &str) -> String {
    site.neutral(&loaded.sources.of(key).unwrap_or_else(|| panic!("no {key}")).to_string())
}

#[test]
fn defaults_file_conf_d_environment() {
    const KEY: &str = "concentrator.dedup_window";
    let site = Site::new(LEAST);
    let window = |loaded: &lykta::config::Loaded| {
        loaded.settings.concentrator.as_ref().unwrap().dedup_window.as_millis()
    };
    let loaded = site.load().unwrap();
    assert_eq!((window(&loaded), loaded.sources.of(KEY)), (200, Some(&Place::Default)));

    site.write(
        "lykta.toml",
        LEAST.replace("[concentrator]", "[concentrator]\ndedup_window = \"1ms\""),
    );
    let loaded = site.load().unwrap();
    assert_eq!((window(&loaded), &*source(&site, &loaded, KEY)), (1, "/etc/lykta/lykta.toml:5:1"));

    site.write("conf.d/10.toml", "concentrator.dedup_window = \"2ms\"\n");
    let loaded = site.load().unwrap();
    assert_eq!(
        (window(&loaded), &*source(&site, &loaded, KEY)),
        (2, "/etc/lykta/conf.d/10.toml:1:14")
    );

    site.write("conf.d/20.toml", "\n[concentrator]\n  dedup_window = \"3ms\"\n");
    let loaded = site.load().unwrap();
    assert_eq!(
        (window(&loaded), &*source(&site, &loaded, KEY)),
        (3, "/etc/lykta/conf.d/20.toml:3:3")
    );

    let loaded = site.load_with(&[("LYKTA_CONCENTRATOR__DEDUP_WINDOW", "4ms")]).unwrap();
    assert_eq!(
        (window(&loaded), &*source(&site, &loaded, KEY)),
        (4, "environment LYKTA_CONCENTRATOR__DEDUP_WINDOW")
    );
    assert_eq!(source(&site, &loaded, "gateway"), "/etc/lykta/lykta.toml:1:1");
}

#[test]
fn device_lists_are_joined_and_each_device_keeps_its_place() {
    let site = Site::new(LEAST);
    let device = &LEAST[LEAST.find("[[device]]").unwrap()..];
    let numbered = |n: u32| {
        device
            .replace("70b3d50700001739", &format!("70b3d5070000{n:04x}"))
            .replace("260b1739", &format!("260b{n:04x}"))
            .replace("\"1739\"", &format!("\"{n}\""))
    };
    site.write("devices.d/a.toml", format!("{}\n{}", numbered(1), numbered(2)));
    site.write("devices.d/b.toml", numbered(3));
    site.write("devices.d/ignored.txt", "not TOML");
    let loaded = site.load().unwrap();
    assert_eq!(loaded.registry.len(), 4);
    assert_eq!(loaded.settings.device.len(), 4);
    let places: Vec<String> =
        (0..4).map(|i| source(&site, &loaded, &format!("device[{i}].dev_eui"))).collect();
    assert_eq!(
        places,
        [
            "/etc/lykta/lykta.toml:14:1",
            "/etc/lykta/devices.d/a.toml:3:1",
            "/etc/lykta/devices.d/a.toml:11:1",
            "/etc/lykta/devices.d/b.toml:3:1",
        ]
    );
}

#[test]
fn lists_by_environment() {
    let loaded = Site::new(LEAST)
        .load_with(&[("LYKTA_CONCENTRATOR__ALLOW", r#"["0016c001f1000001", "0016c001f1000002"]"#)])
        .unwrap();
    assert_eq!(loaded.settings.concentrator.unwrap().allow.len(), 2);
}

#[test]
fn text_that_looks_like_a_number_stays_text() {
    let loaded = Site::new(LEAST).load_with(&[("LYKTA_GATEWAY", "007")]).unwrap();
    assert_eq!(loaded.settings.gateway.as_str(), "007");
}

#[test]
fn the_log_filter_is_no_setting() {
    let loaded = Site::new(LEAST).load_with(&[("LYKTA_LOG", "debug"), ("PATH", "/bin")]).unwrap();
    assert_eq!(loaded.warnings, []);
}

#[test]
fn keys_come_from_files_and_credentials() {
    let site = Site::new(
        &LEAST
            .replace(
                "nwk_s_key = \"8f1d4a90b7c3e25660a1f4d2798bce03\"",
                "nwk_s_key_file = \"keys/n\"",
            )
            .replace(
                "app_s_key = \"c9e07a5134bd286ff15e90a24c8d3b76\"",
                "app_s_key_file = \"app\"",
            ),
    );
    site.write("keys/n", "8f1d4a90b7c3e25660a1f4d2798bce03\n");
    site.write("credentials/app", "c9e07a5134bd286ff15e90a24c8d3b76");
    let credentials = site.path("credentials");
    let loaded =
        site.load_with(&[("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap())]).unwrap();
    let least = Site::new(LEAST).load().unwrap();
    let dev_eui = "70b3d50700001739".parse().unwrap();
    assert_eq!(
        loaded.registry.get(dev_eui).unwrap().activation,
        least.registry.get(dev_eui).unwrap().activation
    );

    // systemd starts a service without a credential that is not in its store
    std::fs::remove_file(credentials.join("app")).unwrap();
    let problems =
        site.load_with(&[("CREDENTIALS_DIRECTORY", credentials.to_str().unwrap())]).unwrap_err();
    let told = problems.to_string();
    assert!(told.contains("the service has no systemd credential app"), "{told}");
    assert!(told.contains("put it into /etc/credstore/lykta.app"), "{told}");
    // at a shell it is asked of this machine's systemd, if there is one, and of its stores
    let told = site.told();
    assert!(told.contains("app is a systemd credential, "), "{told}");
}

#[test]
fn a_profile_beside_the_file_is_used() {
    let site = Site::new(&LEAST.replace("\"sensoneo-single\"", "\"own\""));
    site.write("profiles/own.toml", "name = \"own\"\nvendor = \"v\"\nmodel = \"m\"\ndecoder = \"sensoneo-single\"\nheartbeat = \"1h\"\n");
    let loaded = site.load().unwrap();
    assert!(loaded.codecs.contains_key("own") && loaded.codecs.contains_key("sensoneo-single"));
    let device = loaded.registry.iter().next().unwrap().clone();
    assert_eq!(device.profile.heartbeat, Duration::from_secs(3600));
}

#[test]
fn checking_creates_nothing() {
    let site = Site::new(&LEAST.replace("\"state\"", "\"new\""));
    site.load().unwrap();
    assert!(!site.path("new").exists());
}

#[test]
fn a_tenant_by_environment() {
    let tenant = r#"[{id = "park", upstream = {urls = ["mqtt://10.0.0.1"], protocol = 4}}]"#;
    let loaded = Site::new(LEAST).load_with(&[("LYKTA_TENANT", tenant)]).unwrap();
    let park = &loaded.settings.tenant[1];
    assert_eq!((park.id.as_str(), park.upstream.protocol), ("park", lykta::config::Protocol::V4));
    assert_eq!(
        loaded.sources.of("tenant[1].id"),
        Some(&Place::Environment("LYKTA_TENANT".to_owned()))
    );
}

#[test]
fn no_file_at_all() {
    let variables = [("LYKTA_STATE_DIR".to_owned(), "/tmp".to_owned())];
    // only where no gateway is installed
    if !std::path::Path::new(lykta::config::DEFAULT_FILE).exists() {
        let problems = lykta::config::load_with(None, variables).unwrap_err();
        assert!(problems.to_string().contains("environment LYKTA_GATEWAY"), "{problems}");
        let problems = lykta::config::load_with(None, []).unwrap_err();
        assert!(problems.to_string().contains("there is no such file"), "{problems}");
    }
}

#[test]
fn what_is_no_file_among_the_settings_is_told_and_waited_for_by_nobody() {
    let site = Site::new(LEAST);
    site.write("conf.d/a.toml", "");
    std::os::unix::fs::symlink("/nowhere/b.toml", site.path("conf.d/b.toml")).unwrap();
    assert!(site.told().contains("this link leads nowhere"), "{}", site.told());
    std::fs::remove_file(site.path("conf.d/b.toml")).unwrap();
    let made = std::process::Command::new("mkfifo").arg(site.path("conf.d/c.toml")).status();
    assert!(made.unwrap().success());
    assert!(site.told().contains("this is a pipe, not a file"), "{}", site.told());
}
