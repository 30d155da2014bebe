//! What a script's outputs most likely mean, by their names and by what was seen of them: a first
//! draft of a profile, for somebody to look at.

use super::Object;
use crate::units::Quantity;
use serde::Serialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The deepest output that is looked at.
const DEPTH: usize = 4;

/// A reading that an output is proposed for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Proposed {
    /// Where the value stands.
    pub output: String,
    /// The reading's name, if it is not that of its quantity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The quantity's name.
    pub quantity: &'static str,
    /// The unit in which the script says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'static str>,
    /// What means yes, of a state that is told in words or numbers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<Value>,
    /// What means no.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub off: Option<Value>,
    /// What is plausible whatever the sensor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub range: Option<[f64; 2]>,
    /// What was seen, for whoever looks.
    pub seen: String,
}

/// A draft of a profile's readings.
#[derive(Debug, Default, PartialEq, Serialize)]
pub struct Proposal {
    /// The readings.
    pub readings: Vec<Proposed>,
    /// Outputs of which nothing could be made.
    pub ignored: Vec<String>,
}

/// What an output was seen to be.
#[derive(Default)]
struct Seen<'a> {
    values: Vec<&'a Value>,
    /// A unit that the script says beside it.
    unit: Option<&'a str>,
}

/// Words for a state, yes and no.
const WORDS: &[(&str, &str)] = &[
    ("open", "close"),
    ("open", "closed"),
    ("opened", "closed"),
    ("occupied", "vacant"),
    ("occupied", "free"),
    ("trigger", "normal"),
    ("triggered", "idle"),
    ("tilt", "normal"),
    ("alarm", "normal"),
    ("uninstalled", "installed"),
    ("on", "off"),
    ("yes", "no"),
];

impl Proposal {
    /// From what a script made of examples.
    pub fn of(objects: &[Object]) -> Self {
        let mut outputs: BTreeMap<String, Seen<'_>> = BTreeMap::new();
        for object in objects {
            for (name, value) in object {
                collect(name, value, DEPTH, &mut outputs);
            }
        }
        let mut proposal = Self::default();
        for (output, seen) in outputs {
            match propose(&output, &seen) {
                Some(reading) => proposal.readings.push(reading),
                None => proposal.ignored.push(output),
            }
        }
        proposal.name();
        proposal
    }

    /// Whether one of the readings is of motion or presence, which have a holding time.
    pub fn needs_hold(&self) -> bool {
        let presence = [Quantity::Motion.as_str(), Quantity::Occupied.as_str()];
        self.readings.iter().any(|reading| presence.contains(&reading.quantity))
    }

    /// As it stands in a profile.
    pub fn toml(&self) -> String {
        let mut text = String::new();
        // a String takes everything
        if !self.ignored.is_empty() {
            let _ = writeln!(text, "ignore = {}", json(&self.ignored));
        }
        for reading in &self.readings {
            let _ = writeln!(text, "\n# Seen: {}", reading.seen);
            let _ = writeln!(text, "[[reading]]\noutput = {}", json(&reading.output));
            if let Some(name) = &reading.name {
                let _ = writeln!(text, "name = {}", json(name));
            }
            let _ = writeln!(text, "quantity = {}", json(reading.quantity));
            if let Some(unit) = reading.unit {
                let _ = writeln!(text, "unit = {}", json(unit));
            }
            if let (Some(on), Some(off)) = (&reading.on, &reading.off) {
                let _ = writeln!(text, "on = [{on}]\noff = [{off}]");
            }
            if let Some([least, greatest]) = reading.range {
                let _ = writeln!(text, "range = [{least:?}, {greatest:?}]");
            }
        }
        text
    }

    /// Gives a name of its own to each reading but the first of a quantity. Who reads a profile
    /// takes the first as the one that counts: that is what is called as its quantity is.
    fn name(&mut self) {
        let is_called_so = |reading: &Proposed| plain(leaf(&reading.output)) == reading.quantity;
        for at in 0..self.readings.len() {
            let quantity = self.readings[at].quantity;
            let first = self.readings.iter().position(|other| other.quantity == quantity);
            if is_called_so(&self.readings[at])
                && let Some(first) = first.filter(|first| !is_called_so(&self.readings[*first]))
            {
                self.readings[first..=at].rotate_right(1);
            }
        }
        let mut taken: Vec<String> = Vec::new();
        for reading in &mut self.readings {
            let own = reading.name.clone().unwrap_or_else(|| reading.quantity.to_owned());
            let by_output = plain(&reading.output);
            let numbered = (2..).map(|n| format!("{by_output}_{n}"));
            let mut names = [own, by_output.clone()].into_iter().chain(numbered);
            let Some(name) = names.find(|name| !taken.contains(name)) else { continue };
            reading.name = (name != reading.quantity).then(|| name.clone());
            taken.push(name);
        }
    }
}

/// What an output is called, less where it stands.
fn leaf(output: &str) -> &str {
    let output = output.strip_suffix(".value").unwrap_or(output);
    output.rsplit('.').next().unwrap_or(output)
}

fn json(value: impl Serialize) -> String {
    // a basic string of TOML escapes as JSON does, and an array of them is the same
    serde_json::to_string(&value).unwrap_or_default()
}

/// A name of small letters, digits and underscores.
fn plain(output: &str) -> String {
    output.chars().map(|c| if c.is_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect()
}

fn collect<'a>(
    path: &str,
    value: &'a Value,
    depth: usize,
    outputs: &mut BTreeMap<String, Seen<'a>>,
) {
    match value {
        // a path cannot be told from one through it
        _ if path.split('.').count() + depth > DEPTH + 1 => {}
        Value::Object(inner) => match (inner.get("value"), inner.get("unit")) {
            (Some(value), unit) => {
                let seen = outputs.entry(format!("{path}.value")).or_default();
                seen.values.push(value);
                seen.unit = seen.unit.or(unit.and_then(Value::as_str));
            }
            _ if depth == 0 => {}
            _ => {
                for (name, value) in inner {
                    collect(&format!("{path}.{name}"), value, depth - 1, outputs);
                }
            }
        },
        value => outputs.entry(path.to_owned()).or_default().values.push(value),
    }
}

fn propose(output: &str, seen: &Seen<'_>) -> Option<Proposed> {
    let name = plain(leaf(output));
    let has = |parts: &[&str]| parts.iter().any(|part| name.contains(part));
    // what a sensor is set to says nothing of what it measures
    if has(&["threshold", "deadzone", "dead_zone", "interval", "maxdistance", "max_distance"])
        || name.ends_with("change")
        || name.ends_with("changed")
    {
        return None;
    }
    let values = || seen.values.iter().filter(|value| !value.is_null());
    let numbers: Vec<f64> = values().filter_map(|value| number(value)).collect();
    let is_number = !numbers.is_empty() && numbers.len() == values().count();
    let least = numbers.iter().copied().fold(f64::INFINITY, f64::min);
    let most = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // what stands beside the number or in it, or else in the name, is surer than its size
    let said = seen.unit.or_else(|| values().find_map(|value| suffix(value)));
    let told = |units: &[(&str, &'static str)]| {
        let by = |text: &str| units.iter().find(|(word, _)| *word == text).map(|(_, unit)| *unit);
        said.map(str::trim).map(str::to_lowercase).as_deref().and_then(by).or_else(|| {
            let last = name.rsplit('_').next()?;
            if last == name { None } else { by(last) }
        })
    };
    let percent = || told(&[("%", "%"), ("%rh", "%")]).or((most > 1.0).then_some("%"));
    let make = |quantity: Quantity, unit, range| {
        let seen = show(values().copied());
        let (quantity, output) = (quantity.as_str(), output.to_owned());
        Some(Proposed { output, name: None, quantity, unit, on: None, off: None, range, seen })
    };
    let share = Some([0.0, 1.0]);
    if is_number {
        // what some call a level is the way down to it
        let is_length = said.is_some_and(|unit| ["mm", "cm", "m"].contains(&unit));
        if is_length || has(&["distance", "proxx", "ullage"]) {
            let is_whole = numbers.iter().all(|n| n.fract() == 0.0);
            let guess = match most {
                most if most > 50.0 => "mm",
                _ if is_whole => "cm",
                _ => "m",
            };
            let unit = told(&[("mm", "mm"), ("cm", "cm"), ("m", "m")]).unwrap_or(guess);
            return make(Quantity::Distance, Some(unit), None);
        }
        if has(&["fill", "level"]) && !has(&["bat"]) && least >= 0.0 && most <= 100.0 {
            return make(Quantity::FillLevel, percent().or(Some("/")), share);
        }
        if has(&["bat", "vdd", "volt"]) {
            if let Some(unit) = told(&[("v", "V"), ("volt", "V"), ("mv", "mV")]) {
                return make(Quantity::BatteryVoltage, Some(unit), None);
            }
            return match most {
                _ if said == Some("%") => make(Quantity::BatteryLevel, Some("%"), share),
                most if most > 500.0 => make(Quantity::BatteryVoltage, Some("mV"), None),
                // a cell has between 2 and 4 V; 3 per cent would be written by nobody
                most if (1.5..=5.0).contains(&most) => {
                    make(Quantity::BatteryVoltage, Some("V"), None)
                }
                most if most <= 100.0 => make(Quantity::BatteryLevel, Some("%"), share),
                _ => make(Quantity::Number, None, None).map(|r| named(r, &name)),
            };
        }
        if has(&["temp"]) {
            return make(Quantity::Temperature, Some("Cel"), Some([-40.0, 125.0]));
        }
        if has(&["hum"]) {
            return make(Quantity::Humidity, percent().or(Some("/")), share);
        }
        if has(&["lux", "illum"]) || (has(&["light"]) && most > 1.0) {
            return make(Quantity::Illuminance, Some("lx"), None);
        }
    }
    let kind = [
        (Quantity::Motion, &["motion", "pir", "movement"][..]),
        (Quantity::Occupied, &["occup", "presence"]),
        (Quantity::ContactOpen, &["door", "open", "contact", "magnet", "lid"]),
        (Quantity::Tamper, &["tamper", "disassembl", "install"]),
        (Quantity::Button, &["button", "press"]),
        (Quantity::Fire, &["fire", "flame"]),
        (Quantity::Tilted, &["tilt", "position", "fall"]),
        (Quantity::BatteryLow, &["low"]),
    ];
    let kind = kind.iter().find(|(_, parts)| has(parts)).map(|(quantity, _)| *quantity);
    let are = |what: fn(&Value) -> bool| values().count() > 0 && values().all(|value| what(value));
    if are(Value::is_boolean) {
        return match kind {
            Some(quantity) => make(quantity, None, None),
            None => make(Quantity::State, None, None).map(|reading| named(reading, &name)),
        };
    }
    if has(&["tilt", "angle"]) && is_number && most > 1.0 {
        return make(Quantity::Tilt, Some("deg"), None);
    }
    if let Some(quantity) =
        kind.filter(|_| is_number && numbers.iter().all(|n| *n == 0.0 || *n == 1.0))
    {
        let states = |r| Proposed { on: Some(1.into()), off: Some(0.into()), ..r };
        return make(quantity, None, None).map(states);
    }
    if let Some(quantity) = kind.filter(|_| are(Value::is_string)) {
        let text = |value: &Value| value.as_str().map(str::to_lowercase);
        let fits = |word: Option<String>, (on, off): &(&str, &str)| {
            word.is_some_and(|word| word == *on || word == *off)
        };
        let pair = WORDS.iter().find(|pair| values().all(|value| fits(text(value), pair)))?;
        // as the script writes it
        let capital = values().any(|v| v.as_str().is_some_and(|t| t.to_uppercase() == t));
        let word =
            |word: &str| Value::from(if capital { word.to_uppercase() } else { word.into() });
        let states = |r| Proposed { on: Some(word(pair.0)), off: Some(word(pair.1)), ..r };
        return make(quantity, None, None).map(states);
    }
    // a unit that is not known here
    let is_text = values().any(|value| suffix(value).is_some());
    if !is_number
        || is_text
        || has(&["version", "serial", "date", "time", "interval", "port", "id"])
    {
        return None;
    }
    if has(&["count", "counter"]) && numbers.iter().all(|n| n.fract() == 0.0 && *n >= 0.0) {
        return make(Quantity::Count, None, None).map(|reading| named(reading, &name));
    }
    make(Quantity::Number, None, None).map(|reading| named(reading, &name))
}

fn named(reading: Proposed, name: &str) -> Proposed {
    Proposed { name: Some(name.to_owned()), ..reading }
}

/// A number, also one in a text with its unit behind it.
fn number(value: &Value) -> Option<f64> {
    let Value::String(text) = value else { return value.as_f64() };
    let end = digits(text);
    // a date is no number, and neither is a version
    (text.len() - end <= 4 && end > 0).then(|| text[..end].parse().ok()).flatten()
}

fn suffix(value: &Value) -> Option<&str> {
    let text = value.as_str()?;
    let rest = text[digits(text)..].trim();
    (number(value).is_some() && !rest.is_empty()).then_some(rest)
}

fn digits(text: &str) -> usize {
    text.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.')).unwrap_or(text.len())
}

/// What was seen, in one line.
fn show<'a>(values: impl Iterator<Item = &'a Value>) -> String {
    let mut texts: Vec<String> = Vec::new();
    for value in values {
        let text = value.to_string();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    let more = texts.len() > 4;
    texts.truncate(4);
    // the comment ends with its line
    let text = texts.join(", ").replace(char::is_control, " ");
    let text: String = text.chars().take(100).collect();
    if more { text + ", …" } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn proposal(objects: Value) -> Vec<(String, String, Option<&'static str>)> {
        let objects: Vec<Object> = serde_json::from_value(objects).expect("objects");
        let readings = Proposal::of(&objects).readings.into_iter();
        readings
            .map(|r| (r.output, r.name.unwrap_or_else(|| r.quantity.to_owned()), r.unit))
            .collect()
    }

    fn is(
        output: &str,
        name: &str,
        unit: Option<&'static str>,
    ) -> (String, String, Option<&'static str>) {
        (output.to_owned(), name.to_owned(), unit)
    }

    #[test]
    fn names_and_units_of_vendors_are_understood() {
        assert_eq!(
            proposal(json!([{"Distance": "2799 mm", "Bat": 3.387, "TempC_DS18B20": "0.00"}])),
            [
                is("Bat", "battery_voltage", Some("V")),
                is("Distance", "distance", Some("mm")),
                is("TempC_DS18B20", "temperature", Some("Cel")),
            ]
        );
        assert_eq!(
            proposal(
                json!([{"distance": {"value": 1234, "unit": "mm"}, "battery": 93, "pir": "trigger"}])
            ),
            [
                is("battery", "battery_level", Some("%")),
                is("distance.value", "distance", Some("mm")),
                is("pir", "motion", None),
            ]
        );
        assert_eq!(
            proposal(
                json!([{"level": "2000 mm", "fire": false, "battery_mv": 3600, "co2": 400, "sn": "x", "noise": "60 dB"}])
            ),
            [
                is("battery_mv", "battery_voltage", Some("mV")),
                is("co2", "co2", None),
                is("fire", "fire", None),
                is("level", "distance", Some("mm")),
            ]
        );
    }

    #[test]
    fn two_of_a_quantity_have_two_names() {
        assert_eq!(
            proposal(json!([{"temp_in": 1, "temp_out": -1}])),
            [is("temp_in", "temperature", Some("Cel")), is("temp_out", "temp_out", Some("Cel"))]
        );
    }

    #[test]
    fn what_is_called_as_its_quantity_is_the_one_that_counts_and_settings_are_none() {
        assert_eq!(
            proposal(json!([{"DeadZoneDistance": 500, "DistanceChange": 100, "BoreDistance": 1200,
                             "Distance": 300, "OnDistanceThreshold": 50}])),
            [
                is("Distance", "distance", Some("mm")),
                is("BoreDistance", "boredistance", Some("mm"))
            ]
        );
        let alike = json!([{"temp": 1, "x": {"temp": 2}, "x_temp": 3}]);
        let names: Vec<_> = proposal(alike).into_iter().map(|(_, name, _)| name).collect();
        assert_eq!(names, ["temperature", "x_temp", "x_temp_2"]);
    }
}
