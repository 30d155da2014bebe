//! Certificates and private keys of a broker connection, and what is wrong with them. The
//! check and the connection read them here, so that what passes the one serves the other.

use super::secret::{self, Trouble};
use rustls::RootCertStore;
use rustls::crypto::ring::default_provider;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::path::Path;

/// The authorities in a file: all of them, or what is wrong.
pub(crate) fn authorities(path: &Path) -> Result<RootCertStore, Trouble> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store.add(certificate).map_err(|_| {
            (
                format!("a certificate in {} is damaged", path.display()),
                "get the file again from whoever runs the broker".to_owned(),
            )
        })?;
    }
    Ok(store)
}

/// The certificates in a file, at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Trouble> {
    let text = secret::read_lossy(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    match chain {
        Ok(chain) if !chain.is_empty() => Ok(chain),
        Ok(_) => Err((
            format!("{} holds no certificate{}", path.display(), holds_instead(&text)),
            "it must have a section -----BEGIN CERTIFICATE-----".to_owned(),
        )),
        Err(_) => Err(damaged(path)),
    }
}

/// The private key in a file; with a certificate chain, only one that belongs to it.
pub(crate) fn key(
    path: &Path,
    chain: Option<&[CertificateDer<'static>]>,
) -> Result<PrivateKeyDer<'static>, Trouble> {
    let text = secret::read_lossy(path)?;
    let key = match PrivateKeyDer::from_pem_slice(text.as_bytes()) {
        Ok(key) => key,
        Err(_) if text.contains("-----BEGIN ENCRYPTED PRIVATE KEY-----") => {
            let file = path.display();
            return Err((
                format!(
                    "the private key in {file} has a pass phrase, and nobody is there to type it"
                ),
                format!("remove it: openssl pkey -in {file} -out NEW; chmod 600 NEW"),
            ));
        }
        Err(rustls_pki_types::pem::Error::NoItemsFound) => {
            let what = format!("{} holds no private key{}", path.display(), holds_instead(&text));
            let help = "it must have a section -----BEGIN PRIVATE KEY-----";
            return Err((what, help.to_owned()));
        }
        Err(_) => return Err(damaged(path)),
    };
    let Some(chain) = chain else { return Ok(key) };
    match CertifiedKey::from_der(chain.to_vec(), key.clone_key(), &default_provider()) {
        Ok(_) => Ok(key),
        Err(rustls::Error::InconsistentKeys(_)) => Err((
            format!("the private key in {} belongs to another certificate", path.display()),
            "install certificate and key that were issued together".to_owned(),
        )),
        Err(_) => Err((
            format!("{} and its certificate cannot be used together", path.display()),
            "use an ECDSA P-256/P-384, Ed25519 or RSA key (2048 bits or more) and its certificate"
                .to_owned(),
        )),
    }
}

fn damaged(path: &Path) -> Trouble {
    (
        format!("{} is damaged: a PEM section does not end, or is not base64", path.display()),
        "copy the file again, as a whole".to_owned(),
    )
}

/// What a file holds that was taken for another.
fn holds_instead(text: &str) -> &'static str {
    match text {
        _ if text.contains("PRIVATE KEY-----") => " but a private key",
        _ if text.contains("-----BEGIN CERTIFICATE-----") => " but a certificate",
        _ if text.contains("-----BEGIN CERTIFICATE REQUEST-----") => " but a request for one",
        _ if text.trim().is_empty() => ": it is empty",
        _ => " in PEM format",
    }
}
