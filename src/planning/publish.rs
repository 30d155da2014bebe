//! A plan as messages.
//!
//! Three topics, all retained, all replaced together:
//!
//! | topic | body |
//! | --- | --- |
//! | `plan/{name}` | the [`Sheet`]: tours with stops, times, reasons and their lines, what was left out and why, what is lacking, costs, and the difference to the plan before |
//! | `plan/{name}/geojson` | a FeatureCollection ([`geojson`]) that a map can show as it is |
//! | `plan/{name}/gpx` | `{"name", "day", "routes": [{"vehicle", "gpx"}]}`: for each vehicle the text of a GPX 1.1 document, to be handed to its navigator |
//!
//! All vehicles share a message, so that none of one that stays at home is left over.

use crate::clock::Moment;
use crate::route::sheet::{Sheet, Tour};
use crate::route::{geojson, gpx};
use crate::store::{Class, Message};
use serde_json::{Value, json};

/// The longest body, in bytes: with its envelope it fits into the packets of the brokers that are
/// in use (Azure takes 256 KiB).
const LONGEST: usize = 200 * 1024;

/// In so many steps lines are made coarser, twice as coarse each time, before they are left out.
const STEPS: i32 = 8;

/// The tolerance of the first step, in degrees: 4 m.
const FIRST: f64 = 4e-5;

/// The messages of a plan that holds from now on.
pub(super) fn messages(sheet: &Sheet, at: Moment) -> Vec<Message> {
    let topic = format!("plan/{}", sheet.name);
    let message = |leaf: &str, body: String| Message {
        class: Class::Plan,
        time: sheet.made_at,
        clock: at.quality,
        topic: format!("{topic}{leaf}"),
        body,
    };
    vec![
        message("", fitting(sheet, |sheet| json!(sheet))),
        message("/geojson", fitting(sheet, geojson::write)),
        message("/gpx", fitting(sheet, tracks)),
    ]
}

fn tracks(sheet: &Sheet) -> Value {
    let routes = sheet.routes.iter().map(|Tour { vehicle, .. }| {
        json!({ "vehicle": vehicle, "gpx": gpx::write(sheet, Some(vehicle)) })
    });
    json!({ "name": sheet.name, "day": sheet.day, "routes": routes.collect::<Vec<_>>() })
}

/// A body that is short enough: lines are made coarser first; then bins that may wait are left
/// out of the list of those that are.
fn fitting(sheet: &Sheet, write: impl Fn(&Sheet) -> Value) -> String {
    let text = write(sheet).to_string();
    if text.len() <= LONGEST {
        return text;
    }
    let mut less = sheet.clone();
    for step in 0..STEPS {
        less.routes.iter_mut().for_each(|tour| tour.thin(FIRST * 2_f64.powi(step)));
        let text = write(&less).to_string();
        if text.len() <= LONGEST {
            return text;
        }
    }
    less.routes.iter_mut().for_each(|tour| tour.geometry.coordinates.clear());
    let mut text = write(&less).to_string();
    while text.len() > LONGEST && !less.left_out.is_empty() {
        // those that should have been emptied are the last to go
        less.left_out.sort_by_key(|bin| !bin.must);
        less.left_out.truncate(less.left_out.len() / 2);
        text = write(&less).to_string();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ClockQuality;
    use crate::route::sheet::{LeftOut, sample};
    use std::time::Duration;

    const AT: Moment = Moment {
        wall: jiff::Timestamp::UNIX_EPOCH,
        quality: ClockQuality::Synced,
        monotonic: Duration::ZERO,
    };

    #[test]
    fn a_plan_is_three_messages_of_its_class() {
        let all = messages(&sample::sheet(), AT);
        let topics: Vec<_> = all.iter().map(|message| message.topic.as_str()).collect();
        assert_eq!(topics, ["plan/tours", "plan/tours/geojson", "plan/tours/gpx"]);
        assert!(all.iter().all(|message| message.class == Class::Plan), "retained");
        for message in all {
            // the envelope's own words are added to it
            let body: Value = serde_json::from_str(&message.body).expect("JSON");
            for word in ["id", "class", "time", "sentAt", "clock", "late"] {
                assert!(body.get(word).is_none(), "{}: {word}", message.topic);
            }
        }
    }

    #[test]
    fn no_plan_is_too_long_for_a_broker() {
        let mut sheet = sample::sheet();
        let bend = |i: u32| {
            let turn = f64::from(i) / 50.0;
            [18.0 + turn.sin() * f64::from(i) * 1e-6, 59.0 + turn.cos() * f64::from(i) * 1e-6]
        };
        sheet.routes[0].geometry.coordinates = (0..50_000).map(bend).collect();
        let bin = |i: u32| LeftOut {
            id: format!("{i}"),
            lat: None,
            lon: None,
            level: None,
            must: i % 100 == 7,
            reason: "x".repeat(80),
        };
        let all = messages(&sheet, AT);
        assert!(all.iter().all(|message| message.body.len() <= LONGEST));
        let body: Value = serde_json::from_str(&all[0].body).expect("JSON");
        let line = body["routes"][0]["geometry"]["coordinates"].as_array().expect("a line");
        assert!(line.len() > 100, "only as coarse as it has to be: {}", line.len());

        sheet.left_out = (0..3000).map(bin).collect();
        let all = messages(&sheet, AT);
        assert!(all.iter().all(|message| message.body.len() <= LONGEST));
        let body: Value = serde_json::from_str(&all[0].body).expect("JSON");
        let left = body["leftOut"].as_array().expect("a list");
        assert_eq!(left.iter().filter(|bin| bin["must"] == true).count(), 30);
        assert_eq!(body["routes"][0]["stops"].as_array().map(Vec::len), Some(2));
    }
}
