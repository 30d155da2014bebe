//! A device made by hand, for what no device stack does on demand, and the network that hears it.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use cmac::{Cmac, Mac};
use jiff::{SignedDuration, Timestamp};
use lykta::device::{Abp, Activation, Device, Otaa, Profile, Registry};
use lykta::lorawan::frame::{Direction, Frame, MicKey, Outgoing};
use lykta::lorawan::{
    Accepted, Answer, Channels, EdgeServer, Event, Memory, Plan, Received, Refusal, Slot, Uplink,
};
use lykta::units::{AesKey, Db, DevAddr, DevEui, Hertz, JoinEui, LoRa};
use std::sync::Arc;

pub(crate) const CHANNEL: Hertz = Hertz(868_100_000);
pub(crate) const SF9: LoRa = LoRa { spreading_factor: 9, bandwidth: Hertz(125_000) };

/// One end of the air.
#[derive(Clone)]
pub(crate) struct Mote {
    pub(crate) dev_eui: DevEui,
    pub(crate) join_eui: JoinEui,
    pub(crate) app_key: AesKey,
    pub(crate) dev_nonce: u16,
    pub(crate) session: Option<Abp>,
    pub(crate) f_cnt: u32,
    /// The last downlink counter that it has heard.
    pub(crate) f_cnt_down: Option<u32>,
    pub(crate) adr: bool,
    pub(crate) reset_allowed: bool,
    pub(crate) otaa: bool,
}

/// An uplink that is not made yet.
#[derive(Default, Clone)]
pub(crate) struct Say<'a> {
    pub(crate) confirmed: bool,
    pub(crate) ack: bool,
    pub(crate) adr_ack_req: bool,
    pub(crate) f_opts: &'a [u8],
    pub(crate) payload: Option<(u8, &'a [u8])>,
}

/// What a device reads out of a downlink.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) confirmed: bool,
    pub(crate) ack: bool,
    pub(crate) adr: bool,
    pub(crate) more: bool,
    pub(crate) f_opts: Vec<u8>,
    pub(crate) payload: Option<(u8, Vec<u8>)>,
}

impl Mote {
    pub(crate) fn otaa(number: u8) -> Self {
        Self {
            dev_eui: DevEui(0x70b3_d507_0000_0000 + u64::from(number)),
            join_eui: JoinEui(0x70b3_d57e_d000_0001),
            app_key: AesKey([number; 16]),
            dev_nonce: 0,
            session: None,
            f_cnt: 0,
            f_cnt_down: None,
            adr: true,
            reset_allowed: false,
            otaa: true,
        }
    }

    pub(crate) fn abp(number: u8) -> Self {
        let session = Abp {
            dev_addr: DevAddr(0x260b_0000 + u32::from(number)),
            nwk_s_key: AesKey([number; 16]),
            app_s_key: AesKey([!number; 16]),
        };
        Self { session: Some(session), otaa: false, ..Self::otaa(number) }
    }

    pub(crate) fn device(&self) -> Device {
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

    /// The next join request.
    pub(crate) fn join_request(&mut self) -> Vec<u8> {
        self.dev_nonce += 1;
        let mut phy = vec![0];
        phy.extend(self.join_eui.0.to_le_bytes());
        phy.extend(self.dev_eui.0.to_le_bytes());
        phy.extend(self.dev_nonce.to_le_bytes());
        phy.extend(&mac(&self.app_key, &phy)[..4]);
        phy
    }

    /// Takes the answer to its last join request. Returns its bytes in the clear.
    pub(crate) fn join(&mut self, answer: &Answer) -> Vec<u8> {
        let key = &self.app_key;
        let cipher = Aes128::new(&key.0.into());
        let mut clear = answer.phy.clone();
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
    pub(crate) fn say(&mut self, say: &Say<'_>) -> Vec<u8> {
        let phy = self.frame(self.f_cnt, say);
        self.f_cnt += 1;
        phy
    }

    pub(crate) fn frame(&self, f_cnt: u32, say: &Say<'_>) -> Vec<u8> {
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
    pub(crate) fn hear(&mut self, answer: &Answer) -> Told {
        let keys = self.session.as_ref().expect("a session");
        let Ok(Frame::Data(frame)) = Frame::parse(&answer.phy) else { panic!("no data frame") };
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
            more: answer.phy[5] & 0x10 != 0,
            f_opts: frame.f_opts.to_vec(),
            payload: frame.f_port.map(|port| (port, clear)),
        };
        self.f_cnt_down = Some(f_cnt);
        told
    }
}

fn mac(key: &AesKey, bytes: &[u8]) -> [u8; 16] {
    let mut mac = <Cmac<Aes128> as KeyInit>::new(&key.0.into());
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

/// The other end.
pub(crate) struct Net {
    pub(crate) server: EdgeServer,
    pub(crate) now: Timestamp,
    pub(crate) heard_at: LoRa,
    /// What a store would hold.
    pub(crate) disk: Memory,
}

pub(crate) fn single() -> Plan {
    Plan { channels: Channels::Only(vec![(CHANNEL, 9)]), rx1_delay: 1, rx2_data_rate: 0 }
}

pub(crate) fn concentrator() -> Plan {
    let more = [867_100_000, 867_300_000, 867_500_000, 867_700_000, 867_900_000].map(Hertz);
    Plan { channels: Channels::All(Some(more)), rx1_delay: 1, rx2_data_rate: 0 }
}

impl Net {
    pub(crate) fn new(plan: Plan, motes: &[&Mote]) -> Self {
        Self::remembering(plan, motes, Memory::default())
    }

    pub(crate) fn remembering(plan: Plan, motes: &[&Mote], disk: Memory) -> Self {
        let registry = Registry::new(motes.iter().map(|mote| mote.device()));
        Self {
            server: EdgeServer::new(&registry, plan, disk.clone()),
            now: "2026-03-01T12:00:00Z".parse().unwrap(),
            heard_at: SF9,
            disk,
        }
    }

    /// Ends the process and starts another.
    pub(crate) fn restart(&mut self, plan: Plan, motes: &[&Mote]) {
        let (now, disk) = (self.now, std::mem::take(&mut self.disk));
        *self = Self { now, ..Self::remembering(plan, motes, disk) };
    }

    /// Hears a frame, and writes down what must be.
    pub(crate) fn hear(&mut self, phy: &[u8]) -> Result<Accepted, Refusal> {
        let accepted = self.hear_only(phy)?;
        self.keep(&accepted);
        Ok(accepted)
    }

    /// Hears a frame that no disk has taken yet.
    pub(crate) fn hear_only(&mut self, phy: &[u8]) -> Result<Accepted, Refusal> {
        self.now += SignedDuration::from_mins(10);
        self.server.uplink(&Received {
            phy,
            at: self.now,
            synced: true,
            frequency: CHANNEL,
            modulation: self.heard_at,
            snr: Db(2.5),
            receivers: 2,
        })
    }

    pub(crate) fn keep(&mut self, accepted: &Accepted) {
        let dev_eui = accepted.device.dev_eui;
        for (slot, session) in &accepted.changes.sessions {
            match session {
                Some(session) => {
                    self.disk.sessions.insert((dev_eui, *slot), session.clone());
                }
                None => {
                    self.disk.sessions.remove(&(dev_eui, *slot));
                }
            }
        }
        if let Some(join) = accepted.changes.join {
            let joins = self.disk.joins.entry(dev_eui).or_default();
            joins.binding = join.binding;
            joins.join_nonce = join.join_nonce;
            joins.dev_nonces.insert(join.dev_nonce);
        }
        self.disk.downlinks.retain(|(_, item)| !accepted.changes.ended.contains(&item.id));
    }

    /// An uplink that is accepted, what it was, and what the device hears in answer.
    pub(crate) fn exchange(&mut self, mote: &mut Mote, say: &Say<'_>) -> (Uplink, Option<Told>) {
        let phy = mote.say(say);
        let accepted = self.hear(&phy).expect("accepted");
        let told = accepted.answer.as_ref().map(|answer| mote.hear(answer));
        let Event::Uplink(uplink) = accepted.event else { panic!("{:?}", accepted.event) };
        (uplink, told)
    }

    /// Joins, hears the answer, and returns it in the clear.
    pub(crate) fn join(&mut self, mote: &mut Mote) -> (Answer, Vec<u8>) {
        let request = mote.join_request();
        let accepted = self.hear(&request).expect("accepted");
        assert!(matches!(accepted.event, Event::Join(_)));
        let answer = accepted.answer.expect("an answer");
        let clear = mote.join(&answer);
        (answer, clear)
    }

    pub(crate) fn f_cnt_down(&self, mote: &Mote, slot: Slot) -> u32 {
        self.disk.sessions[&(mote.dev_eui, slot)].f_cnt_down
    }
}
