//! What can be wrong with a gateway: one vocabulary for the journal (`LYKTA_FAULT`), `lykta status`,
//! the health message and the metrics.

use crate::message as m;
use serde::{Deserialize, Serialize};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Something is lost, or will be, or is not done.
    Error,
    /// All is kept and done, as far as that is possible without it.
    Warning,
}

impl Severity {
    /// How loudly the journal tells of it.
    pub fn level(self) -> log::Level {
        match self {
            Self::Error => log::Level::Error,
            Self::Warning => log::Level::Warn,
        }
    }

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

macro_rules! faults {
    ($($(#[doc = $doc:literal])* $name:ident = $code:literal, $severity:ident,
        begins $begins:expr, $what:literal, $action:literal;)*) => {
        /// Something that is wrong for as long as it is not mended.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Fault {$($(#[doc = $doc])* $name,)*}

        impl Fault {
            /// All of them, the worst first.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name, which never changes.
            pub fn code(self) -> &'static str {
                match self {$(Self::$name => $code),*}
            }

            /// How bad it is.
            pub fn severity(self) -> Severity {
                match self {$(Self::$name => Severity::$severity),*}
            }

            /// What is wrong.
            pub fn what(self) -> &'static str {
                match self {$(Self::$name => $what),*}
            }

            /// What to do.
            pub fn action(self) -> &'static str {
                match self {$(Self::$name => $action),*}
            }

            /// The ids of the messages that tell of its beginning, or that it is another one now.
            pub fn messages(self) -> &'static [&'static str] {
                match self {$(Self::$name => &$begins),*}
            }
        }
    };
}

faults! {
    /// Alarms were lost.
    AlarmsLost = "alarms-lost", Error, begins [m::ALARMS_LOST],
        "alarms were lost: neither disk nor memory had room",
        "ask the homes and bins concerned; replace the card";
    /// The disk of a tenant takes nothing.
    StoreFails = "store-fails", Error, begins [m::STORE_FAILED],
        "the disk takes nothing",
        "look for a full, read-only or dying card (journalctl -k, df); replace it";
    /// A radio does not work.
    RadioDown = "radio-down", Error, begins [m::RADIO_MISSING, m::RADIO_FAULT],
        "a radio does not work",
        "check its seat, its wiring and its settings";
    /// A radio hears nothing.
    RadioDeaf = "radio-deaf", Error, begins [m::RADIO_DEAF],
        "a radio hears none of its devices",
        "check antenna and cable";
    /// The port for concentrators cannot be opened.
    ConcentratorPort = "concentrator-port", Error, begins [m::CONCENTRATOR_PORT],
        "the port for concentrators cannot be opened",
        "stop the other packet forwarder or gateway, or change `listen`";
    /// What is written in the configuration does not hold.
    SettingsRefused = "settings-refused", Error, begins [m::RELOAD_REFUSED],
        "the configuration was changed and does not hold",
        "lykta check, then reload, or restart where that is asked for";
    /// A script is not run any more.
    CodecStopped = "codec-stopped", Error, begins [m::CODEC_QUARANTINED],
        "a codec had to be stopped too often, and its devices are delivered raw",
        "mend the script, install it anew, and reload";
    /// Messages are given up.
    Shedding = "shedding", Error, begins [m::SHEDDING],
        "the buffer is full and messages are given up, the least important first",
        "bring the broker back, or allow more in `buffer`";
    /// A broker refuses messages.
    Refused = "messages-refused", Error, begins [m::UPSTREAM_REFUSED],
        "the broker refuses messages; they are kept, and offered again",
        "let this user publish to its topics: the broker's ACL";
    /// The supply is too weak.
    UnderVoltage = "under-voltage", Error, begins [m::UNDER_VOLTAGE],
        "the supply is too weak",
        "take another power supply or a shorter cable: cards die of it";
    /// The machine is too hot.
    Throttled = "throttled", Warning, begins [m::THROTTLED],
        "the machine is too hot and goes slower",
        "give it shade, air or a heat sink";
    /// Little room is left on the card.
    DiskNearlyFull = "disk-nearly-full", Warning, begins [m::DISK_NEARLY_FULL],
        "little room is left on the disk",
        "see what fills it (du -x /), cap the journal";
    /// Nobody has set the clock.
    ClockUnset = "clock-unset", Warning, begins [m::CLOCK_UNSET],
        "nobody has set the clock",
        "let the gateway reach a time server, or fit an RTC";
    /// A broker is not reached.
    NoBroker = "no-broker", Warning, begins [m::UPSTREAM_LOST],
        "the broker is not reached; everything is kept",
        "see the reason: name, network, certificate, password";
    /// A broker does not take some messages.
    SetAside = "messages-set-aside", Warning, begins [m::UPSTREAM_SET_ASIDE],
        "the broker does not take some messages; they are kept aside",
        "look at its log and its rights for these topics";
    /// No commands can come.
    CommandsRefused = "commands-refused", Warning, begins [m::COMMANDS_REFUSED],
        "no commands can come",
        "allow the second connection and its subscription, or set commands = false";
    /// Answers cannot be sent.
    AnswersFail = "answers-fail", Warning, begins [m::DOWNLINK_FAILED],
        "answers to devices cannot be sent",
        "see whether the concentrator asks for downlinks and sends them";
    /// A concentrator is silent.
    ConcentratorSilent = "concentrator-silent", Warning, begins [m::CONCENTRATOR_SILENT],
        "a concentrator that was heard is silent",
        "look after its power, its network and its packet forwarder";
    /// Sessions are kept once only.
    SessionsOnce = "sessions-once", Warning, begins [],
        "sessions of devices are kept once only",
        "look for a full or dying card";
    /// Devices are silent.
    DevicesSilent = "devices-silent", Warning, begins [],
        "devices are silent for longer than they should be",
        "lykta device list shows them first: battery, reach, or gone";
}

impl Fault {
    /// Of which fault a message with this id tells.
    pub fn told_by(id: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|fault| fault.messages().contains(&id))
    }

    /// All as a table in Markdown.
    pub fn table() -> String {
        let mut table =
            String::from("| fault | | what is wrong | what to do |\n| --- | --- | --- | --- |\n");
        for fault in Self::ALL {
            table.push_str(&format!(
                "| `{}` | {} | {} | {} |\n",
                fault.code(),
                fault.severity().as_str(),
                fault.what(),
                fault.action()
            ));
        }
        table
    }
}

/// A fault that there is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Standing {
    /// Its name, which never changes.
    pub code: String,
    /// How bad it is.
    pub severity: Severity,
    /// What it is about: a tenant, a radio, a concentrator, a profile; none of the whole gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub action: String,
}

impl Standing {
    /// A fault of the whole gateway.
    pub fn new(fault: Fault) -> Self {
        Self {
            code: fault.code().to_owned(),
            severity: fault.severity(),
            about: None,
            what: fault.what().to_owned(),
            action: fault.action().to_owned(),
        }
    }

    /// The fault of this part of it.
    pub fn of(fault: Fault, about: impl ToString) -> Self {
        Self { about: Some(about.to_string()), ..Self::new(fault) }
    }
}

/// Those of which this holds.
pub fn that_hold(all: impl IntoIterator<Item = (bool, Fault)>) -> impl Iterator<Item = Fault> {
    all.into_iter().filter_map(|(holds, fault)| holds.then_some(fault))
}

/// The worst first, each with those of its kind.
pub fn sort(faults: &mut [Standing]) {
    let rank = |standing: &Standing| Fault::ALL.iter().position(|f| f.code() == standing.code);
    faults.sort_by(|a, b| rank(a).cmp(&rank(b)).then_with(|| a.about.cmp(&b.about)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn each_has_a_name_of_its_own_and_no_message_tells_of_two() {
        let codes: BTreeSet<_> = Fault::ALL.iter().map(|fault| fault.code()).collect();
        assert_eq!(codes.len(), Fault::ALL.len());
        let messages: Vec<_> = Fault::ALL.iter().flat_map(|fault| fault.messages()).collect();
        assert_eq!(messages.iter().collect::<BTreeSet<_>>().len(), messages.len());
    }

    #[test]
    fn errors_come_before_warnings() {
        let order: Vec<_> = Fault::ALL.iter().map(|fault| fault.severity()).collect();
        let first_warning = order.iter().position(|s| *s == Severity::Warning).expect("one");
        assert!(order[first_warning..].iter().all(|severity| *severity == Severity::Warning));
    }
}
