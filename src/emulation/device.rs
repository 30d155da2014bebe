//! An end device: a LoRaWAN stack that we did not write, over the same driver as the gateway's,
//! over an emulated SX1262.

use super::{Air, Board, EmuChip, EmuPin, EmuSpi};
use crate::units::{AesKey, DevAddr, DevEui, JoinEui};
use embedded_hal_async::delay::DelayNs;
use lora_phy::LoRa;
use lora_phy::iv::GenericSx126xInterfaceVariant;
use lora_phy::lorawan_radio::{Error as RadioError, LorawanRadio};
use lora_phy::sx126x::{self, Sx126x, Sx1262, TcxoCtrlVoltage};
use lorawan_device::async_device::radio::Timer;
use lorawan_device::async_device::{self, Device, JoinResponse, SendResponse};
use lorawan_device::default_crypto::DefaultFactory;
use lorawan_device::region::{Configuration, DR, Region};
use lorawan_device::{AppEui, AppKey, AppSKey, JoinMode, NewSKey, Prng};
use std::fmt;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// Greatest radiated power of an end device in EU868, dBm.
const POWER: u8 = 14;

/// The driver's idea of an emulated SX1262.
type Kind = Sx126x<EmuSpi, GenericSx126xInterfaceVariant<EmuPin, EmuPin>, Sx1262>;

/// What the stack drives.
type Radio = LorawanRadio<Kind, EmuDelay, POWER>;

/// Delays of a driver in tokio's time. It rounds up to whole milliseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct EmuDelay;

impl DelayNs for EmuDelay {
    async fn delay_ns(&mut self, ns: u32) {
        sleep(Duration::from_nanos(ns.into())).await;
    }
}

/// Time in which an end device opens its windows.
struct DeviceTimer(Instant);

impl Timer for DeviceTimer {
    fn reset(&mut self) {
        self.0 = Instant::now();
    }

    async fn at(&mut self, millis: u64) {
        sleep_until(self.0 + Duration::from_millis(millis)).await;
    }

    async fn delay_ms(&mut self, millis: u64) {
        sleep(Duration::from_millis(millis)).await;
    }
}

/// How a device gets its session.
#[derive(Debug, Clone)]
pub enum Activation {
    /// It joins over the air.
    Otaa {
        /// The device.
        dev_eui: DevEui,
        /// The join server that it asks for.
        join_eui: JoinEui,
        /// Its root key.
        app_key: AesKey,
    },
    /// It was given a session.
    Abp {
        /// The address.
        dev_addr: DevAddr,
        /// The network session key.
        nwk_s_key: AesKey,
        /// The application session key.
        app_s_key: AesKey,
    },
}

/// What came back after an uplink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nothing, and nothing was asked for.
    Silence,
    /// Nothing, although the uplink was a confirmed one.
    NoAck,
    /// A downlink.
    Downlink {
        /// Its counter.
        counter: u32,
        /// Port and payload, if it had any.
        data: Option<(u8, Vec<u8>)>,
    },
    /// The frame counter is at its end: the device has to join again.
    SessionExpired,
}

/// Why a device could not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// Its radio failed.
    #[error("the radio of the device failed: {0}")]
    Radio(String),
    /// It has no session, or its stack refused.
    #[error("the stack of the device refused: {0}")]
    Stack(String),
}

impl From<async_device::Error<RadioError>> for DeviceError {
    fn from(error: async_device::Error<RadioError>) -> Self {
        match error {
            async_device::Error::Radio(error) => Self::Radio(format!("{error:?}")),
            async_device::Error::Mac(error) => Self::Stack(format!("{error:?}")),
        }
    }
}

impl From<lora_phy::mod_params::RadioError> for DeviceError {
    fn from(error: lora_phy::mod_params::RadioError) -> Self {
        Self::Radio(format!("{error:?}"))
    }
}

/// A LoRaWAN 1.0 end device of class A in EU868.
///
/// It never sets the ADR bit, obeys the channel mask of a LinkADRReq, ignores its data rate and
/// power and says that it took them; RX2 is always 869.525 MHz at SF12 (lorawan-device 0.12.2).
pub struct EndDevice {
    chip: EmuChip,
    device: Device<Radio, DefaultFactory, DeviceTimer, Prng>,
    mode: JoinMode,
}

impl fmt::Debug for EndDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EndDevice").field("chip", &self.chip).finish_non_exhaustive()
    }
}

impl EndDevice {
    /// A device that was just switched on. The seed decides its channels and DevNonces. It sends
    /// at SF7 until it is told otherwise ([`Self::set_data_rate`]).
    ///
    /// # Errors
    /// When its radio does not start.
    pub async fn new(air: &Air, activation: &Activation, seed: u64) -> Result<Self, DeviceError> {
        let chip = EmuChip::sx1262(air, Board::default());
        let driver = driver(&chip).await?;
        let timer = DeviceTimer(Instant::now());
        let region = Configuration::new(Region::EU868);
        let mut device = Device::new_with_seed(region, Radio::from(driver), timer, seed);
        device.set_datarate(DR::_5);
        let mode = match activation {
            Activation::Otaa { dev_eui, join_eui, app_key } => JoinMode::OTAA {
                deveui: lorawan_device::DevEui::from(dev_eui.0.to_le_bytes()),
                appeui: AppEui::from(join_eui.0.to_le_bytes()),
                appkey: AppKey::from(app_key.0),
            },
            Activation::Abp { dev_addr, nwk_s_key, app_s_key } => JoinMode::ABP {
                newskey: NewSKey::from(nwk_s_key.0),
                appskey: AppSKey::from(app_s_key.0),
                devaddr: lorawan_device::DevAddr::from(dev_addr.0.to_le_bytes()),
            },
        };
        Ok(Self { chip, device, mode })
    }

    /// Its chip, to break it or to find its station.
    pub fn chip(&self) -> &EmuChip {
        &self.chip
    }

    /// Sets the data rate: DR0 (SF12) to DR5 (SF7). Others are taken for the nearest of these.
    pub fn set_data_rate(&mut self, index: u8) {
        self.device.set_datarate(match index {
            0 => DR::_0,
            1 => DR::_1,
            2 => DR::_2,
            3 => DR::_3,
            4 => DR::_4,
            _ => DR::_5,
        });
    }

    /// Sets how many milliseconds early the device opens its windows, and how much longer it
    /// keeps them open for that. 50 unless set: less makes a more exacting device.
    pub fn set_window_lead(&mut self, ms: u32) {
        let radio = self.device.get_mut_radio();
        radio.set_rx_window_lead_time(ms);
        radio.set_rx_window_buffer(ms);
    }

    /// Joins once (OTAA), or takes its session (ABP). Returns whether there is a session.
    ///
    /// # Errors
    /// When the radio fails.
    pub async fn join(&mut self) -> Result<bool, DeviceError> {
        let response = self.device.join(&self.mode).await?;
        Ok(matches!(response, JoinResponse::JoinSuccess))
    }

    /// Tries to join so many times, and returns how many it took; `None` if all failed.
    ///
    /// # Errors
    /// When the radio fails.
    pub async fn join_within(&mut self, tries: u32) -> Result<Option<u32>, DeviceError> {
        for n in 1..=tries {
            if self.join().await? {
                return Ok(Some(n));
            }
        }
        Ok(None)
    }

    /// Sends an uplink and waits for both windows.
    ///
    /// # Errors
    /// When there is no session, the payload is too long, or the radio fails.
    pub async fn send(
        &mut self,
        port: u8,
        payload: &[u8],
        confirmed: bool,
    ) -> Result<Answer, DeviceError> {
        Ok(match self.device.send(payload, port, confirmed).await? {
            SendResponse::RxComplete => Answer::Silence,
            SendResponse::NoAck => Answer::NoAck,
            SendResponse::SessionExpired => Answer::SessionExpired,
            SendResponse::DownlinkReceived(counter) => {
                let data = self.device.take_downlink().map(|d| (d.fport, d.data.to_vec()));
                Answer::Downlink { counter, data }
            }
        })
    }

    /// The address of the present session.
    pub fn dev_addr(&mut self) -> Option<DevAddr> {
        let session = self.device.get_session()?;
        let bytes: [u8; 4] = session.devaddr().as_ref().try_into().ok()?;
        Some(DevAddr(u32::from_le_bytes(bytes)))
    }
}

/// The driver as it is, on an emulated board as most HATs are.
async fn driver(chip: &EmuChip) -> Result<LoRa<Kind, EmuDelay>, lora_phy::mod_params::RadioError> {
    let lines = GenericSx126xInterfaceVariant::new(
        chip.reset_pin(),
        chip.dio_pin(),
        chip.busy_pin(),
        None,
        None,
    )?;
    let config = sx126x::Config {
        chip: Sx1262,
        tcxo_ctrl: Some(TcxoCtrlVoltage::Ctrl1V7),
        use_dcdc: true,
        rx_boost: false,
    };
    LoRa::new(Sx126x::new(chip.spi(), lines, config), true, EmuDelay).await
}
