//! Bodies in fewer bytes: what is written to the card is what wears it out.
//!
//! A body is JSON of which most is the same in every message. Zstandard with a dictionary that
//! holds what they have in common makes a fifth to a third of it, in some ten microseconds. The
//! dictionary is part of the format: what was packed with one is unpacked with the same one, so a
//! new one gets a number of its own and the old one stays.

use std::cell::RefCell;
use std::sync::LazyLock;
use zstd::bulk::{Compressor, Decompressor};
use zstd::dict::{DecoderDictionary, EncoderDictionary};
use zstd::zstd_safe;

/// The first byte of what is packed is the number of its dictionary. JSON begins with a letter, a
/// bracket, a quote or a digit, and never with such a byte.
const NUMBER: u8 = 3;

/// A frame begins with these, and what is packed is one without them.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// Higher levels take longer and win next to nothing.
const LEVEL: i32 = 12;

/// The longest body that is packed: what it says of its length is not believed beyond.
const LONGEST: usize = 1 << 20;

/// What messages have in common. Never to be changed.
const WORDS: &[u8] = br#"{"n":1,"step":1,"told":false,"at":17,"synced":true,"first":17,"part":0.,"seen":17,"emptied":null,"readings":"","hours":{"l":4,"s":"//////"},"morning":[2,1.0],"days":"","shelf":{"a":0.0,"w":0.0,"n":1.,"f":false},"heat":{"f":""},"stand":{"u":0.0,"p":"ok"},"battery":{"f":2.,"l":2.,"m":[]},"silence":{"i":3600.0,"e":,"h":},"due":"no","presses":null,"said":{"seen":17"kind":"sensorLost","batteryLow","echoFixed","pickupMissed","fireOver","mayBeEmptied","mustBeEmptied","dueOver","emptied","text":{"sv":"K","en":"Bin : it need not be emptied."},"at":"2026-01-01T00:00:00Z","fillBefore":0.,"partial":false,"confidence":1.0{"bin":"","fill":0.,"fillQuality":"suspect","echo":"fixed"{"bin":"","fill":0.,"fillQuality":"accepted","echo":"ok","estimated":false,"due":"no","posture":"ok","fire":false,"emptiedAt":"2026-01-01T00:00:00Z","ratePerDay":0.1,"mayAt":{"p10":"2026-01-01T00:00:00Z","p50":"2026-01-01T00:00:00Z","p90":"2026-01-01T00:00:00Z"},"mustAt":{"p10":"2026-01-01T00:00:00Z","p50":"2026-01-01T00:00:00Z","p90":"2026-01-01T00:00:00Z"},"batteryDays":1.0,"delivery":0.83}{"n":1,"t":17,"y":true,"e":"Missing","f":0.,"e":{"Distance":1.},"c":1.0,"b":3.5,"a":0.0}{"up":[1,1,null],"down":0,"link":{"rx1_delay":1,"rx2_data_rate":0,"statistics":{"received":1,"missed":0,"absences":0,"window":18446744073709551615,"known":64,"steps":[[1200000,1],[1200000,1],[600000,1],[600000,1],[0,0],[0,0],[0,0]],"last":{"f_cnt":1,"at":17,"margin":1,"smooth":1,"modulation":"SF12BW125","frequency":868100000,"len":2},"dev_status":null}},"binding":"{"queueItemId":"","acknowledged":true,"fCntDown":,"gatewayId":"{"margin":,"batteryLevel":,"externalPowerSource":false,"batteryLevelUnavailable":false,"level":"ERROR","code":"DOWNLINK_GATEWAY","description":"","context":{{"id":"","ok":true,"result":{"state":"queued","expires":"2026-01-01T00:00:00Z"}},"ok":false,"error":{"code":"invalid","message":"{"codecError":"","replayable":true,{"name":"humidity","unit":"%RH","value":,"quality":"suspect"},{"name":"occupancy","unit":"/","value":null,"quality":"missing"},{"name":"open","unit":"/","value":true,"quality":"good"},{"name":"motion","unit":"count","value":0,"quality":"good"},{"name":"fill level","unit":"/","value":0.,"quality":"good"},{"name":"position","value":"normal"{"devEui":"70b3d507","deviceName":"","profile":"sensoneo-single","bin":"","fCnt":,"readings":[{"name":"distance","unit":"m","value":1.,"quality":"good"},{"name":"temperature","unit":"Cel","value":1.,"quality":"good"},{"name":"battery_voltage","unit":"V","value":3.,"quality":"good"},{"name":"tilt","unit":"deg","value":0.0,"quality":"good"}]}{"name":"temperature","unit":"Cel","value":1.0,"quality":"good"},{"name":"battery","unit":"%","value":100,"quality":"good"}]}{"deduplicationId":"","deviceInfo":{"tenantId":"waste","tenantName":"waste","applicationId":"waste","applicationName":"waste","deviceProfileId":"sensoneo-single","deviceProfileName":"sensoneo-single","deviceName":"","devEui":"70b3d507","deviceClassEnabled":"CLASS_A","tags":{"bin":""}},"devAddr":"26","adr":true,"adr":false,"dr":5,"fCnt":,"fPort":2,"confirmed":false,"data":"","object":{"Bat":3.,"Distance":,"Interrupt_flag":0,"Sensor_flag":1,"TempC_DS18B20":"{"battery":100,"humidity":,"temperature":,"position":"normal"{"distance":1.0,"event_measurement_ended":true,"events":1,"firmware":184,"sensor_id":1,"sonar_0":1,"sonar_1":1,"sonar_2":1,"sonar_3":1,"temperature":1,"tilt":0,"tx_events":1,"type":"standalone","voltage":3.},"rxInfo":[{"gatewayId":"b827ebfffe","uplinkId":,"gwTime":"2026-01-01T00:00:00Z","nsTime":"2026-01-01T00:00:00Z","rssi":-100,"snr":7.,"channel":0,"rfChain":0,"context":"AAAAAA==","crcStatus":"CRC_OK"}],"txInfo":{"frequency":868100000,"modulation":{"lora":{"bandwidth":125000,"spreadingFactor":12,"codeRate":"CR_4_5"}}},"regionConfigId":"eu868"}"#;

static ENCODER: LazyLock<EncoderDictionary<'static>> =
    LazyLock::new(|| EncoderDictionary::copy(WORDS, LEVEL));
static DECODER: LazyLock<DecoderDictionary<'static>> =
    LazyLock::new(|| DecoderDictionary::copy(WORDS));

thread_local! {
    static PACKER: RefCell<Option<Compressor<'static>>> = RefCell::new(packer().ok());
    static UNPACKER: RefCell<Option<Decompressor<'static>>> =
        RefCell::new(Decompressor::with_prepared_dictionary(&DECODER).ok());
}

fn packer() -> std::io::Result<Compressor<'static>> {
    let mut packer = Compressor::with_prepared_dictionary(&ENCODER)?;
    packer.include_checksum(false)?;
    packer.include_dictid(false)?;
    Ok(packer)
}

/// What is remembered, in as few bytes as it can be.
pub(super) fn bytes(body: &str) -> Vec<u8> {
    pack(body).unwrap_or_else(|| body.as_bytes().to_vec())
}

/// The text of such bytes; `None` when they are damaged.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    match bytes.first() {
        Some(&NUMBER) => unpack(bytes),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    }
}

/// The body in fewer bytes; `None` when there is nothing to be won.
pub(super) fn pack(body: &str) -> Option<Vec<u8>> {
    if body.len() > LONGEST {
        return None;
    }
    let frame = PACKER.with_borrow_mut(|packer| packer.as_mut()?.compress(body.as_bytes()).ok())?;
    let block = frame.strip_prefix(&MAGIC)?;
    let packed = [&[NUMBER], block].concat();
    (packed.len() < body.len()).then_some(packed)
}

/// The body that was packed; `None` when it is damaged, or of a version to come.
pub(super) fn unpack(packed: &[u8]) -> Option<String> {
    let [NUMBER, block @ ..] = packed else { return None };
    let frame = [&MAGIC, block].concat();
    let length = usize::try_from(zstd_safe::get_frame_content_size(&frame).ok()??).ok()?;
    if length > LONGEST {
        return None;
    }
    let body =
        UNPACKER.with_borrow_mut(|unpacker| unpacker.as_mut()?.decompress(&frame, length).ok())?;
    String::from_utf8(body).ok().filter(|body| body.len() == length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An uplink's body, as it is written.
    const UP: &str = r#"{"deduplicationId":"4987d435-60da-4616-9a1d-b418dbb89b47","deviceInfo":{"tenantId":"avfall","tenantName":"avfall","applicationId":"avfall","applicationName":"avfall","deviceProfileId":"milesight-em310-udl","deviceProfileName":"milesight-em310-udl","deviceName":"Storgatan 4","devEui":"24e124713c481739","deviceClassEnabled":"CLASS_A","tags":{"bin":"1739"}},"devAddr":"01770b77","adr":true,"dr":3,"fCnt":4711,"fPort":85,"confirmed":false,"data":"AXVkA4IuAQQAAA==","object":{"battery":100,"distance":302,"position":"normal"},"rxInfo":[{"gatewayId":"0016c001ff10a235","uplinkId":2718281828,"nsTime":"2026-11-22T12:40:33.717692Z","rssi":-97,"snr":8.5,"channel":3,"rfChain":1,"context":"A4Lq8w==","crcStatus":"CRC_OK"}],"txInfo":{"frequency":867100000,"modulation":{"lora":{"bandwidth":125000,"spreadingFactor":9,"codeRate":"CR_4_5"}}},"regionConfigId":"eu868"}"#;

    const LONG_AGO: &str = "03605802a50700c28a22214069dc0638ee6de41a945786a03f942329c17f47fea7956e917b43f362\
        5114dd0d8c15da00b1576534b3648bcf86ea817be41599e9efec732acd866798232aeb88899a2448\
        745864600180a8fe7995d921f39129bf57d1f3e697cd351034a835070550c27951c2ebb32428a011\
        40781ca731098dd7b176eef5d7a5f7c6d2fadad41eaea4741f37db8526204086c850681f6a24b774\
        71a7e2303742666c4dc6b9c2e0aa0bc10b8ab53bb62c1bcc900e0463f8818444a2c19d84cf63c078\
        d44447d125088094598fcbb805203b44cb0de36e9c45cb005fc8ba12205bd483db08301ab27004a9\
        005888145e91f919927305";

    #[test]
    fn an_uplink_is_packed_to_less_than_a_third() {
        let packed = pack(UP).expect("it is shorter");
        assert!(packed.len() * 3 < UP.len(), "{} of {}", packed.len(), UP.len());
        assert_eq!(unpack(&packed).as_deref(), Some(UP));
    }

    /// As this version writes it. What differs here cannot be read there.
    #[test]
    fn what_was_packed_long_ago_can_be_unpacked() {
        use sha2::{Digest as _, Sha256};
        let written = "8ca1edb9df2e703e78a9b7c9d9e63af7c1c2a4efb3f3fb9f5e5c145a3adb109a";
        assert_eq!(hex::encode(Sha256::digest(WORDS)), written);
        let long_ago = hex::decode(LONG_AGO).expect("hex");
        assert_eq!(unpack(&long_ago).as_deref(), Some(UP));
        assert_eq!(unpack(&[]), None);
        assert_eq!(unpack(&[1, 0, 0, 0]), None, "no dictionary");
        assert_eq!(unpack(&[4, 0, 0, 0]), None, "of a version to come");
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(body in "\\PC{0,300}|(\\{\"devEui\":\"[0-9a-f]{16}\",){1,40}") {
            if let Some(packed) = pack(&body) {
                prop_assert!(packed.len() < body.len());
                prop_assert_eq!(unpack(&packed), Some(body));
            }
        }

        #[test]
        fn damaged_bytes_neither_panic_nor_take_much_memory(
            mut bytes in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            if let Some(first) = bytes.first_mut() {
                *first = NUMBER;
            }
            if let Some(body) = unpack(&bytes) {
                prop_assert!(body.len() <= LONGEST);
            }
        }
    }
}
