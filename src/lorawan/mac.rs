//! MAC commands of LoRaWAN 1.0.x: bytes ↔ what they say.
//!
//! Source: LoRaWAN 1.0.4 specification, chapter 5; class B's commands (chapters 8 to 14) only by
//! their length, so that what follows them is found.

use crate::units::Hertz;

/// What a device says to the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FromDevice {
    /// Asks how well it is heard.
    LinkCheckReq,
    /// Answers a [`ToDevice::LinkAdrReq`]: it holds only if all three are taken.
    LinkAdrAns {
        /// The channel mask was taken.
        channels: bool,
        /// The data rate was taken.
        data_rate: bool,
        /// The power was taken.
        power: bool,
    },
    /// Answers a DutyCycleReq.
    DutyCycleAns,
    /// Answers a [`ToDevice::RxParamSetupReq`]: it holds only if all three are taken.
    RxParamSetupAns {
        /// The offset of the first window was taken.
        rx1_offset: bool,
        /// The data rate of the second window was taken.
        rx2_data_rate: bool,
        /// The channel of the second window was taken.
        rx2_channel: bool,
    },
    /// Answers a [`ToDevice::DevStatusReq`].
    DevStatusAns(DevStatus),
    /// Answers a NewChannelReq.
    NewChannelAns,
    /// Answers a [`ToDevice::RxTimingSetupReq`].
    RxTimingSetupAns,
    /// Answers a TxParamSetupReq.
    TxParamSetupAns,
    /// Answers a DlChannelReq.
    DlChannelAns,
    /// Asks for the time.
    DeviceTimeReq,
    /// A command of class B, which lykta does not serve.
    ClassB,
}

/// How a device says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DevStatus {
    /// 0: external power; 1 to 254: from empty to full; 255: the device cannot tell.
    pub battery: u8,
    /// By how many decibels the last request was heard better than needed, -32 to 31.
    pub margin: i8,
}

/// The commands in a frame, in order. Ends at the first command that is unknown, whose length
/// nobody knows, or cut off.
pub fn from_device(mut bytes: &[u8]) -> impl Iterator<Item = FromDevice> {
    std::iter::from_fn(move || {
        let (&id, rest) = bytes.split_first()?;
        let len = match id {
            0x02 | 0x04 | 0x08 | 0x09 | 0x0d | 0x12 => 0,
            0x03 | 0x05 | 0x07 | 0x0a | 0x10 | 0x11 | 0x13 => 1,
            0x06 => 2,
            _ => return None,
        };
        let (body, rest) = rest.split_at_checked(len)?;
        bytes = rest;
        let bit = |n: u8| body.first().is_some_and(|status| status >> n & 1 == 1);
        Some(match (id, body) {
            (0x02, _) => FromDevice::LinkCheckReq,
            (0x03, _) => {
                FromDevice::LinkAdrAns { channels: bit(0), data_rate: bit(1), power: bit(2) }
            }
            (0x04, _) => FromDevice::DutyCycleAns,
            (0x05, _) => FromDevice::RxParamSetupAns {
                rx2_channel: bit(0),
                rx2_data_rate: bit(1),
                rx1_offset: bit(2),
            },
            (0x06, &[battery, margin]) => FromDevice::DevStatusAns(DevStatus {
                battery,
                // six bits, signed
                margin: ((margin << 2) as i8) >> 2,
            }),
            (0x07, _) => FromDevice::NewChannelAns,
            (0x08, _) => FromDevice::RxTimingSetupAns,
            (0x09, _) => FromDevice::TxParamSetupAns,
            (0x0a, _) => FromDevice::DlChannelAns,
            (0x0d, _) => FromDevice::DeviceTimeReq,
            _ => FromDevice::ClassB,
        })
    })
}

/// What the network says to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToDevice {
    /// How well the device was heard.
    LinkCheckAns {
        /// Decibels above the demodulation floor, 0 to 254.
        margin: u8,
        /// By how many receivers.
        gateways: u8,
    },
    /// Use these channels, this data rate, this power.
    LinkAdrReq {
        /// The data rate's index.
        data_rate: u8,
        /// The power's index; 0 is the greatest.
        power: u8,
        /// Which channels; bit 0 is the first.
        channels: u16,
        /// What `channels` means: 0 a mask, 6 all defined channels.
        control: u8,
    },
    /// Use these answer windows.
    RxParamSetupReq {
        /// How many data rates the first is slower than the uplink.
        rx1_offset: u8,
        /// The data rate of the second.
        rx2_data_rate: u8,
        /// The channel of the second.
        rx2_frequency: Hertz,
    },
    /// Say how you are.
    DevStatusReq,
    /// Wait so many seconds for an answer, 1 to 15.
    RxTimingSetupReq(u8),
    /// What time it was when the uplink ended.
    DeviceTimeAns {
        /// Seconds since the GPS epoch.
        seconds: u32,
        /// 256ths of a second.
        fraction: u8,
    },
}

impl ToDevice {
    /// Appends the command as it goes on the air.
    pub fn encode(self, bytes: &mut Vec<u8>) {
        match self {
            Self::LinkCheckAns { margin, gateways } => bytes.extend([0x02, margin, gateways]),
            Self::LinkAdrReq { data_rate, power, channels, control } => {
                let [low, high] = channels.to_le_bytes();
                // each frame is sent once (NbTrans 1)
                bytes.extend([0x03, data_rate << 4 | power & 0x0f, low, high, control << 4 | 1]);
            }
            Self::RxParamSetupReq { rx1_offset, rx2_data_rate, rx2_frequency } => {
                bytes.extend([0x05, (rx1_offset & 7) << 4 | rx2_data_rate & 0x0f]);
                bytes.extend(&(rx2_frequency.0 / 100).to_le_bytes()[..3]);
            }
            Self::DevStatusReq => bytes.push(0x06),
            Self::RxTimingSetupReq(seconds) => bytes.extend([0x08, seconds & 0x0f]),
            Self::DeviceTimeAns { seconds, fraction } => {
                bytes.push(0x0d);
                bytes.extend(seconds.to_le_bytes());
                bytes.push(fraction);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(bytes: &[u8]) -> Vec<FromDevice> {
        from_device(bytes).collect()
    }

    #[test]
    fn a_command_that_is_cut_off_or_unknown_ends_the_list() {
        assert_eq!(all(&[0x02, 0x06, 0xff]), [FromDevice::LinkCheckReq]);
        assert_eq!(all(&[0x04, 0x80, 0x02]), [FromDevice::DutyCycleAns]);
        assert_eq!(all(&[]), []);
    }

    #[test]
    fn margins_are_six_bits_with_a_sign() {
        let margin = |byte| match all(&[0x06, 7, byte])[..] {
            [FromDevice::DevStatusAns(status)] => status.margin,
            ref other => panic!("{other:?}"),
        };
        assert_eq!(margin(0b01_1111), 31);
        assert_eq!(margin(0b10_0000), -32);
        assert_eq!(margin(0b11_1111), -1);
        assert_eq!(margin(0b1100_0101), 5, "the reserved bits say nothing");
    }

    #[test]
    fn requests_are_laid_out_as_the_specification_has_them() {
        let bytes = |command: ToDevice| {
            let mut bytes = Vec::new();
            command.encode(&mut bytes);
            hex::encode(bytes)
        };
        let pin = ToDevice::LinkAdrReq { data_rate: 5, power: 1, channels: 0x0102, control: 0 };
        assert_eq!(bytes(pin), "0351020101");
        let windows = ToDevice::RxParamSetupReq {
            rx1_offset: 0,
            rx2_data_rate: 3,
            rx2_frequency: Hertz(869_525_000),
        };
        assert_eq!(bytes(windows), "0503d2ad84");
        assert_eq!(bytes(ToDevice::RxTimingSetupReq(5)), "0805");
        assert_eq!(bytes(ToDevice::DeviceTimeAns { seconds: 1, fraction: 128 }), "0d0100000080");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_to_their_end(bytes in prop::collection::vec(any::<u8>(), 0..256)) {
            prop_assert!(all(&bytes).len() <= bytes.len());
        }
    }
}
