//! Radios, outputs and joins: what is wrong with them, and the tables that come with lykta.

use crate::site::{LEAST, Site};
use lykta::config::{Activation, Loaded, template};
use lykta::eu868::sub_band;
use lykta::units::Hertz;
use proptest::prelude::*;

/// A radio beside the concentrator, with nothing doubtful about it.
const RADIO: &str = r#"
[[radio]]
chip = "sx1262"
select = 21
reset = 18
busy = 20
dio = 16
"#;

/// An SX1276 on another bus.
const OTHER: &str = r#"
[[radio]]
chip = "sx1276"
spi = "1.0"
reset = 25
dio = 22
channel = 868.3
"#;

const SESSION: &str = r#"abp = { dev_addr = "260b1739", nwk_s_key = "8f1d4a90b7c3e25660a1f4d2798bce03", app_s_key = "c9e07a5134bd286ff15e90a24c8d3b76" }"#;
const JOIN: &str =
    r#"otaa = { join_eui = "70b3d50700000001", app_key = "c9e07a5134bd286ff15e90a24c8d3b76" }"#;

fn with_radio() -> String {
    LEAST.to_owned() + RADIO
}

fn joining() -> String {
    LEAST.replace(SESSION, JOIN)
}

/// A change of a text that has what is changed.
fn changed(text: &str, from: &str, to: &str) -> String {
    assert!(text.contains(from), "{from:?} is not in the configuration");
    text.replacen(from, to, 1)
}

/// One snapshot for each change; the name says what is wrong.
macro_rules! wrong {
    ($base:expr; $($name:ident: $from:expr => $to:expr;)*) => {$(
        #[test]
        fn $name() {
            insta::assert_snapshot!(stringify!($name), Site::new(&changed(&$base, $from, $to)).told());
        }
    )*};
}

#[test]
fn a_radio_beside_a_concentrator_is_fine() {
    assert_eq!(Site::new(&with_radio()).told(), "ok");
}

wrong! { with_radio();
    chip_that_is_not_driven: "sx1262" => "sx1280";
    chip_mistyped: "\"sx1262\"" => "\"sx126\"";
    spi_as_a_path: "select = 21" => "spi = \"/dev/spidev0.0\"";
    spi_port_that_is_not_there: "select = 21" => "spi = \"0.2\"";
    pin_beyond_the_header: "reset = 18" => "reset = 40";
    pin_that_is_no_byte: "reset = 18" => "reset = 300";
    pin_with_a_decimal_point: "reset = 18" => "reset = 18.5";
    pin_as_text: "reset = 18" => "reset = \"18\"";
    pin_by_name: "reset = 18" => "reset = \"GPIO18\"";
    pin_twice: "reset = 18" => "reset = 16";
    pin_of_the_bus: "reset = 18" => "reset = 10";
    select_by_the_bus: "select = 21" => "select = 8";
    busy_missing: "busy = 20" => "";
    tcxo_unknown: "select = 21" => "select = 21\ntcxo = 2.0";
    channel_between_sub_bands: "select = 21" => "select = 21\nchannel = 868.65";
    channel_of_america: "select = 21" => "select = 21\nchannel = 915.0";
    channel_at_an_edge: "select = 21" => "select = 21\nchannel = 868.0";
    channel_in_hertz: "select = 21" => "select = 21\nchannel = 868100000";
    channel_in_kilohertz: "select = 21" => "select = 21\nchannel = 868100";
    channel_that_is_none: "select = 21" => "select = 21\nchannel = 7";
    channel_too_fine: "select = 21" => "select = 21\nchannel = 868.10005";
    channel_as_text: "select = 21" => "select = 21\nchannel = \"868.1\"";
    spreading_factor_6: "select = 21" => "select = 21\nspreading_factor = 6";
    power_too_great: "select = 21" => "select = 21\npower = 27";
    antenna_of_wonders: "select = 21" => "select = 21\nantenna_gain = 40";
    gain_that_is_no_number: "select = 21" => "select = 21\nantenna_gain = nan";
    switch_as_text: "select = 21" => "select = 21\ndio2_switch = \"yes\"";
    name_with_capitals: "select = 21" => "select = 21\nname = \"Roof 1\"";
    output_on_a_pin_of_the_radio: "[concentrator]" => "[output]\nbuzzer = 16\n[concentrator]";
    radio_without_a_concentrator: "[concentrator]" => "";
    rx1_delay_too_long: "[concentrator]" => "[lorawan]\nrx1_delay = \"16s\"\n[concentrator]";
    rx1_delay_of_a_half: "[concentrator]" => "[lorawan]\nrx1_delay = \"1500ms\"\n[concentrator]";
    rx2_data_rate_6: "[concentrator]" => "[lorawan]\nrx2_data_rate = 6\n[concentrator]";
    channels_too_many: "[concentrator]" => "[lorawan]\nchannels = [867.1, 867.3, 867.5, 867.7, 867.9, 868.9]\n[concentrator]";
    channels_that_are_known: "[concentrator]" => "[lorawan]\nchannels = [868.1, 867.3, 867.3, 866]\n[concentrator]";
    channels_as_one: "[concentrator]" => "[lorawan]\nchannels = 867.1\n[concentrator]";
    allow_from_nonsense: "[concentrator]" => "[concentrator]\nallow_from = [\"192.168.7.0/40\"]";
}

wrong! { LEAST.to_owned() + RADIO + OTHER;
    pins_of_the_second_bus: "spi" => "spi";
}

wrong! { LEAST.to_owned() + &RADIO.replace("select = 21\n", "") + &OTHER.replace("1.0", "0.1");
    busy_of_an_sx1276: "dio = 22" => "dio = 22\nbusy = 5\ntcxo = 1.8";
    switch_of_an_sx1276: "dio = 22" => "dio = 22\ndio2_switch = true";
    power_of_an_sx1276: "dio = 22" => "dio = 22\npower = 1";
    port_twice: "spi = \"0.1\"" => "spi = \"0.0\"";
    bus_with_a_select_pin: "dio = 22" => "dio = 22\nselect = 5";
    name_twice: "dio = 22" => "dio = 22\nname = \"radio0\"";
    same_reception: "channel = 868.3" => "channel = 868.1";
}

wrong! { joining();
    join_with_a_short_eui: "70b3d50700000001" => "70b3d507";
    join_with_a_known_key: "c9e07a5134bd286ff15e90a24c8d3b76" => "2b7e151628aed2a6abf7158809cf4f3c";
    join_without_a_key: ", app_key = \"c9e07a5134bd286ff15e90a24c8d3b76\"" => "";
    join_with_key_and_file: "app_key =" => "app_key_file = \"1739.app\", app_key =";
    activation_mistyped: "otaa =" => "ota =";
    activation_empty: JOIN => "";
    activation_as_text: "{ otaa = { join_eui = \"70b3d50700000001\", app_key = \"c9e07a5134bd286ff15e90a24c8d3b76\" } }" => "\"otaa\"";
    activation_missing: "activation = " => "# ";
    both_activations: "otaa =" => "abp = {}, otaa =";
}

#[test]
fn joins_need_a_channel_on_which_devices_join() {
    let radio = RADIO.to_owned() + "channel = 867.1\n";
    let alone = joining().replace("[concentrator]\n", "") + &radio;
    insta::assert_snapshot!(Site::new(&alone).told());
    assert_eq!(Site::new(&(joining() + &radio)).told(), "ok");
    let heard = Site::new(&alone.replace("867.1", "868.3")).told();
    assert!(!heard.contains("over the air"), "{heard}");
}

#[test]
fn two_radios_alone_say_what_both_hear() {
    let first = RADIO.replace("select = 21\n", "");
    let alone = LEAST.replace("[concentrator]\n", "") + &first + &OTHER.replace("1.0", "0.1");
    insta::assert_snapshot!(Site::new(&alone).told());
}

#[test]
fn a_device_that_joins() {
    let site = Site::new(&joining());
    assert_eq!(site.told(), "ok");
    let loaded = site.load().unwrap();
    let Activation::Otaa(otaa) = &loaded.settings.device[0].activation else { panic!("not OTAA") };
    assert_eq!(otaa.join_eui, "70b3d50700000001".parse().unwrap());
    let device = loaded.registry.get("70b3d50700001739".parse().unwrap()).unwrap();
    let lykta::device::Activation::Otaa(otaa) = &device.activation else { panic!("not OTAA") };
    assert_eq!(otaa.app_key, "c9e07a5134bd286ff15e90a24c8d3b76".parse().unwrap());
}

#[test]
fn the_key_of_a_join_is_shown_nowhere() {
    let site = Site::new(&joining());
    let loaded: Loaded = site.load().unwrap();
    let shown = format!("{:?}{:?}", loaded.settings, loaded.sources);
    assert!(!shown.contains("c9e07a51"), "{shown}");
    let wrong = Site::new(&joining().replace("3b76", "3b7")).told();
    assert!(!wrong.contains("c9e07a51"), "{wrong}");
}

#[test]
fn numbers_and_switches_come_from_the_environment() {
    let site = Site::new(LEAST);
    let loaded = site
        .load_with(&[
            ("LYKTA_OUTPUT__STATUS_LED", "26"),
            ("LYKTA_LORAWAN__RX2_DATA_RATE", " 3 "),
            ("LYKTA_LORAWAN__CHANNELS", "[867.1, 866]"),
            ("LYKTA_RADIO", "[{ chip = \"sx1262\", reset = 18, busy = 20, dio = 16, tcxo = 1.8 }]"),
            ("LYKTA_GATEWAY", "26"),
        ])
        .unwrap();
    let settings = &loaded.settings;
    assert_eq!(settings.output.status_led, Some(26));
    assert_eq!(settings.lorawan.rx2_data_rate, 3);
    let channels: Vec<Hertz> = settings.lorawan.channels.iter().map(|c| c.0).collect();
    assert_eq!(channels, [Hertz(867_100_000), Hertz(866_000_000)]);
    assert_eq!(settings.radio[0].tcxo, Some(1.8));
    // what is text stays text
    assert_eq!(settings.gateway.as_str(), "26");
    let led = loaded.sources.iter().find(|s| s.key == "output.status_led").unwrap();
    assert_eq!(led.value, "26");
}

#[test]
fn a_wrong_number_in_the_environment() {
    let told = |value: &str| {
        let variables = [("LYKTA_OUTPUT__STATUS_LED", value)];
        Site::new(LEAST).load_with(&variables).unwrap_err().to_string()
    };
    let all: Vec<String> = ["red", "2.5", "99", "", "true"].map(told).into();
    insta::assert_snapshot!(all.join("\n\n————\n\n"));
}

/// The tables of HATs that come with lykta.
fn examples() -> Vec<(String, String)> {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/config/examples");
    let mut all: Vec<(String, String)> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read_to_string(path).unwrap())
        })
        .collect();
    all.sort();
    all
}

#[test]
fn every_example_is_a_sound_radio() {
    let examples = examples();
    assert!(examples.len() >= 3, "{} examples", examples.len());
    for (name, text) in examples {
        let site = Site::new(LEAST);
        site.write(&format!("conf.d/{name}"), &text);
        assert_eq!(site.told(), "ok", "{name}");
        assert_eq!(site.load().unwrap().settings.radio.len(), 1, "{name}");
        assert!(text.starts_with("# ") && text.contains("Untested on hardware"), "{name}");
    }
}

#[test]
fn the_annotated_radio_says_what_is_needed() {
    let text = template();
    let at = text.find("\n#[[radio]]").unwrap();
    let radio: String = text[at..text.find("\n[lorawan]").unwrap()]
        .lines()
        .filter_map(|line| line.strip_prefix('#'))
        .filter(|line| !line.starts_with(' '))
        .map(|line| format!("{line}\n"))
        .collect();
    let text = format!("{LEAST}\n{radio}");
    assert_eq!(Site::new(&changed(&text, "dio =", "busy = 20\ndio =")).told(), "ok");
}

#[test]
fn exactly_one_activation_is_live_in_the_annotated_configuration() {
    let text = template();
    let live: Vec<&str> =
        text.lines().filter(|line| line.starts_with("#[device.activation.")).collect();
    assert_eq!(live, ["#[device.activation.otaa]"]);
    assert!(text.contains("\n# [device.activation.abp]\n"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// A channel is taken exactly when a sub-band has room for it and LoRaWAN can name it.
    #[test]
    fn channels_are_taken_by_the_table_of_the_band(steps in 8_625_000u32..8_705_000) {
        let channel = Hertz(steps * 100);
        let radio = format!("{RADIO}channel = {}\n", f64::from(channel.0) / 1e6);
        let loaded = Site::new(&(LEAST.to_owned() + &radio)).load();
        prop_assert_eq!(loaded.is_ok(), sub_band(channel, Hertz(125_000)).is_some());
        if let Ok(loaded) = loaded {
            prop_assert_eq!(loaded.settings.radio[0].channel.0, channel);
        }
    }

    /// Whatever pins are named, they are distinct, on the header and not the bus's, or refused.
    #[test]
    fn pins_are_distinct_or_refused(reset in 0u8..32, busy in 0u8..32, dio in 0u8..32, led in 0u8..32) {
        let pins = [reset, busy, dio, led];
        let text = format!(
            "{LEAST}[[radio]]\nchip = \"sx1262\"\nreset = {reset}\nbusy = {busy}\ndio = {dio}\n\
             [output]\nstatus_led = {led}\n"
        );
        let distinct = pins.iter().collect::<std::collections::HashSet<_>>().len() == pins.len();
        let sound = distinct && pins.iter().all(|pin| *pin <= 27 && !(7..=11).contains(pin));
        prop_assert_eq!(Site::new(&text).load().is_ok(), sound, "{:?}", pins);
    }

    /// A variable that is set to anything is a setting or an error, never a panic.
    #[test]
    fn any_number_in_the_environment(value in "[0-9.eE+-]{0,12}|nan|inf|true|[ -~]{0,8}") {
        for name in ["LYKTA_OUTPUT__RELAY", "LYKTA_LORAWAN__CHANNELS", "LYKTA_LORAWAN__RX2_DATA_RATE"] {
            let _ = Site::new(LEAST).load_with(&[(name, &value)]);
        }
    }
}
