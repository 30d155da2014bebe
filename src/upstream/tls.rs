//! TLS for the way to the broker: rustls with ring.

use crate::config::Upstream;
use rumqttc::TlsConfiguration;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where Debian keeps the authorities it trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Files that TLS cannot be built from.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Missing, unreadable, or not PEM.
    #[error("{key} {}: {source}", file.display())]
    File {
        /// The setting that names the file.
        key: &'static str,
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        source: pem::Error,
    },
    /// PEM, but without what is looked for.
    #[error("{key} {}: holds no certificate", file.display())]
    Empty {
        /// The setting that names the file.
        key: &'static str,
        /// The file.
        file: PathBuf,
    },
    /// Certificate and key that rustls does not accept.
    #[error("cert and key: {0}")]
    Identity(#[from] rustls::Error),
}

/// Builds the client's TLS configuration from the files named in the settings.
///
/// # Errors
/// When a file is missing or is not what it should be.
pub fn configuration(settings: &Upstream) -> Result<TlsConfiguration, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(authorities(settings)?);
    let config = match (&settings.cert, &settings.key) {
        (Some(cert), Some(key)) => {
            let chain = certificates("cert", cert)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|source| TlsError::File {
                key: "key",
                file: key.clone(),
                source,
            })?;
            builder.with_client_auth_cert(chain, key)?
        }
        _ => builder.with_no_client_auth(),
    };
    Ok(TlsConfiguration::Rustls(Arc::new(config)))
}

/// The file of the authorities that vouch for the broker.
pub(super) fn authorities_file(settings: &Upstream) -> &Path {
    settings.ca.as_deref().unwrap_or(Path::new(SYSTEM_AUTHORITIES))
}

fn authorities(settings: &Upstream) -> Result<RootCertStore, TlsError> {
    let file = authorities_file(settings);
    let mut roots = RootCertStore::empty();
    // the system's bundle may hold an old certificate that rustls does not read; one's own may not
    let (_, ignored) = roots.add_parsable_certificates(certificates("ca", file)?);
    if roots.is_empty() || (settings.ca.is_some() && ignored > 0) {
        return Err(TlsError::Empty { key: "ca", file: file.to_owned() });
    }
    Ok(roots)
}

fn certificates(key: &'static str, file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let wrong = |source| TlsError::File { key, file: file.to_owned(), source };
    let found = CertificateDer::pem_file_iter(file)
        .map_err(wrong)?
        .collect::<Result<Vec<_>, _>>()
        .map_err(wrong)?;
    if found.is_empty() {
        return Err(TlsError::Empty { key, file: file.to_owned() });
    }
    Ok(found)
}
