//! TLS for the way to the broker: rustls with ring.

use super::error::LinkError;
use crate::clock::Clock;
use crate::config::{Upstream, tls};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::UnixTime;
use std::path::Path;
use std::sync::Arc;

/// Where Debian keeps the authorities it trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Certificates are held against the clock that all else goes by, which is never before the last
/// time that is known for certain, also when the machine's own is.
#[derive(Debug)]
struct WallTime(Clock);

impl TimeProvider for WallTime {
    fn current_time(&self) -> Option<UnixTime> {
        let wall = self.0.now().wall.as_duration();
        // before 1970 no certificate is valid, nor in it
        Some(UnixTime::since_unix_epoch(wall.try_into().unwrap_or_default()))
    }
}

/// Builds the client's TLS configuration from the files named in the settings, as they are now.
pub(super) fn configuration(
    settings: &Upstream,
    clock: &Clock,
) -> Result<Arc<ClientConfig>, LinkError> {
    let roots = match &settings.ca {
        Some(ca) => tls::authorities(ca).map_err(LinkError::file("ca"))?,
        None => system_authorities().map_err(LinkError::file("ca"))?,
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let unusable = |error: rustls::Error| LinkError::Connection(format!("TLS: {error}"));
    let builder = ClientConfig::builder_with_details(provider, Arc::new(WallTime(clock.clone())))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_root_certificates(roots);
    let config = match (&settings.cert, &settings.key) {
        (Some(cert), Some(key)) => {
            let chain = tls::certificates(cert).map_err(LinkError::file("cert"))?;
            let key = tls::key(key, Some(&chain)).map_err(LinkError::file("key"))?;
            builder.with_client_auth_cert(chain, key).map_err(unusable)?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

/// The file of the authorities that vouch for the broker.
pub(super) fn authorities_file(settings: &Upstream) -> &Path {
    settings.ca.as_deref().unwrap_or(Path::new(SYSTEM_AUTHORITIES))
}

fn system_authorities() -> Result<RootCertStore, crate::config::secret::Trouble> {
    let mut roots = RootCertStore::empty();
    // the system's bundle may hold an old certificate that rustls does not read
    roots.add_parsable_certificates(tls::certificates(Path::new(SYSTEM_AUTHORITIES))?);
    Ok(roots)
}
