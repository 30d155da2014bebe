//! Stops on roads, and what a matrix, a path and a picture say of them.

use crate::assert_metres;
use crate::pbf::Form;
use crate::town::{Town, about, position, snap};
use lykta::route::matrix::NO_WAY;
use lykta::route::road::{Area, Profile, Roads, Weight};
use std::io::Cursor;

const TRUCK: Profile = Profile::TRUCK;

fn street() -> Town {
    Town::drawn(&["abc", ".d."]).way("abc", &[]).way("bd", &[("maxspeed", "10")])
}

#[test]
fn stops_at_one_place_are_together() {
    let roads = street().roads(&TRUCK);
    let here = snap(&roads, (50.0, 100.0)).unwrap();
    let across = snap(&roads, (50.0, 110.0)).unwrap();
    let matrix = roads.matrix(&[Some(here), Some(here), Some(across), None], Weight::Time);
    for from in 0..3 {
        for to in 0..3 {
            assert_eq!((matrix.distance(from, to), matrix.time(from, to)), (0, 0));
        }
        assert_eq!((matrix.distance(from, 3), matrix.time(3, from)), (NO_WAY, NO_WAY));
    }
    assert_eq!(matrix.distance(3, 3), 0);
    let path = roads.path(&here, &across, Weight::Time).unwrap();
    assert_eq!(path.line, [here.position; 2]);
}

#[test]
fn a_stop_is_beside_its_road() {
    let roads = street().roads(&TRUCK);
    let found = snap(&roads, (30.0, 104.0)).unwrap();
    assert!((found.distance.0 - 4.0).abs() < 0.1);
    assert!(found.position.distance(position((30.0, 100.0))).0 < 0.1);
    // beyond the end
    let found = snap(&roads, (-30.0, 140.0)).unwrap();
    assert!((found.distance.0 - 50.0).abs() < 0.1);
    assert!(found.position.distance(position((0.0, 100.0))).0 < 0.1);
}

#[test]
fn a_limit_slows_down() {
    let roads = street().roads(&TRUCK);
    let stops = [(100.0, 90.0), (100.0, 40.0)].map(|at| Some(snap(&roads, at).unwrap()));
    // 50 m at four fifths of 10 km/h
    assert!(roads.matrix(&stops, Weight::Time).time(0, 1).abs_diff(23) <= 1);
}

#[test]
fn a_clipped_extract_ends_where_its_nodes_do() {
    let mut town = street();
    town.street(vec![i64::from(b'c'), 999, i64::from(b'd')], &[]);
    town.street(vec![997, 998], &[]);
    let roads = town.roads(&TRUCK);
    assert_metres!(roads, (200.0, 100.0), (100.0, 0.0), 200);
}

#[test]
fn every_form_of_a_file_is_the_same_town() {
    let town = Town::drawn(&["abc", "d.e"]).way("abc", &[]).way("adec", &[]);
    let town = town.tagged('b', &[("barrier", "bollard")]).ban("no_u_turn", 1, 'a', 1);
    let stops = [(50.0, 100.0), (160.0, 100.0), (100.0, 0.0)];
    let read = |form: Form| {
        let roads = Roads::read(Cursor::new(town.data.file(form)), &TRUCK).unwrap();
        let stops = stops.map(|at| snap(&roads, at).ok());
        roads.matrix(&stops, Weight::Distance)
    };
    let usual = read(Form::default());
    assert!(about(usual.distance(0, 1), 50 + 400 + 40), "{}", usual.distance(0, 1));
    for (zlib, plain_nodes, upside_down) in
        [(true, false, false), (false, true, false), (false, false, true), (true, true, true)]
    {
        assert_eq!(read(Form { zlib, plain_nodes, upside_down }), usual);
    }
}

#[test]
fn a_picture_shows_the_roads_of_its_area() {
    let roads = street().roads(&TRUCK);
    assert_eq!(roads.lines(roads.area()).count(), 3);
    let south = Area::around([position((90.0, 0.0)), position((110.0, 50.0))]).unwrap();
    let lines: Vec<_> = roads.lines(south).collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].places.len(), 2);
    assert!(lines[0].stop && (lines[0].speed - 8.0).abs() < 0.1, "{}", lines[0].speed);
}

#[test]
fn a_bend_is_followed() {
    let town = Town::drawn(&["bc", "ad"]).way("ab", &[]).way("bc", &[]).way("cd", &[]);
    let roads = town.roads(&TRUCK);
    // nobody can turn anywhere: it is one road
    assert_eq!(roads.size().0, 1);
    let stops = [(0.0, 20.0), (100.0, 20.0)].map(|at| snap(&roads, at).unwrap());
    for (from, to) in [(0, 1), (1, 0)] {
        let path = roads.path(&stops[from], &stops[to], Weight::Distance).unwrap();
        assert_eq!(path.line.len(), 4);
        assert_eq!((path.line[0], path.line[3]), (stops[from].position, stops[to].position));
        assert!((path.distance.0 - 260.0).abs() < 1.0);
    }
}
