//! What was decided of a resident, for staff and for the alarm receiving centre behind it. Never
//! what sensors said.
//!
//! The fields of [`Scaip`] are those of SS 91100 (SCAIP), in words: the numbers of the standard are
//! for the bridge that speaks it, and the README says which word is which field.

use super::{Text, json};
use crate::care::escalation::{Call, Role, What};
use crate::care::ledger::Ledger;
use crate::care::{At, Decision, Kind, Language, Outcome, Reason, Resident, RuleKind};
use crate::clock::Moment;
use crate::store::{Class, Message};
use crate::units::duration;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The answer to an agreed night check.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Check<'a> {
    /// The pseudonym.
    resident: &'a str,
    /// The name of the check.
    check: &'a str,
    /// What it came to: `confirmed` (there is evidence that all is well), `not_confirmed` (there is
    /// none) or `fault` (nobody can tell). Without the first somebody has to go there.
    result: Outcome,
    /// The time that was agreed.
    agreed: Timestamp,
    /// The same for people.
    text: Text,
    /// What it rests on, or what is missing.
    because: Vec<Text>,
    /// The alarm by which the patrol is sent, if it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    alarm: Option<&'a str>,
}

/// Somebody has to go there, or something has to be mended; or not any more.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct Alarm<'a> {
    /// The pseudonym.
    resident: &'a str,
    /// What it is.
    kind: Told,
    /// The name of the rule or check, or what lykta decides by itself: `supervision`, `battery`,
    /// `clock`, `gateway`, `away`, `staff` or `consent`.
    rule: &'a str,
    /// The name of the alarm, for the command `acknowledge`.
    #[serde(skip_serializing_if = "Option::is_none")]
    alarm: Option<&'a str>,
    /// The same for people.
    text: Text,
    /// What it rests on.
    because: Vec<Text>,
    /// Who is told by this message, if it is an alarm that somebody has to answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    call: Option<Called>,
    /// Of an alarm of a rule that is over: how often this rule has cried for nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    account: Option<&'a Account>,
    /// As the fields of SS 91100.
    scaip: Scaip<'a>,
}

/// What a rule has done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Account {
    /// How many alarms there were.
    alarms: u32,
    /// How many of them were over by themselves, before anybody can have come.
    over_by_themselves: u32,
    /// A longer time for `after` that would have saved alarms which were over by themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    suggestion: Option<Suggestion>,
}

/// What would have been better.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Suggestion {
    /// The time, as in the settings.
    after: String,
    /// How many alarms it would have saved.
    saves: u32,
}

/// Who is told.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Called {
    /// Whom to tell.
    to: Vec<Role>,
    /// How often somebody was told of this alarm before. With its name the key by which a repetition
    /// of the same call is known.
    number: u32,
}

/// What an alarm message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum Told {
    /// Somebody has to go there.
    Alarm,
    /// Something technical has to be mended.
    Fault,
    /// An alarm, a fault or a mode is over.
    Cleared,
    /// An alarm will come, or a mode is on.
    Warning,
    /// Somebody has answered the alarm and goes there.
    Answered,
}

/// The fields of SS 91100, in words.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
struct Scaip<'a> {
    /// The gateway.
    controller_id: &'a str,
    /// What kind of sensor it rests on: `bed`, `chair`, `motion`, `door`, `toilet` or `button`;
    /// `gateway` where it rests on none.
    device_type: &'a str,
    /// The sensor's name in that home; the gateway where it rests on none.
    device_id: &'a str,
    /// The rule or check.
    device_component: &'a str,
    /// What has happened.
    status_code: Status,
    /// The resident: where that is, is known in the care system.
    location: &'a str,
}

/// What has happened, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// The bed was left for too long.
    BedAbsence,
    /// The bathroom was not left.
    BathroomStay,
    /// A door at night.
    Door,
    /// Nothing was seen for too long.
    Inactivity,
    /// Not in bed, or not up, at the agreed time.
    Habit,
    /// Out of bed many times.
    Restless,
    /// A button of the home was pressed. No social alarm.
    Call,
    /// A night check was not confirmed.
    CheckNotConfirmed,
    /// A night check that nobody could make.
    CheckFault,
    /// A sensor or the gateway fails.
    TechnicalFault,
    /// A battery is to be changed.
    BatteryLow,
    /// Over.
    Restored,
    /// What staff is told.
    Information,
}

/// An alarm that somebody has to answer, as it is remembered: each call tells all of it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Case {
    /// The pseudonym.
    pub(crate) resident: String,
    /// The rule or check.
    pub(crate) rule: String,
    status: Status,
    sv: String,
    en: String,
    because: Vec<(String, String)>,
    device: Option<(String, String)>,
    /// Of one that is over: what its rule has done so far.
    #[serde(skip)]
    account: Option<Account>,
}

impl Case {
    /// What a decision means for whoever goes there.
    pub(crate) fn of(resident: &Resident, decision: &Decision) -> Self {
        let (sv, en) = words(resident, decision);
        let mut sensors = decision.because.iter().filter_map(Reason::sensor);
        let sensor = sensors.find_map(|number| resident.sensors.get(number));
        let sensor = sensor.or_else(|| of_rule(resident, decision));
        Self {
            resident: resident.id.clone(),
            rule: decision.rule.clone(),
            status: status(resident, decision),
            sv,
            en,
            because: decision.because.iter().map(|reason| both(resident, reason)).collect(),
            device: sensor.map(|sensor| (sensor.kind.word().to_owned(), sensor.id.clone())),
            account: None,
        }
    }

    /// Something about a resident that staff is told.
    pub(crate) fn about(resident: &str, rule: &str, sv: &str, en: &str) -> Self {
        Self {
            resident: resident.to_owned(),
            rule: rule.to_owned(),
            status: Status::Information,
            sv: format!("Boende {resident}: {sv}."),
            en: format!("Resident {resident}: {en}."),
            because: vec![(sv.to_owned(), en.to_owned())],
            device: None,
            account: None,
        }
    }

    /// With what its rule has done so far.
    pub(crate) fn with_account(mut self, ledger: &Ledger, resident: &Resident) -> Self {
        let better = ledger.suggestion(resident, &self.rule);
        self.account = ledger.rules.get(&self.rule).map(|account| Account {
            alarms: account.alarms,
            over_by_themselves: account.by_themselves(),
            suggestion: better.map(|better| Suggestion {
                after: duration::format(better.after),
                saves: better.saved,
            }),
        });
        self
    }

    /// That it is over, for a cause that is no decision.
    pub(crate) fn closed(mut self, sv: &str, en: &str) -> Self {
        self.status = Status::Restored;
        self.sv = format!("Boende {}, {}: {sv}.", self.resident, self.rule);
        self.en = format!("Resident {}, {}: {en}.", self.resident, self.rule);
        self
    }

    fn scaip<'a>(&'a self, gateway: &'a str) -> Scaip<'a> {
        let device = self.device.as_ref();
        Scaip {
            controller_id: gateway,
            device_type: device.map_or("gateway", |(kind, _)| kind),
            device_id: device.map_or(gateway, |(_, name)| name),
            device_component: &self.rule,
            status_code: self.status,
            location: &self.resident,
        }
    }

    fn because(&self) -> Vec<Text> {
        let text = |(sv, en): &(String, String)| Text { sv: sv.clone(), en: en.clone() };
        self.because.iter().map(text).collect()
    }
}

/// The sensor that a rule goes by, for one that rests on the bed alone.
fn of_rule<'a>(resident: &'a Resident, decision: &Decision) -> Option<&'a crate::care::Sensor> {
    let rule = resident.rules.iter().find(|rule| rule.id == decision.rule)?;
    resident.sensors.get(*rule.sensors.first()?)
}

fn status(resident: &Resident, decision: &Decision) -> Status {
    let rule = resident.rules.iter().find(|rule| rule.id == decision.rule);
    match (decision.kind, decision.outcome, rule.map(|rule| rule.kind)) {
        (Kind::Cleared, ..) => Status::Restored,
        (Kind::Warning, ..) => Status::Information,
        (Kind::Check, Some(Outcome::NotConfirmed), _) => Status::CheckNotConfirmed,
        (Kind::Check, ..) => Status::CheckFault,
        (Kind::Fault, ..) if matches!(decision.because[..], [Reason::Battery { .. }]) => {
            Status::BatteryLow
        }
        (Kind::Fault, ..) | (Kind::Alarm, _, None) => Status::TechnicalFault,
        (Kind::Alarm, _, Some(rule)) => match rule {
            RuleKind::BedAbsence { .. } => Status::BedAbsence,
            RuleKind::BathroomStay { .. } => Status::BathroomStay,
            RuleKind::DoorOpened { .. }
            | RuleKind::DoorNotReturned { .. }
            | RuleKind::DoorLeftOpen { .. } => Status::Door,
            RuleKind::Quiet { .. } => Status::Inactivity,
            RuleKind::NotToBed { .. } | RuleKind::NotUp { .. } => Status::Habit,
            RuleKind::Restless { .. } => Status::Restless,
            RuleKind::Button => Status::Call,
        },
    }
}

fn both(resident: &Resident, reason: &Reason) -> (String, String) {
    (reason.words(resident, Language::Swedish), reason.words(resident, Language::English))
}

/// The decision in a sentence, in Swedish and English.
fn words(resident: &Resident, decision: &Decision) -> (String, String) {
    let (sv, en): (&str, &str) = match (decision.kind, decision.outcome) {
        (Kind::Check, Some(Outcome::Confirmed)) => ("tillsyn bekräftad", "check confirmed"),
        (Kind::Check, Some(Outcome::NotConfirmed)) => {
            ("tillsyn inte bekräftad, besök behövs", "check not confirmed, a visit is needed")
        }
        (Kind::Check, _) => (
            "tillsyn inte möjlig på grund av tekniskt fel, besök behövs",
            "check not possible for a technical fault, a visit is needed",
        ),
        (Kind::Alarm, _) => ("larm", "alarm"),
        (Kind::Fault, _) => ("tekniskt fel", "technical fault"),
        (Kind::Cleared, _) => ("upphört", "over"),
        (Kind::Warning, _) => ("information", "information"),
    };
    let facts = decision.because.iter().map(|reason| both(resident, reason));
    let (facts_sv, facts_en): (Vec<_>, Vec<_>) = facts.unzip();
    let (id, rule) = (&resident.id, &decision.rule);
    (
        format!("Boende {id}, {rule}: {sv} – {}.", facts_sv.join("; ")),
        format!("Resident {id}, {rule}: {en} – {}.", facts_en.join("; ")),
    )
}

/// The answer to a check. With an alarm if the patrol is sent.
pub(crate) fn check(
    resident: &Resident,
    decision: &Decision,
    alarm: Option<&str>,
    at: Moment,
) -> Message {
    let (sv, en) = words(resident, decision);
    let because = decision.because.iter().map(|reason| {
        let (sv, en) = both(resident, reason);
        Text { sv, en }
    });
    let body = Check {
        resident: &resident.id,
        check: &decision.rule,
        // there is no check without one; if there were, nobody could tell
        result: decision.outcome.unwrap_or(Outcome::Fault),
        agreed: decision.agreed.unwrap_or(decision.at).timestamp(),
        text: Text { sv, en },
        because: because.collect(),
        alarm,
    };
    let topic = format!("care/{}/check", resident.id);
    Message { class: Class::Event, at, topic, body: json(&body) }
}

/// A decision that nobody has to answer.
pub(crate) fn decided(gateway: &str, case: &Case, kind: Kind, at: Moment) -> Message {
    let kind = match kind {
        Kind::Fault => Told::Fault,
        Kind::Cleared => Told::Cleared,
        Kind::Warning => Told::Warning,
        Kind::Alarm | Kind::Check => Told::Alarm,
    };
    message(gateway, case, kind, None, None, at)
}

/// Calls of one step of one alarm: all tell the same.
pub(crate) fn called(gateway: &str, case: &Case, calls: &[Call], at: Moment) -> Option<Message> {
    let first = calls.first()?;
    let kind = match first.what {
        What::Alarm => Told::Alarm,
        What::Over => Told::Cleared,
        What::Answered => Told::Answered,
    };
    let to = calls.iter().map(|call| call.role).collect();
    let call = Called { to, number: first.number };
    Some(message(gateway, case, kind, Some(&first.alarm), Some(call), at))
}

fn message(
    gateway: &str,
    case: &Case,
    kind: Told,
    alarm: Option<&str>,
    call: Option<Called>,
    at: Moment,
) -> Message {
    let (mut sv, mut en) = (case.sv.clone(), case.en.clone());
    if kind == Told::Answered {
        sv = format!("Boende {}, {}: någon är på väg.", case.resident, case.rule);
        en = format!("Resident {}, {}: somebody is on the way.", case.resident, case.rule);
    }
    let body = Alarm {
        resident: &case.resident,
        kind,
        rule: &case.rule,
        alarm,
        text: Text { sv, en },
        because: case.because(),
        call,
        account: case.account.as_ref(),
        scaip: case.scaip(gateway),
    };
    // also what is over: an alarm and its end stay in their order over an outage
    let topic = format!("care/{}/alarm", case.resident);
    Message { class: Class::Alarm, at, topic, body: json(&body) }
}

/// The name of an alarm: the same for the same one, whoever asks.
pub(crate) fn name(resident: &str, rule: &str, at: At) -> String {
    format!("{resident}/{rule}/{}", at.0)
}

/// The schemas of these bodies, by the ends of their topics.
#[cfg(test)]
pub(crate) fn schemas() -> [(&'static str, serde_json::Value); 2] {
    use crate::schemas::of;
    [("check", of::<Check<'_>>()), ("alarm", of::<Alarm<'_>>())]
}
