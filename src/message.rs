//! The stable ids of what lykta tells operations.
//!
//! Each goes into the journal as `MESSAGE_ID`, so that an alarm or a dashboard can match it
//! whatever the wording, and has an entry in `systemd/lykta.catalog` that says what it means
//! and what to do (`journalctl -x`). An id is never reused for something else.

/// What a message is, which decides whether it may be left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nature {
    /// News of what may come and go all the time: told a few times, then counted. Errors are told
    /// each time all the same.
    News,
    /// Each is told: the end of what is told each time, an answer to somebody's deed, or a message
    /// that is another one by its words alone.
    Word,
    /// Who has done what, and why lykta does not run as it was asked to: each is told, however
    /// little is asked for with `LYKTA_LOG`.
    Account,
}

macro_rules! messages {
    (@nature) => { Nature::News };
    (@nature $nature:ident) => { Nature::$nature };
    ($($(#[$doc:meta])* $name:ident = $id:literal $(, $nature:ident)?;)*) => {
        $($(#[$doc])* pub const $name: &str = $id;)*

        /// Every id, with its name.
        pub const ALL: &[(&str, &str)] = &[$((stringify!($name), $id)),*];

        /// What the message with this id is. One of nobody's is news.
        pub fn nature(id: &str) -> Nature {
            match id {
                $($id => messages!(@nature $($nature)?),)*
                _ => Nature::News,
            }
        }
    };
}

messages! {
    /// lykta runs: every part has started or has said why not.
    STARTED = "8c9f6a2e4d0b4f57a1e35d7c90b1e201";
    /// lykta stops, in order.
    STOPPING = "8c9f6a2e4d0b4f57a1e35d7c90b1e202";
    /// lykta cannot go on.
    FAILED = "8c9f6a2e4d0b4f57a1e35d7c90b1e203", Account;
    /// A part of lykta hangs; the service manager ends lykta and starts it again.
    HANGS = "8c9f6a2e4d0b4f57a1e35d7c90b1e205";
    /// Something in the configuration deserves a look.
    CONFIG_WARNING = "8c9f6a2e4d0b4f57a1e35d7c90b1e204", Word;
    /// The configuration was read again and holds.
    RELOADED = "8c9f6a2e4d0b4f57a1e35d7c90b1e206", Word;
    /// The configuration was read again and does not hold; that of before does.
    RELOAD_REFUSED = "8c9f6a2e4d0b4f57a1e35d7c90b1e207", Account;
    /// The machine's supply is too weak.
    UNDER_VOLTAGE = "8c9f6a2e4d0b4f57a1e35d7c90b1e208";
    /// The machine is too hot.
    THROTTLED = "8c9f6a2e4d0b4f57a1e35d7c90b1e209";
    /// The disk with the state is nearly full.
    DISK_NEARLY_FULL = "8c9f6a2e4d0b4f57a1e35d7c90b1e20a";
    /// Nobody has set the clock.
    CLOCK_UNSET = "8c9f6a2e4d0b4f57a1e35d7c90b1e20b";
    /// A trouble of the machine is over.
    MACHINE_WELL = "8c9f6a2e4d0b4f57a1e35d7c90b1e20c", Word;
    /// The UDP port for concentrators cannot be opened; lykta keeps trying.
    CONCENTRATOR_PORT = "8c9f6a2e4d0b4f57a1e35d7c90b1e210";
    /// A concentrator was heard for the first time, or again.
    CONCENTRATOR_HEARD = "8c9f6a2e4d0b4f57a1e35d7c90b1e211";
    /// A concentrator that was heard before is silent.
    CONCENTRATOR_SILENT = "8c9f6a2e4d0b4f57a1e35d7c90b1e212";
    /// A concentrator that is not on the allow-list tries to speak.
    CONCENTRATOR_REFUSED = "8c9f6a2e4d0b4f57a1e35d7c90b1e213";
    /// Frames came faster than they could be kept, and some were dropped.
    FRAMES_DROPPED = "8c9f6a2e4d0b4f57a1e35d7c90b1e214";
    /// The UDP port for concentrators could be opened at last.
    CONCENTRATOR_PORT_OPEN = "8c9f6a2e4d0b4f57a1e35d7c90b1e215", Word;
    /// More concentrators speak than are watched one by one.
    CONCENTRATORS_CROWD = "8c9f6a2e4d0b4f57a1e35d7c90b1e216";
    /// A device's payloads can no longer be decoded; they are delivered raw.
    DECODE_FAILED = "8c9f6a2e4d0b4f57a1e35d7c90b1e220";
    /// A device's payloads can be decoded again.
    DECODE_WORKS = "8c9f6a2e4d0b4f57a1e35d7c90b1e221";
    /// A codec brought down its process too often and is not run any more.
    CODEC_QUARANTINED = "8c9f6a2e4d0b4f57a1e35d7c90b1e22a";
    /// The process in which codecs run does not start.
    CODECS_FAILED = "8c9f6a2e4d0b4f57a1e35d7c90b1e22b";
    /// Somebody has ended the process in which codecs run; there is another one.
    CODECS_ENDED = "8c9f6a2e4d0b4f57a1e35d7c90b1e22c";
    /// A device counts from zero again and is refused.
    COUNTER_RESET_REFUSED = "8c9f6a2e4d0b4f57a1e35d7c90b1e222";
    /// A device was allowed to count from zero again.
    COUNTER_RESET = "8c9f6a2e4d0b4f57a1e35d7c90b1e223";
    /// A device joined.
    DEVICE_JOINED = "8c9f6a2e4d0b4f57a1e35d7c90b1e224";
    /// A registered device asks to join and is refused.
    JOIN_REFUSED = "8c9f6a2e4d0b4f57a1e35d7c90b1e225";
    /// A device does not stay on the channel that is heard.
    DEVICE_NOT_PINNED = "8c9f6a2e4d0b4f57a1e35d7c90b1e226";
    /// An answer to a device could not be sent.
    DOWNLINK_FAILED = "8c9f6a2e4d0b4f57a1e35d7c90b1e227";
    /// Answers are sent again.
    DOWNLINK_WORKS = "8c9f6a2e4d0b4f57a1e35d7c90b1e228";
    /// What is heard cannot be written to the disk.
    STORE_FAILED = "8c9f6a2e4d0b4f57a1e35d7c90b1e230";
    /// The disk takes writes again.
    STORE_WORKS = "8c9f6a2e4d0b4f57a1e35d7c90b1e231", Word;
    /// A tenant's database was damaged, and what could be read of it goes on in a new one.
    STORE_SET_ASIDE = "8c9f6a2e4d0b4f57a1e35d7c90b1e232";
    /// There was no room for alarms, neither on the disk nor in memory.
    ALARMS_LOST = "8c9f6a2e4d0b4f57a1e35d7c90b1e233";
    /// The buffer is full, and messages are given up, the least important first.
    SHEDDING = "8c9f6a2e4d0b4f57a1e35d7c90b1e234";
    /// The buffer has room again.
    SHEDDING_ENDED = "8c9f6a2e4d0b4f57a1e35d7c90b1e235";
    /// A tenant's database is under its key from now on.
    STORE_ENCRYPTED = "8c9f6a2e4d0b4f57a1e35d7c90b1e236", Word;
    /// The second file with a tenant's sessions was damaged, and is made anew.
    STORE_COPY_RENEWED = "8c9f6a2e4d0b4f57a1e35d7c90b1e237";
    /// A tenant's broker is connected.
    UPSTREAM_CONNECTED = "8c9f6a2e4d0b4f57a1e35d7c90b1e240";
    /// A tenant's broker is not reached; everything is kept.
    UPSTREAM_LOST = "8c9f6a2e4d0b4f57a1e35d7c90b1e241";
    /// The broker refuses messages; they are kept.
    UPSTREAM_REFUSED = "8c9f6a2e4d0b4f57a1e35d7c90b1e242";
    /// The broker does not want the connection for commands, or does not grant the subscription.
    COMMANDS_REFUSED = "8c9f6a2e4d0b4f57a1e35d7c90b1e243";
    /// Commands can come again.
    COMMANDS_WORK = "8c9f6a2e4d0b4f57a1e35d7c90b1e244";
    /// The broker does not take some messages; they are set aside.
    UPSTREAM_SET_ASIDE = "8c9f6a2e4d0b4f57a1e35d7c90b1e248";
    /// Messages that were set aside have been taken.
    UPSTREAM_TAKEN_AFTER_ALL = "8c9f6a2e4d0b4f57a1e35d7c90b1e249", Word;
    /// There was no broker for long, and the command that restarts the modem was run.
    MODEM_COMMAND = "8c9f6a2e4d0b4f57a1e35d7c90b1e24a";
    /// A concentrator refuses one downlink after the other.
    DOWNLINK_REFUSED = "8c9f6a2e4d0b4f57a1e35d7c90b1e260";
    /// A concentrator takes downlinks again.
    DOWNLINK_TAKEN = "8c9f6a2e4d0b4f57a1e35d7c90b1e261";
    /// Datagrams come from a network that is not allowed.
    CONCENTRATOR_SOURCE_REFUSED = "8c9f6a2e4d0b4f57a1e35d7c90b1e262";
    /// A gateway may send no more in a part of the band for now.
    DUTY_CYCLE_REACHED = "8c9f6a2e4d0b4f57a1e35d7c90b1e263";
    /// The record of what was sent is damaged and was set aside.
    AIRTIME_SET_ASIDE = "8c9f6a2e4d0b4f57a1e35d7c90b1e264";
    /// A plan was made, or came from the cloud.
    PLAN_MADE = "8c9f6a2e4d0b4f57a1e35d7c90b1e280", Word;
    /// What must be done on a day is more than its vehicles can do.
    PLAN_SHORT = "8c9f6a2e4d0b4f57a1e35d7c90b1e281";
    /// No plan could be made; the last one holds.
    PLAN_FAILED = "8c9f6a2e4d0b4f57a1e35d7c90b1e282";
    /// A plan breaks a rule and is not published; the last one holds.
    PLAN_FAULTY = "8c9f6a2e4d0b4f57a1e35d7c90b1e283";
    /// The roads cannot be read; plans are estimated by straight lines.
    ROADS_MISSING = "8c9f6a2e4d0b4f57a1e35d7c90b1e284";
    /// The socket at which `lykta status` asks cannot be opened; lykta keeps trying.
    STATUS_SOCKET = "8c9f6a2e4d0b4f57a1e35d7c90b1e270";
    /// That socket could be opened at last.
    STATUS_SOCKET_OPEN = "8c9f6a2e4d0b4f57a1e35d7c90b1e271";
    /// The metrics cannot be served where they are wanted; lykta keeps trying.
    METRICS_CLOSED = "8c9f6a2e4d0b4f57a1e35d7c90b1e272";
    /// The metrics can be read at last.
    METRICS_OPEN = "8c9f6a2e4d0b4f57a1e35d7c90b1e273";
    /// A radio HAT listens.
    RADIO_UP = "8c9f6a2e4d0b4f57a1e35d7c90b1e250", Word;
    /// A radio HAT cannot be opened, or has failed for good; it is tried again.
    RADIO_MISSING = "8c9f6a2e4d0b4f57a1e35d7c90b1e251";
    /// A radio HAT failed and is set up again.
    RADIO_FAULT = "8c9f6a2e4d0b4f57a1e35d7c90b1e252";
    /// A radio HAT has worked without a fault for five minutes.
    RADIO_WORKS = "8c9f6a2e4d0b4f57a1e35d7c90b1e253", Word;
    /// A radio hears nothing though its devices are due.
    RADIO_DEAF = "8c9f6a2e4d0b4f57a1e35d7c90b1e254";
    /// A radio that was deaf hears its devices again.
    RADIO_HEARS = "8c9f6a2e4d0b4f57a1e35d7c90b1e255", Word;
    /// A lamp or relay cannot be driven.
    OUTPUT_MISSING = "8c9f6a2e4d0b4f57a1e35d7c90b1e256";
    /// A radio's interrupt line does not tell of edges.
    RADIO_EDGES = "8c9f6a2e4d0b4f57a1e35d7c90b1e257";
    /// A bin burns.
    BIN_FIRE = "8c9f6a2e4d0b4f57a1e35d7c90b1e2a0";
    /// A bin burns no longer.
    BIN_FIRE_OVER = "8c9f6a2e4d0b4f57a1e35d7c90b1e2a1", Word;
    /// The sensor of a bin is silent, and its usual losses do not explain that.
    BIN_SENSOR_LOST = "8c9f6a2e4d0b4f57a1e35d7c90b1e2a2";
    /// The sensor of a bin is heard again.
    BIN_SENSOR_HEARD = "8c9f6a2e4d0b4f57a1e35d7c90b1e2a3";
    /// Somebody tampers with the sensor of a bin.
    BIN_SENSOR_TAMPERED = "8c9f6a2e4d0b4f57a1e35d7c90b1e2a4";
    /// The sensor of a bin sees a fixed part and not the waste.
    BIN_ECHO_FIXED = "8c9f6a2e4d0b4f57a1e35d7c90b1e2a5";
    /// The battery of a bin's sensor is to be changed.
    BIN_BATTERY_LOW = "8c9f6a2e4d0b4f57a1e35d7c90b1e2a6";
    /// Nobody knows any more whether residents have withdrawn consent.
    CONSENT_LOST = "8c9f6a2e4d0b4f57a1e35d7c90b1e2b0";
    /// Somebody on this machine has looked at what is known of residents.
    CARE_READ = "8c9f6a2e4d0b4f57a1e35d7c90b1e2b1", Account;
    /// What is to be erased of residents cannot be overwritten.
    NOT_ERASED = "8c9f6a2e4d0b4f57a1e35d7c90b1e2b2";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_128_bits_and_unique() {
        let mut ids: Vec<_> = ALL.iter().map(|(_, id)| *id).collect();
        assert!(ids.iter().all(|id| id.len() == 32 && id.chars().all(|c| c.is_ascii_hexdigit())));
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ALL.len());
    }

    #[test]
    fn only_what_comes_and_goes_is_news() {
        let words = [
            CONFIG_WARNING,
            RELOADED,
            STORE_WORKS,
            CONCENTRATOR_PORT_OPEN,
            MACHINE_WELL,
            RADIO_UP,
            RADIO_WORKS,
            RADIO_HEARS,
            BIN_FIRE_OVER,
            UPSTREAM_TAKEN_AFTER_ALL,
            PLAN_MADE,
        ];
        assert!(words.into_iter().all(|id| nature(id) == Nature::Word));
        assert_eq!(nature(CARE_READ), Nature::Account);
        assert_eq!(nature(UPSTREAM_LOST), Nature::News);
        assert_eq!(nature("of somebody else"), Nature::News);
    }
}
