//! Sensors, and the concentrator that hears them.

use super::PATIENCE;
use lykta::lorawan::frame::{Direction, Outgoing};
use lykta::radio::Reception;
use lykta::radio::gwmp::{self, Packet};
use lykta::units::{AesKey, Db, Dbm, DevAddr, DevEui, GatewayEui, Hertz, LoRa};
use std::net::{SocketAddr, UdpSocket};

/// An ABP device whose keys follow from its number.
#[derive(Clone)]
pub struct Sensor {
    pub dev_eui: DevEui,
    pub dev_addr: DevAddr,
    pub nwk_s_key: [u8; 16],
    pub app_s_key: [u8; 16],
    pub profile: &'static str,
}

impl Sensor {
    pub fn new(number: u32) -> Self {
        let key = |salt: u8| {
            let mut key = [salt; 16];
            key[..4].copy_from_slice(&number.to_be_bytes());
            key
        };
        Self {
            dev_eui: DevEui(0x70b3_d507_0000_0000 + u64::from(number)),
            dev_addr: DevAddr(0x260b_0000 + number),
            nwk_s_key: key(0x4e),
            app_s_key: key(0x41),
            profile: "sensoneo-single",
        }
    }

    /// Its table in the configuration.
    pub fn table(&self, tenant: &str) -> String {
        format!(
            "[[device]]\ntenant = \"{tenant}\"\ndev_eui = \"{}\"\nname = \"Storgatan {}\"\n\
             profile = \"{}\"\nactivation = {{ abp = {{ dev_addr = \"{}\", nwk_s_key = \"{}\", \
             app_s_key = \"{}\" }} }}\n",
            self.dev_eui,
            self.dev_eui.0 & 0xffff,
            self.profile,
            self.dev_addr,
            hex::encode(self.nwk_s_key),
            hex::encode(self.app_s_key)
        )
    }

    /// An uplink as it goes on the air.
    pub fn uplink(&self, f_cnt: u32, f_port: u8, payload: &[u8]) -> Vec<u8> {
        self.frame(f_cnt, Some((f_port, payload)))
    }

    /// An uplink that has neither port nor payload.
    pub fn without_payload(&self, f_cnt: u32) -> Vec<u8> {
        self.frame(f_cnt, None)
    }

    fn frame(&self, f_cnt: u32, payload: Option<(u8, &[u8])>) -> Vec<u8> {
        let frame = Outgoing {
            direction: Direction::Up,
            confirmed: false,
            dev_addr: self.dev_addr,
            f_ctrl: 0x80,
            f_cnt,
            f_opts: &[],
            payload,
        };
        frame.encode(&AesKey(self.nwk_s_key), &AesKey(self.app_s_key))
    }

    /// The level report of a Sensoneo sensor.
    pub fn level(&self, f_cnt: u32, centimetres: u8, celsius: i8) -> Vec<u8> {
        let mut payload = vec![0xff, 0xff, 0x22, 0xb8];
        payload.extend((self.dev_eui.0 as u32).to_le_bytes());
        payload.push(0x01);
        payload.extend([centimetres / 2; 4]);
        payload.extend([107, celsius as u8, 0, f_cnt as u8]);
        self.uplink(f_cnt, 2, &payload)
    }
}

/// A packet forwarder, as Semtech's document describes it.
pub struct Concentrator {
    pub eui: GatewayEui,
    socket: UdpSocket,
    token: u16,
}

impl Concentrator {
    pub fn new(eui: u64, gateway: SocketAddr) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.connect(gateway).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Self { eui: GatewayEui(eui), socket, token: 0 }
    }

    /// Forwards frames in one datagram and waits for the acknowledgement.
    pub fn forward(&mut self, frames: &[Vec<u8>]) {
        assert!(self.try_forward(frames), "no acknowledgement");
    }

    /// As [`Concentrator::forward`]; whether the gateway answered before it went away.
    pub fn try_forward(&mut self, frames: &[Vec<u8>]) -> bool {
        let packets: Vec<_> = frames.iter().map(|phy| packet(phy.clone(), -97.0, 5.5)).collect();
        self.token = self.token.wrapping_add(1);
        self.exchange(&gwmp::push_data(self.eui, self.token, &packets))
    }

    /// Sends a datagram as it is and waits for the answer with the same token.
    pub fn exchange(&self, datagram: &[u8]) -> bool {
        self.answer(datagram).is_some()
    }

    /// As [`Concentrator::exchange`]; the answer.
    pub fn answer(&self, datagram: &[u8]) -> Option<Vec<u8>> {
        self.socket.send(datagram).ok()?;
        let mut answer = [0; 64];
        loop {
            let len = self.socket.recv(&mut answer).ok()?;
            if len >= 4 && answer[1..3] == datagram[1..3] {
                return Some(answer[..len].to_vec());
            }
        }
    }

    /// Sends a datagram to which no answer is expected.
    pub fn send(&self, datagram: &[u8]) {
        self.socket.send(datagram).unwrap();
    }

    /// How long to wait for an answer before it counts as none.
    pub fn set_patience(&self, patience: std::time::Duration) {
        self.socket.set_read_timeout(Some(patience)).unwrap();
    }
}

/// A received packet.
pub fn packet(phy: Vec<u8>, rssi: f32, snr: f32) -> Packet {
    Packet {
        phy,
        tmst: 1_000_000,
        time: None,
        frequency: Hertz(868_100_000),
        modulation: LoRa { spreading_factor: 9, bandwidth: Hertz(125_000) },
        code_rate: "4/5".into(),
        rssi: Dbm(rssi),
        snr: Db(snr),
        channel: 0,
        rf_chain: 1,
    }
}

/// A good reception by this gateway, when its counter showed 0.
pub fn reception(gateway: GatewayEui) -> Reception {
    Reception {
        gateway,
        gateway_time: None,
        tmst: 0,
        rssi: Dbm(-90.0),
        snr: Db(5.0),
        channel: 0,
        rf_chain: 0,
    }
}
