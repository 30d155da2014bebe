//! What can be wrong with radios, outputs and what devices are told: pins that are not there or
//! taken, chips that cannot do it, channels outside the band.

use super::check::Checks;
use super::key::KeyPath;
use super::settings::{Activation, Chip, LorawanSettings, RadioSettings, Settings, SpiPort};
use crate::eu868::{DEFAULT_CHANNELS, SUB_BANDS, sub_band};
use crate::units::Hertz;
use std::collections::{BTreeSet, HashMap};
use std::ops::RangeInclusive;

/// The pins of the 40-pin header, by their BCM numbers.
const PINS: RangeInclusive<u8> = 0..=27;

/// The voltages that an SX1262 can put on its DIO3 (its data sheet, SetDIO3AsTcxoCtrl).
const TCXO_VOLTAGES: [f32; 8] = [1.6, 1.7, 1.8, 2.2, 2.4, 2.7, 3.0, 3.3];

/// The bandwidth of every channel that is listened on.
const BANDWIDTH: Hertz = Hertz(125_000);

/// Frequencies go over the air in these steps (LoRaWAN 1.0.4, NewChannelReq).
const FREQUENCY_STEP: u32 = 100;

/// Who uses what. Pins and ports belong to one part each.
#[derive(Default)]
struct Taken {
    pins: HashMap<u8, KeyPath>,
    ports: HashMap<(u8, u8), KeyPath>,
    names: HashMap<String, KeyPath>,
}

impl Checks<'_> {
    /// Radios, outputs, and what devices are told.
    pub(super) fn radios(&mut self, settings: &Settings) {
        let root = KeyPath::default();
        let paths: Vec<KeyPath> =
            self.reader.elements("radio").take(settings.radio.len()).collect();
        let radios: Vec<(&RadioSettings, &KeyPath)> = settings.radio.iter().zip(&paths).collect();
        let mut taken = Taken::default();
        for (index, (radio, path)) in radios.iter().enumerate() {
            self.name(index, radio, path, &mut taken);
            self.spi(radio, path, &radios, &mut taken);
            self.chip(radio, path);
            self.reception(radio, path);
        }
        // a bus that any radio uses takes its pins from all: only now are all buses known
        for (radio, path) in &radios {
            let pins = [
                ("select", radio.select),
                ("reset", Some(radio.reset)),
                ("busy", radio.busy),
                ("dio", Some(radio.dio)),
                ("rx_enable", radio.rx_enable),
                ("tx_enable", radio.tx_enable),
            ];
            self.pins(path, &pins, &mut taken);
        }
        let output = &settings.output;
        let pins = [
            ("status_led", output.status_led),
            ("relay", output.relay),
            ("buzzer", output.buzzer),
            ("button", output.button),
        ];
        self.pins(&root.key("output"), &pins, &mut taken);
        self.lorawan(&root.key("lorawan"), &settings.lorawan);
        self.same_reception(&radios);
        if settings.concentrator.is_none() && self.reader.is_whole(&root.key("radio")) {
            self.single_channel(settings, &radios);
        }
    }

    fn name(&mut self, index: usize, radio: &RadioSettings, path: &KeyPath, taken: &mut Taken) {
        let at = path.key("name");
        let name = radio.called(index);
        let is_fit = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if !(1..=32).contains(&name.len()) || !name.chars().all(is_fit) {
            let what = format!("{name:?} cannot be the name of a radio");
            self.error(&at, what, "use 1 to 32 characters of a-z, 0-9 and '-'");
        }
        if let Some(earlier) = taken.names.insert(name.clone(), at.clone()) {
            let what = format!("two radios are called \"{name}\"");
            self.twice(&at, &earlier, what, "give each radio a name of its own");
        }
    }

    fn spi(
        &mut self,
        radio: &RadioSettings,
        path: &KeyPath,
        radios: &[(&RadioSettings, &KeyPath)],
        taken: &mut Taken,
    ) {
        let at = path.key("spi");
        let SpiPort { bus, select } = radio.spi;
        let selects = if bus == 0 { 0..=1 } else { 0..=2 };
        if bus > 6 || !selects.contains(&select) {
            let what = format!("there is no SPI port {} on a Raspberry Pi", radio.spi);
            let help = "bus 0 has the ports \"0.0\" and \"0.1\", bus 1 has \"1.0\" to \"1.2\"";
            self.error(&at, what, help);
        }
        if let Some(earlier) = taken.ports.insert((bus, select), at.clone()) {
            let what = format!("two radios are at SPI port {}", radio.spi);
            self.twice(&at, &earlier, what, "give each radio a port of its own, such as \"0.1\"");
            return;
        }
        // the kernel keeps radios apart by the bus's own pins only: what is sent to one would
        // reach the other, too, while its own pin selects it
        let other = radios.iter().take_while(|(_, other)| *other != path).find(|(other, _)| {
            other.spi.bus == bus && (other.select.is_some() || radio.select.is_some())
        });
        if let Some((_, other)) = other {
            let what =
                format!("a radio with a `select` pin shares SPI bus {bus} with another radio");
            let help = "put it on a bus of its own: what is sent to one would disturb the other";
            self.contradiction(&at, &other.key("spi"), "the other is here", what, help);
        }
    }

    fn chip(&mut self, radio: &RadioSettings, path: &KeyPath) {
        let power = match radio.chip {
            Chip::Sx1262 => {
                if radio.busy.is_none() {
                    let help = "add busy = PIN; the tables in config/examples name the pins";
                    self.error(&path.key("busy"), "`busy` is missing: an SX1262 needs it", help);
                }
                if let Some(volts) = radio.tcxo.filter(|volts| !TCXO_VOLTAGES.contains(volts)) {
                    let what = format!("an SX1262 cannot supply its oscillator with {volts} V");
                    let help = "choose one of 1.6, 1.7, 1.8, 2.2, 2.4, 2.7, 3.0, 3.3: the module's \
                                data sheet says which, most want 1.8";
                    self.error(&path.key("tcxo"), what, help);
                }
                0..=22
            }
            Chip::Sx1276 => {
                for name in ["busy", "tcxo", "dio2_switch"] {
                    let at = path.key(name);
                    if self.reader.leaves.iter().any(|leaf| leaf.path == at && !leaf.is_default) {
                        let what = format!("`{name}` is given, and an SX1276 has no such thing");
                        self.error(&at, what, "remove it, or write chip = \"sx1262\"");
                    }
                }
                // its driver sets other powers than asked for above 17
                2..=17
            }
        };
        if !power.contains(&radio.power) {
            let what = format!("the chip cannot send with {} dBm", radio.power);
            let help = format!("write {} to {}; 14 is usual", power.start(), power.end());
            self.error(&path.key("power"), what, help);
        }
        // with more, the least power of a chip is more than the law allows to be radiated
        if !(-20.0..=14.0).contains(&radio.antenna_gain) {
            let what = format!("no answer could be sent with {} dBi", radio.antenna_gain);
            let help = "write the antenna's gain less the loss of its cable, -20 to 14; 2.15 is a \
                        dipole";
            self.error(&path.key("antenna_gain"), what, help);
        }
    }

    fn reception(&mut self, radio: &RadioSettings, path: &KeyPath) {
        self.channel(&path.key("channel"), radio.channel.0);
        if !(7..=12).contains(&radio.spreading_factor) {
            let what = format!("there is no spreading factor {} here", radio.spreading_factor);
            let help = "write 7 (DR5, fast) to 12 (DR0, far); 9 is a good start";
            self.error(&path.key("spreading_factor"), what, help);
        }
    }

    /// Whether a LoRa channel may be there.
    fn channel(&mut self, path: &KeyPath, channel: Hertz) {
        let what = if sub_band(channel, BANDWIDTH).is_none() {
            format!("there is no room for a channel at {} MHz in the EU868 band", mhz(channel))
        } else if !channel.0.is_multiple_of(FREQUENCY_STEP) {
            let what = format!("{} MHz is no multiple of 100 Hz", mhz(channel));
            self.error(path, what, "LoRaWAN cannot name such a channel: round it");
            return;
        } else {
            return;
        };
        let half = BANDWIDTH.0 / 2;
        let centres = |from: Hertz, to: Hertz| (from.0 + half, to.0 - half);
        let nearest = SUB_BANDS.iter().min_by_key(|band| {
            let (from, to) = centres(band.from, band.to);
            channel.0.clamp(from, to).abs_diff(channel.0)
        });
        let help = nearest.map_or_else(String::new, |band| {
            let (from, to) = centres(band.from, band.to);
            format!(
                "the nearest sub-band, {} MHz, has room from {} to {}",
                band.name,
                mhz(Hertz(from)),
                mhz(Hertz(to))
            )
        });
        self.error(path, what, help);
    }

    fn pins(&mut self, path: &KeyPath, pins: &[(&str, Option<u8>)], taken: &mut Taken) {
        for (name, pin) in pins {
            let (at, Some(pin)) = (path.key(name), *pin) else { continue };
            if !PINS.contains(&pin) {
                let help =
                    "write the BCM number, 0 to 27, not the place on the header: GPIO17 is 17";
                self.error(&at, format!("there is no pin {pin}"), help);
                continue;
            }
            let port = taken.ports.iter().find(|((bus, _), _)| bus_pins(*bus).contains(&pin));
            if let Some(((bus, _), port)) = port {
                let what = format!("pin {pin} belongs to SPI bus {bus}");
                let help = match *name {
                    "select" => "leave `select` out: the bus selects the chip of its port itself",
                    _ => "name the pin to which this line goes: SPI uses this one itself",
                };
                let port = port.clone();
                self.contradiction(&at, &port, "the bus is used here", what, help);
            } else if let Some(earlier) = taken.pins.get(&pin) {
                let what = format!("pin {pin} is used twice");
                self.twice(&at, earlier, what, "look up both pins: one of them must be another");
            } else {
                taken.pins.insert(pin, at);
            }
        }
    }

    fn lorawan(&mut self, path: &KeyPath, lorawan: &LorawanSettings) {
        let delay = lorawan.rx1_delay;
        if delay.subsec_nanos() != 0 || !(1..=15).contains(&delay.as_secs()) {
            let help = "devices know whole seconds only; \"1s\" is what they know before they join";
            self.error(
                &path.key("rx1_delay"),
                "rx1_delay must be 1s to 15s, in whole seconds",
                help,
            );
        }
        if lorawan.rx2_data_rate > 5 {
            let what = format!("there is no data rate {} here", lorawan.rx2_data_rate);
            self.error(&path.key("rx2_data_rate"), what, "write 0 (SF12) to 5 (SF7)");
        }
        let at = path.key("channels");
        if lorawan.channels.len() > 5 {
            let what = format!("{} channels, and devices can be told five", lorawan.channels.len());
            self.error(&at, what, "868.1, 868.3 and 868.5 come on top: every device knows them");
        }
        let mut seen: HashMap<u32, KeyPath> = HashMap::new();
        for (i, channel) in lorawan.channels.iter().enumerate() {
            let (at, channel) = (at.element(i), channel.0);
            self.channel(&at, channel);
            if DEFAULT_CHANNELS.contains(&channel) {
                let what = format!("every device knows {} MHz already", mhz(channel));
                self.error(&at, what, "remove it, or name another channel");
            }
            if let Some(earlier) = seen.insert(channel.0, at.clone()) {
                let what = format!("channel {} MHz is there twice", mhz(channel));
                self.twice(&at, &earlier, what, "remove one of the two");
            }
        }
    }

    /// Two radios that hear the same are seldom meant.
    fn same_reception(&mut self, radios: &[(&RadioSettings, &KeyPath)]) {
        let mut seen: HashMap<(u32, u8), &KeyPath> = HashMap::new();
        for (radio, path) in radios {
            let hears = (radio.channel.0.0, radio.spreading_factor);
            let Some(earlier) = seen.insert(hears, path) else { continue };
            let what = format!(
                "two radios listen on {} MHz with SF{}",
                mhz(radio.channel.0),
                radio.spreading_factor
            );
            let help = "unless their antennas look different ways, give one another channel";
            self.doubt(&path.key("channel"), &earlier.key("channel"), what, help);
        }
    }

    /// Without a concentrator.
    fn single_channel(&mut self, settings: &Settings, radios: &[(&RadioSettings, &KeyPath)]) {
        let Some((_, path)) = radios.first() else {
            self.warning(
                &KeyPath::default().key("concentrator"),
                "neither a concentrator nor a radio is configured, so no sensor can be heard",
                "add [concentrator] with listen = \"127.0.0.1:1700\", or a [[radio]] table from \
                 config/examples",
            );
            return;
        };
        let heard: BTreeSet<String> = radios
            .iter()
            .map(|(radio, _)| {
                let (channel, factor) = (mhz(radio.channel.0), radio.spreading_factor);
                format!("{channel} MHz with DR{} (SF{factor})", 12u8.saturating_sub(factor))
            })
            .collect();
        let help = format!(
            "set each sensor in its vendor's tool to {}, and ADR off; one that changes channels is \
             heard now and then, and takes several tries to join",
            heard.into_iter().collect::<Vec<_>>().join(" or ")
        );
        self.warning(
            path,
            "a radio hears one channel and one spreading factor: without a concentrator this is no \
             LoRaWAN-conformant gateway",
            help,
        );
        let is_otaa = |activation: &Activation| matches!(activation, Activation::Otaa(_));
        let joins = settings.device.iter().filter(|device| is_otaa(&device.activation)).count();
        let hears_joins =
            radios.iter().any(|(radio, _)| DEFAULT_CHANNELS.contains(&radio.channel.0));
        if joins > 0 && !hears_joins {
            let who = match joins {
                1 => "a device joins".to_owned(),
                n => format!("{n} devices join"),
            };
            self.warning(
                &path.key("channel"),
                format!("{who} over the air, and no radio listens where devices join"),
                "write channel = 868.1 (or 868.3, 868.5), or give the device a fixed session (abp)",
            );
        }
    }
}

/// The pins of an SPI bus on the header: data, clock and chip selects. Of the buses that only
/// newer boards have, none are known.
fn bus_pins(bus: u8) -> RangeInclusive<u8> {
    match bus {
        0 => 7..=11,
        1 => 16..=21,
        _ => RangeInclusive::new(1, 0),
    }
}

/// A frequency as people write it.
fn mhz(frequency: Hertz) -> f64 {
    f64::from(frequency.0) / 1e6
}
