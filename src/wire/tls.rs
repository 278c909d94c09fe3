//! Whom we trust: the system's roots, or the bundle that the configuration names in their place.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

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
