//! What is known of a bin, and what begins and ends with it.
//!
//! The words are those of OMA LwM2M object 3435 (filling level) where it has one; the README says
//! which is which.

use super::{Text, json};
use crate::bins::{Due, EchoFrom, Forecast, News, Outcome, Posture, Rules, Tended, Tenths, Trust};
use crate::clock::Moment;
use crate::store::{Class, Message};
use crate::units::rounded;
use jiff::Timestamp;
use serde::Serialize;

/// How full a bin is, and what is expected of it.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Level<'a> {
    /// Its name.
    bin: &'a str,
    /// What part of it is full, from 0 to 1; null before anything was seen of it.
    fill: Option<f64>,
    /// How far that can be trusted: `accepted`, `suspect` (a fixed echo, a bag before the sensor, a
    /// clock that nobody has set), or `rejected` (the sensor said nothing that can be of this bin,
    /// and the level is what is expected).
    fill_quality: Trust,
    /// What the echo came from: `ok` (waste, as far as is known), `fixed` (a part of the bin, again
    /// and again) or `none`.
    echo: EchoFrom,
    /// Whether the level is not what was seen, but what is expected to have come since.
    estimated: bool,
    /// Whether it is to be emptied: `no`, `may` (by who is near) or `must`.
    due: Due,
    /// What it looks like.
    posture: Posture,
    /// Whether it burns, as far as is known.
    fire: bool,
    /// When it was emptied last, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    emptied_at: Option<Timestamp>,
    /// What part of it comes in a day.
    rate_per_day: f64,
    /// When it may be emptied, if nobody does so before: null if that is farther ahead than two
    /// months.
    may_at: Option<Tenths<Timestamp>>,
    /// When it must be emptied.
    must_at: Option<Tenths<Timestamp>>,
    /// In how many days the sensor's battery is empty; left out when nobody can tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    battery_days: Option<f64>,
    /// What part of the sensor's frames arrives.
    delivery: f64,
}

/// Something begins or ends with a bin.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Event<'a> {
    /// Its name.
    bin: &'a str,
    /// What.
    kind: Kind,
    /// The same for people.
    text: Text,
    /// When that was, if not at `time`: of an emptying, a report, a silence, a threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    /// Of an emptying: what part was full before.
    #[serde(skip_serializing_if = "Option::is_none")]
    fill_before: Option<f64>,
    /// Of an emptying: whether something remained.
    #[serde(skip_serializing_if = "Option::is_none")]
    partial: Option<bool>,
    /// Of an emptying: how sure it is, from 0.5 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    confidence: Option<f64>,
    /// Of a battery: in how many days it is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    days: Option<f64>,
}

/// What can begin or end.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
enum Kind {
    /// It burns. An alarm.
    Fire,
    /// It does not burn any more, or never did.
    FireOver,
    /// It stands as it was put, again.
    Upright,
    /// Its lid stays open.
    LidOpen,
    /// It lies on its side.
    Dropped,
    /// It stands elsewhere, or askew.
    Moved,
    /// Somebody works at the sensor, or has torn it off. An alarm.
    Vandalized,
    /// Its echoes come from a fixed part: the level is an estimate until they do not.
    EchoFixed,
    /// Its level is seen again.
    EchoFree,
    /// Somebody emptied it.
    Emptied,
    /// It need not be emptied.
    DueOver,
    /// It may be emptied.
    MayBeEmptied,
    /// It must be emptied.
    MustBeEmptied,
    /// Its sensor is silent, and its usual losses do not explain that.
    SensorLost,
    /// Its sensor is heard again.
    SensorHeard,
    /// Its battery is to be changed.
    BatteryLow,
    /// Its battery is well again.
    BatteryChanged,
    /// It must be emptied, and nobody was there.
    PickupMissed,
    /// Somebody was there after all.
    PickupMade,
    /// A crew says that it was emptied, and its level says no.
    EmptyingUnconfirmed,
    /// It was emptied, and no crew says so.
    EmptyingUnreported,
}

/// How full a bin is after an uplink, and what is expected of it from then on.
pub(crate) fn level(
    bin: &str,
    (tended, rules): (&Tended, &Rules),
    outcome: &Outcome,
    forecast: &Forecast,
    at: Moment,
) -> Message {
    let known = &tended.bin;
    let body = Level {
        bin,
        fill: outcome.fill.map(|fill| rounded(fill.0, 2)),
        fill_quality: outcome.trust,
        echo: outcome.echo,
        estimated: known.is_estimated(at.wall),
        due: known.due(),
        posture: known.posture(),
        fire: known.burns(),
        emptied_at: known.emptied(),
        rate_per_day: rounded(known.daily(rules).0, 3),
        may_at: forecast.may_at,
        must_at: forecast.must_at,
        battery_days: known.battery_days(rules).map(f64::round),
        delivery: rounded(known.delivery().0, 2),
    };
    let topic = format!("bin/{bin}/level");
    Message { class: Class::Measurement, at, topic, body: json(&body) }
}

/// Something begins or ends with a bin.
pub(crate) fn event(bin: &str, news: &News, at: Moment) -> Message {
    let (kind, sv, en) = words(news);
    let mut body = Event {
        bin,
        kind,
        text: Text { sv: format!("Kärl {bin}: {sv}."), en: format!("Bin {bin}: {en}.") },
        at: None,
        fill_before: None,
        partial: None,
        confidence: None,
        days: None,
    };
    match *news {
        News::Emptied(emptying) => {
            body.at = Some(emptying.at);
            body.fill_before = Some(rounded(emptying.fill_before.0, 2));
            body.partial = Some(emptying.partial);
            body.confidence = Some(emptying.confidence);
        }
        News::SensorLost(at)
        | News::PickupMissed(at)
        | News::Unconfirmed(at)
        | News::Unreported(at) => body.at = Some(at),
        News::BatteryLow(days) => body.days = Some(days),
        _ => {}
    }
    let is_alarm = matches!(news, News::Fire | News::Posture(Posture::Vandalized));
    let class = if is_alarm { Class::Alarm } else { Class::Event };
    Message { class, at, topic: format!("bin/{bin}/event"), body: json(&body) }
}

/// What it is, in Swedish and English.
fn words(news: &News) -> (Kind, String, String) {
    let said = |kind, sv: &str, en: &str| (kind, sv.to_owned(), en.to_owned());
    match news {
        News::Fire => said(Kind::Fire, "det brinner", "it burns"),
        News::FireOver => said(Kind::FireOver, "det brinner inte längre", "it burns no longer"),
        News::Posture(Posture::Ok) => {
            said(Kind::Upright, "det står som det ska igen", "it stands as it was put again")
        }
        News::Posture(Posture::LidOpen) => {
            said(Kind::LidOpen, "locket står öppet", "its lid stays open")
        }
        News::Posture(Posture::Dropped) => {
            said(Kind::Dropped, "det har vält", "it has fallen over")
        }
        News::Posture(Posture::Moved) => {
            said(Kind::Moved, "det har flyttats eller lutar", "it was moved, or stands askew")
        }
        News::Posture(Posture::Vandalized) => {
            said(Kind::Vandalized, "någon bryter på sensorn", "somebody tampers with its sensor")
        }
        News::EchoFixed => said(
            Kind::EchoFixed,
            "sensorn ser en fast del och inte avfallet; nivån är uppskattad. Kontrollera sensorn",
            "the sensor sees a fixed part and not the waste; its level is an estimate. Look at the \
             sensor",
        ),
        News::EchoFree => {
            said(Kind::EchoFree, "sensorn ser avfallet igen", "the sensor sees the waste again")
        }
        News::Emptied(emptying) => {
            let percent = (emptying.fill_before.0 * 100.0).round();
            let (rest_sv, rest_en) = match emptying.partial {
                true => (" till en del", " in part"),
                false => ("", ""),
            };
            (
                Kind::Emptied,
                format!("det tömdes{rest_sv} vid {percent} %"),
                format!("it was emptied{rest_en} at {percent} %"),
            )
        }
        News::Due(Due::No) => {
            said(Kind::DueOver, "det behöver inte tömmas", "it need not be emptied")
        }
        News::Due(Due::May) => said(
            Kind::MayBeEmptied,
            "det kan tömmas av den som är i närheten",
            "it may be emptied by who is near",
        ),
        News::Due(Due::Must) => said(Kind::MustBeEmptied, "det måste tömmas", "it must be emptied"),
        News::SensorLost(since) => (
            Kind::SensorLost,
            format!("sensorn har inte hörts sedan {since}"),
            format!("its sensor has not been heard since {since}"),
        ),
        News::SensorHeard => {
            said(Kind::SensorHeard, "sensorn hörs igen", "its sensor is heard again")
        }
        News::BatteryLow(days) => (
            Kind::BatteryLow,
            format!("sensorns batteri räcker ungefär {days} dagar till"),
            format!("its sensor's battery lasts for about {days} more days"),
        ),
        News::BatteryChanged => said(
            Kind::BatteryChanged,
            "sensorns batteri är bra igen",
            "its sensor's battery is well again",
        ),
        News::PickupMissed(since) => (
            Kind::PickupMissed,
            format!("det har behövt tömmas sedan {since}, och ingen har varit där"),
            format!("it has had to be emptied since {since}, and nobody was there"),
        ),
        News::PickupMade => {
            said(Kind::PickupMade, "det är inte längre försenat", "it is overdue no longer")
        }
        News::Unconfirmed(at) => (
            Kind::EmptyingUnconfirmed,
            format!("tömningen som rapporterades {at} syns inte på nivån"),
            format!("the emptying that was reported at {at} does not show in its level"),
        ),
        News::Unreported(at) => (
            Kind::EmptyingUnreported,
            format!("det tömdes {at}, men ingen har rapporterat det"),
            format!("it was emptied at {at}, but nobody has reported it"),
        ),
    }
}

/// The schemas of these bodies, by the ends of their topics.
#[cfg(test)]
pub(crate) fn schemas() -> [(&'static str, serde_json::Value); 2] {
    use crate::schemas::of;
    [("level", of::<Level<'_>>()), ("event", of::<Event<'_>>())]
}
