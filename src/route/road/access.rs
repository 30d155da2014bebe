//! Who may go where: the tags of ways and nodes, read for one profile.
//!
//! After <https://wiki.openstreetmap.org/wiki/Key:access>: the most specific key decides, in one
//! direction before in both. What holds at certain times only (`…:conditional`) is not read.

use super::block::Tags;
use super::profile::{Means, Profile};
use super::speed;

/// What a profile may do in one direction of a way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lane {
    /// Tenths of km/h.
    pub(super) speed: u32,
    /// Only for those who have business there.
    pub(super) destination: bool,
}

/// What a profile may do on a way; its two directions are forward and backward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Passage {
    pub(super) lanes: [Option<Lane>; 2],
    /// Whether one may stop there to work.
    pub(super) stop: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Open,
    Destination,
    Closed,
}

/// The keys of a kind of traffic, the most specific first.
fn keys(means: Means) -> &'static [&'static str] {
    match means {
        Means::Truck => &["hgv", "motor_vehicle", "vehicle", "access"],
        Means::Van => &["goods", "motor_vehicle", "vehicle", "access"],
        Means::Car => &["motorcar", "motor_vehicle", "vehicle", "access"],
        Means::Foot => &["foot", "access"],
    }
}

/// What a value grants; none where it says nothing.
fn granted(value: &str) -> Option<Access> {
    Some(match value {
        "yes" | "designated" | "permissive" | "official" | "public" | "discouraged" => Access::Open,
        "destination" | "delivery" | "customers" => Access::Destination,
        "no"
        | "private"
        | "agricultural"
        | "forestry"
        | "agricultural;forestry"
        | "emergency"
        | "military"
        | "permit"
        | "residents"
        | "restricted"
        | "use_sidepath"
        | "psv"
        | "bus"
        | "taxi" => Access::Closed,
        _ => return None,
    })
}

/// What the tags say for this traffic, in one direction where they tell them apart.
fn access(tags: Tags<'_>, means: Means, direction: Option<&str>) -> Option<Access> {
    keys(means).iter().find_map(|key| {
        let own = direction.and_then(|direction| {
            let mut all = tags.0.iter();
            all.find(|(k, _)| k.strip_prefix(key).is_some_and(|rest| rest == direction))
        });
        own.map(|(_, value)| *value).and_then(granted).or_else(|| granted(tags.get(key)?))
    })
}

/// What a profile may do on a way; nothing where it may not go at all.
///
/// A way that is not for vehicles by its kind (a footway, a pedestrian street) takes them only if
/// its tags name them (`motor_vehicle=destination`), and then for those who have business there.
/// Ferries are no roads: a plan cannot know when they leave.
pub(super) fn passage(tags: Tags<'_>, profile: &Profile) -> Option<Passage> {
    let highway = tags.get("highway")?;
    let usual = speed::usual(highway, tags, profile.means);
    if usual == speed::Usual::Never || !limits_allow(tags, profile) {
        return None;
    }
    let (forward, backward) = directions(tags, highway, profile.means);
    let lane = |open: bool, direction: &str| {
        let access = access(tags, profile.means, Some(direction));
        let (by_kind, speed) = match usual {
            speed::Usual::Open(speed) => (Access::Open, speed),
            speed::Usual::IfNamed(speed) => (Access::Closed, speed),
            speed::Usual::Never => return None,
        };
        let destination = match (access.unwrap_or(by_kind), by_kind) {
            (Access::Closed, _) => return None,
            (Access::Destination, _) => true,
            // somebody may drive on this footway, but it is no thoroughfare
            (Access::Open, Access::Closed) => profile.means != Means::Foot,
            (Access::Open, _) => false,
        };
        // `access=yes` on a footway says nothing of lorries
        let named = access.is_some() && names_it(tags, profile.means, direction);
        let may = open && (by_kind == Access::Open || named);
        may.then(|| Lane {
            speed: speed::limited(speed, tags, highway, direction, profile),
            destination,
        })
    };
    let lanes = [lane(forward, ":forward"), lane(backward, ":backward")];
    let fast = matches!(highway, "motorway" | "motorway_link") || tags.is("motorroad", "yes");
    let stop = profile.means == Means::Foot || !fast;
    lanes.iter().any(Option::is_some).then_some(Passage { lanes, stop })
}

/// Whether a key more specific than `access` speaks.
fn names_it(tags: Tags<'_>, means: Means, direction: &str) -> bool {
    let own = &keys(means)[..keys(means).len() - 1];
    let names = |k: &str| {
        own.iter()
            .any(|key| k.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest == direction))
    };
    tags.0.iter().any(|(key, value)| names(key) && granted(value).is_some())
}

/// Whether one may go forward and backward, as far as one-way streets go.
fn directions(tags: Tags<'_>, highway: &str, means: Means) -> (bool, bool) {
    let own: &[&str] = match means {
        Means::Truck => &["oneway:hgv", "oneway:motor_vehicle", "oneway:vehicle", "oneway"],
        Means::Van => &["oneway:goods", "oneway:motor_vehicle", "oneway:vehicle", "oneway"],
        Means::Car => &["oneway:motorcar", "oneway:motor_vehicle", "oneway:vehicle", "oneway"],
        // `oneway` alone is for vehicles
        Means::Foot => &["oneway:foot"],
    };
    match own.iter().find_map(|key| tags.get(key)) {
        Some("yes" | "true" | "1") => (true, false),
        Some("-1" | "reverse") => (false, true),
        // it changes with the time of day
        Some("reversible") => (false, false),
        Some(_) => (true, true),
        None => {
            let round = matches!(tags.get("junction"), Some("roundabout" | "circular"));
            let implied = means != Means::Foot && (round || highway == "motorway");
            (true, !implied)
        }
    }
}

/// Whether the vehicle is small and light enough.
fn limits_allow(tags: Tags<'_>, profile: &Profile) -> bool {
    if profile.means == Means::Foot {
        return true;
    }
    let truck = profile.means == Means::Truck;
    tags.0.iter().all(|(key, value)| {
        let (key, own) = match key.strip_suffix(":hgv") {
            Some(key) => (key, truck),
            None => (*key, true),
        };
        let most = match key {
            "maxweight" | "maxweightrating" => kilograms(value).map(|most| (most, profile.mass)),
            "maxaxleload" => kilograms(value).map(|most| (most, profile.axle)),
            "maxheight" => centimetres(value).map(|most| (most, profile.height)),
            "maxwidth" => centimetres(value).map(|most| (most, profile.width)),
            "maxlength" => centimetres(value).map(|most| (most, profile.length)),
            _ => None,
        };
        !own || most.is_none_or(|(most, has)| has <= most)
    })
}

/// Whether this node stops the profile: a bollard, a locked gate, a height bar.
///
/// After <https://wiki.openstreetmap.org/wiki/Key:barrier>, and what OSRM's profiles let pass.
pub(super) fn blocks(tags: Tags<'_>, profile: &Profile) -> bool {
    if !limits_allow(tags, profile) {
        return true;
    }
    let Some(barrier) = tags.get("barrier") else { return false };
    let locked = tags.is("locked", "yes");
    match access(tags, profile.means, None) {
        Some(Access::Closed) => true,
        // who has business there has the key
        Some(Access::Open | Access::Destination) => false,
        None if profile.means == Means::Foot => {
            locked || matches!(barrier, "fence" | "wall" | "hedge")
        }
        None => match barrier {
            "gate" | "lift_gate" | "swing_gate" | "sliding_gate" | "hampshire_gate" => locked,
            "cattle_grid" | "toll_booth" | "border_control" | "sally_port" | "entrance"
            | "height_restrictor" | "coupure" | "no" => false,
            "kerb" => !matches!(tags.get("kerb"), Some("lowered" | "flush" | "no")),
            _ => true,
        },
    }
}

/// Whether a tag holds at certain times only and would matter to this profile.
pub(super) fn is_conditional(key: &str, means: Means) -> bool {
    let Some(key) = key.strip_suffix(":conditional") else { return false };
    let key = key.strip_suffix(":forward").or(key.strip_suffix(":backward")).unwrap_or(key);
    let first = key.split(':').next().unwrap_or(key);
    let measured = matches!(first, "oneway" | "maxspeed") || first.starts_with("max");
    keys(means).contains(&key) || (means != Means::Foot && measured)
}

/// A mass: tonnes unless it has a unit.
fn kilograms(text: &str) -> Option<u32> {
    let (number, unit) = number(text)?;
    let kilograms = match unit {
        "" | "t" => number * 1000.0,
        "kg" => number,
        "lbs" => number * 0.453_592,
        "st" => number * 907.185,
        _ => return None,
    };
    // saturates, and a limit beyond any vehicle is none
    Some(kilograms.round() as u32)
}

/// A length: metres unless it has a unit.
fn centimetres(text: &str) -> Option<u32> {
    let (number, unit) = number(text)?;
    let centimetres = match unit {
        "" | "m" => number * 100.0,
        "cm" => number,
        feet if feet.starts_with('\'') => {
            let inches = feet[1..].trim_end_matches('"').trim();
            let inches = if inches.is_empty() { 0.0 } else { inches.parse().ok()? };
            number * 30.48 + inches * 2.54
        }
        _ => return None,
    };
    Some(centimetres.round() as u32)
}

/// A number that is not negative, and what follows it.
fn number(text: &str) -> Option<(f64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    Some((text[..end].parse().ok()?, text[end..].trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_have_units() {
        assert_eq!(kilograms("7.5"), Some(7_500));
        assert_eq!(kilograms("3.5 t"), Some(3_500));
        assert_eq!(kilograms("12000 kg"), Some(12_000));
        assert_eq!(kilograms("none"), None);
        assert_eq!(centimetres("3.8"), Some(380));
        assert_eq!(centimetres("12'6\""), Some(381));
        assert_eq!(centimetres("default"), None);
        assert_eq!(centimetres("10'"), Some(305));
    }

    fn open(tags: &[(&str, &str)], profile: &Profile) -> [Option<bool>; 2] {
        let passage = passage(Tags(tags), profile);
        passage.map_or([None; 2], |p| p.lanes.map(|lane| lane.map(|lane| lane.destination)))
    }

    const YES: Option<bool> = Some(false);
    const BUSINESS: Option<bool> = Some(true);

    #[test]
    fn the_most_specific_key_decides() {
        let road = ("highway", "residential");
        let (truck, car, foot) = (&Profile::TRUCK, &Profile::CAR, &Profile::FOOT);
        for (tags, profile, expected) in [
            (&[road][..], truck, [YES, YES]),
            (&[road, ("access", "private")], truck, [None, None]),
            (&[road, ("access", "no"), ("hgv", "yes")], truck, [YES, YES]),
            (&[road, ("access", "no"), ("hgv", "yes")], car, [None, None]),
            (&[road, ("motor_vehicle", "destination")], truck, [BUSINESS, BUSINESS]),
            (&[road, ("motor_vehicle", "no")], foot, [YES, YES]),
            (&[road, ("hgv:backward", "no")], truck, [YES, None]),
            (&[road, ("oneway", "yes")], truck, [YES, None]),
            (&[road, ("oneway", "-1")], car, [None, YES]),
            (&[road, ("oneway", "yes"), ("oneway:hgv", "no")], truck, [YES, YES]),
            (&[road, ("oneway", "yes")], foot, [YES, YES]),
            (&[road, ("junction", "roundabout")], truck, [YES, None]),
            (&[road, ("maxweight", "7.5")], truck, [None, None]),
            (&[road, ("maxweight", "7.5")], car, [YES, YES]),
            (&[road, ("maxheight:hgv", "3.5")], truck, [None, None]),
            (&[("highway", "motorway")], truck, [YES, None]),
            (&[("highway", "motorway")], foot, [None, None]),
            (&[("highway", "footway")], truck, [None, None]),
            (&[("highway", "footway"), ("access", "yes")], truck, [None, None]),
            (&[("highway", "footway"), ("motor_vehicle", "yes")], truck, [BUSINESS, BUSINESS]),
            (&[("highway", "footway")], foot, [YES, YES]),
            (&[("highway", "proposed"), ("motor_vehicle", "yes")], car, [None, None]),
            (&[("route", "ferry"), ("motor_vehicle", "yes")], car, [None, None]),
        ] {
            assert_eq!(open(tags, profile), expected, "{tags:?} {}", profile.means);
        }
    }

    #[test]
    fn a_barrier_stops_whom_it_is_for() {
        let (truck, foot) = (&Profile::TRUCK, &Profile::FOOT);
        for (tags, profile, blocked) in [
            (&[("barrier", "bollard")][..], truck, true),
            (&[("barrier", "bollard")], foot, false),
            (&[("barrier", "gate")], truck, false),
            (&[("barrier", "gate"), ("locked", "yes")], truck, true),
            (&[("barrier", "gate"), ("access", "private")], truck, true),
            (&[("barrier", "gate"), ("access", "private")], foot, true),
            (&[("barrier", "gate"), ("motor_vehicle", "private")], foot, false),
            (&[("barrier", "lift_gate"), ("access", "private"), ("hgv", "yes")], truck, false),
            (&[("barrier", "height_restrictor"), ("maxheight", "2.1")], truck, true),
            (&[("barrier", "height_restrictor"), ("maxheight", "2.1")], foot, false),
            (&[("highway", "crossing")], truck, false),
        ] {
            assert_eq!(blocks(Tags(tags), profile), blocked, "{tags:?} {}", profile.means);
        }
    }
}
