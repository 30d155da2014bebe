//! A page for each bin that a planner can look at, in Swedish and English.

use super::Replayed;
use super::account::Account;
use crate::cli::replay::html::{document, escaped};
use anyhow::Context;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use std::fmt::Write;
use std::path::Path;

/// The size of a picture, and of the small one in the list.
const LARGE: (f64, f64) = (1200.0, 260.0);
const SMALL: (f64, f64) = (360.0, 48.0);
/// More points nobody sees.
const POINTS: usize = 1500;

/// Writes a page for each bin, and a list of them, `index.html`.
///
/// # Errors
/// When that is impossible.
pub(super) fn write(directory: &Path, bins: &[(&str, &Replayed)]) -> anyhow::Result<()> {
    std::fs::create_dir_all(directory)
        .with_context(|| format!("{} cannot be made", directory.display()))?;
    let put = |name: &str, text: &str| {
        let path = directory.join(name);
        std::fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))
    };
    let mut list = String::new();
    for (id, replayed) in bins {
        let name = format!("bin-{id}.html");
        put(&name, &page(id, replayed))?;
        let _ = write!(
            list,
            "<tr><td><a href=\"{}\">{}</a></td><td>{}</td><td>{}</td></tr>",
            encoded(&name),
            escaped(id),
            picture(replayed, SMALL, false),
            verdict(&replayed.account)
        );
    }
    let title = "Kärl / Bins";
    put("index.html", &document(title, &format!("<h1>{title}</h1><table>{list}</table>")))
}

fn page(id: &str, replayed: &Replayed) -> String {
    let Replayed { account, rules, .. } = replayed;
    let title = format!("Kärl {id} / Bin {id}");
    let mut body = format!(
        "<p><a href=\"index.html\">Alla kärl / All bins</a></p><h1>{}</h1><p>{}</p>{}<p><small>\
         Blå linje: nivå. Röd linje: tömningsgräns. Streck: tömning. Grått: fast eko, nivån är \
         osäker.<br>Blue line: level. Red line: must be emptied. Strokes: emptyings. Grey: fixed \
         echo, the level is doubtful.</small></p>",
        escaped(&title),
        verdict(account),
        picture(replayed, LARGE, true),
    );
    body.push_str("<h2>Tömningar / Emptyings</h2><table><tr><th>Tid / Time<th>Nivå före / Level before<th>Säkerhet / Confidence");
    for emptying in account.emptyings.iter().rev().take(100) {
        let at = emptying.at.to_zoned(rules.zone.clone()).strftime("%Y-%m-%d %H:%M").to_string();
        let _ = write!(
            body,
            "<tr><td>{at}<td>{:.0} %<td>{:.0} %",
            emptying.fill_before.0 * 100.0,
            emptying.confidence * 100.0
        );
    }
    body.push_str("</table>");
    document(&title, &body)
}

/// A bin in a sentence.
fn verdict(account: &Account) -> String {
    let tours = account.driven();
    let mean = match tours.emptyings {
        0 => "–".to_owned(),
        n => format!("{:.0} %", tours.found / n as f64 * 100.0),
    };
    let mut text = format!(
        "{} tömningar, medelnivå {mean} / {} emptyings, mean level {mean}",
        tours.emptyings, tours.emptyings
    );
    if !account.fixed.is_empty() {
        text.push_str(" · fast eko / fixed echo");
    }
    if account.without_echo * 2 > account.readings {
        text.push_str(" · inget eko / no echo");
    }
    text
}

/// The level over the time.
fn picture(replayed: &Replayed, (width, height): (f64, f64), months: bool) -> String {
    let Replayed { account, rules, .. } = replayed;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         width=\"{width}\" height=\"{height}\" role=\"img\"><title>Nivå / Level</title>"
    );
    let (Some(first), Some(last)) = (account.curve.first(), account.curve.last()) else {
        svg.push_str("<text x=\"8\" y=\"24\">Ingen nivå / No level</text></svg>");
        return svg;
    };
    let span = (last.0 - first.0).max(1) as f64;
    let x = |at: i64| ((at - first.0) as f64 / span * width).clamp(0.0, width);
    let y = |fill: f64| height - 2.0 - fill * (height - 4.0);
    for (from, until) in &account.fixed {
        let wide = (x(*until) - x(*from)).max(1.0);
        let _ = write!(
            svg,
            "<rect x=\"{:.1}\" y=\"0\" width=\"{wide:.1}\" height=\"{height}\" fill=\"#ddd\"/>",
            x(*from)
        );
    }
    if months {
        months_of(&mut svg, (first.0, last.0), &rules.zone, height, &x);
    }
    for emptying in &account.emptyings {
        let at = x(emptying.at.as_second());
        let _ = write!(svg, "<path d=\"M{at:.1} 0V{height}\" stroke=\"#3a7\" stroke-width=\"1\"/>");
    }
    let must = y(rules.must.0);
    let _ =
        write!(svg, "<path d=\"M0 {must:.1}H{width}\" stroke=\"#c33\" stroke-dasharray=\"4\"/>");
    let every = account.curve.len().div_ceil(POINTS).max(1);
    let mut points = String::new();
    for (at, fill) in account.curve.iter().step_by(every) {
        let _ = write!(points, "{:.1},{:.1} ", x(*at), y(*fill));
    }
    let _ = write!(
        svg,
        "<polyline points=\"{}\" fill=\"none\" stroke=\"#27c\" stroke-width=\"1.2\"/></svg>",
        points.trim_end()
    );
    svg
}

fn months_of(
    svg: &mut String,
    (first, last): (i64, i64),
    zone: &TimeZone,
    height: f64,
    x: &impl Fn(i64) -> f64,
) {
    let Ok(begin) = Timestamp::from_second(first) else { return };
    let mut month = begin.to_zoned(zone.clone()).date().first_of_month();
    // a record of more than that is a clock that was wrong
    for _ in 0..120 {
        let Ok(next) = month.checked_add(jiff::Span::new().months(1)) else { return };
        month = next;
        let Ok(at) = month.to_zoned(zone.clone()) else { return };
        let at = at.timestamp().as_second();
        if at >= last {
            return;
        }
        let _ = write!(
            svg,
            "<path d=\"M{0:.1} 0V{height}\" stroke=\"#ccc\"/><text x=\"{1:.1}\" y=\"12\" \
             font-size=\"11\" fill=\"#666\">{2}</text>",
            x(at),
            x(at) + 3.0,
            month.strftime("%Y-%m")
        );
    }
}

/// As part of an address.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let mut encoded = String::new();
    for byte in text.bytes() {
        if plain(byte) {
            encoded.push(byte as char);
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
