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
use crate::route::sheet::{LeftOut, Sheet, Tour};
use crate::route::{geojson, gpx};
use crate::store::{Class, Message};
use serde_json::{Value, json};

/// The longest body, in bytes: with its envelope it fits into the packets of the brokers that are
/// in use (Azure takes 256 KiB).
const LONGEST: usize = 200 * 1024;

/// In so many steps lines are made coarser, twice as coarse each time, before they are left out.
const STEPS: i32 = 8;

/// What is not said of stops first when there are too many, and then.
const DETAILS: &[&str] = &["level", "load", "reason", "service"];
const ALL_DETAILS: &[&str] = &["level", "load", "reason", "service", "lat", "lon"];

/// The tolerance of the first step, in degrees: 4 m.
const FIRST: f64 = 4e-5;

/// The messages of a plan that holds from now on.
pub(crate) fn messages(sheet: &Sheet, at: Moment) -> Vec<Message> {
    let topic = format!("plan/{}", sheet.name);
    let message = |leaf: &str, body: String| Message {
        class: Class::Plan,
        at: Moment { wall: sheet.made_at, ..at },
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
    // who is back has driven it, and may leave again
    let ahead = |tour: &&Tour| tour.back_at > sheet.made_at;
    let tours: Vec<Tour> = sheet.routes.iter().filter(ahead).cloned().collect();
    let ahead = Sheet { routes: tours, ..sheet.clone() };
    let routes = ahead.routes.iter().map(|Tour { vehicle, .. }| {
        json!({ "vehicle": vehicle, "gpx": gpx::write(&ahead, Some(vehicle)) })
    });
    json!({ "name": sheet.name, "day": sheet.day, "routes": routes.collect::<Vec<_>>() })
}

/// A body that is short enough, whatever the plan: a message that no broker takes would be sent
/// again and again. Lines are made coarser first, and left out. What is left out then is said by
/// `"truncated": true`; what is counted (`kpi`) is counted of the whole plan:
///
/// 1. the difference to the plan before, and why and where bins that may wait are left out;
/// 2. those bins, half of them at a time;
/// 3. the levels and loads of stops, why they are visited, and why others must be but are not;
/// 4. where the stops are;
/// 5. all of it: there is only an `error` then.
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
    let text = write(&less).to_string();
    if text.len() <= LONGEST {
        return text;
    }
    let truncated = |less: &Sheet, unsaid: &[&str]| {
        let mut body = write(less);
        body["truncated"] = true.into();
        leave_unsaid(&mut body, unsaid);
        let text = body.to_string();
        (text.len() <= LONGEST).then_some(text)
    };
    less.difference = None;
    less.left_out.iter_mut().filter(|bin| !bin.must).for_each(bare);
    let mut text = truncated(&less, &[]);
    while text.is_none() && less.left_out.iter().any(|bin| !bin.must) {
        // those that should have been emptied stay
        less.left_out.sort_by_key(|bin| !bin.must);
        let musts = less.left_out.iter().filter(|bin| bin.must).count();
        let others = less.left_out.len() - musts;
        less.left_out.truncate(musts + others / 2);
        text = truncated(&less, &[]);
    }
    if let Some(text) = text {
        return text;
    }
    less.left_out.iter_mut().for_each(bare);
    for stop in less.routes.iter_mut().flat_map(|tour| &mut tour.stops) {
        stop.reason.clear();
    }
    let fitting = [DETAILS, ALL_DETAILS].into_iter().find_map(|unsaid| truncated(&less, unsaid));
    fitting.unwrap_or_else(|| {
        let kpi = &sheet.kpi;
        json!({
            "name": sheet.name, "day": sheet.day, "truncated": true,
            "error": format!(
                "too large: the plan of {} stops on {} tours is longer than {} KiB",
                sheet.routes.iter().map(|tour| tour.stops.len()).sum::<usize>(),
                sheet.routes.len(),
                LONGEST / 1024
            ),
            "kpi": kpi,
        })
        .to_string()
    })
}

/// Leaves these words out of all stops.
fn leave_unsaid(body: &mut Value, words: &[&str]) {
    let mut leave = |stop: &mut Value| {
        if let Some(stop) = stop.as_object_mut() {
            words.iter().for_each(|word| drop(stop.remove(*word)));
        }
    };
    for feature in body.get_mut("features").and_then(Value::as_array_mut).into_iter().flatten() {
        feature.get_mut("properties").into_iter().for_each(&mut leave);
    }
    for tour in body.get_mut("routes").and_then(Value::as_array_mut).into_iter().flatten() {
        tour.get_mut("stops")
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
            .for_each(&mut leave);
    }
}

/// Only its name, and whether it should have been emptied.
fn bare(bin: &mut LeftOut) {
    (bin.lat, bin.lon, bin.level) = (None, None, None);
    bin.reason.clear();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ClockQuality;
    use crate::route::sheet::{TourStop, sample};
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

    #[test]
    fn no_plan_of_thousands_of_stops_is_too_long_either() {
        let mut sheet = sample::sheet();
        let stop = sheet.routes[0].stops[0].clone();
        let many = |count: usize| {
            let stops = (1..=count).map(|order| {
                let id = format!("bin-{order:05}");
                TourStop { id, order, reason: "x".repeat(90), ..stop.clone() }
            });
            stops.collect::<Vec<_>>()
        };
        let bin = |i: u32| LeftOut { must: i % 100 == 7, ..sample::sheet().left_out[0].clone() };
        sheet.left_out = (0..1000).map(bin).collect();
        sheet.kpi.stops = 3000;
        for count in [900, 3000, 6000] {
            sheet.routes[0].stops = many(count);
            let all = messages(&sheet, AT);
            for message in &all {
                assert!(message.body.len() <= LONGEST, "{count}: {}", message.topic);
            }
            let bodies = all.iter().map(|message| serde_json::from_str(&message.body));
            let bodies: Vec<Value> = bodies.collect::<Result<_, _>>().expect("JSON");
            let lacks = |body: &Value| body["truncated"] == true;
            if bodies[0].get("error").is_none() {
                let left = bodies[0]["leftOut"].as_array().expect("a list");
                assert_eq!(left.iter().filter(|bin| bin["must"] == true).count(), 10);
                let stops = bodies[0]["routes"][0]["stops"].as_array().map(Vec::len);
                assert_eq!(stops, Some(count), "no stop is left out");
                assert!(lacks(&bodies[0]) || left.len() == 1000);
            }
            assert_eq!(bodies[0]["kpi"]["stops"], 3000, "counted of the whole plan");
            if count == 900 {
                assert!(bodies.iter().all(|body| body.get("error").is_none()), "{count}");
            }
            if count == 3000 {
                let stop = &bodies[0]["routes"][0]["stops"][2999];
                assert_eq!(stop["id"], "bin-03000", "who goes where is said");
                assert!(stop["arrival"].is_string() && stop["order"] == 3000);
            }
            if count == 6000 {
                for body in &bodies {
                    assert!(lacks(body) && body["error"].is_string(), "{body}");
                }
            }
        }
    }
}
