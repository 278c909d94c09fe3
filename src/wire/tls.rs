//! Whom we trust: the system's roots, or the bundle that the configuration names in their place; and what we show of ourselves where a
//! server asks for a certificate.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{AlertDescription, CertificateError, ClientConfig, InvalidMessage, RootCertStore};
use zeroize::Zeroizing;

use super::client::ClientCertificate;
use crate::error::{Error, ErrorKind, Result};

/// TLS 1.2 and up with server certificates checked; there is no switch to leave the check out.
pub(super) fn config(ca_bundle: Option<&Path>, ours: Option<&ClientCertificate>) -> Result<ClientConfig> {
    let roots = match ca_bundle {
        Some(path) => bundle(path)?,
        None => system(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::new(ErrorKind::Internal, "set up TLS").from_source(error))?
        .with_root_certificates(roots);
    let Some(ours) = ours else { return Ok(builder.with_no_client_auth()) };
    let key = private_key(&ours.key)?;
    builder.with_client_auth_cert(certificates("client_certificate", &ours.certificate)?, key).map_err(|error| {
        Error::new(ErrorKind::Invalid, format!("use the `client_certificate` `{}`", ours.certificate.display()))
            .because(format!("it does not go with the `client_key` `{}`: {error}", ours.key.display()))
            .hint("name the certificate and the key that were made together, the certificate first in its file")
    })
}

/// A private key; encrypted ones are told as such, as no passphrase is asked for.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>> {
    let doing = || format!("read the `client_key` `{}`", path.display());
    let text = std::fs::read(path).map_err(|error| Error::new(ErrorKind::Invalid, doing()).from_source(error))?;
    let text = Zeroizing::new(text);
    let holds = |words: &[u8]| text.windows(words.len()).any(|window| window == words);
    if holds(b"ENCRYPTED PRIVATE KEY-----") || holds(b"Proc-Type: 4,ENCRYPTED") {
        return Err(Error::new(ErrorKind::Invalid, doing()).because("it is encrypted with a passphrase").hint(
            "write it out decrypted, readable by you alone: `openssl pkey -in KEY -out NEW` and `chmod 600 NEW`",
        ));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|_| {
        // The parser's own words could hold a piece of the key.
        Error::new(ErrorKind::Invalid, doing())
            .because("it holds no private key")
            .hint("name a PEM file with a `-----BEGIN PRIVATE KEY-----` block")
    })
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
    let mut roots = RootCertStore::empty();
    for certificate in certificates("ca_bundle", path)? {
        roots.add(certificate).map_err(|error| {
            Error::new(ErrorKind::Invalid, format!("read the `ca_bundle` `{}`", path.display())).from_source(error)
        })?;
    }
    Ok(roots)
}

/// The certificates of the file that a key of the configuration names, at least one.
fn certificates(key: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let doing = || format!("read the `{key}` `{}`", path.display());
    let wrong = |error| Error::new(ErrorKind::Invalid, doing()).from_source(error);
    let found = CertificateDer::pem_file_iter(path).map_err(wrong)?.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    if found.is_empty() {
        return Err(Error::new(ErrorKind::Invalid, doing())
            .because("it holds no certificate")
            .hint("name a PEM file with `-----BEGIN CERTIFICATE-----` blocks"));
    }
    Ok(found)
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
        rustls::Error::AlertReceived(AlertDescription::CertificateRequired) => (
            "it wants a certificate of ours".to_owned(),
            "set `client_certificate` and `client_key` in `[elastic.<name>]`",
        ),
        // How servers of TLS 1.2 say the same, and how all say that ours will not do.
        rustls::Error::AlertReceived(
            alert @ (AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError
            | AlertDescription::HandshakeFailure),
        ) => (
            format!(
                "it ended the TLS handshake with the alert `{alert:?}`, as servers do that want another certificate of ours, or one at all"
            ),
            "if the server asks for certificates, set `client_certificate` and `client_key` to one that its authority signed",
        ),
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
