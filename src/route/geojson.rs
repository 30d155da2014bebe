//! A plan as GeoJSON (RFC 7946): a line for each tour, a point for each stop.

use super::sheet::Sheet;
use serde_json::{Value, json};

/// The document: a FeatureCollection with `kind` in the properties of each feature: `tour`,
/// `stop`, `unloading`, or `leftOut` (whose geometry is null where it has no position).
#[must_use]
pub fn write(sheet: &Sheet) -> Value {
    let mut features = Vec::new();
    for tour in &sheet.routes {
        let mut line = tour.geometry.coordinates.clone();
        if let [only] = line[..] {
            // a line has two places at least
            line.push(only);
        }
        let geometry = match line.len() {
            0 => Value::Null,
            _ => json!({ "type": "LineString", "coordinates": line }),
        };
        let properties = json!({
            "kind": "tour", "vehicle": tour.vehicle, "metres": tour.metres,
            "leaveAt": tour.leave_at, "backAt": tour.back_at, "stops": tour.stops.len(),
        });
        features.push(feature(geometry, &properties));
        for stop in &tour.stops {
            let properties = json!({
                "kind": "stop", "vehicle": tour.vehicle, "id": stop.id, "order": stop.order,
                "arrival": stop.arrival, "level": stop.level, "reason": stop.reason,
            });
            features.push(feature(point(stop.lat, stop.lon), &properties));
        }
        for unloading in &tour.unloadings {
            let properties = json!({
                "kind": "unloading", "vehicle": tour.vehicle, "id": unloading.site,
                "order": unloading.order, "arrival": unloading.arrival,
            });
            features.push(feature(point(unloading.lat, unloading.lon), &properties));
        }
    }
    let left_out = sheet.left_out.iter().map(|bin| {
        let properties = json!({
            "kind": "leftOut", "id": bin.id, "level": bin.level, "reason": bin.reason,
        });
        let place = bin.lat.zip(bin.lon).map_or(Value::Null, |(lat, lon)| point(lat, lon));
        feature(place, &properties)
    });
    features.extend(left_out);
    json!({
        "type": "FeatureCollection",
        "name": sheet.name, "day": sheet.day, "estimated": sheet.estimated,
        "attribution": sheet.attribution, "features": features,
    })
}

/// The JSON Schema of the document. `level` and `reason` are left out of one that is too long.
#[cfg(test)]
pub(crate) fn schema() -> Value {
    let position = json!({
        "type": "array", "items": { "type": "number" }, "minItems": 2,
        "description": "Longitude and latitude in degrees.",
    });
    let text = |about: &str| json!({ "type": "string", "description": about });
    let number = |about: &str| json!({ "type": "integer", "minimum": 0, "description": about });
    let time = |about| json!({ "type": "string", "format": "date-time", "description": about });
    let kind = |name: &str, properties: Value, required: &[&str]| {
        json!({
            "if": { "properties": { "kind": { "const": name } } },
            "then": { "properties": properties, "required": required },
        })
    };
    let level = json!({
        "type": ["number", "null"],
        "description": "The level that is expected: 0 is empty, 1 is full.",
    });
    let properties = json!({
        "type": "object",
        "properties": { "kind": { "enum": ["tour", "stop", "unloading", "leftOut"] } },
        "required": ["kind"],
        "allOf": [
            kind(
                "tour",
                json!({
                    "vehicle": text("Its name."),
                    "metres": number("How far it drives."),
                    "leaveAt": time("When it leaves."),
                    "backAt": time("When it is back."),
                    "stops": number("How many bins it empties."),
                }),
                &["vehicle", "metres", "leaveAt", "backAt", "stops"],
            ),
            kind(
                "stop",
                json!({
                    "vehicle": text("Who empties it."),
                    "id": text("The bin."),
                    "order": number("Its place on the tour."),
                    "arrival": time("When the vehicle is there."),
                    "level": level,
                    "reason": text("Why it is visited."),
                }),
                &["vehicle", "id", "order", "arrival"],
            ),
            kind(
                "unloading",
                json!({
                    "vehicle": text("Who unloads."),
                    "id": text("The site."),
                    "order": number("Its place on the tour."),
                    "arrival": time("When the vehicle is there."),
                }),
                &["vehicle", "id", "order", "arrival"],
            ),
            kind(
                "leftOut",
                json!({
                    "id": text("The bin."),
                    "level": level,
                    "reason": text("Why it is left out."),
                }),
                &["id"],
            ),
        ],
    });
    let geometry = |kind: &str, coordinates: Value| {
        json!({
            "type": "object",
            "properties": { "type": { "const": kind }, "coordinates": coordinates },
            "required": ["type", "coordinates"],
        })
    };
    let line = json!({ "type": "array", "items": position, "minItems": 2 });
    json!({
        "type": "object",
        "description": "A plan as a FeatureCollection (RFC 7946): a line for each tour, a point \
                        for each stop.",
        "properties": {
            "type": { "const": "FeatureCollection" },
            "name": text("The plan's name."),
            "day": {
                "type": "string", "format": "date",
                "description": "The day of its tours, where they are driven.",
            },
            "estimated": {
                "type": "boolean",
                "description": "Whether ways are straight lines × 1.4.",
            },
            "attribution": {
                "type": ["string", "null"],
                "description": "Whose map was used.",
            },
            "features": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "type": { "const": "Feature" },
                        "geometry": {
                            "description": "Null where there is no position.",
                            "anyOf": [
                                { "type": "null" },
                                geometry("Point", position.clone()),
                                geometry("LineString", line),
                            ],
                        },
                        "properties": properties,
                    },
                    "required": ["type", "geometry", "properties"],
                },
            },
        },
        "required": ["type", "name", "day", "estimated", "attribution", "features"],
    })
}

fn feature(geometry: Value, properties: &Value) -> Value {
    json!({ "type": "Feature", "geometry": geometry, "properties": properties })
}

fn point(lat: f64, lon: f64) -> Value {
    json!({ "type": "Point", "coordinates": [lon, lat] })
}

#[cfg(test)]
mod tests {
    use super::super::sheet::sample;
    use super::*;

    #[test]
    fn each_feature_has_a_geometry_and_properties() {
        let document = write(&sample::sheet());
        assert_eq!(document["type"], "FeatureCollection");
        let features = document["features"].as_array().expect("a list");
        let kinds: Vec<_> = features.iter().map(|f| f["properties"]["kind"].clone()).collect();
        assert_eq!(kinds, ["tour", "stop", "stop", "unloading", "leftOut"]);
        for feature in features {
            assert_eq!(feature["type"], "Feature");
            assert!(feature.get("geometry").is_some(), "{feature}");
        }
        // longitude first
        assert_eq!(features[1]["geometry"]["coordinates"], json!([18.01, 59.31]));
    }
}
