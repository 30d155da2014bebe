//! A picture of tours on a map, as SVG.

use super::road::{Area, Position};
use std::fmt::Write;

/// The width of the map in pixels; its height follows from the area.
const WIDTH: f64 = 1100.0;
/// The room for the legend beside it.
const LEGEND: f64 = 270.0;
/// Around everything.
const MARGIN: f64 = 24.0;
/// The room for the title.
const TITLE: f64 = 56.0;
/// Colours that people who see fewer of them can tell apart (Okabe and Ito, 2008).
const COLOURS: [&str; 7] =
    ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#7a5195", "#e69f00", "#56b4e9"];
/// From empty to full, in five steps, and overfull.
const LEVELS: [&str; 6] = ["#e8eef1", "#cfe3c4", "#f4df8b", "#f2ad5c", "#df5c45", "#8e1b26"];

/// What is drawn.
#[derive(Debug, Clone, Default)]
pub struct Picture {
    /// The title.
    pub title: String,
    /// A line below it.
    pub subtitle: String,
    /// The roads under everything.
    pub roads: Vec<Road>,
    /// The tours.
    pub tours: Vec<Track>,
    /// The bins.
    pub bins: Vec<Mark>,
    /// Depots.
    pub depots: Vec<Position>,
    /// Unloading sites.
    pub sites: Vec<Position>,
}

/// A road.
#[derive(Debug, Clone)]
pub struct Road {
    /// Its places.
    pub line: Vec<Position>,
    /// How fast one goes there, in km/h: the wider it is drawn.
    pub speed: f64,
}

/// One vehicle's way.
#[derive(Debug, Clone)]
pub struct Track {
    /// The vehicle.
    pub name: String,
    /// Its way, along the roads or straight.
    pub line: Vec<Position>,
    /// How many bins it empties.
    pub stops: usize,
    /// How far it drives, in metres.
    pub metres: u64,
}

/// A bin.
#[derive(Debug, Clone)]
pub struct Mark {
    /// Where it is.
    pub position: Position,
    /// How full it is expected to be; none if nobody knows.
    pub level: Option<f64>,
    /// The tour that visits it.
    pub tour: Option<usize>,
    /// What is shown when it is pointed at.
    pub text: String,
}

impl Picture {
    /// The picture as an SVG document. With roads it names their source, as their licence asks.
    #[must_use]
    pub fn svg(&self) -> String {
        let map = Map::around(self.area());
        let (width, height) =
            (map.width + LEGEND + 3.0 * MARGIN, map.height + TITLE + 2.0 * MARGIN);
        let mut svg = Svg(String::new());
        svg.line(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.0} {height:.0}\" \
             font-family=\"system-ui, 'DejaVu Sans', sans-serif\" font-size=\"14\" fill=\"#222\">"
        ));
        svg.line(format_args!("<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>"));
        svg.text(MARGIN, MARGIN + 16.0, 22, "#222", &self.title);
        svg.text(MARGIN, MARGIN + 40.0, 14, "#666", &self.subtitle);
        svg.line(format_args!(
            "<svg x=\"{MARGIN}\" y=\"{:.0}\" width=\"{:.0}\" height=\"{:.0}\">",
            TITLE + MARGIN,
            map.width,
            map.height
        ));
        svg.line(format_args!("<rect width=\"100%\" height=\"100%\" fill=\"#f6f5f1\"/>"));
        self.draw_roads(&mut svg, &map);
        self.draw_tours(&mut svg, &map);
        self.draw_marks(&mut svg, &map);
        map.draw_scale(&mut svg);
        if !self.roads.is_empty() {
            svg.line(format_args!(
                "<text x=\"{:.0}\" y=\"{:.0}\" font-size=\"11\" fill=\"#555\" text-anchor=\"end\" \
                 paint-order=\"stroke\" stroke=\"#f6f5f1\" stroke-width=\"3\">© OpenStreetMap \
                 contributors</text>",
                map.width - 8.0,
                map.height - 8.0
            ));
        }
        svg.line(format_args!("</svg>"));
        self.draw_legend(&mut svg, map.width + 2.0 * MARGIN, TITLE + MARGIN);
        svg.line(format_args!("</svg>"));
        svg.0
    }

    /// Everything but the roads, and a bit more.
    fn area(&self) -> Option<Area> {
        let tours = self.tours.iter().flat_map(|tour| &tour.line);
        let bins = self.bins.iter().map(|bin| &bin.position);
        let places = tours.chain(bins).chain(&self.depots).chain(&self.sites).copied();
        Area::around(places)
    }

    fn draw_roads(&self, svg: &mut Svg, map: &Map) {
        svg.line(format_args!(
            "<g fill=\"none\" stroke-linecap=\"round\" stroke-linejoin=\"round\">"
        ));
        // the wide ones above the narrow ones, and all of a width in one path
        for (slowest, fastest, width, colour) in
            [(0.0, 25.0, 0.8, "#dcdad3"), (25.0, 45.0, 1.5, "#d2cfc6"), (45.0, 1e9, 2.8, "#c6c1b3")]
        {
            let mut path = String::new();
            for road in self.roads.iter().filter(|r| r.speed >= slowest && r.speed < fastest) {
                map.trace(&mut path, &road.line);
            }
            if !path.is_empty() {
                svg.line(format_args!(
                    "<path d=\"{path}\" stroke=\"{colour}\" stroke-width=\"{width}\"/>"
                ));
            }
        }
        svg.line(format_args!("</g>"));
    }

    fn draw_tours(&self, svg: &mut Svg, map: &Map) {
        svg.line(format_args!(
            "<g fill=\"none\" stroke-linecap=\"round\" stroke-linejoin=\"round\">"
        ));
        for (number, tour) in self.tours.iter().enumerate() {
            let mut path = String::new();
            map.trace(&mut path, &tour.line);
            // ways that two tours share stay visible when each is narrower than the one below
            let width = 4.5 - 1.3 * (number as f64).min(2.0);
            svg.line(format_args!(
                "<path d=\"{path}\" stroke=\"{}\" stroke-width=\"{width}\" stroke-opacity=\"0.85\"/>",
                colour(number)
            ));
        }
        svg.line(format_args!("</g>"));
    }

    fn draw_marks(&self, svg: &mut Svg, map: &Map) {
        // what is visited lies above what is not
        let (visited, others): (Vec<_>, Vec<_>) =
            self.bins.iter().partition(|bin| bin.tour.is_some());
        for bin in others.into_iter().chain(visited) {
            let (x, y) = map.at(bin.position);
            let (radius, stroke, width) = match bin.tour {
                Some(tour) => (6.0, colour(tour), 2.2),
                None => (4.2, "#8a8a84", 0.8),
            };
            svg.line(format_args!(
                "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\" fill=\"{}\" stroke=\"{stroke}\" \
                 stroke-width=\"{width}\"><title>{}</title></circle>",
                level(bin.level),
                escaped(&bin.text)
            ));
        }
        for place in &self.depots {
            let (x, y) = map.at(*place);
            depot(svg, x, y);
        }
        for place in &self.sites {
            let (x, y) = map.at(*place);
            site(svg, x, y);
        }
    }

    fn draw_legend(&self, svg: &mut Svg, x: f64, top: f64) {
        let mut y = top + 12.0;
        if !self.tours.is_empty() {
            svg.text(x, y, 15, "#222", "Tours");
            for (number, tour) in self.tours.iter().enumerate() {
                y += 24.0;
                svg.line(format_args!(
                    "<path d=\"M{x:.0} {:.0}h26\" stroke=\"{}\" stroke-width=\"4\" \
                     stroke-linecap=\"round\"/>",
                    y - 4.0,
                    colour(number)
                ));
                let km = tour.metres as f64 / 1000.0;
                let bins = if tour.stops == 1 {
                    "1 bin".to_owned()
                } else {
                    format!("{} bins", tour.stops)
                };
                let text = format!("{}: {}, {km:.1} km", tour.name, bins);
                svg.text(x + 36.0, y, 14, "#222", &text);
            }
            y += 40.0;
        }
        svg.text(x, y, 15, "#222", "Bins, by expected level");
        let names =
            ["below 20 %", "20 to 40 %", "40 to 60 %", "60 to 80 %", "80 to 100 %", "overfull"];
        for (name, colour) in names.into_iter().zip(LEVELS) {
            y += 22.0;
            svg.line(format_args!(
                "<circle cx=\"{:.0}\" cy=\"{:.0}\" r=\"6\" fill=\"{colour}\" stroke=\"#8a8a84\" \
                 stroke-width=\"0.8\"/>",
                x + 13.0,
                y - 5.0
            ));
            svg.text(x + 36.0, y, 14, "#222", name);
        }
        y += 24.0;
        svg.line(format_args!(
            "<circle cx=\"{:.0}\" cy=\"{:.0}\" r=\"6\" fill=\"#fff\" stroke=\"{}\" \
             stroke-width=\"2.2\"/>",
            x + 13.0,
            y - 5.0,
            COLOURS[0]
        ));
        svg.text(x + 36.0, y, 14, "#222", "visited (ring: the tour's colour)");
        y += 30.0;
        depot(svg, x + 13.0, y - 5.0);
        svg.text(x + 36.0, y, 14, "#222", "depot");
        y += 26.0;
        site(svg, x + 13.0, y - 5.0);
        svg.text(x + 36.0, y, 14, "#222", "unloading site");
    }
}

fn colour(tour: usize) -> &'static str {
    COLOURS[tour % COLOURS.len()]
}

fn level(level: Option<f64>) -> &'static str {
    match level {
        None => "#ffffff",
        Some(level) if level > 1.0 => LEVELS[5],
        // within 0 and 4
        Some(level) => LEVELS[(level * 5.0).clamp(0.0, 4.0) as usize],
    }
}

fn depot(svg: &mut Svg, x: f64, y: f64) {
    svg.line(format_args!(
        "<path d=\"M{:.1} {:.1}l11 -9l11 9v10h-22z\" fill=\"#222\" stroke=\"#fff\" \
         stroke-width=\"1.5\"><title>depot</title></path>",
        x - 11.0,
        y
    ));
}

fn site(svg: &mut Svg, x: f64, y: f64) {
    svg.line(format_args!(
        "<path d=\"M{:.1} {:.1}h20l-10 17z\" fill=\"#222\" stroke=\"#fff\" stroke-width=\"1.5\">\
         <title>unloading site</title></path>",
        x - 10.0,
        y - 8.0
    ));
}

/// Text on its way to an SVG document.
struct Svg(String);

impl Svg {
    fn line(&mut self, what: std::fmt::Arguments<'_>) {
        writeln!(self.0, "{what}").expect("a String takes everything");
    }

    fn text(&mut self, x: f64, y: f64, size: u32, colour: &str, text: &str) {
        self.line(format_args!(
            "<text x=\"{x:.0}\" y=\"{y:.0}\" font-size=\"{size}\" fill=\"{colour}\">{}</text>",
            escaped(text)
        ));
    }
}

fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            // no control character is allowed in XML
            c if c.is_control() => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}

/// From places to pixels: plate carrée with the scale of the area's middle, which over a
/// municipality is a pixel wrong at most.
struct Map {
    west: f64,
    north: f64,
    /// Pixels for a degree.
    across: f64,
    down: f64,
    width: f64,
    height: f64,
}

impl Map {
    /// The map is never higher than this.
    const HIGHEST: f64 = 1100.0;
    /// Metres of a degree of latitude.
    const DEGREE: f64 = 111_195.0;

    fn around(area: Option<Area>) -> Self {
        let (south, west, north, east) = match area {
            Some(Area { least, greatest }) => {
                (least.lat(), least.lon(), greatest.lat(), greatest.lon())
            }
            None => (0.0, 0.0, 0.0, 0.0),
        };
        let narrow = ((south + north) / 2.0).to_radians().cos().max(0.01);
        // a single place gets a hundred metres around it
        let least = 200.0 / Self::DEGREE;
        let (tall, wide) = ((north - south).max(least), (east - west).max(least / narrow));
        let pad = 0.04 * tall.max(wide * narrow);
        let (north, west) = (north + pad, west - pad / narrow);
        let (tall, wide) = (tall + 2.0 * pad, wide + 2.0 * pad / narrow);
        let across = (WIDTH / wide).min(Self::HIGHEST / tall * narrow);
        let down = across / narrow;
        Self { west, north, across, down, width: across * wide, height: down * tall }
    }

    fn at(&self, place: Position) -> (f64, f64) {
        ((place.lon() - self.west) * self.across, (self.north - place.lat()) * self.down)
    }

    /// Adds a line to a path, unless none of it is on the map.
    fn trace(&self, path: &mut String, line: &[Position]) {
        let points: Vec<(f64, f64)> = line.iter().map(|place| self.at(*place)).collect();
        let seen = |&(x, y): &(f64, f64)| {
            (-50.0..self.width + 50.0).contains(&x) && (-50.0..self.height + 50.0).contains(&y)
        };
        if !points.iter().any(seen) {
            return;
        }
        for (i, (x, y)) in points.iter().enumerate() {
            let command = if i == 0 { 'M' } else { 'L' };
            write!(path, "{command}{x:.1} {y:.1}").expect("a String takes everything");
        }
    }

    /// A bar of so many metres as are a round number.
    fn draw_scale(&self, svg: &mut Svg) {
        let metre = self.down / Self::DEGREE;
        let lengths = [100.0, 200.0, 500.0, 1_000.0, 2_000.0, 5_000.0, 10_000.0, 20_000.0];
        let fits = lengths.into_iter().rfind(|length| length * metre <= 180.0);
        let length = fits.unwrap_or(lengths[0]);
        let y = self.height - 14.0;
        svg.line(format_args!(
            "<path d=\"M12 {:.0}v6h{:.1}v-6\" fill=\"none\" stroke=\"#444\" stroke-width=\"1.5\"/>",
            y - 6.0,
            length * metre
        ));
        let text = if length < 1_000.0 {
            format!("{length:.0} m")
        } else {
            format!("{:.0} km", length / 1_000.0)
        };
        svg.text(18.0, y - 6.0, 12, "#444", &text);
    }
}
