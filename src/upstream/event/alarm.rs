//! What whoever looks after the gateway must hear of at once.

use super::{Text, json};
use crate::clock::Moment;
use crate::store::{Class, Message, Rescue};
use crate::units::duration;
use serde::Serialize;
use std::time::Duration;

/// Something is wrong with the gateway itself, and somebody must act.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Alarm<'a> {
    /// What it is.
    kind: Kind,
    /// The same for people.
    text: Text,
    /// Of a damaged database: where it lies now, in the gateway's state directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    /// Of a damaged database: the messages that were waiting in it and were saved.
    #[serde(skip_serializing_if = "Option::is_none")]
    saved: Option<ByClass>,
    /// Messages that were left behind or lost, as far as is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost: Option<u64>,
    /// Of a damaged database: pages that cannot be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    lost_pages: Option<u64>,
}

/// What can be wrong.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
enum Kind {
    /// The database was damaged; what could be read of it goes on in a new one.
    DatabaseSetAside,
    /// The disk takes nothing.
    DiskFails,
    /// There was no room for alarms, neither on the disk nor in memory.
    AlarmsLost,
}

/// Messages by their class.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct ByClass {
    /// Alarms.
    alarm: u64,
    /// Events.
    event: u64,
    /// Plans.
    plan: u64,
    /// Measurements.
    measurement: u64,
    /// Diagnostics.
    diagnostic: u64,
}

/// A database was damaged, and set aside.
pub(crate) fn set_aside(rescue: &Rescue, at: Moment) -> Message {
    let [alarm, event, plan, measurement, diagnostic] = rescue.saved;
    let saved: u64 = rescue.saved.iter().sum();
    let left = rescue.left.iter().sum::<u64>() + rescue.lost_rows;
    let pages = rescue.lost_pages;
    let file = rescue.aside.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let (sv, en) = match rescue.is_doubtful {
        true => (
            "Databasen ser ut som efter ett strömavbrott mitt i en skrivning, men också som en \
             skadad: vilket det är går inte att avgöra. Den har gjorts om ur sig själv och den \
             förra har",
            "The database looks as a power cut in the middle of a write leaves it, but a damaged \
             one looks the same: which it is cannot be told. It was made anew from itself, and \
             the former one has",
        ),
        false => ("Databasen var skadad och har", "The database was damaged and has"),
    };
    let (sv, en) = match rescue.is_kept {
        true => {
            (format!("{sv} lagts undan som {file}."), format!("{en} been set aside as {file}."))
        }
        false => (
            "Databasen var skadad eller borta, och inget av den är kvar.".to_owned(),
            "The database was damaged or gone, and nothing of it is kept.".to_owned(),
        ),
    };
    let n = rescue.sessions;
    let (more_sv, more_en) = match rescue.all_counted {
        true => ("", ""),
        false => (
            ", och hur många meddelanden som fanns där är okänt",
            ", and how many messages were there is not known",
        ),
    };
    let (missing_sv, missing_en) = match rescue.all_sessions {
        true => ("", ""),
        false => (
            ", kanske inte alla: läs in den senaste exporten (lykta store import)",
            ", which may not be all: take over the last export (lykta store import)",
        ),
    };
    message(
        at,
        &Alarm {
            kind: Kind::DatabaseSetAside,
            text: Text {
                sv: format!(
                    "{sv} Räddade: {saved} väntande meddelanden, sessionerna \
                     för {n} sensorer{missing_sv}. {left} meddelanden gick inte att ta med, {pages} \
                     sidor gick inte att läsa{more_sv}."
                ),
                en: format!(
                    "{en} Saved: {saved} waiting messages, the sessions of \
                     {n} sensors{missing_en}. {left} messages could not be, {pages} pages could not \
                     be read{more_en}."
                ),
            },
            file: Some(file).filter(|_| rescue.is_kept),
            saved: Some(ByClass { alarm, event, plan, measurement, diagnostic }),
            lost: rescue.all_counted.then_some(left),
            lost_pages: Some(pages),
        },
    )
}

/// The disk has taken nothing for so long.
pub(crate) fn disk_fails(since: Duration, lost: u64, at: Moment) -> Message {
    let since = duration::format(Duration::from_secs(since.as_secs()));
    message(
        at,
        &Alarm {
            kind: Kind::DiskFails,
            text: Text {
                sv: format!(
                    "Disken har inte tagit emot något på {since}. Larm skickas ändå; mätvärden går \
                 förlorade, hittills {lost}."
                ),
                en: format!(
                    "The disk has taken nothing for {since}. Alarms are sent all the same; \
                 measurements are lost, {lost} so far."
                ),
            },
            file: None,
            saved: None,
            lost: Some(lost),
            lost_pages: None,
        },
    )
}

/// There was no room for alarms.
pub(crate) fn alarms_lost(lost: u64, at: Moment) -> Message {
    message(
        at,
        &Alarm {
            kind: Kind::AlarmsLost,
            text: Text {
                sv: format!("Det fanns ingen plats för larm: {lost} gick förlorade."),
                en: format!("There was no room for alarms: {lost} were lost."),
            },
            file: None,
            saved: None,
            lost: Some(lost),
            lost_pages: None,
        },
    )
}

fn message(at: Moment, alarm: &Alarm<'_>) -> Message {
    Message { class: Class::Alarm, at, topic: "gateway/alarm".into(), body: json(alarm) }
}

/// The schema of these bodies.
#[cfg(test)]
pub(crate) fn schema() -> serde_json::Value {
    crate::schemas::of::<Alarm<'_>>()
}
