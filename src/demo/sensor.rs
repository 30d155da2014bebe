//! Simulated sensors: LoRaWAN end devices with real frames and their vendors' payloads.

use crate::lorawan::frame::{Direction, Outgoing};
use crate::units::{AesKey, DevAddr, DevEui};
use fastrand::Rng;

/// What kind of sensor it is, by the profile that reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Model {
    /// Sensoneo ultrasonic.
    Sensoneo,
    /// Milesight EM400 ultrasonic.
    Em400,
    /// Dragino ultrasonic.
    Ldds75,
    /// Elsys ultrasonic.
    Elt,
    /// Milesight passive infrared.
    Ws202,
    /// Milesight door contact.
    Ws301,
    /// Netvox dry contact with a pressure mat.
    Bed,
}

impl Model {
    pub(super) fn profile(self) -> &'static str {
        match self {
            Self::Sensoneo => "sensoneo-single",
            Self::Em400 => "milesight-em400-mud",
            Self::Ldds75 => "dragino-ldds75",
            Self::Elt => "elsys-elt",
            Self::Ws202 => "milesight-ws202",
            Self::Ws301 => "milesight-ws301",
            Self::Bed => "netvox-r718j",
        }
    }

    fn port(self) -> u8 {
        match self {
            Self::Sensoneo | Self::Ldds75 => 2,
            Self::Elt => 5,
            Self::Em400 | Self::Ws202 | Self::Ws301 => 85,
            Self::Bed => 6,
        }
    }
}

/// What a sensor has to say.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Say {
    /// The distance to the waste in centimetres (`None`: no echo), and degrees Celsius.
    Level(Option<u16>, i8),
    /// Motion, an open door, a person on the bed: or the end of it.
    State(bool),
}

/// One device with its keys and its frame counter.
#[derive(Debug, Clone)]
pub(super) struct Sensor {
    pub(super) model: Model,
    pub(super) dev_eui: DevEui,
    pub(super) name: String,
    dev_addr: DevAddr,
    nwk_s_key: [u8; 16],
    app_s_key: [u8; 16],
    f_cnt: u32,
}

impl Sensor {
    pub(super) fn new(model: Model, name: impl Into<String>, number: u8, random: &mut Rng) -> Self {
        let mut key = || std::array::from_fn(|_| random.u8(..));
        Self {
            model,
            name: name.into(),
            dev_eui: DevEui(0x70b3_d5fe_0000_0000 | u64::from(number)),
            dev_addr: DevAddr(0x2600_1000 | u32::from(number)),
            nwk_s_key: key(),
            app_s_key: key(),
            f_cnt: random.u32(0..60_000),
        }
    }

    /// The device's table in the configuration; `rest` are its further lines.
    pub(super) fn table(&self, tenant: &str, rest: &str) -> String {
        let activation = format!(
            "abp = {{ dev_addr = \"{}\", nwk_s_key = \"{}\", app_s_key = \"{}\" }}",
            self.dev_addr,
            hex::encode(self.nwk_s_key),
            hex::encode(self.app_s_key),
        );
        self.table_with(tenant, &activation, rest)
    }

    /// The same with another activation.
    pub(super) fn table_with(&self, tenant: &str, activation: &str, rest: &str) -> String {
        format!(
            "[[device]]\ntenant = \"{tenant}\"\ndev_eui = \"{}\"\nname = \"{}\"\nprofile = \"{}\"\n\
             activation = {{ {activation} }}\n{rest}\n",
            self.dev_eui,
            self.name,
            self.model.profile(),
        )
    }

    /// What it has to say, in its vendor's format, and on which port: for a stack of its own.
    pub(super) fn say(&mut self, say: Say) -> (u8, Vec<u8>) {
        self.f_cnt += 1;
        (self.model.port(), self.payload(say))
    }

    /// The next uplink as it goes on the air, and its full frame counter.
    pub(super) fn uplink(&mut self, say: Say) -> (u32, Vec<u8>) {
        let (port, payload) = self.say(say);
        let frame = Outgoing {
            direction: Direction::Up,
            confirmed: false,
            dev_addr: self.dev_addr,
            f_ctrl: 0x80,
            f_cnt: self.f_cnt,
            f_opts: &[],
            payload: Some((port, &payload)),
        };
        (self.f_cnt, frame.encode(&AesKey(self.nwk_s_key), &AesKey(self.app_s_key)))
    }

    /// The payload in the vendor's format; the decoders in `codec` name the documents.
    fn payload(&self, say: Say) -> Vec<u8> {
        let millimetres = |cm: Option<u16>, none: u16| cm.map_or(none, |cm| cm * 10);
        match (self.model, say) {
            (Model::Sensoneo, Say::Level(cm, celsius)) => {
                let sonar = cm.map_or(0x7f, |cm| (cm / 2) as u8);
                let mut payload = vec![0xff, 0xff, 0x22, 0xb8];
                payload.extend((self.dev_eui.0 as u32).to_le_bytes());
                payload.push(0x01);
                payload.extend([sonar; 4]);
                payload.extend([107, celsius as u8, 0, self.f_cnt as u8]);
                payload
            }
            (Model::Em400, Say::Level(cm, celsius)) => {
                let [d0, d1] = millimetres(cm, 0).to_le_bytes();
                let [t0, t1] = (i16::from(celsius) * 10).to_le_bytes();
                vec![0x01, 0x75, 92, 0x03, 0x67, t0, t1, 0x04, 0x82, d0, d1, 0x05, 0x00, 0x00]
            }
            (Model::Ldds75, Say::Level(cm, celsius)) => {
                let [d0, d1] = millimetres(cm, 20).to_be_bytes();
                let [t0, t1] = (i16::from(celsius) * 10).to_be_bytes();
                vec![0x0d, 0x48, d0, d1, 0x00, t0, t1, 0x01]
            }
            (Model::Elt, Say::Level(cm, celsius)) => {
                let [d0, d1] = millimetres(cm, 0).to_be_bytes();
                let [t0, t1] = (i16::from(celsius) * 10).to_be_bytes();
                vec![0x01, t0, t1, 0x07, 0x0e, 0x24, 0x0e, d0, d1]
            }
            (Model::Ws202, Say::State(on)) => {
                vec![0x01, 0x75, 97, 0x03, 0x00, on.into(), 0x04, 0x00, 0x00]
            }
            (Model::Ws301, Say::State(on)) => {
                vec![0x01, 0x75, 88, 0x03, 0x00, on.into(), 0x04, 0x00, 0x00]
            }
            (Model::Bed, Say::State(on)) => {
                vec![0x01, 0x21, 0x01, 36, on.into(), 0, 0, 0, 0, 0, 0]
            }
            (_, say) => unreachable!("a {:?} has nothing to say of {say:?}", self.model),
        }
    }
}
