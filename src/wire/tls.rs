//! Whom we trust: the system's roots, or the bundle that the configuration names in their place.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{CertificateError, ClientConfig, InvalidMessage, RootCertStore};

use crate::error::{Error, ErrorKind, Result};

/// TLS 1.2 and up with server certificates checked; there is no switch to leave the check out.
pub(super) fn config(ca_bundle: Option<&Path>) -> Result<ClientConfig> {
    let roots = match ca_bundle {
        Some(path) => bundle(path)?,
        None => system(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(ErrorKind::Internal, "set up TLS").from_source(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(config)
}

fn system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "a system certificate was left out");
    }
    roots.add_parsable_certificates(found.certs);
    roots
}

fn bundle(path: &Path) -> Result<RootCertStore> {
    let doing = || format!("read the `ca_bundle` `{}`", path.display());
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(path)
        .map_err(|error| Error::new(ErrorKind::Invalid, doing()).from_source(error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| Error::new(ErrorKind::Invalid, doing()).from_source(error))?;
        roots.add(certificate).map_err(|error| Error::new(ErrorKind::Invalid, doing()).from_source(error))?;
    }
    if roots.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, doing())
            .because("it holds no certificate")
            .hint("name a PEM file with `-----BEGIN CERTIFICATE-----` blocks"));
    }
    Ok(roots)
}

/// Why a handshake failed, and what the reader can do about it.
pub(super) fn verdict(error: &rustls::Error) -> (String, &'static str) {
    use CertificateError as Bad;
    match error {
        rustls::Error::InvalidCertificate(bad) => match bad {
            Bad::UnknownIssuer => (
                "its TLS certificate comes from an authority that is not trusted".to_owned(),
                "for a private authority set `ca_bundle` to its PEM file",
            ),
            Bad::Expired | Bad::ExpiredContext { .. } => (
                "its TLS certificate has expired".to_owned(),
                "renew the server's certificate, or set this machine's clock",
            ),
            Bad::NotValidYet | Bad::NotValidYetContext { .. } => {
                ("its TLS certificate is not valid yet".to_owned(), "set this machine's clock, or the server's")
            }
            Bad::NotValidForName | Bad::NotValidForNameContext { .. } => (
                format!("its TLS certificate was refused: {bad}"),
                "use the name that the certificate is for, or check that the address is the right server's",
            ),
            _ => (format!("its TLS certificate was refused: {bad}"), "have the server's certificate replaced"),
        },
        // What the first bytes of an HTTP server look like to TLS.
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => {
            ("it does not speak TLS on this port".to_owned(), "write `http://`, or name the port that speaks TLS")
        }
        _ => (
            format!("its TLS certificate or protocol was refused: {error}"),
            "check the host name; the server must speak TLS 1.2 or newer",
        ),
    }
}
