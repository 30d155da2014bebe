//! Tours as GPX 1.1, for a phone's navigator.
//!
//! A tour is a route (`rte`) of its stops and, where the ways are known, a track (`trk`) of the
//! streets between them. The order of elements is that of
//! <https://www.topografix.com/GPX/1/1/gpx.xsd>.

use super::sheet::{Sheet, Tour};
use jiff::Timestamp;
use std::fmt::Write as _;

/// A point of a route.
struct Place<'a> {
    order: usize,
    lat: f64,
    lon: f64,
    arrival: Timestamp,
    name: &'a str,
    text: String,
    kind: &'static str,
}

/// The document of the tours of one vehicle, or of all.
#[must_use]
pub fn write(sheet: &Sheet, vehicle: Option<&str>) -> String {
    let mut text = String::from(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<gpx version=\"1.1\" creator=\"lykta\" \
         xmlns=\"http://www.topografix.com/GPX/1/1\">\n",
    );
    let _ = write!(text, "<metadata><name>{} {}</name>", escape(&sheet.name), sheet.day);
    if sheet.attribution.is_some() {
        text.push_str(
            "<copyright author=\"OpenStreetMap contributors\">\
             <license>https://opendatacommons.org/licenses/odbl/1-0/</license></copyright>",
        );
    }
    let _ = writeln!(text, "<time>{}</time></metadata>", time(sheet.made_at));
    let tours =
        || sheet.routes.iter().filter(|tour| vehicle.is_none_or(|vehicle| tour.vehicle == vehicle));
    for (number, tour) in tours().enumerate() {
        route(&mut text, sheet, tour, number + 1);
    }
    // straight lines lead nobody anywhere
    for (number, tour) in tours().enumerate().filter(|_| !sheet.estimated) {
        track(&mut text, tour, number + 1);
    }
    text.push_str("</gpx>\n");
    text
}

fn route(text: &mut String, sheet: &Sheet, tour: &Tour, number: usize) {
    let name = escape(&tour.vehicle);
    let _ = writeln!(text, "<rte><name>{name}</name><number>{number}</number>");
    let stops = tour.stops.iter().map(|stop| Place {
        order: stop.order,
        lat: stop.lat,
        lon: stop.lon,
        arrival: stop.begins(),
        name: &stop.id,
        text: stop.reason.clone(),
        kind: "stop",
    });
    let unloadings = tour.unloadings.iter().map(|unloading| Place {
        order: unloading.order,
        lat: unloading.lat,
        lon: unloading.lon,
        arrival: unloading.arrival,
        name: &unloading.site,
        text: "unload".to_owned(),
        kind: "unloading",
    });
    let [lat, lon] = tour.start;
    let depot = |order, arrival| Place {
        order,
        lat,
        lon,
        arrival,
        name: "depot",
        text: format!("{} {}", sheet.name, sheet.day),
        kind: "depot",
    };
    let mut places: Vec<_> = stops.chain(unloadings).collect();
    places.extend([depot(0, tour.leave_at), depot(usize::MAX, tour.back_at)]);
    places.sort_by_key(|place| place.order);
    for place in places {
        let _ = writeln!(
            text,
            "<rtept lat=\"{:.6}\" lon=\"{:.6}\"><time>{}</time><name>{}</name><desc>{}</desc>\
             <type>{}</type></rtept>",
            place.lat,
            place.lon,
            time(place.arrival),
            escape(place.name),
            escape(&place.text),
            place.kind
        );
    }
    text.push_str("</rte>\n");
}

fn track(text: &mut String, tour: &Tour, number: usize) {
    let name = escape(&tour.vehicle);
    let _ = write!(text, "<trk><name>{name}</name><number>{number}</number><trkseg>");
    for [lon, lat] in &tour.geometry.coordinates {
        let _ = write!(text, "<trkpt lat=\"{lat:.6}\" lon=\"{lon:.6}\"/>");
    }
    text.push_str("</trkseg></trk>\n");
}

/// To the second: some readers know no more.
fn time(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second()).unwrap_or(at).to_string()
}

/// Text as XML has it. What XML 1.0 has no way to write becomes a question mark.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '&' => escaped.push_str("&amp;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\t' | '\n' | '\r' => escaped.push(c),
            '\0'..' ' | '\u{fffe}' | '\u{ffff}' => escaped.push('?'),
            _ => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::sheet::sample;
    use super::*;
    use proptest::prelude::*;

    /// The names of the elements in order; panics where a tag is not closed as it should be.
    fn elements(xml: &str) -> Vec<String> {
        let (mut open, mut all) = (Vec::new(), Vec::new());
        let body = xml.split_once("?>").expect("a declaration").1;
        for part in body.split('<').skip(1) {
            let (tag, text) = part.split_once('>').expect("a whole tag");
            assert!(!text.contains(']') || !text.contains("]]>"), "{text}");
            let name = tag.split([' ', '/']).find(|word| !word.is_empty()).expect("a name");
            if tag.starts_with('/') {
                assert_eq!(open.pop().as_deref(), Some(name));
            } else {
                all.push(name.to_owned());
                if !tag.ends_with('/') {
                    open.push(name.to_owned());
                }
            }
        }
        assert!(open.is_empty());
        all
    }

    #[test]
    fn the_elements_stand_in_the_order_of_the_schema() {
        let xml = write(&sample::sheet(), None);
        let point = ["rtept", "time", "name", "desc", "type"];
        let mut expected = vec!["gpx", "metadata", "name", "copyright", "license", "time"];
        expected.extend(["rte", "name", "number"]);
        // the depot twice, two stops and an unloading
        expected.extend(point.iter().cycle().take(5 * point.len()));
        expected.extend(["trk", "name", "number", "trkseg", "trkpt", "trkpt"]);
        assert_eq!(elements(&xml), expected);
        assert!(xml.contains("<name>truck &lt;1&gt; &amp; &quot;co&quot;</name>"), "{xml}");
        assert!(xml.contains("<rtept lat=\"59.310000\" lon=\"18.010000\">"), "{xml}");
    }

    #[test]
    fn one_vehicle_has_a_document_of_its_own_and_straight_lines_are_no_track() {
        let mut sheet = sample::sheet();
        assert!(!write(&sheet, Some("another")).contains("<rte>"));
        sheet.estimated = true;
        assert!(!write(&sheet, None).contains("<trk>"));
    }

    proptest! {
        #[test]
        fn whatever_a_bin_is_called_it_is_xml(name in any::<String>()) {
            let mut sheet = sample::sheet();
            sheet.routes[0].stops[0].id = name;
            elements(&write(&sheet, None));
        }
    }
}
