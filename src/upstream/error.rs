//! Why a connection did not come about or came to its end, in words for operations.

use crate::config::secret::Trouble;

/// Why there is no connection, or no longer.
#[derive(Debug, thiserror::Error)]
pub(super) enum LinkError {
    /// A file that the connection needs cannot be used.
    #[error("{setting}: {what}; {help}")]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// What is wrong with it.
        what: String,
        /// What to do about it.
        help: String,
    },
    /// The broker, or the way to it.
    #[error("{0}")]
    Connection(String),
    /// The broker has ended the connection that it had accepted, perhaps over a message.
    #[error("{0}")]
    Broken(String),
    /// The broker's certificate is not valid at this time, as far as it is known here.
    #[error("{0}")]
    Time(String),
    /// The broker turned the connection down.
    #[error("the broker refuses the connection: {0}")]
    Refused(String),
    /// The broker sent more than is ever taken in one piece.
    #[error("the broker sent a message of more than {limit} KiB on a command topic")]
    TooLarge {
        /// What is taken, in KiB.
        limit: u32,
    },
}

impl LinkError {
    /// Names the setting whose file is in trouble.
    pub(super) fn file(setting: &'static str) -> impl Fn(Trouble) -> Self {
        move |(what, help)| Self::File { setting, what, help }
    }
}
