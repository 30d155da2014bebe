//! The settings as types. Each field carries its meaning, its default and an example; the
//! annotated `config/lykta.toml` is generated from these very words.

use super::bin::{BinId, BinSettings};
use super::care::{EscalationSettings, ResidentSettings};
use super::key::KeyPath;
use super::plan::PlanSettings;
use super::read::{Read, Reader};
use super::schema::{Key, Shape, Table, settings};
use super::timing::Zone;
use crate::units::{
    AesKey, DevAddr, DevEui, GatewayEui, GatewayId, Hertz, JoinEui, PlanName, TenantId,
};
use figment::value::Value;
use ipnet::IpNet;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

settings! {
    /// Everything that can be set.
    pub struct Settings {
        /// This gateway's name, 1 to 64 characters of a-z, 0-9 and '-': part of every topic.
        pub gateway: GatewayId => "gw-1",
        /// Where the databases lie; must be writable.
        pub state_dir: PathBuf = "/var/lib/lykta",
        /// Where Prometheus may read `/metrics`: an address of the loopback, such as
        /// "127.0.0.1:9185", or the whole path of a Unix socket, such as
        /// "/run/lykta/metrics.sock". Left out: nowhere.
        pub metrics: Option<MetricsAt> => "127.0.0.1:9185",
        /// How data is kept.
        pub store: StoreSettings = {},
        /// A concentrator (or several) that speaks the Semtech UDP protocol. Left out: none
        /// is listened for.
        pub concentrator: Option<Concentrator>,
        /// The radio HATs of this machine. See config/examples for tables of common ones.
        pub radio: Vec<RadioSettings> = [],
        /// What devices are told about their network.
        pub lorawan: LorawanSettings = {},
        /// Lamps, relays and a button on GPIO pins of this machine.
        pub output: OutputSettings = {},
        /// What to do about a mobile modem that has hung itself up. Left out: nothing.
        pub modem: Option<ModemSettings>,
        /// Who owns data: each tenant has its own database, broker connection and topics.
        pub tenant: Vec<Tenant> = [],
        /// The sensors, here and in devices.d/*.toml.
        pub device: Vec<DeviceSettings> = [],
        /// Who is cared for, under pseudonyms. Their sensors are the devices of a tenant of kind
        /// "care" that name them; without consent nothing of them is decoded.
        pub resident: Vec<ResidentSettings> = [],
        /// The bins, each by the name that its device gives in `bin`. One without a table has all
        /// the defaults, but no position, and is in no plan.
        pub bin: BTreeMap<BinId, BinSettings> = {},
        /// The plans that are made here, each by its name: 1 to 64 characters of a-z, 0-9 and '-',
        /// part of its topics.
        pub plan: BTreeMap<PlanName, PlanSettings> = {},
    }

    /// How data is kept.
    pub struct StoreSettings {
        /// How long an uplink may wait so that several share one write to the card, which spares
        /// it. What is waiting is lost with the power. Alarms, events and what a sensor waits an
        /// answer for never wait. With "0s" each uplink is written at once.
        pub commit_interval: Duration = "2s",
        /// So many uplinks are written without waiting any longer, 1 to 1000.
        pub commit_rows: u32 = 100,
        /// How many terabytes the card can take in its life (TBW in its data sheet): `lykta status`
        /// tells by it how many years are left to it. 10 is a careful guess for 32 GB.
        pub card_endurance_tb: u32 = 10,
    }

    /// The Semtech UDP listener.
    pub struct Concentrator {
        /// Address and port. The protocol has no authentication: listen on loopback or on a
        /// network of your own.
        pub listen: SocketAddr = "127.0.0.1:1700",
        /// The EUIs that may speak. Empty: every concentrator may.
        pub allow: Vec<GatewayEui> = [],
        /// The networks that they may speak from, such as "192.168.7.0/24". Empty: any.
        pub allow_from: Vec<IpNet> = [],
        /// How long to wait for copies of a frame by other concentrators. Waited only once a
        /// second concentrator has been heard.
        pub dedup_window: Duration = "200ms",
    }

    /// A radio HAT. It listens on one channel with one spreading factor. Pins are BCM numbers.
    pub struct RadioSettings {
        /// What it is called in the journal, in a-z, 0-9 and '-'. Left out: radio0, radio1 … in
        /// this order.
        pub name: Option<String> => "street",
        /// Its chip: "sx1262" or "sx1276".
        pub chip: Chip => "sx1262",
        /// Its SPI bus and chip select: "0.0" is /dev/spidev0.0.
        pub spi: SpiPort = "0.0",
        /// The chip-select pin, where the HAT does not use the one of its SPI bus.
        pub select: Option<u8> => 21,
        /// The pin of its reset line.
        pub reset: u8 => 18,
        /// The pin of its busy line. Only an SX1262 has one, and must.
        pub busy: Option<u8> => 20,
        /// The pin of its interrupt line: DIO1 of an SX1262, DIO0 of an SX1276.
        pub dio: u8 => 16,
        /// The pin that switches the antenna to reception, where there is one.
        pub rx_enable: Option<u8> => 5,
        /// The pin that switches the antenna to transmission, where there is one.
        pub tx_enable: Option<u8> => 6,
        /// Whether the chip itself switches the antenna, by its DIO2 (SX1262).
        pub dio2_switch: bool = true,
        /// The voltage of the temperature-compensated oscillator on DIO3 (SX1262): 1.6, 1.7, 1.8,
        /// 2.2, 2.4, 2.7, 3.0 or 3.3. Left out: the HAT has a crystal.
        pub tcxo: Option<f32> => 1.8,
        /// The channel that it listens on, in MHz. Devices join on 868.1, 868.3 and 868.5 only.
        pub channel: Megahertz = 868.1,
        /// The spreading factor that it listens for, 7 (DR5) to 12 (DR0).
        pub spreading_factor: u8 = 9,
        /// The greatest power that it sends with, in dBm, 0 to 22 (SX1262) or 2 to 17 (SX1276).
        /// Never more than the law allows is radiated.
        pub power: u8 = 14,
        /// The gain of its antenna in dBi, less the loss of its cable.
        pub antenna_gain: f32 = 2.15,
    }

    /// What devices are told about their network when they join, or later.
    pub struct LorawanSettings {
        /// From the end of an uplink to its answer: whole seconds, 1s to 15s. More helps a slow
        /// card.
        pub rx1_delay: Duration = "1s",
        /// The data rate of the second answer window at 869.525 MHz, 0 (SF12) to 5 (SF7).
        pub rx2_data_rate: u8 = 0,
        /// Up to five channels, in MHz, that devices use behind a concentrator beside the three
        /// that every device knows. Radio HATs alone never hand them out.
        pub channels: Vec<Megahertz> = [867.1, 867.3, 867.5, 867.7, 867.9],
    }

    /// Lamps, relays and a button, by the BCM number of their pin.
    pub struct OutputSettings {
        /// A lamp: steady while radios, disk and brokers work, slow blinking without a broker, fast
        /// when a radio or the disk fails.
        pub status_led: Option<u8> => 26,
        /// A relay that is closed while an alarm of a resident waits for an answer and no broker can
        /// be told.
        pub relay: Option<u8> => 13,
        /// A buzzer that sounds just then.
        pub buzzer: Option<u8> => 19,
        /// A button between this pin and ground: whoever presses it goes to all residents whose
        /// alarms wait.
        pub button: Option<u8> => 6,
    }

    /// A mobile modem, and how it is restarted.
    pub struct ModemSettings {
        /// A program, by its whole path, and its arguments. It is run without a shell, with
        /// nothing in its environment but PATH, and killed after 60s. As a service lykta has few
        /// rights, and so has this: see the README.
        pub command: Vec<String> => ["/usr/bin/touch", "/var/lib/lykta/restart-modem"],
        /// It is run when no tenant has had a broker for so long, and again after twice as long,
        /// up to 6h.
        pub after: Duration = "15min",
    }

    /// One owner of data.
    pub struct Tenant {
        /// Its name, 1 to 64 characters of a-z, 0-9 and '-': part of its topics.
        pub id: TenantId => "waste",
        /// What its data is: "waste", "care" (decisions only, no raw data leaves) or "generic".
        pub kind: TenantKind = "generic",
        /// The time zone in which its days begin.
        pub timezone: Zone = "Europe/Stockholm",
        /// File that holds the key under which its database is encrypted, 64 hexadecimal digits:
        /// `openssl rand -hex 32` makes one. A bare name is a systemd credential. A tenant of the kind
        /// "care" must have one. Without the key nobody can read the data, its owner neither.
        pub store_key_file: Option<PathBuf> => "care-key",
        /// File that holds the key of before, when there is a new one: the next start encrypts the
        /// database anew. Then leave it out again, and destroy that key.
        pub earlier_store_key_file: Option<PathBuf> => "earlier-care-key",
        /// How much may wait for its broker.
        pub buffer: Buffer = {},
        /// Of kind "care": when who is told of an alarm. Left out: as here.
        pub escalation: Option<EscalationSettings>,
        /// Of kind "care": how long what has been erased or superseded may still lie on the card,
        /// from 1min to 72h. Then it is overwritten.
        pub erase_after: Duration = "1h",
        /// Its broker.
        pub upstream: Upstream,
    }

    /// How much may wait for a broker that is away. What there is no room for is given up, and
    /// counted: diagnostics, then measurements but one an hour and then one a day of each topic,
    /// then events and plans. Alarms never are.
    pub struct Buffer {
        /// The greatest size of its database in MB, 8 to 900.
        pub max_mb: u32 = 512,
        /// What is older is given up, 1 to 3660 days; by a clock that was not set anew for a day.
        pub max_days: u32 = 90,
    }

    /// A tenant's MQTT broker.
    pub struct Upstream {
        /// Brokers, tried in this order: mqtt://HOST:PORT, or mqtts://HOST:PORT for TLS.
        pub urls: Vec<BrokerUrl> => ["mqtt://127.0.0.1:1883"],
        /// The first level of every topic.
        pub prefix: String = "lykta",
        /// MQTT version: 5, or 4 for MQTT 3.1.1, which cannot tell a refusal from a delivery.
        pub protocol: Protocol = 5,
        /// The MQTT client id. Left out: lykta-GATEWAY-TENANT.
        pub client_id: Option<String> => "lykta-gw-1-waste",
        /// PEM file of the authorities that vouch for the broker. Left out: the system's.
        pub ca: Option<PathBuf> => "/etc/lykta/broker-ca.pem",
        /// PEM file with this client's certificate chain, together with `key`.
        pub cert: Option<PathBuf> => "/etc/lykta/client.pem",
        /// PEM file with this client's private key, together with `cert`.
        pub key: Option<PathBuf> => "/etc/lykta/client.key",
        /// MQTT user name.
        pub username: Option<String> => "gw-1",
        /// File whose first line is the MQTT password. A bare name is a systemd credential.
        pub password_file: Option<PathBuf> => "mqtt-password",
        /// How often to ask whether the broker is still there, from 5s to 10min; a dead link
        /// is noticed within twice this time.
        pub keep_alive: Duration = "20s",
        /// How many megabytes may go in a day (UTC), over a metered line; 0: as many as there are.
        /// From four fifths of it on one measurement an hour goes of each sensor and the others are
        /// given up and counted; beyond it only alarms go, and all else waits for the next day.
        /// What keeps the connection open is not counted: 1 MB a day, or less with a longer
        /// `keep_alive`. Health is then told every quarter of an hour.
        pub daily_mb: u32 = 0,
        /// How many messages of a backlog go in a second after an outage, so that a city of gateways
        /// does not storm its broker. Alarms, events and plans go at once. 0: as fast as it goes.
        pub backlog_rate: u32 = 100,
        /// The backlog begins at a random time within this, or within the time that it takes if
        /// that is shorter.
        pub backlog_delay: Duration = "1min",
        /// The first wait after a failed attempt, half of it more or less; doubles. After a lost
        /// connection the first wait is anything up to six times this, so that a city of gateways
        /// does not come back to its broker in one wave.
        pub reconnect_min: Duration = "5s",
        /// Longest wait between two attempts.
        pub reconnect_max: Duration = "10min",
        /// After a connection of this length the waits begin anew with the shortest.
        pub reconnect_stable: Duration = "5min",
        /// Longest wait while an alarm waits.
        pub reconnect_alarm_max: Duration = "30s",
        /// For how long a message is offered that the broker refuses while it takes others. Then
        /// it is set aside: kept, out of the way, and offered now and then.
        pub set_aside_after: Duration = "1h",
        /// Whether commands are taken: by a second connection, whose client id ends in -commands.
        pub commands: bool = true,
        /// How long the broker keeps commands while this gateway is away, from 1min to 8760h (a year). With
        /// MQTT 3.1.1 that is for the broker's settings to say.
        pub command_session: Duration = "168h",
    }

    /// One sensor.
    pub struct DeviceSettings {
        /// The tenant that owns it.
        pub tenant: TenantId => "waste",
        /// Its DevEUI, as printed on it.
        pub dev_eui: DevEui => "70b3d50700001739",
        /// What people call it. Left out: its DevEUI.
        pub name: Option<String> => "Storgatan 4",
        /// The profile of its model.
        pub profile: String => "sensoneo-single",
        /// How it is activated.
        pub activation: Activation,
        /// The bin that it sits in.
        pub bin: Option<String> => "1739",
        /// The resident, by pseudonym, whose home it is in; together with `sensor`.
        pub resident: Option<String> => "r1",
        /// Its name in that home; together with `resident`.
        pub sensor: Option<String> => "bed",
    }

    /// What a device joins with. The key is given either as text or as a file.
    pub struct OtaaSettings {
        /// The JoinEUI (AppEUI), as printed on the device or in the vendor's key list.
        pub join_eui: JoinEui => "70b3d50700000000",
        /// The AppKey, 32 hexadecimal digits.
        pub app_key: Option<AesKey> => "32 hexadecimal digits",
        /// File that holds the AppKey. A bare name is a systemd credential.
        pub app_key_file: Option<PathBuf> => "1739.app",
    }

    /// A fixed session. Each key is given either as text or as a file.
    pub struct AbpSettings {
        /// Its address on the air, 8 hexadecimal digits.
        pub dev_addr: DevAddr => "260b1739",
        /// The network session key, 32 hexadecimal digits.
        pub nwk_s_key: Option<AesKey> => "32 hexadecimal digits",
        /// File that holds the network session key. A bare name is a systemd credential.
        pub nwk_s_key_file: Option<PathBuf> => "1739.nwk",
        /// The application session key, 32 hexadecimal digits.
        pub app_s_key: Option<AesKey> => "32 hexadecimal digits",
        /// File that holds the application session key. A bare name is a systemd credential.
        pub app_s_key_file: Option<PathBuf> => "1739.app",
    }
}

/// How a device is activated. Exactly one of the two.
#[derive(Debug, Clone, PartialEq)]
pub enum Activation {
    /// Over-the-air activation: the device joins.
    Otaa(OtaaSettings),
    /// Activation by personalisation: the session is fixed.
    Abp(AbpSettings),
}

impl Read for Activation {
    const SHAPE: Shape = Shape::Table(&Table {
        keys: &[
            Key {
                name: "otaa",
                doc: &[" Over-the-air activation: the device joins."],
                default: None,
                example: None,
                optional: true,
                shape: OtaaSettings::SHAPE,
            },
            Key {
                name: "abp",
                doc: &[" Activation by personalisation: the session is fixed."],
                default: None,
                example: None,
                optional: true,
                shape: AbpSettings::SHAPE,
            },
        ],
        one_of: true,
    });

    fn read(reader: &mut Reader, path: &KeyPath, value: &Value) -> Option<Self> {
        let Shape::Table(table) = Self::SHAPE else { return None };
        let found = reader.table(path, value, table)?;
        let [otaa, abp] = table.keys else { return None };
        match (found.contains_key(abp.name), found.contains_key(otaa.name)) {
            (true, false) => reader.key(path, found, abp).map(Self::Abp),
            (false, true) => reader.key(path, found, otaa).map(Self::Otaa),
            (true, true) => {
                let help = "remove one: a device has a fixed session or joins over the air";
                reader.wrong(path, "both `abp` and `otaa` are given", help);
                None
            }
            (false, false) => {
                // an unknown key in it has been told of already
                if found.is_empty() {
                    let help = "write activation = { otaa = { join_eui = \"…\", app_key = \"…\" } }, \
                                or abp with dev_addr, nwk_s_key and app_s_key";
                    reader.wrong(path, "neither `abp` nor `otaa` is given", help);
                }
                None
            }
        }
    }
}

impl RadioSettings {
    /// What the radio is called that is the `index`-th, from 0, of all.
    pub fn called(&self, index: usize) -> String {
        self.name.clone().unwrap_or_else(|| format!("radio{index}"))
    }
}

/// A radio chip that lykta drives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chip {
    /// Semtech SX1262 (and SX1268, LLCC68 as far as they are alike): first choice.
    Sx1262,
    /// Semtech SX1276 (and SX1278, RFM95): works, with less.
    Sx1276,
}

impl Chip {
    /// Its name, as printed on it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sx1262 => "SX1262",
            Self::Sx1276 => "SX1276",
        }
    }
}

/// An SPI bus and one of its chip selects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpiPort {
    /// The bus.
    pub bus: u8,
    /// The chip select.
    pub select: u8,
}

impl std::str::FromStr for SpiPort {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let parse = |text: &str| text.parse().ok();
        text.split_once('.')
            .and_then(|(bus, select)| Some(Self { bus: parse(bus)?, select: parse(select)? }))
            .ok_or_else(|| "this is not an SPI port".to_owned())
    }
}

impl std::fmt::Display for SpiPort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.bus, self.select)
    }
}

/// Where the metrics can be read: by nobody who is not on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricsAt {
    /// An address of the loopback.
    Tcp(SocketAddr),
    /// A Unix-domain socket.
    Unix(PathBuf),
}

impl std::str::FromStr for MetricsAt {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('/') {
            return Ok(Self::Unix(text.into()));
        }
        match text.parse::<SocketAddr>() {
            Ok(address) if address.ip().is_loopback() => Ok(Self::Tcp(address)),
            Ok(_) => Err("everybody could read that, not only this machine".to_owned()),
            Err(_) => Err("this is neither an address with a port nor a whole path".to_owned()),
        }
    }
}

impl std::fmt::Display for MetricsAt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A frequency that people write in MHz.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Megahertz(pub Hertz);

/// What a tenant's data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TenantKind {
    /// Bins: readings and raw uplinks are published.
    Waste,
    /// People: nothing about a single device is published.
    Care,
    /// Anything else: readings and raw uplinks are published.
    #[default]
    Generic,
}

/// The MQTT version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// MQTT 3.1.1, whose protocol level is 4.
    V4,
    /// MQTT 5.
    #[default]
    V5,
}

impl TryFrom<u8> for Protocol {
    type Error = String;
    fn try_from(level: u8) -> Result<Self, String> {
        match level {
            4 => Ok(Self::V4),
            5 => Ok(Self::V5),
            other => Err(format!("{other} is neither 5 (MQTT 5) nor 4 (MQTT 3.1.1)")),
        }
    }
}

/// Where a broker is, and whether over TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BrokerUrl {
    /// Host name or address.
    pub host: String,
    /// TCP port; 1883 or, with TLS, 8883 unless told.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub tls: bool,
}

impl TryFrom<String> for BrokerUrl {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        let wrong = |why: &str| format!("{why}; write mqtt://HOST:PORT or mqtts://HOST:PORT");
        let (scheme, rest) = text.split_once("://").ok_or_else(|| wrong("no scheme"))?;
        let (tls, default_port) = match scheme {
            "mqtt" => (false, 1883),
            "mqtts" => (true, 8883),
            _ => return Err(wrong("unknown scheme")),
        };
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        if rest.contains(['@', '/', '?']) {
            return Err(wrong(
                "only host and port belong here (user and password have keys of their own)",
            ));
        }
        // an IPv6 address stands in brackets: [::1]:1883
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (
                host,
                port.parse()
                    .ok()
                    .filter(|p| *p != 0)
                    .ok_or_else(|| wrong("the port is not a number from 1 to 65535"))?,
            ),
            _ => (rest, default_port),
        };
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() {
            return Err(wrong("no host"));
        }
        if tls && host.contains(':') {
            return Err(wrong("a certificate is for a name, and this is an IPv6 address"));
        }
        Ok(Self { host: host.to_owned(), port, tls })
    }
}

impl std::fmt::Display for BrokerUrl {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        if self.host.contains(':') {
            write!(f, "{scheme}://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{scheme}://{}:{}", self.host, self.port)
        }
    }
}
