//! The PHYPayload of LoRaWAN 1.0.x: parsing, building, and its cryptography.
//!
//! Source: LoRaWAN 1.0.4 specification, chapters 4.2 (MAC header) to 4.4 (MIC).

use crate::units::{AesKey, DevAddr, DevEui, Hertz, JoinEui};
use aes::Aes128;
use aes::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use cmac::{Cmac, Mac};

/// Largest PHYPayload that a LoRa radio carries.
pub const MAX_PHY_PAYLOAD: usize = 255;

/// Which way a data frame travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the device.
    Up,
    /// To the device.
    Down,
}

/// Bytes that are no LoRaWAN 1.0.x frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Shorter than the shortest frame of its type, or longer than a radio can carry.
    #[error("a frame of {0} bytes")]
    Length(usize),
    /// A major version other than LoRaWAN R1.
    #[error("major version {0}, not LoRaWAN R1")]
    Major(u8),
    /// FOpts announces more bytes than there are.
    #[error("FOpts of {0} bytes do not fit")]
    FOpts(usize),
}

/// What a PHYPayload is, by its message type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame<'a> {
    /// A data frame.
    Data(DataFrame<'a>),
    /// A join request.
    JoinRequest(JoinRequest<'a>),
    /// Join accept, rejoin request or proprietary: nothing that a device sends to a 1.0.x server.
    Other,
}

/// A data frame as it is on the air: authentic only once [`DataFrame::mic_matches`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataFrame<'a> {
    /// Which way it travels.
    pub direction: Direction,
    /// Whether the sender asks for an acknowledgement.
    pub confirmed: bool,
    /// The session's address.
    pub dev_addr: DevAddr,
    /// FCtrl: the device lets the network control its data rate.
    pub adr: bool,
    /// FCtrl: the device asks for a sign of life.
    pub adr_ack_req: bool,
    /// FCtrl: acknowledges the last confirmed frame of the other side.
    pub ack: bool,
    /// The low half of the frame counter.
    pub f_cnt: u16,
    /// MAC commands in the clear, 0 to 15 bytes.
    pub f_opts: &'a [u8],
    /// The port; absent when there is no payload.
    pub f_port: Option<u8>,
    /// The payload, encrypted.
    pub frm_payload: &'a [u8],
    /// The message integrity code.
    pub mic: [u8; 4],
    /// Everything that the MIC covers.
    signed: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Parses what a radio received.
    ///
    /// # Errors
    /// When the bytes cannot be a LoRaWAN R1 frame. Never panics.
    pub fn parse(phy: &'a [u8]) -> Result<Self, FrameError> {
        let (&header, rest) = phy.split_first().ok_or(FrameError::Length(0))?;
        if phy.len() > MAX_PHY_PAYLOAD {
            return Err(FrameError::Length(phy.len()));
        }
        let major = header & 0b11;
        if major != 0 {
            return Err(FrameError::Major(major));
        }
        let (direction, confirmed) = match header >> 5 {
            0b010 => (Direction::Up, false),
            0b011 => (Direction::Down, false),
            0b100 => (Direction::Up, true),
            0b101 => (Direction::Down, true),
            // MHDR, JoinEUI, DevEUI, DevNonce, MIC
            0b000 => {
                return JoinRequest::parse(phy)
                    .map(Self::JoinRequest)
                    .ok_or(FrameError::Length(phy.len()));
            }
            _ => return Ok(Self::Other),
        };
        let too_short = FrameError::Length(phy.len());
        let (body, mic) = rest.split_last_chunk::<4>().ok_or(too_short)?;
        let (dev_addr, body) = body.split_first_chunk::<4>().ok_or(too_short)?;
        let (&f_ctrl, body) = body.split_first().ok_or(too_short)?;
        let (f_cnt, body) = body.split_first_chunk::<2>().ok_or(too_short)?;
        let f_opts_len = usize::from(f_ctrl & 0x0f);
        let (f_opts, body) =
            body.split_at_checked(f_opts_len).ok_or(FrameError::FOpts(f_opts_len))?;
        let (f_port, frm_payload) = match body.split_first() {
            Some((&port, payload)) => (Some(port), payload),
            None => (None, body),
        };
        Ok(Self::Data(DataFrame {
            direction,
            confirmed,
            dev_addr: DevAddr(u32::from_le_bytes(*dev_addr)),
            adr: f_ctrl & 0x80 != 0,
            adr_ack_req: f_ctrl & 0x40 != 0,
            ack: f_ctrl & 0x20 != 0,
            f_cnt: u16::from_le_bytes(*f_cnt),
            f_opts,
            f_port,
            frm_payload,
            mic: *mic,
            signed: &phy[..phy.len() - mic.len()],
        }))
    }
}

/// A join request as it is on the air: authentic only once [`JoinRequest::mic_matches`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JoinRequest<'a> {
    /// Which join server is asked for.
    pub join_eui: JoinEui,
    /// Who asks.
    pub dev_eui: DevEui,
    /// A number that the device never uses twice with one AppKey.
    pub dev_nonce: u16,
    mic: [u8; 4],
    signed: &'a [u8],
}

impl<'a> JoinRequest<'a> {
    fn parse(phy: &'a [u8]) -> Option<Self> {
        let (signed, mic) = phy.split_last_chunk::<4>()?;
        let (join_eui, rest) = signed.get(1..)?.split_first_chunk::<8>()?;
        let (dev_eui, rest) = rest.split_first_chunk::<8>()?;
        Some(Self {
            join_eui: JoinEui(u64::from_le_bytes(*join_eui)),
            dev_eui: DevEui(u64::from_le_bytes(*dev_eui)),
            dev_nonce: u16::from_le_bytes(rest.try_into().ok()?),
            mic: *mic,
            signed,
        })
    }

    /// Whether the request was made with this AppKey.
    pub fn mic_matches(&self, app_key: &MicKey) -> bool {
        let mut mac = app_key.0.clone();
        mac.update(self.signed);
        mac.verify_truncated_left(&self.mic).is_ok()
    }
}

/// The answer to a join request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JoinAccept {
    /// 24 bits that the server never uses twice with one device (AppNonce before 1.0.4).
    pub join_nonce: u32,
    /// Which network it is: 24 bits.
    pub net_id: u32,
    /// The device's address from now on.
    pub dev_addr: DevAddr,
    /// How many data rates the first answer window is slower than the uplink.
    pub rx1_offset: u8,
    /// The data rate of the second answer window.
    pub rx2_data_rate: u8,
    /// From the end of an uplink to the first answer window, in seconds.
    pub rx1_delay: u8,
    /// The frequencies of five more channels.
    pub cf_list: Option<[Hertz; 5]>,
}

impl JoinAccept {
    /// Lays out, signs and encrypts the frame: 17 bytes, or 33 with a list of channels.
    pub fn encode(&self, app_key: &AesKey) -> Vec<u8> {
        let mut phy = vec![0b001 << 5];
        phy.extend(&self.join_nonce.to_le_bytes()[..3]);
        phy.extend(&self.net_id.to_le_bytes()[..3]);
        phy.extend(self.dev_addr.0.to_le_bytes());
        phy.push((self.rx1_offset & 0x07) << 4 | self.rx2_data_rate & 0x0f);
        phy.push(self.rx1_delay & 0x0f);
        if let Some(channels) = self.cf_list {
            for channel in channels {
                phy.extend(&(channel.0 / 100).to_le_bytes()[..3]);
            }
            phy.push(0); // CFListType: frequencies
        }
        let mut mac = MicKey::new(app_key).0;
        mac.update(&phy);
        phy.extend(&mac.finalize().into_bytes()[..4]);
        // the device has an encrypting cipher only, so the server decrypts
        let cipher = Aes128::new(&app_key.0.into());
        for block in phy[1..].chunks_exact_mut(16) {
            let mut clear = <[u8; 16]>::try_from(&*block).expect("chunks of 16 bytes").into();
            cipher.decrypt_block(&mut clear);
            block.copy_from_slice(&clear);
        }
        phy
    }

    /// The network and the application session key that follow from this join.
    pub fn session_keys(&self, app_key: &AesKey, dev_nonce: u16) -> (AesKey, AesKey) {
        let cipher = Aes128::new(&app_key.0.into());
        let derive = |tag: u8| {
            let mut block = [0; 16];
            block[0] = tag;
            block[1..4].copy_from_slice(&self.join_nonce.to_le_bytes()[..3]);
            block[4..7].copy_from_slice(&self.net_id.to_le_bytes()[..3]);
            block[7..9].copy_from_slice(&dev_nonce.to_le_bytes());
            let mut block = block.into();
            cipher.encrypt_block(&mut block);
            AesKey(block.into())
        };
        (derive(0x01), derive(0x02))
    }
}

/// A key that authenticates frames, with its cipher worked out: a gateway asks of each frame
/// whose it is, and a key's schedule costs more than its use.
#[derive(Clone)]
pub struct MicKey(Cmac<Aes128>);

impl MicKey {
    /// Works the key out.
    pub fn new(key: &AesKey) -> Self {
        Self(<Cmac<Aes128> as KeyInit>::new(&key.0.into()))
    }
}

impl std::fmt::Debug for MicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MicKey(…)")
    }
}

impl DataFrame<'_> {
    /// Whether the frame was made with this key and this full frame counter.
    pub fn mic_matches(&self, nwk_s_key: &MicKey, f_cnt: u32) -> bool {
        let mut mac = mic_state(nwk_s_key, self.direction, self.dev_addr, f_cnt, self.signed.len());
        mac.update(self.signed);
        mac.verify_truncated_left(&self.mic).is_ok()
    }

    /// The payload in the clear. Port 0 carries MAC commands under the network session key,
    /// every other port application data under the application session key.
    pub fn decrypt(&self, nwk_s_key: &AesKey, app_s_key: &AesKey, f_cnt: u32) -> Vec<u8> {
        let key = if self.f_port == Some(0) { nwk_s_key } else { app_s_key };
        let mut payload = self.frm_payload.to_vec();
        apply_keystream(key, self.direction, self.dev_addr, f_cnt, &mut payload);
        payload
    }
}

/// A data frame to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outgoing<'a> {
    /// Which way it travels.
    pub direction: Direction,
    /// Whether an acknowledgement is asked for.
    pub confirmed: bool,
    /// The session's address.
    pub dev_addr: DevAddr,
    /// FCtrl's upper half as it goes on the air: ADR 0x80, ADRACKReq 0x40, ACK 0x20.
    pub f_ctrl: u8,
    /// The full frame counter.
    pub f_cnt: u32,
    /// MAC commands, at most 15 bytes; more are cut off.
    pub f_opts: &'a [u8],
    /// Port and payload in the clear.
    pub payload: Option<(u8, &'a [u8])>,
}

impl Outgoing<'_> {
    /// Encrypts, signs and lays out the frame.
    pub fn encode(&self, nwk_s_key: &AesKey, app_s_key: &AesKey) -> Vec<u8> {
        let m_type = match (self.direction, self.confirmed) {
            (Direction::Up, false) => 0b010,
            (Direction::Down, false) => 0b011,
            (Direction::Up, true) => 0b100,
            (Direction::Down, true) => 0b101,
        };
        let f_opts = &self.f_opts[..self.f_opts.len().min(15)];
        let mut phy = vec![m_type << 5];
        phy.extend(self.dev_addr.0.to_le_bytes());
        phy.push(self.f_ctrl & 0xf0 | f_opts.len() as u8);
        phy.extend(&self.f_cnt.to_le_bytes()[..2]);
        phy.extend(f_opts);
        if let Some((port, payload)) = self.payload {
            phy.push(port);
            let start = phy.len();
            phy.extend(payload);
            let key = if port == 0 { nwk_s_key } else { app_s_key };
            apply_keystream(key, self.direction, self.dev_addr, self.f_cnt, &mut phy[start..]);
        }
        let key = MicKey::new(nwk_s_key);
        let mut mac = mic_state(&key, self.direction, self.dev_addr, self.f_cnt, phy.len());
        mac.update(&phy);
        phy.extend(&mac.finalize().into_bytes()[..4]);
        phy
    }
}

/// The 16-byte block that both the MIC (B0, tag 0x49) and the keystream (Ai, tag 0x01) begin with.
fn block(tag: u8, direction: Direction, dev_addr: DevAddr, f_cnt: u32, last: u8) -> [u8; 16] {
    let mut block = [0; 16];
    block[0] = tag;
    block[5] = matches!(direction, Direction::Down).into();
    block[6..10].copy_from_slice(&dev_addr.0.to_le_bytes());
    block[10..14].copy_from_slice(&f_cnt.to_le_bytes());
    block[15] = last;
    block
}

/// Four bytes that tell one key from another and do not give it away.
pub(super) fn key_check(key: &MicKey) -> [u8; 4] {
    let mut mac = key.0.clone();
    mac.update(b"lykta: which key is it");
    let mut check = [0; 4];
    check.copy_from_slice(&mac.finalize().into_bytes()[..4]);
    check
}

/// An address for the n-th session of a device: the lower 25 bits, which nobody can foretell or
/// link to the device without its key.
pub(super) fn dev_addr(app_key: &MicKey, dev_eui: DevEui, join_nonce: u32) -> DevAddr {
    let mut mac = app_key.0.clone();
    mac.update(b"lykta: which address has it");
    mac.update(&dev_eui.0.to_be_bytes());
    mac.update(&join_nonce.to_be_bytes());
    let mut address = [0; 4];
    address.copy_from_slice(&mac.finalize().into_bytes()[..4]);
    DevAddr(u32::from_be_bytes(address) & 0x01ff_ffff)
}

fn mic_state(
    key: &MicKey,
    direction: Direction,
    dev_addr: DevAddr,
    f_cnt: u32,
    len: usize,
) -> Cmac<Aes128> {
    let mut mac = key.0.clone();
    // a frame is never longer than 255 bytes, so its length fits the block's one byte
    mac.update(&block(0x49, direction, dev_addr, f_cnt, len as u8));
    mac
}

fn apply_keystream(
    key: &AesKey,
    direction: Direction,
    dev_addr: DevAddr,
    f_cnt: u32,
    data: &mut [u8],
) {
    let cipher = Aes128::new(&key.0.into());
    for (i, chunk) in (1..).zip(data.chunks_mut(16)) {
        let mut stream = block(0x01, direction, dev_addr, f_cnt, i).into();
        cipher.encrypt_block(&mut stream);
        for (byte, key) in chunk.iter_mut().zip(stream) {
            *byte ^= key;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(byte: u8) -> AesKey {
        AesKey([byte; 16])
    }

    #[test]
    fn fport_without_payload_is_not_no_fport() {
        let frame = |payload| {
            Outgoing {
                direction: Direction::Up,
                confirmed: false,
                dev_addr: DevAddr(1),
                f_ctrl: 0,
                f_cnt: 7,
                f_opts: &[],
                payload,
            }
            .encode(&key(1), &key(2))
        };
        let port_of = |phy: &[u8]| match Frame::parse(phy) {
            Ok(Frame::Data(data)) => data.f_port,
            other => panic!("no data frame: {other:?}"),
        };
        assert_eq!(port_of(&frame(None)), None);
        assert_eq!(port_of(&frame(Some((5, &[])))), Some(5));
    }

    proptest! {
        #[test]
        fn any_bytes_parse_or_are_refused(phy in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(Frame::Data(data)) = Frame::parse(&phy) {
                let _ = data.mic_matches(&MicKey::new(&key(1)), u32::from(data.f_cnt));
                let _ = data.decrypt(&key(1), &key(2), 0);
            }
        }

        #[test]
        fn what_is_encoded_is_read_back(
            confirmed: bool, addr: u32, f_cnt: u32, flags: u8,
            f_opts in prop::collection::vec(any::<u8>(), 0..16),
            payload in prop::option::of((any::<u8>(), prop::collection::vec(any::<u8>(), 0..222))),
        ) {
            let out = Outgoing {
                direction: Direction::Up, confirmed, dev_addr: DevAddr(addr), f_ctrl: flags, f_cnt,
                f_opts: &f_opts, payload: payload.as_ref().map(|(p, b)| (*p, b.as_slice())),
            };
            let phy = out.encode(&key(1), &key(2));
            let Ok(Frame::Data(data)) = Frame::parse(&phy) else { panic!("not a data frame") };
            prop_assert!(data.mic_matches(&MicKey::new(&key(1)), f_cnt));
            prop_assert!(!data.mic_matches(&MicKey::new(&key(1)), f_cnt.wrapping_add(65_536)));
            prop_assert!(!data.mic_matches(&MicKey::new(&key(3)), f_cnt));
            prop_assert_eq!(data.f_opts, f_opts.as_slice());
            prop_assert_eq!(data.f_port, payload.as_ref().map(|p| p.0));
            let clear = data.decrypt(&key(1), &key(2), f_cnt);
            prop_assert_eq!(clear, payload.map(|p| p.1).unwrap_or_default());
        }
    }
}
