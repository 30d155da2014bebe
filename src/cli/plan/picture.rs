//! A plan as a picture.

use crate::config::Loaded;
use crate::route::picture::{Mark, Picture, Road, Track};
use crate::route::road::{Area, Position, Profile, Roads};
use crate::route::sheet::Sheet;
use std::fs::File;
use std::io::BufReader;

/// The tours of a plan, over the roads of its extract if that can be read from here.
pub(super) fn draw(sheet: &Sheet, loaded: Option<&Loaded>) -> Picture {
    let at = Position::from_degrees;
    let mut picture = Picture {
        title: format!("{} {}", sheet.name, sheet.day),
        subtitle: format!(
            "{:.1} km, {} bins emptied, {} left out{}",
            sheet.kpi.km,
            sheet.kpi.stops,
            sheet.left_out.len(),
            if sheet.estimated { ", estimated by straight lines" } else { "" }
        ),
        ..Picture::default()
    };
    for (number, tour) in sheet.routes.iter().enumerate() {
        let line = tour.geometry.coordinates.iter().filter_map(|[lon, lat]| at(*lat, *lon));
        picture.tours.push(Track {
            name: tour.vehicle.clone(),
            line: line.collect(),
            stops: tour.stops.len(),
            metres: tour.metres,
        });
        let [lat, lon] = tour.start;
        picture.depots.extend(at(lat, lon));
        picture.sites.extend(tour.unloadings.iter().filter_map(|site| at(site.lat, site.lon)));
        picture.bins.extend(tour.stops.iter().filter_map(|stop| {
            let text = format!("{}: {}", stop.id, stop.reason);
            Some(Mark {
                position: at(stop.lat, stop.lon)?,
                level: stop.level,
                tour: Some(number),
                text,
            })
        }));
    }
    picture.bins.extend(sheet.left_out.iter().filter_map(|bin| {
        let position = at(bin.lat?, bin.lon?)?;
        let text = format!("{}: {}", bin.id, bin.reason);
        Some(Mark { position, level: bin.level, tour: None, text })
    }));
    for places in [&mut picture.depots, &mut picture.sites] {
        places.sort_unstable();
        places.dedup();
    }
    let places = picture.bins.iter().map(|bin| bin.position);
    let lines = picture.tours.iter().flat_map(|tour| &tour.line).copied();
    if let Some(area) = Area::around(places.chain(lines))
        && let Some(roads) = roads(sheet, loaded)
    {
        let lines = roads.lines(area);
        picture.roads =
            lines.map(|road| Road { line: road.places.to_vec(), speed: road.speed }).collect();
    }
    picture
}

/// The roads that the settings name for the plan, if they can be read by whoever asks.
fn roads(sheet: &Sheet, loaded: Option<&Loaded>) -> Option<Roads> {
    let mut plans = loaded?.settings.plan.iter();
    let (_, plan) = plans.find(|(name, _)| name.as_str() == sheet.name)?;
    let file = File::open(plan.roads.as_ref()?).ok()?;
    Roads::read(BufReader::new(file), &Profile::usual(plan.profile)).ok()
}
