//! Who has looked at what is known of residents: one line in the journal for each time.

use crate::message;
use crate::units::TenantId;
use std::os::unix::fs::MetadataExt;

/// What no login has.
const NOBODY: &str = "4294967295";

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
        let uid = std::fs::metadata("/proc/self").ok().map(|own| own.uid());
        Self { uid, pid: Some(std::process::id()) }
    }

    /// The user who has logged in, whom `sudo` does not change.
    fn login(self) -> Option<String> {
        let file = format!("/proc/{}/loginuid", self.pid?);
        let uid = std::fs::read_to_string(file).ok()?.trim().to_owned();
        (!uid.is_empty() && uid != NOBODY).then_some(uid)
    }
}

/// This is shown of the residents of a tenant. Which of them is not said: that would be as much.
pub fn shown(tenant: &TenantId, what: &str, reader: Reader) {
    let unknown = |number: Option<u32>| number.map_or_else(|| "?".to_owned(), |n| n.to_string());
    let (uid, pid) = (unknown(reader.uid), unknown(reader.pid));
    let login = reader.login().unwrap_or_else(|| uid.clone());
    log::info!(
        MESSAGE_ID = message::CARE_READ,
        LYKTA_TENANT = tenant.as_str(),
        LYKTA_WHAT = what,
        LYKTA_USER = uid.as_str(),
        LYKTA_LOGIN = login.as_str(),
        LYKTA_PROCESS = pid.as_str();
        "{what} of tenant {tenant}, which tell of residents, were shown to user {uid} (logged in as \
         {login}, process {pid})"
    );
}
