//! The unmodified driver on emulated chips.

#![allow(unreachable_pub, reason = "one test binary")]

use lora_phy::iv::{GenericSx126xInterfaceVariant, GenericSx127xInterfaceVariant};
use lora_phy::mod_params::{Bandwidth, CodingRate, ModulationParams, RadioError, SpreadingFactor};
use lora_phy::mod_traits::RadioKind;
use lora_phy::sx126x::{self, Sx126x, TcxoCtrlVoltage};
use lora_phy::sx127x::{self, Sx127x};
use lora_phy::{LoRa, RxMode};
use lykta::emulation::{Air, Antenna, Board, EmuChip, EmuDelay, EmuPin, EmuSpi};
use lykta::units::{Hertz, LoRa as Modulation};
use std::time::Duration;
use tokio::time::timeout;

pub const CHANNEL: Hertz = Hertz(868_100_000);

pub type Sx1262Kind = Sx126x<EmuSpi, GenericSx126xInterfaceVariant<EmuPin, EmuPin>, sx126x::Sx1262>;
pub type Sx1276Kind<S = EmuSpi> =
    Sx127x<S, GenericSx127xInterfaceVariant<EmuPin, EmuPin>, sx127x::Sx1276>;

/// A driver and its chip.
pub struct Rig<K: RadioKind> {
    pub chip: EmuChip,
    pub lora: LoRa<K, EmuDelay>,
}

/// A packet as the driver hands it out: bytes, RSSI, SNR.
pub type Packet = (Vec<u8>, i16, i16);

pub fn modulation(sf: u8) -> Modulation {
    Modulation { spreading_factor: sf, bandwidth: Hertz(125_000) }
}

pub async fn sx1262(air: &Air) -> Rig<Sx1262Kind> {
    sx1262_on(EmuChip::sx1262(air, Board::default())).await.unwrap()
}

pub async fn sx1262_on(chip: EmuChip) -> Result<Rig<Sx1262Kind>, RadioError> {
    let lines = GenericSx126xInterfaceVariant::new(
        chip.reset_pin(),
        chip.dio_pin(),
        chip.busy_pin(),
        Some(chip.rx_switch()),
        Some(chip.tx_switch()),
    )?;
    let config = sx126x::Config {
        chip: sx126x::Sx1262,
        tcxo_ctrl: Some(TcxoCtrlVoltage::Ctrl1V7),
        use_dcdc: true,
        rx_boost: false,
    };
    let lora = LoRa::new(Sx126x::new(chip.spi(), lines, config), true, EmuDelay).await?;
    Ok(Rig { chip, lora })
}

pub async fn sx1276(air: &Air) -> Rig<Sx1276Kind> {
    let chip = EmuChip::sx1276(air, Antenna::Lines);
    let spi = chip.spi();
    sx1276_over(chip, spi).await
}

pub async fn sx1276_over<S>(chip: EmuChip, spi: S) -> Rig<Sx1276Kind<S>>
where
    S: embedded_hal_async::spi::SpiDevice<u8>,
{
    let lines = GenericSx127xInterfaceVariant::new(
        chip.reset_pin(),
        chip.dio_pin(),
        Some(chip.rx_switch()),
        Some(chip.tx_switch()),
    )
    .unwrap();
    let config =
        sx127x::Config { chip: sx127x::Sx1276, tcxo_used: false, tx_boost: true, rx_boost: false };
    let lora = LoRa::new(Sx127x::new(spi, lines, config), true, EmuDelay).await.unwrap();
    Rig { chip, lora }
}

impl<K: RadioKind> Rig<K> {
    pub fn params(&mut self, sf: u8, frequency: Hertz) -> ModulationParams {
        let sf = match sf {
            5 => SpreadingFactor::_5,
            6 => SpreadingFactor::_6,
            7 => SpreadingFactor::_7,
            8 => SpreadingFactor::_8,
            9 => SpreadingFactor::_9,
            10 => SpreadingFactor::_10,
            11 => SpreadingFactor::_11,
            _ => SpreadingFactor::_12,
        };
        let (bw, cr) = (Bandwidth::_125KHz, CodingRate::_4_5);
        self.lora.create_modulation_params(sf, bw, cr, frequency.0).unwrap()
    }

    /// Gets everything ready for a packet, up to SetTx.
    pub async fn prepare_tx(&mut self, sf: u8, inverted: bool, crc: bool, bytes: &[u8]) {
        let params = self.params(sf, CHANNEL);
        let mut packet =
            self.lora.create_tx_packet_params(8, false, crc, inverted, &params).unwrap();
        self.lora.prepare_for_tx(&params, &mut packet, 14, bytes).await.unwrap();
    }

    /// Sends an uplink.
    pub async fn send(&mut self, sf: u8, bytes: &[u8]) {
        self.prepare_tx(sf, false, true, bytes).await;
        timeout(Duration::from_secs(15), self.lora.tx()).await.expect("TxDone").unwrap();
    }

    pub async fn prepare_rx(&mut self, sf: u8, frequency: Hertz, inverted: bool) {
        let params = self.params(sf, frequency);
        let packet =
            self.lora.create_rx_packet_params(8, false, 255, true, inverted, &params).unwrap();
        self.lora.prepare_for_rx(RxMode::Continuous, &params, &packet).await.unwrap();
    }

    /// The next packet, if one comes within 15 seconds.
    pub async fn next(&mut self) -> Option<Packet> {
        let params = self.params(7, CHANNEL);
        let packet =
            self.lora.create_rx_packet_params(8, false, 255, true, false, &params).unwrap();
        let mut buffer = [0; 255];
        let received =
            timeout(Duration::from_secs(15), self.lora.rx(&packet, &mut buffer)).await.ok()?;
        let (len, status) = received.unwrap();
        Some((buffer[..usize::from(len)].to_vec(), status.rssi, status.snr))
    }

    /// Listens for uplinks, for the next one.
    pub async fn hear(&mut self, sf: u8) -> Option<Packet> {
        self.prepare_rx(sf, CHANNEL, false).await;
        self.next().await
    }
}

/// Nothing on this air broke the protocol of its chip.
#[track_caller]
pub fn assert_clean(air: &Air) {
    assert_eq!(air.violations(), []);
}

/// Long enough for a receiver that was told to listen to do so, TCXO and calibration included.
pub async fn settle() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

/// One SPI transaction by hand: what comes back for these bytes.
pub fn spi(chip: &EmuChip, bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    embedded_hal::spi::SpiDevice::transfer_in_place(&mut chip.spi(), &mut bytes).unwrap();
    bytes
}

/// The SX1262's interrupt flags.
pub fn irq(chip: &EmuChip) -> u16 {
    let answer = spi(chip, &[0x12, 0, 0, 0]);
    u16::from_be_bytes([answer[2], answer[3]])
}

/// Tells the SX1262 to receive for ever.
pub fn set_rx(chip: &EmuChip) {
    spi(chip, &[0x82, 0xff, 0xff, 0xff]);
}
