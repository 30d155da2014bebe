//! Who is under way: what that vehicle is to the law, and how large and heavy it is.

use std::fmt;
use std::str::FromStr;

/// What a vehicle is to the law, or that it is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Means {
    /// A goods vehicle over 3.5 t (`hgv`).
    Truck,
    /// A goods vehicle up to 3.5 t (`goods`).
    Van,
    /// A car (`motorcar`).
    Car,
    /// A person on foot (`foot`).
    Foot,
}

impl Means {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Truck, Self::Van, Self::Car, Self::Foot];

    /// What it is called on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Truck => "truck",
            Self::Van => "van",
            Self::Car => "car",
            Self::Foot => "foot",
        }
    }
}

impl fmt::Display for Means {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no profile.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no profile {0:?}; profiles: truck, van, car, foot")]
pub struct UnknownProfile(String);

/// Who is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Profile {
    /// Which rules hold.
    pub means: Means,
    /// Mass as loaded, in kilograms (`maxweight`, `maxweightrating`).
    pub mass: u32,
    /// Mass on the heaviest axle, in kilograms (`maxaxleload`).
    pub axle: u32,
    /// Height in centimetres (`maxheight`).
    pub height: u32,
    /// Width in centimetres (`maxwidth`).
    pub width: u32,
    /// Length in centimetres (`maxlength`).
    pub length: u32,
    /// It never goes faster, in km/h.
    pub top_speed: u32,
}

impl Profile {
    /// A refuse lorry with three axles. Mass, axle and width are the limits of Directive
    /// 96/53/EC, the speed is that for lorries on roads in Sweden and Norway; height and length
    /// are those of common rear loaders.
    pub const TRUCK: Self = Self {
        means: Means::Truck,
        mass: 26_000,
        axle: 11_500,
        height: 380,
        width: 255,
        length: 1_000,
        top_speed: 80,
    };

    /// A high-roofed van of 3.5 t.
    pub const VAN: Self = Self {
        means: Means::Van,
        mass: 3_500,
        axle: 2_200,
        height: 280,
        width: 205,
        length: 600,
        top_speed: 110,
    };

    /// A car.
    pub const CAR: Self = Self {
        means: Means::Car,
        mass: 2_000,
        axle: 1_200,
        height: 180,
        width: 185,
        length: 480,
        top_speed: 130,
    };

    /// A person on foot.
    pub const FOOT: Self =
        Self { means: Means::Foot, mass: 0, axle: 0, height: 0, width: 0, length: 0, top_speed: 5 };

    /// The usual measures of each.
    #[must_use]
    pub fn usual(means: Means) -> Self {
        match means {
            Means::Truck => Self::TRUCK,
            Means::Van => Self::VAN,
            Means::Car => Self::CAR,
            Means::Foot => Self::FOOT,
        }
    }

    /// Everything in it, for a hash.
    pub(super) fn bytes(&self) -> impl Iterator<Item = u8> {
        let Self { means, mass, axle, height, width, length, top_speed } = *self;
        let numbers = [means as u32, mass, axle, height, width, length, top_speed];
        numbers.into_iter().flat_map(u32::to_le_bytes)
    }
}

impl FromStr for Profile {
    type Err = UnknownProfile;

    fn from_str(text: &str) -> Result<Self, UnknownProfile> {
        let found = Means::ALL.into_iter().find(|means| means.name() == text);
        found.map(Self::usual).ok_or_else(|| UnknownProfile(text.to_owned()))
    }
}
