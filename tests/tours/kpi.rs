//! A plan beside those that were not made, and its picture.

use crate::collection::{bin, day, planned};
use lykta::route::check;
use lykta::route::collection::Bin;
use lykta::route::kpi::comparison;
use lykta::route::picture::{Mark, Picture, Road, Track};
use lykta::route::road::Position;

#[test]
fn a_plan_is_compared_with_what_would_be_driven_without_it() {
    // the fuller the farther out, so that fewer bins are no fewer kilometres
    let bins: Vec<Bin> = (1..=8).map(|i| bin(&format!("b{i}"), i, 0.3 + 0.04 * i as f64)).collect();
    let bins = [&bins[..], &[bin("last", 9, 0.95)]].concat();
    let bins: Vec<Bin> = bins.into_iter().map(|bin| Bin { volume: 300.0, ..bin }).collect();
    let day = day(&bins, 10);
    let reckoning = check(&day.problem, &planned(&day)).unwrap();
    let all = comparison(&day, &reckoning, 0.66, 300).unwrap();
    assert_eq!((all.all.stops + all.all.missing, all.all.tours), (9, 1));
    assert_eq!((all.threshold.stops, all.threshold.missing), (2, 0));
    assert_eq!(all.threshold.metres, 18_000);
    assert!(all.plan.stops >= 1 && all.plan.metres <= all.all.metres);
    assert!(all.all.risk <= all.threshold.risk);
    assert_eq!(all.plan.fewer_metres(&all.plan), Some(0.0));
    let (litres, co2) =
        all.threshold.fuel_saved(&lykta::route::kpi::Kpi { metres: 28_000, ..Default::default() });
    assert!((litres - 5.0).abs() < 1e-9 && (co2 - 13.2).abs() < 1e-9, "{litres} {co2}");
}

#[test]
fn a_picture_says_where_its_roads_come_from_and_takes_any_name() {
    let at = |lat, lon| Position::from_degrees(lat, lon).unwrap();
    let mut picture = Picture {
        title: "<Måndag> & \"tisdag\"\u{1b}".to_owned(),
        bins: vec![Mark {
            position: at(59.1, 17.6),
            level: Some(0.9),
            tour: Some(0),
            text: "b<1>".to_owned(),
        }],
        tours: vec![Track {
            name: "truck 1".to_owned(),
            line: vec![at(59.1, 17.6), at(59.12, 17.63)],
            stops: 1,
            metres: 3_400,
        }],
        depots: vec![at(59.12, 17.63)],
        ..Picture::default()
    };
    let svg = picture.svg();
    assert!(
        svg.contains("&lt;Måndag&gt; &amp; &quot;tisdag&quot;\u{fffd}<")
            && svg.contains("b&lt;1&gt;")
    );
    assert!(!svg.contains("OpenStreetMap") && svg.contains("truck 1: 1 bin, 3.4 km"));
    picture.roads = vec![Road { line: vec![at(59.1, 17.6), at(59.12, 17.63)], speed: 50.0 }];
    assert!(picture.svg().contains("© OpenStreetMap"));
    // nothing at all is a picture, too
    assert!(Picture::default().svg().ends_with("</svg>\n"));
}
