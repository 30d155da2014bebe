//! Bodies in fewer bytes: what is written to the card is what wears it out.
//!
//! A body is JSON of which most is the same in every message. LZ4 with a dictionary that holds
//! what they have in common makes less than half of it, in microseconds. The dictionary is part of the
//! format: what was packed with one is unpacked with the same one, so a new one gets a number of
//! its own and the old one stays.

/// The first byte of what is packed with [`DICTIONARY`].
const FIRST: u8 = 1;

/// The longest body that is packed: what it says of its length is not believed beyond.
const LONGEST: usize = 1 << 20;

/// What messages have in common; the most frequent stands last. Never to be changed.
const DICTIONARY: &[u8] = br#"{"fill":0.,"at":"2026-01-01T00:00:00Z","synced":true,"emptied":null,"first":"2026-01-01T00:00:00Z","doubted":null,"risen":0.,"days":1,"squares":0.0{"up":[1,1,null],"down":0,"link":{"rx1_delay":1,"rx2_data_rate":0,"statistics":{"received":1,"missed":0,"absences":0,"window":18446744073709551615,"known":64,"steps":[[1200000,1],[1200000,1],[600000,1],[600000,1],[0,0],[0,0],[0,0]],"last":{"f_cnt":1,"at":17,"margin":1,"smooth":1,"modulation":"SF12BW125","frequency":868100000,"len":2},"dev_status":null}},"binding":"{"queueItemId":"","acknowledged":true,"fCntDown":,"gatewayId":"{"margin":,"batteryLevel":,"externalPowerSource":false,"batteryLevelUnavailable":false,"level":"ERROR","code":"DOWNLINK_GATEWAY","description":"","context":{{"id":"","ok":true,"result":{"state":"queued","expires":"2026-01-01T00:00:00Z"}},"ok":false,"error":{"code":"invalid","message":"{"codecError":"","replayable":true,{"name":"humidity","unit":"%RH","value":,"quality":"suspect"},{"name":"occupancy","unit":"/","value":null,"quality":"missing"},{"name":"open","unit":"/","value":true,"quality":"good"},{"name":"motion","unit":"count","value":0,"quality":"good"},{"name":"fill level","unit":"/","value":0.,"quality":"good"},{"name":"position","value":"normal"{"devEui":"70b3d507","deviceName":"","profile":"sensoneo-single","bin":"","fCnt":,"readings":[{"name":"distance","unit":"m","value":1.,"quality":"good"},{"name":"temperature","unit":"Cel","value":1.,"quality":"good"},{"name":"battery_voltage","unit":"V","value":3.,"quality":"good"},{"name":"tilt","unit":"deg","value":0.0,"quality":"good"}]}{"name":"temperature","unit":"Cel","value":1.0,"quality":"good"},{"name":"battery","unit":"%","value":100,"quality":"good"}]}{"deduplicationId":"","deviceInfo":{"tenantId":"waste","tenantName":"waste","applicationId":"waste","applicationName":"waste","deviceProfileId":"sensoneo-single","deviceProfileName":"sensoneo-single","deviceName":"","devEui":"70b3d507","deviceClassEnabled":"CLASS_A","tags":{"bin":""}},"devAddr":"26","adr":true,"adr":false,"dr":5,"fCnt":,"fPort":2,"confirmed":false,"data":"","object":{"Bat":3.,"Distance":,"Interrupt_flag":0,"Sensor_flag":1,"TempC_DS18B20":"{"battery":100,"humidity":,"temperature":,"position":"normal"{"distance":1.0,"event_measurement_ended":true,"events":1,"firmware":184,"sensor_id":1,"sonar_0":1,"sonar_1":1,"sonar_2":1,"sonar_3":1,"temperature":1,"tilt":0,"tx_events":1,"type":"standalone","voltage":3.},"rxInfo":[{"gatewayId":"b827ebfffe","uplinkId":,"gwTime":"2026-01-01T00:00:00Z","nsTime":"2026-01-01T00:00:00Z","rssi":-100,"snr":7.,"channel":0,"rfChain":0,"context":"AAAAAA==","crcStatus":"CRC_OK"}],"txInfo":{"frequency":868100000,"modulation":{"lora":{"bandwidth":125000,"spreadingFactor":12,"codeRate":"CR_4_5"}}},"regionConfigId":"eu868"}"#;

/// What is remembered, in as few bytes as it can be.
pub(super) fn bytes(body: &str) -> Vec<u8> {
    // JSON begins with a letter, a bracket, a quote or a digit, and never with the byte 1
    pack(body).unwrap_or_else(|| body.as_bytes().to_vec())
}

/// The text of such bytes; `None` when they are damaged.
pub(super) fn text(bytes: &[u8]) -> Option<String> {
    match bytes.first() {
        Some(&FIRST) => unpack(bytes),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    }
}

/// The body in fewer bytes; `None` when there is nothing to be won.
pub(super) fn pack(body: &str) -> Option<Vec<u8>> {
    if body.len() > LONGEST {
        return None;
    }
    let block = lz4_flex::block::compress_prepend_size_with_dict(body.as_bytes(), DICTIONARY);
    // the length takes two bytes here, not four
    let length = u32::try_from(body.len()).ok()?;
    let mut packed = vec![FIRST];
    packed.extend(&length.to_le_bytes()[..3]);
    packed.extend(&block[4..]);
    (packed.len() < body.len()).then_some(packed)
}

/// The body that was packed; `None` when it is damaged, or of a version to come.
pub(super) fn unpack(packed: &[u8]) -> Option<String> {
    let [FIRST, a, b, c, block @ ..] = packed else { return None };
    let length = u32::from_le_bytes([*a, *b, *c, 0]) as usize;
    let body =
        lz4_flex::block::decompress_with_dict(block, length.min(LONGEST), DICTIONARY).ok()?;
    String::from_utf8(body).ok().filter(|body| body.len() == length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An uplink's body, as it is written.
    const UP: &str = r#"{"deduplicationId":"4987d435-60da-4616-9a1d-b418dbb89b47","deviceInfo":{"tenantId":"avfall","tenantName":"avfall","applicationId":"avfall","applicationName":"avfall","deviceProfileId":"milesight-em310-udl","deviceProfileName":"milesight-em310-udl","deviceName":"Storgatan 4","devEui":"24e124713c481739","deviceClassEnabled":"CLASS_A","tags":{"bin":"1739"}},"devAddr":"01770b77","adr":true,"dr":3,"fCnt":4711,"fPort":85,"confirmed":false,"data":"AXVkA4IuAQQAAA==","object":{"battery":100,"distance":302,"position":"normal"},"rxInfo":[{"gatewayId":"0016c001ff10a235","uplinkId":2718281828,"nsTime":"2026-11-22T12:40:33.717692Z","rssi":-97,"snr":8.5,"channel":3,"rfChain":1,"context":"A4Lq8w==","crcStatus":"CRC_OK"}],"txInfo":{"frequency":867100000,"modulation":{"lora":{"bandwidth":125000,"spreadingFactor":9,"codeRate":"CR_4_5"}}},"regionConfigId":"eu868"}"#;

    #[test]
    fn an_uplink_is_packed_to_less_than_half() {
        let packed = pack(UP).expect("it is shorter");
        assert!(packed.len() * 9 < UP.len() * 4, "{} of {}", packed.len(), UP.len());
        assert_eq!(unpack(&packed).as_deref(), Some(UP));
    }

    /// As the first version with a dictionary wrote it. What differs here cannot be read there.
    #[test]
    fn what_was_packed_long_ago_can_be_unpacked() {
        let digest = {
            use sha2::{Digest as _, Sha256};
            hex::encode(Sha256::digest(DICTIONARY))
        };
        assert_eq!(digest, "0b2a17de100d03c65042d692178dac43811618dab3d63118d3514b1da734f0b6");
        assert_eq!(unpack(&[]), None);
        assert_eq!(unpack(&[FIRST + 1, 0, 0, 0]), None, "of a version to come");
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
                *first = FIRST;
            }
            if let Some(body) = unpack(&bytes) {
                prop_assert!(body.len() <= LONGEST);
            }
        }
    }
}
