//! Files that are none.

use crate::pbf::{self, Form, blob, frame};
use crate::town::{Town, position};
use lykta::route::road::cache::{Inputs, Kept, snapped};
use lykta::route::road::{NEAR, Profile, ReadError, Roads, Weight};
use proptest::prelude::*;
use std::io::Cursor;

const TRUCK: Profile = Profile::TRUCK;

fn town() -> Town {
    Town::drawn(&["mn.", "wxe", ".s."])
        .way("sxn", &[("maxspeed", "50")])
        .way("wx", &[("oneway", "yes")])
        .way("xe", &[("motor_vehicle", "destination")])
        .way("nmw", &[])
        .tagged('m', &[("barrier", "gate")])
        .ban("no_left_turn", 1, 'x', 2)
}

fn read(file: &[u8]) -> Result<Roads, ReadError> {
    Roads::read(Cursor::new(file), &TRUCK)
}

#[test]
fn a_file_that_ends_early_is_told() {
    for zlib in [false, true] {
        let file = town().data.file(Form { zlib, ..Form::default() });
        let starts = {
            let mut starts = vec![0];
            while let Some(length) =
                file.get(*starts.last().unwrap()..).and_then(|f| f.first_chunk::<4>())
            {
                let header = u32::from_be_bytes(*length) as usize;
                let at = starts.last().unwrap() + 4;
                // the size is the last field of the header, as this writer makes it
                let size = file[at..at + header].rsplit(|byte| *byte == 3 << 3).next().unwrap();
                let size =
                    size.iter().rev().fold(0, |sum, byte| sum << 7 | usize::from(byte & 0x7f));
                starts.push(at + header + size);
            }
            starts
        };
        assert_eq!(starts.last(), Some(&file.len()));
        for end in 0..file.len() {
            let result = read(&file[..end]);
            if starts.contains(&end) {
                // whole blobs: less of a town, or none
                assert!(!matches!(result, Err(ReadError::Truncated { .. })), "{end}");
            } else {
                assert!(matches!(result, Err(ReadError::Truncated { .. })), "{end}: {result:?}");
            }
        }
    }
}

#[test]
fn what_is_wrong_is_said() {
    let says = |file: &[u8], text: &str| {
        let error = read(file).expect_err(text).to_string();
        assert!(error.contains(text), "{error:?} does not say {text:?}");
    };
    says(b"", "there is no road for a truck");
    says(b"<?xml version='1.0'?><osm/>", "longer than 64 KiB");
    says(
        &blob("OSMData", b"\xff\xff\xff", false),
        "the blob at byte 0 is no OpenStreetMap data: its content",
    );
    says(&frame("OSMData", b""), "it is empty");
    says(&frame("OSMData", b"\x10\x01\x3a\x00"), "not with zlib");
    let mut header = Vec::new();
    pbf::bytes(&mut header, 4, b"HistoricalInformation");
    says(&blob("OSMHeader", &header, false), "\"HistoricalInformation\"");
    // a bomb: a few bytes that say that they are 3 GiB
    let mut bomb = Vec::new();
    pbf::number(&mut bomb, 2, 3 << 30);
    pbf::bytes(&mut bomb, 3, b"x\x9c");
    says(&frame("OSMData", &bomb), "more than 32 MiB");
    // one that says that it is little
    let mut bomb = Vec::new();
    pbf::number(&mut bomb, 2, 10);
    pbf::bytes(&mut bomb, 3, &miniz_oxide::deflate::compress_to_vec_zlib(&[0; 1 << 20], 9));
    says(&frame("OSMData", &bomb), "its compressed content is broken");
    let mut large = Vec::new();
    pbf::bytes(&mut large, 1, b"OSMData");
    pbf::number(&mut large, 3, 33 << 20);
    let mut file = (large.len() as u32).to_be_bytes().to_vec();
    file.extend(large);
    says(&file, "larger than 32 MiB");
    // unknown blobs are for others
    let mut file = blob("Other", b"\xff\xff", false);
    file.extend(town().file());
    assert!(read(&file).is_ok());
}

fn kept() -> (Kept, Inputs) {
    let file = town().file();
    let inputs = Inputs::of(&file[..], &TRUCK, Weight::Time, NEAR).unwrap();
    let roads = read(&file).unwrap();
    let places = [(100.0, 20.0), (10.0, 120.0), (5_000.0, 0.0)].map(position);
    let snaps = places.map(|place| roads.snap(place, NEAR));
    let matrix = roads.matrix(&snaps.map(Result::ok), Weight::Time);
    (Kept { stops: places.into_iter().zip(snaps.iter().map(snapped)).collect(), matrix }, inputs)
}

#[test]
fn a_matrix_is_kept_for_its_inputs_alone() {
    let (kept, inputs) = kept();
    let bytes = kept.encode(&inputs);
    assert_eq!(Kept::decode(&bytes, &inputs, NEAR), Some(kept));
    let file = town().file();
    let of = |profile: &Profile, weight| Inputs::of(&file[..], profile, weight, NEAR).unwrap();
    assert_eq!(of(&TRUCK, Weight::Time), inputs);
    let light = Profile { mass: 7_500, ..TRUCK };
    for other in
        [of(&Profile::VAN, Weight::Time), of(&TRUCK, Weight::Distance), of(&light, Weight::Time)]
    {
        assert_eq!(Kept::decode(&bytes, &other, NEAR), None);
        assert_ne!(other.file_name(), inputs.file_name());
    }
}

proptest! {
    #[test]
    fn no_bytes_are_a_danger(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes);
        let _ = read(&blob("OSMData", &bytes, false));
    }

    #[test]
    fn no_change_is_a_danger(
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6)
    ) {
        let mut file = town().file();
        for (at, byte) in changes {
            let at = at.index(file.len());
            file[at] = byte;
        }
        if let Ok(roads) = read(&file) {
            let stops = [(100.0, 20.0), (10.0, 120.0)].map(|at| roads.snap(position(at), NEAR).ok());
            let _ = roads.matrix(&stops, Weight::Time);
            if let [Some(from), Some(to)] = stops {
                let _ = roads.path(&from, &to, Weight::Distance);
            }
        }
    }

    #[test]
    fn a_damaged_cache_is_none(at in any::<proptest::sample::Index>(), bit in 0..8) {
        let (kept, inputs) = kept();
        let mut bytes = kept.encode(&inputs);
        let at = at.index(bytes.len());
        prop_assert_eq!(Kept::decode(&bytes[..at], &inputs, NEAR), None);
        bytes[at] ^= 1_u8 << bit;
        prop_assert_eq!(Kept::decode(&bytes, &inputs, NEAR), None);
    }
}
