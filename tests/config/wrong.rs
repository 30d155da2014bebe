//! Wrong configurations, each with the whole message that a field engineer reads.

use crate::site::{LEAST, Site};

/// The least configuration with one change, and everything that is told about it.
fn told(from: &str, to: &str) -> String {
    assert!(LEAST.contains(from), "{from:?} is not in the least configuration");
    Site::new(&LEAST.replacen(from, to, 1)).told()
}

/// One snapshot for each change; the name says what is wrong.
macro_rules! wrong {
    ($($name:ident: $from:literal => $to:literal;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), told($from, $to));
        }
    )*};
}

#[test]
fn the_least_configuration_is_fine() {
    assert_eq!(Site::new(LEAST).told(), "ok");
}

wrong! {
    key_mistyped: "gateway =" => "gatway =";
    key_unlike_any: "[concentrator]" => "[concentrator]\nxyz = 1";
    key_of_another_table: "bin = \"1739\"" => "listen = \"127.0.0.1:1700\"";
    text_without_quotes: "\"gw-1\"" => "gw-1";
    text_not_closed: "\"gw-1\"" => "\"gw-1";
    table_not_closed: "[concentrator]" => "[concentrator";
    yaml_habits: "gateway = " => "gateway: ";
    key_twice: "[concentrator]" => "gateway = \"gw-2\"\n[concentrator]";
    gateway_missing: "gateway = \"gw-1\"" => "";
    gateway_with_capitals: "gw-1" => "GW 1";
    number_for_text: "\"gw-1\"" => "1";
    table_for_list: "[[tenant]]" => "[tenant]";
    list_for_table: "[concentrator]" => "[[concentrator]]";
    duration_without_unit: "[concentrator]" => "[concentrator]\ndedup_window = 200";
    duration_nonsense: "[concentrator]" => "[concentrator]\ndedup_window = \"a while\"";
    address_without_port: "[concentrator]" => "[concentrator]\nlisten = \"127.0.0.1\"";
    address_by_name: "[concentrator]" => "[concentrator]\nlisten = \"localhost:1700\"";
    listen_everywhere: "[concentrator]" => "[concentrator]\nlisten = \"0.0.0.0:1700\"";
    modem_by_name: "[concentrator]" => "[modem]\ncommand = [\"mmcli\"]\n[concentrator]";
    modem_missing: "[concentrator]" => "[modem]\ncommand = [\"/none/mmcli\"]\nafter = \"10s\"\n[concentrator]";
    modem_of_nothing: "[concentrator]" => "[modem]\ncommand = []\nafter = \"0s\"\n[concentrator]";
    no_concentrator: "[concentrator]" => "";
    radio_hat: "[concentrator]" => "[[radio]]\nchip = \"sx1262\"";
    no_urls: "[\"mqtt://127.0.0.1:1883\"]" => "[]";
    url_of_the_web: "mqtt://127" => "https://127";
    url_with_password: "mqtt://127.0.0.1" => "mqtt://gw:hunter2@10.0.0.1";
    url_port: "127.0.0.1:1883" => "127.0.0.1:99999";
    upstream_missing: "[tenant.upstream]\nurls = [\"mqtt://127.0.0.1:1883\"]" => "";
    prefix_wildcard: "urls =" => "prefix = \"city/#\"\nurls =";
    prefix_leading_slash: "urls =" => "prefix = \"/city\"\nurls =";
    prefix_empty: "urls =" => "prefix = \"\"\nurls =";
    protocol_3: "urls =" => "protocol = 3\nurls =";
    protocol_4: "urls =" => "protocol = 4\nurls =";
    keep_alive_too_long: "urls =" => "keep_alive = \"1h\"\nurls =";
    keep_alive_long: "urls =" => "keep_alive = \"1min\"\nurls =";
    reconnect_upside_down: "urls =" => "reconnect_min = \"20min\"\nurls =";
    reconnect_without_a_pause: "urls =" => "reconnect_alarm_max = \"0s\"\nurls =";
    command_session_too_short: "urls =" => "command_session = \"1s\"\nurls =";
    cert_without_key: "urls =" => "cert = \"none.pem\"\nurls =";
    password_in_clear: "mqtt://127.0.0.1:1883\"]" => "mqtt://broker.city.example\"]\nusername = \"gw\"";
    password_inline: "urls =" => "password = \"hunter2\"\nurls =";
    tenant_kind: "\"waste\"\n[tenant" => "\"wast\"\n[tenant";
    tenant_twice: "[[device]]" => "[[tenant]]\nid = \"waste\"\nupstream = { urls = [\"mqtt://10.0.0.1\"] }\n[[device]]";
    tenant_of_device_mistyped: "tenant = \"waste\"" => "tenant = \"wate\"";
    profile_mistyped: "\"sensoneo-single\"" => "\"sensoneo-singel\"";
    dev_eui_short: "70b3d50700001739" => "70b3d507000017";
    dev_addr_not_hexadecimal: "260b1739" => "260b173x";
    key_short: "8f1d4a90b7c3e25660a1f4d2798bce03" => "8f1d4a90b7c3e25660a1f4d2798bce0";
    key_all_zeros: "8f1d4a90b7c3e25660a1f4d2798bce03" => "00000000000000000000000000000000";
    key_and_file: "nwk_s_key =" => "nwk_s_key_file = \"keys/n\", nwk_s_key =";
    key_missing: "nwk_s_key = \"8f1d4a90b7c3e25660a1f4d2798bce03\", " => "";
    key_file_missing: "nwk_s_key = \"8f1d4a90b7c3e25660a1f4d2798bce03\"" => "nwk_s_key_file = \"keys/n\"";
    resident_without_sensor: "bin = \"1739\"" => "resident = \"r1\"";
    resident_of_waste: "bin = \"1739\"" => "resident = \"r1\"\nsensor = \"bed\"";
    bin_of_care: "kind = \"waste\"" => "kind = \"care\"";
    care_without_a_key: "\"waste\"\nkind = \"waste\"\n[tenant.upstream]\nurls = [\"mqtt://127.0.0.1:1883\"]" => "\"waste\"\nkind = \"waste\"\n[tenant.upstream]\nurls = [\"mqtt://127.0.0.1:1883\"]\n[[tenant]]\nid = \"care\"\nkind = \"care\"\nupstream = { urls = [\"mqtt://127.0.0.1\"] }";
    store_key_missing: "[tenant.upstream]" => "store_key_file = \"keys/none\"\n[tenant.upstream]";
    store_key_that_is_none: "[tenant.upstream]" => "store_key_file = \"./lykta.toml\"\n[tenant.upstream]";
    store_key_of_before_alone: "[tenant.upstream]" => "earlier_store_key_file = \"keys/care\"\n[tenant.upstream]";
    store_key_of_before_the_same: "[tenant.upstream]" => "store_key_file = \"keys/care\"\nearlier_store_key_file = \"keys/care\"\n[tenant.upstream]";
    state_dir_without_parent: "\"state\"" => "\"/nowhere/lykta\"";
    state_dir_is_a_file: "\"state\"" => "\"lykta.toml\"";
    several_at_once: "[concentrator]" => "[concentrator]\nlisen = \"127.0.0.1:1700\"\ndedup_window = 3\n[sotre]\n[store]\ncommit_interval = true";
}

#[test]
fn no_tenant() {
    let site = Site::new("gateway = \"gw-1\"\nstate_dir = \"state\"\n[concentrator]\n");
    insta::assert_snapshot!(site.told());
}

#[test]
fn no_file() {
    let site = Site::new("");
    std::fs::remove_file(site.main()).unwrap();
    insta::assert_snapshot!(site.told());
}

#[test]
fn latin_1() {
    let site = Site::new("");
    site.write("lykta.toml", b"gateway = \"gw-1\"\n# Sm\xe5gatan\n");
    insta::assert_snapshot!(site.told());
}

#[test]
fn a_device_twice_in_two_files() {
    let site = Site::new(LEAST);
    let device = &LEAST[LEAST.find("[[device]]").unwrap()..];
    site.write("devices.d/a.toml", device.replace("260b1739", "260b173a"));
    insta::assert_snapshot!(site.told());
}

#[test]
fn a_bin_with_two_sensors() {
    let site = Site::new(LEAST);
    let device = &LEAST[LEAST.find("[[device]]").unwrap()..];
    let device = device.replace("70b3d50700001739", "70b3d5070000173a");
    site.write("devices.d/a.toml", device.replace("260b1739", "260b173a"));
    insta::assert_snapshot!(site.told());
}

#[test]
fn a_session_twice() {
    let site = Site::new(LEAST);
    let device = &LEAST[LEAST.find("[[device]]").unwrap()..];
    site.write(
        "devices.d/a.toml",
        device.replace("70b3d50700001739", "70b3d5070000173a").replace("\"1739\"", "\"173a\""),
    );
    insta::assert_snapshot!(site.told());
}

#[test]
fn a_shared_address_is_no_fault() {
    let site = Site::new(LEAST);
    let device = &LEAST[LEAST.find("[[device]]").unwrap()..];
    let other = device.replace("70b3d50700001739", "70b3d5070000173a").replace("8f1d", "8f1e");
    site.write("devices.d/a.toml", other.replace("\"1739\"", "\"173a\""));
    assert_eq!(site.told(), "ok");
}

#[test]
fn a_tenant_among_the_devices() {
    let site = Site::new(LEAST);
    site.write("devices.d/a.toml", "[[tenant]]\nid = \"care\"\n");
    insta::assert_snapshot!(site.told());
}

#[test]
fn a_profile_with_a_mistake() {
    let site = Site::new(LEAST);
    site.write("profiles/own.toml", "name = \"own\"\nvendor = \"v\"\nmodel = \"m\"\ndecoder = \"sensoneo-single\"\nheartbeat = \"daily\"\n");
    insta::assert_snapshot!(site.told());
}

#[test]
fn a_variable_of_no_setting() {
    let problems = Site::new(LEAST).load_with(&[("LYKTA_CONCENTRATOR__LISEN", "x")]).unwrap_err();
    insta::assert_snapshot!(problems);
}

#[test]
fn a_variable_with_a_wrong_value() {
    let problems = Site::new(LEAST).load_with(&[("LYKTA_CONCENTRATOR__LISTEN", "x")]).unwrap_err();
    insta::assert_snapshot!(problems);
}
