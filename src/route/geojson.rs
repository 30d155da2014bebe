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
