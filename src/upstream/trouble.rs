//! What goes wrong between here and the broker, in words that operations can act on.
//!
//! No word here may change from attempt to attempt (a time, a count): a trouble is told when
//! it is another than last time.

use super::error::LinkError;
use super::packet::MAX_PACKET;
use crate::config::{BrokerUrl, Upstream};
use crate::units::duration;
use rumqttc::v5::mqttbytes::v5::DisconnectReasonCode as Code;
use rustls::{AlertDescription, CertificateError, Error as TlsError};
use std::fmt::Debug;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// What there is to say about one's own side of a connection.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    url: BrokerUrl,
    client_id: String,
    ca: PathBuf,
    cert: Option<PathBuf>,
    /// After this silence the broker counts as gone.
    pub(super) patience: Duration,
    /// How long a connection may take.
    connect_timeout: Duration,
    /// Whether the broker has accepted the connection.
    pub(super) accepted: bool,
}

/// What ends a connection, or an attempt at one.
#[derive(Debug)]
pub(super) enum Trouble {
    /// What is wrong with TLS hides in it, too.
    Io(io::Error),
    /// The address is no name that a certificate can have.
    Name,
    /// By the other side.
    Closed,
    Silent,
    ConnectTimeout,
    /// The broker does not want the connection.
    TurnedDown(String),
    /// The broker sent more than is ever taken in one piece.
    TooLarge,
    Goodbye(Code),
    Other(String),
}

impl Peer {
    pub(super) fn new(
        settings: &Upstream,
        url: &BrokerUrl,
        client_id: &str,
        connect_timeout: Duration,
    ) -> Self {
        Self {
            url: url.clone(),
            client_id: client_id.to_owned(),
            ca: super::tls::authorities_file(settings).to_owned(),
            cert: settings.cert.clone(),
            patience: settings.keep_alive * 2,
            connect_timeout,
            accepted: false,
        }
    }

    /// The same in words.
    pub(super) fn error(&self, trouble: Trouble) -> LinkError {
        let of_time =
            matches!(&trouble, Trouble::Io(error) if tls_within(error).is_some_and(is_of_time));
        let broken = self.accepted && self.is_over_a_message(&trouble);
        let words = match trouble {
            Trouble::TurnedDown(reason) => return LinkError::Refused(reason),
            Trouble::TooLarge => return LinkError::TooLarge { limit: MAX_PACKET / 1024 },
            trouble => self.words(trouble),
        };
        match (of_time, broken) {
            (true, _) => LinkError::Time(words),
            (_, true) => LinkError::Broken(words),
            _ => LinkError::Connection(words),
        }
    }

    /// Whether a message may have brought this about: the broker has closed the connection
    /// without a reason that is another, or answers in a way that nobody understands.
    fn is_over_a_message(&self, trouble: &Trouble) -> bool {
        match trouble {
            Trouble::Closed | Trouble::Other(_) => true,
            Trouble::Io(error) => tls_within(error).is_none() && is_end(error),
            Trouble::Goodbye(code) => matches!(
                code,
                Code::UnspecifiedError
                    | Code::MalformedPacket
                    | Code::ProtocolError
                    | Code::ImplementationSpecificError
                    | Code::NotAuthorized
                    | Code::TopicNameInvalid
                    | Code::PacketTooLarge
                    | Code::PayloadFormatInvalid
                    | Code::RetainNotSupported
                    | Code::QoSNotSupported
            ),
            Trouble::Name
            | Trouble::Silent
            | Trouble::ConnectTimeout
            | Trouble::TurnedDown(_)
            | Trouble::TooLarge => false,
        }
    }

    fn words(&self, trouble: Trouble) -> String {
        match trouble {
            Trouble::Io(error) => self.io(&error),
            Trouble::Name => {
                format!("{} is no name that a certificate can have", self.url.host)
            }
            Trouble::Closed => self.closed(),
            Trouble::Silent => {
                format!("the broker has not answered for {}", duration::format(self.patience))
            }
            Trouble::ConnectTimeout => {
                format!("no answer within {}", duration::format(self.connect_timeout))
            }
            Trouble::Goodbye(Code::SessionTakenOver) => format!(
                "another client has connected with the client id {}; each needs its own",
                self.client_id
            ),
            Trouble::Goodbye(code) => {
                format!("the broker closed the connection: {}", spaced(&code))
            }
            Trouble::Other(text) | Trouble::TurnedDown(text) => text,
            Trouble::TooLarge => "the broker sends too much at once".into(),
        }
    }

    fn io(&self, error: &io::Error) -> String {
        use io::ErrorKind as Kind;
        if let Some(tls) = tls_within(error) {
            return self.tls(tls);
        }
        match error.kind() {
            Kind::ConnectionRefused => "nothing listens there (connection refused)".into(),
            _ if is_end(error) => self.closed(),
            Kind::TimedOut => format!("no way there: {error}"),
            // the standard library has no kind of its own for this
            _ if error.to_string().starts_with("failed to lookup address") => {
                format!("the name {} cannot be resolved", self.url.host)
            }
            _ => error.to_string(),
        }
    }

    fn closed(&self) -> String {
        let hint = match (self.accepted, self.url.tls, &self.cert) {
            (true, ..) => return "the broker closed the connection".into(),
            (false, false, _) => "does it want TLS (mqtts://)?",
            (false, true, None) => {
                "does it speak TLS on this port? does it ask for a client certificate?"
            }
            (false, true, Some(_)) => "does it speak TLS on this port?",
        };
        format!("the broker closed the connection before it had accepted it; {hint}")
    }

    fn tls(&self, error: &TlsError) -> String {
        match error {
            TlsError::InvalidCertificate(error) => self.broker_certificate(error),
            TlsError::AlertReceived(alert) => self.alert(*alert),
            TlsError::InvalidMessage(_) => {
                format!("TLS: {error}; does it speak TLS on this port?")
            }
            other => format!("TLS: {other}"),
        }
    }

    /// Why the broker's certificate is not believed.
    fn broker_certificate(&self, error: &CertificateError) -> String {
        use CertificateError as E;
        let clock = "renew it, or set this gateway's clock";
        let why = match error {
            E::UnknownIssuer | E::BadSignature => {
                format!("is not signed by an authority in {}", self.ca.display())
            }
            E::Expired => format!("has expired; {clock}"),
            E::ExpiredContext { not_after, .. } => {
                format!("expired at {}; {clock}", time(not_after.as_secs()))
            }
            E::NotValidYet => "is not valid yet; set this gateway's clock".into(),
            E::NotValidYetContext { not_before, .. } => {
                format!("is valid from {} on; set this gateway's clock", time(not_before.as_secs()))
            }
            E::NotValidForName => format!("is not for {}", self.url.host),
            E::NotValidForNameContext { presented, .. } => {
                let names: Vec<_> = presented.iter().map(|name| plain(name)).collect();
                format!("is for {}, not for {}", names.join(" and "), self.url.host)
            }
            E::Revoked => "is revoked".into(),
            other => format!("cannot be used: {other}"),
        };
        format!("the broker's certificate {why}")
    }

    /// What the broker does not like about this side.
    fn alert(&self, alert: AlertDescription) -> String {
        use AlertDescription as A;
        let why = match alert {
            A::UnknownCA => "unknown authority",
            A::CertificateExpired => "it has expired",
            A::CertificateRevoked => "it is revoked",
            A::BadCertificate
            | A::CertificateUnknown
            | A::UnsupportedCertificate
            | A::DecryptError
            | A::AccessDenied => "its log may say why",
            A::CertificateRequired | A::HandshakeFailure if self.cert.is_none() => {
                return "the broker asks for a client certificate; set cert and key".into();
            }
            A::ProtocolVersion => return "TLS: the broker speaks neither TLS 1.3 nor 1.2".into(),
            other => return format!("TLS: the broker answers {}", spaced(&other)),
        };
        match &self.cert {
            Some(cert) => format!(
                "the broker does not accept the client certificate {}: {why}",
                cert.display()
            ),
            None => format!("TLS: the broker answers {}", spaced(&alert)),
        }
    }
}

/// Whether the other side has closed the connection, in whichever way.
fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionReset | Kind::ConnectionAborted | Kind::BrokenPipe | Kind::UnexpectedEof
    )
}

/// rustls hides behind an I/O error of another crate.
fn tls_within(error: &io::Error) -> Option<&TlsError> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>())
}

/// Whether the clock may be at fault: this one, or that of whoever issued the certificate.
fn is_of_time(error: &TlsError) -> bool {
    use CertificateError as E;
    matches!(
        error,
        TlsError::InvalidCertificate(
            E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. }
        )
    )
}

/// What to do about a connection that the broker turned down, by the name of its reason.
pub(super) fn refused(code: &impl Debug) -> String {
    let name = format!("{code:?}");
    let hint = match name.as_str() {
        "NotAuthorized" | "BadUserNamePassword" | "Banned" => {
            "; check username and password_file (a credential that was changed holds from the next \
             start on), or what the broker asks for instead"
        }
        "BadClientId" | "ClientIdentifierNotValid" => "; check client_id",
        "RefusedProtocolVersion" | "UnsupportedProtocolVersion" => "; try the other protocol",
        _ => "",
    };
    format!("{}{hint}", spaced(code))
}

/// The name of a reason as words: `NotAuthorized` becomes "not authorized".
pub(super) fn spaced(name: &impl Debug) -> String {
    let mut words = String::new();
    for letter in format!("{name:?}").chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

/// A name of a certificate, without rustls's way of writing: `DnsName("example.org")`.
fn plain(presented: &str) -> &str {
    presented.split('"').nth(1).unwrap_or(presented)
}

fn time(unix_seconds: u64) -> String {
    let seconds = i64::try_from(unix_seconds).unwrap_or(i64::MAX);
    jiff::Timestamp::from_second(seconds).map_or_else(|_| "never".into(), |t| t.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_become_words() {
        assert_eq!(spaced(&Code::NotAuthorized), "not authorized");
        assert_eq!(spaced(&AlertDescription::AccessDenied), "access denied");
        assert_eq!(plain("DnsName(\"example.org\")"), "example.org");
        assert_eq!(plain("10.0.0.1"), "10.0.0.1");
        assert_eq!(time(0), "1970-01-01T00:00:00Z");
    }
}
