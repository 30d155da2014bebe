//! A device made by hand, for what no device stack does on demand.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use cmac::{Cmac, Mac};
use lykta::device::{Abp, Activation, Device, Otaa, Profile};
use lykta::lorawan::frame::{Direction, Frame, MicKey, Outgoing};
use lykta::units::{AesKey, DevAddr, DevEui, JoinEui};
use std::sync::Arc;

/// One end of the air.
#[derive(Clone)]
pub struct Mote {
    pub dev_eui: DevEui,
    pub join_eui: JoinEui,
    pub app_key: AesKey,
    pub dev_nonce: u16,
    pub session: Option<Abp>,
    pub f_cnt: u32,
    /// The last downlink counter that it has heard.
    pub f_cnt_down: Option<u32>,
    pub adr: bool,
    pub reset_allowed: bool,
    pub otaa: bool,
}

/// An uplink that is not made yet.
#[derive(Default, Clone)]
pub struct Say<'a> {
    pub confirmed: bool,
    pub ack: bool,
    pub adr_ack_req: bool,
    pub f_opts: &'a [u8],
    pub payload: Option<(u8, &'a [u8])>,
}

/// What a device reads out of a downlink.
#[derive(Debug, PartialEq, Eq)]
pub struct Told {
    pub confirmed: bool,
    pub ack: bool,
    pub adr: bool,
    pub more: bool,
    pub f_opts: Vec<u8>,
    pub payload: Option<(u8, Vec<u8>)>,
}

impl Mote {
    pub fn otaa(number: u8) -> Self {
        Self {
            dev_eui: DevEui(0x70b3_d507_0000_0000 + u64::from(number)),
            join_eui: JoinEui(0x70b3_d57e_d000_0001),
            app_key: key(number, 1),
            dev_nonce: 0,
            session: None,
            f_cnt: 0,
            f_cnt_down: None,
            adr: true,
            reset_allowed: false,
            otaa: true,
        }
    }

    pub fn abp(number: u8) -> Self {
        let session = Abp {
            dev_addr: DevAddr(0x260b_0000 + u32::from(number)),
            nwk_s_key: key(number, 2),
            app_s_key: key(number, 3),
        };
        Self { session: Some(session), otaa: false, ..Self::otaa(number) }
    }

    pub fn device(&self) -> Device {
        let text = include_str!("../../config/profiles/sensoneo-single.toml");
        let mut profile: Profile = toml_edit::de::from_str(text).unwrap();
        profile.counter.reset = self.reset_allowed;
        let otaa = Otaa { join_eui: self.join_eui, app_key: self.app_key.clone() };
        Device {
            dev_eui: self.dev_eui,
            name: String::new(),
            tenant: "waste".parse().unwrap(),
            profile: Arc::new(profile),
            activation: match &self.session {
                Some(abp) if !self.otaa => Activation::Abp(abp.clone()),
                _ => Activation::Otaa(otaa),
            },
            bin: None,
            resident: None,
            sensor: None,
        }
    }

    /// Its table in the configuration.
    pub fn table(&self, tenant: &str) -> String {
        let hex = |key: &AesKey| hex::encode(key.0);
        let activation = match self.device().activation {
            Activation::Abp(abp) => format!(
                "abp = {{ dev_addr = \"{}\", nwk_s_key = \"{}\", app_s_key = \"{}\" }}",
                abp.dev_addr,
                hex(&abp.nwk_s_key),
                hex(&abp.app_s_key)
            ),
            Activation::Otaa(otaa) => format!(
                "otaa = {{ join_eui = \"{}\", app_key = \"{}\" }}",
                otaa.join_eui,
                hex(&otaa.app_key)
            ),
        };
        format!(
            "[[device]]\ntenant = \"{tenant}\"\ndev_eui = \"{}\"\nprofile = \"sensoneo-single\"\n\
             activation = {{ {activation} }}\n",
            self.dev_eui
        )
    }

    /// The next join request.
    pub fn join_request(&mut self) -> Vec<u8> {
        self.dev_nonce += 1;
        let mut phy = vec![0];
        phy.extend(self.join_eui.0.to_le_bytes());
        phy.extend(self.dev_eui.0.to_le_bytes());
        phy.extend(self.dev_nonce.to_le_bytes());
        phy.extend(&mac(&self.app_key, &phy)[..4]);
        phy
    }

    /// Takes the answer to its last join request. Returns its bytes in the clear.
    pub fn join(&mut self, phy: &[u8]) -> Vec<u8> {
        let key = &self.app_key;
        let cipher = Aes128::new(&key.0.into());
        let mut clear = phy.to_vec();
        for block in clear[1..].chunks_exact_mut(16) {
            let mut bytes = <[u8; 16]>::try_from(&*block).unwrap().into();
            cipher.encrypt_block(&mut bytes);
            block.copy_from_slice(&bytes);
        }
        let (signed, mic) = clear.split_last_chunk::<4>().unwrap();
        assert_eq!(mac(key, signed)[..4], *mic, "the answer's MIC");
        let derive = |tag: u8| {
            let mut block = [0; 16];
            block[0] = tag;
            block[1..7].copy_from_slice(&clear[1..7]);
            block[7..9].copy_from_slice(&self.dev_nonce.to_le_bytes());
            let mut block = block.into();
            cipher.encrypt_block(&mut block);
            AesKey(block.into())
        };
        self.session = Some(Abp {
            dev_addr: DevAddr(u32::from_le_bytes(clear[7..11].try_into().unwrap())),
            nwk_s_key: derive(1),
            app_s_key: derive(2),
        });
        self.f_cnt = 0;
        self.f_cnt_down = None;
        clear
    }

    /// The next uplink.
    pub fn say(&mut self, say: &Say<'_>) -> Vec<u8> {
        let phy = self.frame(self.f_cnt, say);
        self.f_cnt += 1;
        phy
    }

    pub fn frame(&self, f_cnt: u32, say: &Say<'_>) -> Vec<u8> {
        let keys = self.session.as_ref().expect("a session");
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        Outgoing {
            direction: Direction::Up,
            confirmed: say.confirmed,
            dev_addr: keys.dev_addr,
            f_ctrl: flag(self.adr, 0x80) | flag(say.adr_ack_req, 0x40) | flag(say.ack, 0x20),
            f_cnt,
            f_opts: say.f_opts,
            payload: say.payload,
        }
        .encode(&keys.nwk_s_key, &keys.app_s_key)
    }

    /// Hears a downlink as a device does: its MIC must fit, its counter must be new.
    pub fn hear(&mut self, phy: &[u8]) -> Told {
        let keys = self.session.as_ref().expect("a session");
        let Ok(Frame::Data(frame)) = Frame::parse(phy) else { panic!("no data frame") };
        assert_eq!(frame.direction, Direction::Down);
        assert_eq!(frame.dev_addr, keys.dev_addr);
        let next = self.f_cnt_down.map_or(0, |last| last + 1);
        let f_cnt = (next..next + 20_000)
            .find(|f_cnt| {
                *f_cnt as u16 == frame.f_cnt
                    && frame.mic_matches(&MicKey::new(&keys.nwk_s_key), *f_cnt)
            })
            .expect("a new counter, and a MIC that fits");
        let clear = frame.decrypt(&keys.nwk_s_key, &keys.app_s_key, f_cnt);
        let told = Told {
            confirmed: frame.confirmed,
            ack: frame.ack,
            adr: frame.adr,
            // the same bit as ClassB of an uplink
            more: phy[5] & 0x10 != 0,
            f_opts: frame.f_opts.to_vec(),
            payload: frame.f_port.map(|port| (port, clear)),
        };
        self.f_cnt_down = Some(f_cnt);
        told
    }
}

fn key(number: u8, salt: u8) -> AesKey {
    AesKey(std::array::from_fn(|i| number ^ salt.wrapping_mul(37 + i as u8)))
}

fn mac(key: &AesKey, bytes: &[u8]) -> [u8; 16] {
    let mut mac = <Cmac<Aes128> as KeyInit>::new(&key.0.into());
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}
