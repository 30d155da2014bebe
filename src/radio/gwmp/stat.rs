//! What a forwarder tells of itself.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

/// The `stat` of a PUSH_DATA: counts since the forwarder's last one. Each field stands alone,
/// since forwarders leave out some and misspell others.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Stat {
    /// The forwarder's own clock.
    pub time: Option<Timestamp>,
    /// Radio packets received.
    pub rxnb: Option<u64>,
    /// Of these, with a good CRC.
    pub rxok: Option<u64>,
    /// Of these, forwarded.
    pub rxfw: Option<u64>,
    /// Share of its datagrams that were acknowledged, in percent.
    pub ackr: Option<f64>,
    /// Downlink datagrams received.
    pub dwnb: Option<u64>,
    /// Packets sent.
    pub txnb: Option<u64>,
    /// Latitude in degrees, north positive.
    pub lati: Option<f64>,
    /// Longitude in degrees, east positive.
    pub long: Option<f64>,
    /// Altitude in metres.
    pub alti: Option<f64>,
}

impl Stat {
    /// Reads what can be read. None when it is no JSON object.
    pub(super) fn parse(json: &str) -> Option<Self> {
        let fields: Map<String, Value> = serde_json::from_str(json).ok()?;
        let count = |key| fields.get(key).and_then(Value::as_u64);
        let number = |key, least: f64, most: f64| {
            let value = fields.get(key).and_then(Value::as_f64);
            value.filter(|value| (least..=most).contains(value))
        };
        Some(Self {
            time: fields.get("time").and_then(Value::as_str).and_then(time),
            rxnb: count("rxnb"),
            rxok: count("rxok"),
            rxfw: count("rxfw"),
            ackr: number("ackr", 0.0, 100.0),
            dwnb: count("dwnb"),
            txnb: count("txnb"),
            lati: number("lati", -90.0, 90.0),
            long: number("long", -180.0, 180.0),
            alti: number("alti", -1000.0, 100_000.0),
        })
    }
}

/// `2014-01-12 08:59:28 GMT` as Semtech writes it, or as RFC 3339 has it.
fn time(text: &str) -> Option<Timestamp> {
    let semtech = || {
        let civil: DateTime = text.strip_suffix(" GMT")?.parse().ok()?;
        TimeZone::UTC.to_timestamp(civil).ok()
    };
    semtech().or_else(|| text.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::radio::gwmp::{Content, parse};
    use proptest::prelude::*;

    fn stat(json: &str) -> Option<Stat> {
        let mut datagram = vec![2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
        datagram.extend(format!(r#"{{"stat":{json}}}"#).as_bytes());
        match parse(&datagram).expect("a datagram").content {
            Content::Push { packets, stat } if packets.is_empty() => stat,
            other => panic!("not a PUSH_DATA without packets: {other:?}"),
        }
    }

    #[test]
    fn the_statistics_of_semtechs_document_are_read() {
        let read = stat(
            r#"{"time":"2014-01-12 08:59:28 GMT","lati":46.24,"long":3.2523,"alti":145,"rxnb":2,
                "rxok":2,"rxfw":2,"ackr":100.0,"dwnb":2,"txnb":1}"#,
        );
        let expected = Stat {
            time: "2014-01-12T08:59:28Z".parse().ok(),
            rxnb: Some(2),
            rxok: Some(2),
            rxfw: Some(2),
            ackr: Some(100.0),
            dwnb: Some(2),
            txnb: Some(1),
            lati: Some(46.24),
            long: Some(3.2523),
            alti: Some(145.0),
        };
        assert!(expected.time.is_some());
        assert_eq!(read, Some(expected));
    }

    #[test]
    fn an_odd_field_costs_no_other() {
        let read = stat(
            r#"{"time":"yesterday","lati":460,"long":"3","alti":null,"rxnb":-2,"rxok":1e99,
                "ackr":-1,"dwnb":2,"temp":21.5,"desc":"a kerlink"}"#,
        );
        assert_eq!(read, Some(Stat { dwnb: Some(2), ..Stat::default() }));
        assert_eq!(stat("{}"), Some(Stat::default()));
        for nothing in ["null", "[]", "7", "\"up\""] {
            assert_eq!(stat(nothing), None, "{nothing}");
        }
        assert_eq!(stat(&("[".repeat(500) + &"]".repeat(500))), None);
        assert_eq!(stat(&format!("{{\"a\":{}{}}}", "[".repeat(500), "]".repeat(500))), None);
    }

    proptest! {
        #[test]
        fn any_statistics_are_read_or_not(text in ".{0,100}", number: f64, key in "[a-z]{4}|time|rxnb|lati") {
            let _ = Stat::parse(&text);
            let _ = Stat::parse(&format!(r#"{{"{key}":{number:e}}}"#));
            let _ = Stat::parse(&serde_json::json!({key: text}).to_string());
        }
    }
}
