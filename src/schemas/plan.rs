//! What is promised of plans. One that is too long for a packet says less, and says so.

use super::message::of;
use crate::route::geojson;
use crate::route::sheet::{Cost, Lack, Origin, Sheet};
use serde_json::{Value, json};

/// What is left out of stops that are too many.
const DETAILS: &[&str] = &["level", "load", "reason", "service", "lat", "lon"];

/// `plan/{name}`.
pub(super) fn sheet() -> Value {
    let mut schema = of::<Sheet>();
    let required = schema["$defs"]["TourStop"]["required"].as_array_mut().expect("a list");
    required.retain(|word| !DETAILS.contains(&word.as_str().expect("a word")));
    // the tag that serde writes
    let line = &mut schema["$defs"]["LineString"];
    line["properties"]["type"] = json!({ "const": "LineString" });
    line["required"] = json!(["type", "coordinates"]);
    let whole = json!({ "properties": { "routes": { "type": "array", "items": { "type": "object", "properties": {
        "stops": { "type": "array", "items": { "type": "object", "required": DETAILS } },
    } } } } });
    shortened(schema, &whole)
}

/// `plan/{name}/geojson`.
pub(super) fn map() -> Value {
    let whole = json!({ "properties": { "features": { "type": "array", "items": { "type": "object", "properties": {
        "properties": {
            "type": "object",
            "if": { "properties": { "kind": { "enum": ["stop", "leftOut"] } } },
            "then": { "required": ["level", "reason"] },
        },
    } } } } });
    shortened(geojson::schema(), &whole)
}

/// `plan/{name}/gpx`.
pub(super) fn tracks() -> Value {
    let schema = json!({
        "type": "object",
        "description": "A plan as a GPX file for each vehicle, to be handed to its navigator.",
        "properties": {
            "name": { "type": "string", "description": "The plan's name." },
            "day": {
                "type": "string", "format": "date",
                "description": "The day of its tours, where they are driven.",
            },
            "routes": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "vehicle": { "type": "string", "description": "Its name." },
                        "gpx": {
                            "type": "string", "contentMediaType": "application/gpx+xml",
                            "description": "The text of a GPX 1.1 document.",
                        },
                    },
                    "required": ["vehicle", "gpx"],
                },
            },
        },
        "required": ["name", "day", "routes"],
    });
    shortened(schema, &json!({}))
}

/// The result of `command/plan`.
pub(super) fn made() -> Value {
    let (mut cost, mut origin, lack) = (of::<Cost>(), of::<Origin>(), of::<Lack>());
    // what these are is said at the plan
    for schema in [&mut cost, &mut origin] {
        schema.as_object_mut().expect("an object").remove("description");
    }
    let count = |about: &str| json!({ "type": "integer", "minimum": 0, "description": about });
    json!({
        "type": "object",
        "description": "The plan in short.",
        "properties": {
            "name": { "type": "string", "description": "The plan's name." },
            "day": { "type": "string", "format": "date", "description": "The day of its tours." },
            "origin": origin,
            "cost": cost,
            "km": { "type": "number", "description": "All ways together, in kilometres." },
            "routes": count("How many vehicles leave."),
            "stops": count("How many stops there are."),
            "leftOut": count("How many are left out."),
            "unserved": count("How many of those should have been visited."),
            "shortfalls": {
                "type": "array", "items": lack, "description": "What the day lacks.",
            },
            "estimated": {
                "type": "boolean",
                "description": "Whether ways are straight lines × 1.4.",
            },
        },
        "required": [
            "name", "day", "origin", "cost", "km", "routes", "stops", "leftOut", "unserved",
            "shortfalls", "estimated",
        ],
    })
}

/// The same where it may be too long: `whole` holds of what is not `truncated`, and where there is
/// an `error` there is hardly anything else.
fn shortened(mut schema: Value, whole: &Value) -> Value {
    let properties = schema["properties"].as_object_mut().expect("an object");
    properties.insert(
        "truncated".into(),
        json!({
            "const": true,
            "description": "The plan was too long: details of stops, and bins that may wait, are \
                            left out.",
        }),
    );
    properties.insert(
        "error".into(),
        json!({
            "type": "string",
            "description": "The plan was too long in every form: nothing else is said of it.",
        }),
    );
    let required = schema["required"].take();
    schema["required"] = json!(["name", "day"]);
    schema["dependentRequired"] = json!({ "error": ["truncated", "kpi"] });
    schema["allOf"] = json!([
        { "if": { "not": { "required": ["error"] } }, "then": { "required": required } },
        { "if": { "not": { "required": ["truncated"] } }, "then": whole },
    ]);
    schema
}
