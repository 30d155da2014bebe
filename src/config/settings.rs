//! The settings as types. Each field carries its meaning and its default; the annotated
//! `config/lykta.toml` is generated from these very comments.

use crate::units::{AesKey, DevAddr, DevEui, GatewayEui, GatewayId, TenantId, duration};
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// Everything that can be set.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// This gateway's name, 1 to 64 characters of a-z, 0-9 and '-': part of every topic. Required.
    pub gateway: GatewayId,
    /// Where the databases lie; must be writable. Default: /var/lib/lykta.
    #[serde(default = "default_state_dir")]
    pub state_dir: PathBuf,
    /// How data is kept.
    #[serde(default)]
    pub store: StoreSettings,
    /// A concentrator (or several) that speaks the Semtech UDP protocol. Left out: none is listened for.
    pub concentrator: Option<Concentrator>,
    /// Who owns data: each tenant has its own database, broker connection and topics.
    #[serde(default)]
    pub tenant: Vec<Tenant>,
    /// The sensors, here and in devices.d/*.toml.
    #[serde(default)]
    pub device: Vec<DeviceSettings>,
}

fn default_state_dir() -> PathBuf {
    "/var/lib/lykta".into()
}

/// How data is kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StoreSettings {
    /// How long an uplink may wait so that several share one write to the card. What is
    /// waiting is lost with the power. Default: 0s, each uplink is written at once.
    #[serde(deserialize_with = "duration::deserialize")]
    pub commit_interval: Duration,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { commit_interval: Duration::ZERO }
    }
}

/// The Semtech UDP listener.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Concentrator {
    /// Address and port. The protocol has no authentication: listen on loopback or on a
    /// network of your own. Default: 127.0.0.1:1700.
    #[serde(default = "default_listen")]
    pub listen: SocketAddr,
    /// The EUIs that may speak. Empty: every concentrator may. Default: empty.
    #[serde(default)]
    pub allow: Vec<GatewayEui>,
    /// How long to wait for copies of a frame by other concentrators. Waited only once a
    /// second concentrator has been heard. Default: 200ms.
    #[serde(default = "default_dedup_window", deserialize_with = "duration::deserialize")]
    pub dedup_window: Duration,
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 1700))
}

fn default_dedup_window() -> Duration {
    Duration::from_millis(200)
}

/// One owner of data.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tenant {
    /// Its name, 1 to 64 characters of a-z, 0-9 and '-': part of its topics. Required.
    pub id: TenantId,
    /// What its data is: "waste", "care" (decisions only, no raw data leaves) or "generic". Default: generic.
    #[serde(default)]
    pub kind: TenantKind,
    /// Its broker.
    pub upstream: Upstream,
}

/// What a tenant's data is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TenantKind {
    /// Bins: readings and raw uplinks are published.
    Waste,
    /// People: nothing about a single device is published.
    Care,
    /// Anything else: readings and raw uplinks are published.
    #[default]
    Generic,
}

/// A tenant's MQTT broker.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Brokers, tried in this order: mqtt://HOST:PORT, or mqtts://HOST:PORT for TLS. Required.
    pub urls: Vec<BrokerUrl>,
    /// The first level of every topic. Default: lykta.
    #[serde(default = "default_prefix")]
    pub prefix: String,
    /// MQTT version: 5, or 4 for MQTT 3.1.1, which cannot tell a refusal from a delivery. Default: 5.
    #[serde(default)]
    pub protocol: Protocol,
    /// The MQTT client id. Default: lykta-GATEWAY-TENANT.
    pub client_id: Option<String>,
    /// PEM file of the authorities that vouch for the broker. Default: the system's.
    pub ca: Option<PathBuf>,
    /// PEM file with this client's certificate chain, together with `key`.
    pub cert: Option<PathBuf>,
    /// PEM file with this client's private key, together with `cert`.
    pub key: Option<PathBuf>,
    /// MQTT user name.
    pub username: Option<String>,
    /// File whose first line is the MQTT password. A bare name is a systemd credential.
    pub password_file: Option<PathBuf>,
    /// How often to ask whether the broker is still there; a dead link is noticed within
    /// twice this time. Default: 20s.
    #[serde(default = "default_keep_alive", deserialize_with = "duration::deserialize")]
    pub keep_alive: Duration,
    /// First wait after a failed connection; doubles, with jitter. Default: 1s.
    #[serde(default = "default_reconnect_min", deserialize_with = "duration::deserialize")]
    pub reconnect_min: Duration,
    /// Longest wait between two attempts. Default: 60s.
    #[serde(default = "default_reconnect_max", deserialize_with = "duration::deserialize")]
    pub reconnect_max: Duration,
}

fn default_prefix() -> String {
    "lykta".into()
}

fn default_keep_alive() -> Duration {
    Duration::from_secs(20)
}

fn default_reconnect_min() -> Duration {
    Duration::from_secs(1)
}

fn default_reconnect_max() -> Duration {
    Duration::from_secs(60)
}

/// The MQTT version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(try_from = "u8")]
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
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
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

/// One sensor.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeviceSettings {
    /// The tenant that owns it. Required.
    pub tenant: TenantId,
    /// Its DevEUI, as printed on it. Required.
    pub dev_eui: DevEui,
    /// What people call it. Default: its DevEUI.
    pub name: Option<String>,
    /// The profile of its model. Required.
    pub profile: String,
    /// How it is activated. Required.
    pub activation: Activation,
    /// The bin that it sits in.
    pub bin: Option<String>,
    /// The resident, by pseudonym, whose home it is in; together with `sensor`.
    pub resident: Option<String>,
    /// Its name in that home; together with `resident`.
    pub sensor: Option<String>,
}

/// How a device is activated. Exactly one of the two.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// Activation by personalisation: the session is fixed.
    Abp(AbpSettings),
}

/// A fixed session. Each key is given either as text or as a file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AbpSettings {
    /// Its address on the air, 8 hexadecimal digits. Required.
    pub dev_addr: DevAddr,
    /// The network session key, 32 hexadecimal digits.
    pub nwk_s_key: Option<AesKey>,
    /// File that holds the network session key. A bare name is a systemd credential.
    pub nwk_s_key_file: Option<PathBuf>,
    /// The application session key, 32 hexadecimal digits.
    pub app_s_key: Option<AesKey>,
    /// File that holds the application session key. A bare name is a systemd credential.
    pub app_s_key_file: Option<PathBuf>,
}
