//! Device lists of other network servers.

use crate::check::{Output, lykta};
use crate::site::{LEAST, Site};
use lykta::config::import::{read, read_back, to_toml};
use lykta::device::Activation;
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt;

const NWK: &str = "9A1D4A90B7C3E25660A1F4D2798BCE03";
const APP: &str = "C9E07A5134BD286FF15E90A24C8D3B76";

/// Runs the import of a CSV file into a gateway with the least configuration.
fn import(csv: impl AsRef<[u8]>, arguments: &[&str]) -> (Site, Output) {
    let site = Site::new(LEAST);
    site.write("list.csv", csv);
    let output = again(&site, arguments);
    (site, output)
}

fn again(site: &Site, arguments: &[&str]) -> Output {
    let mut all =
        vec!["device", "import", "list.csv", "--tenant", "waste", "--config", "lykta.toml"];
    all.extend(arguments);
    lykta(site, &all)
}

/// A message without the list of all profiles, which grows with lykta.
fn without_profiles(text: &str) -> String {
    let mut parts = text.split("profiles: ");
    let mut short = parts.next().unwrap().to_owned();
    for part in parts {
        let end = part.find([')', '\n']).unwrap_or(part.len());
        short += &format!("profiles: …{}", &part[end..]);
    }
    short
}

/// As The Things Stack writes it: semicolons, and a session in the names of LoRaWAN 1.1.
fn things_stack() -> String {
    format!(
        "\u{feff}id;dev_eui;join_eui;name;frequency_plan_id;lorawan_version;lorawan_phy_version;brand_id;model_id;app_key;nwk_key;dev_addr;app_s_key;f_nwk_s_int_key\r\n\
         bin-1;70B3D50700000001;70B3D50700000000;\"Kungsgatan; norr\";EU_863_870;MAC_V1_0_2;PHY_V1_0_2_REV_B;sensoneo;sensoneo-single;;;260B0001;{APP};{NWK}\r\n\
         bin-2;70B3D50700000002;70B3D50700000000;Kungsgatan 2;EU_863_870;MAC_V1_0_2;PHY_V1_0_2_REV_B;sensoneo;sensoneo-single;{APP};;;;\r\n"
    )
}

#[test]
fn the_things_stack() {
    let (site, output) = import(things_stack(), &[]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    insta::assert_snapshot!(output.stderr);
    let written = site.path("devices.d/list.toml");
    assert_eq!(written.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let text = std::fs::read_to_string(&written).unwrap();
    insta::assert_snapshot!(
        "the_things_stack_toml",
        text.replace(&NWK.to_lowercase(), "NWK").replace(&APP.to_lowercase(), "APP")
    );
    let loaded = site.load().unwrap();
    let device = loaded.registry.get("70b3d50700000001".parse().unwrap()).unwrap();
    assert_eq!(device.name, "Kungsgatan; norr");
    let Activation::Abp(abp) = &device.activation else { panic!("not ABP") };
    assert_eq!(abp.nwk_s_key, NWK.parse().unwrap());
    assert_eq!(abp.app_s_key, APP.parse().unwrap());
    let device = loaded.registry.get("70b3d50700000002".parse().unwrap()).unwrap();
    let Activation::Otaa(otaa) = &device.activation else { panic!("not OTAA") };
    assert_eq!(otaa.join_eui, "70b3d50700000000".parse().unwrap());
    assert_eq!(otaa.app_key, APP.parse().unwrap());
}

#[test]
fn a_bad_object_of_json_is_named() {
    let json = format!(
        r#"[{{"ids":{{"dev_eui":"70b3d50700000001"}},"root_keys":{{"app_key":{{"key":"{APP}0"}}}},"join_eui":"70b3d50700000000"}},
            {{"ids":{{"dev_eui":"70b3d507"}}}}]"#
    );
    let (_, output) = import(json, &["--profile", "sensoneo-single"]);
    assert_eq!(output.code, 65);
    assert!(!output.stderr.contains(APP));
    insta::assert_snapshot!(output.stderr);
}

/// How each device of an import is activated, without the keys.
fn activations(site: &Site) -> Vec<String> {
    let loaded = site.load().unwrap();
    let imported = loaded.settings.device.iter().filter(|d| d.dev_eui.to_string() != KNOWN);
    let activation = |device: &lykta::config::DeviceSettings| match &device.activation {
        lykta::config::Activation::Otaa(otaa) => {
            assert_eq!(otaa.app_key, Some(APP.parse().unwrap()));
            format!("{} joins {}", device.dev_eui, otaa.join_eui)
        }
        lykta::config::Activation::Abp(abp) => format!("{} is {}", device.dev_eui, abp.dev_addr),
    };
    imported.map(activation).collect()
}

/// The device of the least configuration.
const KNOWN: &str = "70b3d50700001739";

#[test]
fn a_device_with_a_session_and_a_root_key_joins() {
    let csv = format!(
        "dev_eui,app_eui,app_key,nwk_key,dev_addr,nwk_s_key,app_s_key,supports_join\n\
         70b3d50700000001,70b3d50700000000,{APP},,260b0001,{NWK},{APP},true\n\
         70b3d50700000002,70b3d50700000000,{APP},,260b0002,{NWK},{APP},false\n\
         70b3d50700000003,70b3d50700000000,00000000000000000000000000000000,{APP},,,,\n"
    );
    let (site, output) = import(csv, &["--profile", "sensoneo-single"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    insta::assert_snapshot!(output.stderr);
    let expected = [
        "70b3d50700000001 joins 70b3d50700000000",
        "70b3d50700000002 is 260b0002",
        "70b3d50700000003 joins 70b3d50700000000",
    ];
    assert_eq!(activations(&site), expected);
}

#[test]
fn json_of_the_things_stack_and_of_chirpstack() {
    let things_stack = format!(
        r#"{{"ids":{{"device_id":"a","dev_eui":"70B3D50700000001","join_eui":"70B3D50700000000"}},"name":"A",
            "root_keys":{{"app_key":{{"key":"{APP}"}}}},"lorawan_version":"MAC_V1_0_3","locations":[]}}
           {{"ids":{{"device_id":"b","dev_eui":"70B3D50700000002"}},"supports_join":false,
            "session":{{"dev_addr":"260B0002","keys":{{"f_nwk_s_int_key":{{"key":"{NWK}"}},"app_s_key":{{"key":"{APP}"}}}}}}}}"#
    );
    let chirpstack = format!(
        r#"[{{"device":{{"devEui":"70b3d50700000001","joinEui":"70b3d50700000000","name":"A","tags":{{}}}},
              "deviceKeys":{{"devEui":"70b3d50700000001","nwkKey":"{APP}","appKey":"00000000000000000000000000000000"}}}},
            {{"devEui":"70b3d50700000002","devAddr":"260b0002","appSKey":"{APP}","nwkSEncKey":"{NWK}","tags":["x"]}}]"#
    );
    let listed = format!(r#"{{"totalCount":2,"result":{chirpstack}}}"#);
    for json in [things_stack, chirpstack, listed] {
        let (site, output) = import(&json, &["--profile", "sensoneo-single"]);
        assert_eq!(output.code, 0, "{json}: {}", output.stderr);
        let expected = ["70b3d50700000001 joins 70b3d50700000000", "70b3d50700000002 is 260b0002"];
        assert_eq!(activations(&site), expected, "{json}");
        assert_eq!(site.load().unwrap().settings.device[1].name.as_deref(), Some("A"));
    }
}

#[test]
fn chirpstack() {
    let csv = format!(
        "DevEUI,Name,Description,Device-Profile-Name,DevAddr,AppSKey,NwkSEncKey,SNwkSIntKey,FNwkSIntKey\n\
         70-b3-d5-07-00-00-00-01,Bin 1,,unknown model,260b0001,{APP},{NWK},{NWK},{NWK}\n"
    );
    let (_, output) = import(&csv, &[]);
    assert_eq!(output.code, 65);
    insta::assert_snapshot!(without_profiles(&output.stderr));
    let (site, output) = import(&csv, &["--profile", "sensoneo-single"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(site.load().unwrap().registry.len(), 2);
}

#[test]
fn tabs_and_standard_output() {
    let csv = format!(
        "dev_eui\tdev_addr\tnwkSKey\tappSKey\tbin\n70b3d50700000001\t260b0001\t{NWK}\t{APP}\t17\n"
    );
    let (site, output) = import(csv, &["--profile", "sensoneo-single", "--out", "-"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert!(output.stdout.contains("bin = \"17\"") && !site.path("devices.d").exists());
}

/// Everything that can be wrong with a row.
fn bad_rows() -> String {
    format!(
        "dev_eui,name,dev_addr,nwk_s_key,app_s_key,join_eui,app_key,nwk_key\n\
         70b3d50700000001,good,260b0001,{NWK},{APP},,,\n\
         70b3d507000000,short,260b0002,{NWK},{APP},,,\n\
         7.0B3D5E+15,spreadsheet,260b0003,{NWK},{APP},,,\n\
         70b3d50700000004,no address,,{NWK},{APP},,,\n\
         70b3d50700000005,bad key,260b0005,{NWK}0,{APP},,,\n\
         70b3d50700000001,again,260b0006,{NWK},{APP},,,\n\
         70b3d50700000007,fields missing,260b0007\n\
         70b3d50700000008,nothing,,,,,,\n\
         70b3d50700000009,joins,,,,70b3d50700000000,{APP},\n\
         70b3d5070000000a,joins too,260b000a,{NWK},{APP},70b3d50700000000,{APP},\n\
         70b3d5070000000b,no join server,,,,,{APP},\n\
         70b3d5070000000c,bad AppKey,,,,70b3d50700000000,{APP}0,\n\
         70b3d5070000000d,two root keys,,,,70b3d50700000000,{APP},{NWK}\n\
         70b3d5070000000e,zeros,,,,70b3d50700000000,00000000000000000000000000000000,\n\
         70b3d50700001739,known,260b1739,{NWK},{APP},,,\n"
    )
}

#[test]
fn every_bad_row_is_named_and_nothing_is_written() {
    let (site, output) = import(bad_rows(), &["--profile", "sensoneo-single"]);
    assert_eq!(output.code, 65);
    assert!(!site.path("devices.d").exists());
    insta::assert_snapshot!(output.stderr);
    for secret in [NWK, APP] {
        assert!(!output.stderr.contains(secret));
    }
}

#[test]
fn bad_rows_can_be_left_out() {
    let (site, output) = import(bad_rows(), &["--profile", "sensoneo-single", "--skip-bad"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    assert_eq!(site.load().unwrap().registry.len(), 4);
}

#[test]
fn no_file_is_overwritten_unless_told() {
    let (site, output) = import(things_stack(), &[]);
    assert_eq!(output.code, 0, "{}", output.stderr);
    let output = again(&site, &[]);
    assert_eq!(output.code, 64);
    insta::assert_snapshot!(output.stderr);
    // the devices of the file that is overwritten are not "already there"
    let output = again(&site, &["--force"]);
    assert_eq!(output.code, 0, "{}", output.stderr);
}

#[test]
fn files_that_are_no_device_list() {
    let joins = format!("dev_eui,app_key\n70b3d50700000001,{APP}\n");
    let headless = format!("70b3d50700000001,{NWK}\n");
    let cases: &[(&str, &[u8])] = &[
        ("empty", b""),
        ("no column", b"name,address\nx,y\n"),
        ("keys without a header", headless.as_bytes()),
        ("Latin-1", b"dev_eui,name\n70b3d50700000001,Sm\xe5gatan\n"),
        ("UTF-16", b"\xff\xfed\0e\0v\0"),
        ("spreadsheet", b"PK\x03\x04xxxx"),
        ("joins without a join server", joins.as_bytes()),
        ("JSON that ends early", b"[{\"dev_eui\": \"70b3d50700000001\""),
        ("JSON with a comma too many", b"[{\"dev_eui\": \"70b3d50700000001\",}]"),
        ("JSON of numbers", b"[1, 2]"),
        ("JSON of nothing", b"[]"),
        ("JSON of something else", b"{\"name\": \"x\"}"),
        ("header only", b"dev_eui,dev_addr,nwk_s_key,app_s_key\n"),
    ];
    let mut told = String::new();
    for (name, csv) in cases {
        let (_, output) = import(csv, &["--profile", "sensoneo-single"]);
        assert_eq!(output.code, 65, "{name}: {}", output.stderr);
        assert!(!output.stderr.contains(NWK));
        told += &format!("{name}\n{}\n", output.stderr);
    }
    insta::assert_snapshot!(told);
}

#[test]
fn wrong_arguments() {
    let site = Site::new(LEAST);
    site.write("list.csv", things_stack());
    let import = ["device", "import", "list.csv"];
    let mut told = String::new();
    for (code, arguments) in [
        (64, &["--tenant", "wast", "--config", "lykta.toml"][..]),
        (64, &["--tenant", "waste", "--config", "lykta.toml", "--profile", "no-such"]),
        (78, &["--tenant", "waste", "--config", "none.toml"]),
    ] {
        let output = lykta(&site, &[&import[..], arguments].concat());
        assert_eq!(output.code, code, "{}", output.stderr);
        told += &format!("{}\n", without_profiles(&output.stderr));
    }
    insta::assert_snapshot!(told);
}

proptest! {
    #[test]
    fn any_file_gets_an_answer(csv: Vec<u8>, text in "(dev_eui|dev_addr|[,;\t\n\"]|[0-9a-f]{16}|é){0,40}") {
        let _ = read(&csv, Some("p"), &["p"]);
        let _ = read(text.as_bytes(), None, &["p"]);
    }

    #[test]
    fn any_json_gets_an_answer(text in r#"[\[{]("dev_eui"|"keys"|"[0-9a-f]{16}"|[:,{}\[\]]|1|null){0,30}"#) {
        let _ = read(text.as_bytes(), Some("p"), &["p"]);
    }

    /// Whatever a device is called, it is read back as it was written.
    #[test]
    fn names_survive(name in r#"[^,\n\r\x00]{1,30}"#) {
        let quoted = name.replace('"', "\"\"");
        let csv = format!("dev_eui,name,dev_addr,nwk_s_key,app_s_key\n70b3d50700000001,\"{quoted}\",260b0001,{NWK},{APP}\n");
        let import = read(csv.as_bytes(), Some("p"), &["p"]).unwrap();
        let text = to_toml(&import.devices, &"waste".parse().unwrap());
        let devices = read_back(&text);
        prop_assert!(devices.is_some(), "{}", text);
        let devices = devices.unwrap();
        let trimmed = Some(name.trim()).filter(|name| !name.is_empty());
        prop_assert_eq!(devices[0].name.as_deref(), trimmed);
    }
}
