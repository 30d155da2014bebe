//! Who has looked at what is known of residents: one line in the journal for each time.

use crate::message;
use crate::units::TenantId;
use nix::unistd::geteuid;
use std::fmt;

/// What no login has.
const NOBODY: &str = "4294967295";

/// What is shown: how devices in homes are heard.
pub const DEVICES: &str = "devices";
/// What is shown: whom a patrol visits.
pub const VISITS: &str = "the visits of a plan";
/// What is shown: what residents' sensors say, as far as it is not delivered.
pub const MESSAGES: &str = "the messages that wait";

/// Somebody on this machine who looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    /// The user as whom, where the system says so.
    pub uid: Option<u32>,
    /// By which process.
    pub pid: Option<u32>,
}

impl Reader {
    /// Whoever runs this process.
    #[must_use]
    pub fn own() -> Self {
        Self { uid: Some(geteuid().as_raw()), pid: Some(std::process::id()) }
    }

    /// Under the shipped unit the daemon sees no process but its own. That is why commands note for
    /// themselves what they show.
    fn login(self) -> Login {
        let file = self.pid.map(|pid| format!("/proc/{pid}/loginuid"));
        let text = file.and_then(|file| std::fs::read_to_string(file).ok());
        match text.as_deref().map(str::trim) {
            None | Some("") => Login::Unknown,
            Some(NOBODY) => Login::Nobody,
            Some(uid) => Login::User(uid.to_owned()),
        }
    }
}

/// Who has logged in, whom `sudo` does not change.
#[derive(Debug, PartialEq, Eq)]
enum Login {
    User(String),
    /// A service or a timer.
    Nobody,
    Unknown,
}

impl Login {
    fn field(&self) -> &str {
        match self {
            Self::User(uid) => uid,
            Self::Nobody => "nobody",
            Self::Unknown => "not known",
        }
    }
}

impl fmt::Display for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(f, "logged in as {uid}"),
            Self::Nobody => f.write_str("nobody has logged in"),
            Self::Unknown => f.write_str("login not known"),
        }
    }
}

/// This is shown of the residents of these tenants. Which of them is not said: that would be as
/// much.
pub fn shown(tenants: &[TenantId], what: &str, reader: Reader) {
    let unknown = |number: Option<u32>| number.map_or_else(|| "?".to_owned(), |n| n.to_string());
    for tenant in tenants {
        let (uid, pid) = (unknown(reader.uid), unknown(reader.pid));
        let login = reader.login();
        log::info!(
            MESSAGE_ID = message::CARE_READ,
            LYKTA_TENANT = tenant.as_str(),
            LYKTA_WHAT = what,
            LYKTA_USER = uid.as_str(),
            LYKTA_LOGIN = login.field(),
            LYKTA_PROCESS = pid.as_str();
            "{what} of tenant {tenant}, which tell of residents, were shown to user {uid} ({login}, \
             process {pid})"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_that_cannot_be_read_is_not_known() {
        // no process has this number
        let hidden = Reader { uid: Some(0), pid: Some(u32::MAX) };
        assert_eq!(hidden.login(), Login::Unknown);
        assert_eq!(Reader { uid: Some(0), pid: None }.login(), Login::Unknown);
        assert_eq!(hidden.login().to_string(), "login not known");
    }
}
