//! Servers that speak HTTP by hand, over plain sockets and TLS, and a proxy: each answers as badly as its test wants.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// A connection as the server sees it.
pub(crate) trait Socket: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Socket for S {}

/// What one connection is to the script that serves it.
pub(crate) struct Talk {
    socket: Box<dyn Socket>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Talk {
    /// The head of the next request; none once the client hangs up.
    pub(crate) async fn head(&mut self) -> Option<String> {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(self.socket.read_u8().await.ok()?);
        }
        let head = String::from_utf8(head).expect("a head is ASCII");
        self.heads.lock().expect("not poisoned").push(head.clone());
        Some(head)
    }

    pub(crate) async fn skip(&mut self, bytes: usize) {
        let mut buffer = vec![0; bytes];
        self.socket.read_exact(&mut buffer).await.expect("the body comes");
    }

    pub(crate) async fn say(&mut self, text: &str) {
        // A client that hung up is none of the server's business.
        let _ = self.socket.write_all(text.as_bytes()).await;
        let _ = self.socket.flush().await;
    }

    /// Says nothing more and keeps the connection until the client hangs up.
    pub(crate) async fn fall_silent(mut self) {
        while self.socket.read_u8().await.is_ok() {}
    }

    /// Keeps the connection without taking another byte.
    pub(crate) async fn stop_reading(self) {
        std::future::pending::<()>().await;
    }

    /// Answers every request with a small body.
    pub(crate) async fn answer_all(mut self) {
        while self.head().await.is_some() {
            self.say(SMALL).await;
        }
    }
}

/// An answer with a small body.
pub(crate) const SMALL: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

/// A running server; it ends with the runtime of the test.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Serves each connection by the script.
    pub(crate) async fn start<F>(script: impl Fn(Talk) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::over(None, script).await
    }

    #[expect(clippy::disallowed_methods, reason = "the server owns its connections")]
    async fn over<F>(tls: Option<TlsAcceptor>, script: impl Fn(Talk) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let (accepted, heads) = (Arc::new(AtomicUsize::new(0)), Arc::<Mutex<Vec<String>>>::default());
        let server = Self { address, accepted: accepted.clone(), heads: heads.clone() };
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::SeqCst);
                let socket: Box<dyn Socket> = match &tls {
                    None => Box::new(socket),
                    // The client refuses some of the certificates.
                    Some(tls) => match tls.accept(socket).await {
                        Ok(socket) => Box::new(socket),
                        Err(_) => continue,
                    },
                };
                tokio::spawn(script(Talk { socket, heads: heads.clone() }));
            }
        });
        server
    }

    /// Connections taken so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// The heads of all requests so far, on whatever connection.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().expect("not poisoned").clone()
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }
}

/// A proxy that connects every tunnel to `target`, whatever host was asked for, and wants no credentials.
pub(crate) async fn proxy(target: SocketAddr) -> Server {
    Server::start(move |talk| forward(talk, target)).await
}

async fn forward(mut talk: Talk, target: SocketAddr) {
    let Some(head) = talk.head().await else { return };
    if !head.starts_with("CONNECT ") {
        talk.say(SMALL).await;
        return talk.answer_all().await;
    }
    let mut upstream = TcpStream::connect(target).await.expect("the target listens");
    talk.say("HTTP/1.1 200 Connection established\r\n\r\n").await;
    let _ = copy_bidirectional(&mut talk.socket, &mut upstream).await;
}

/// An authority of our own.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    directory: tempfile::TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut parameters = CertificateParams::new(vec![]).expect("no names");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key");
        let own = parameters.self_signed(&key).expect("a certificate");
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::write(directory.path().join("ca.pem"), own.pem()).expect("writable");
        Self { issuer: Issuer::new(parameters, key), directory }
    }

    /// The file for `ca_bundle`.
    pub(crate) fn bundle(&self) -> PathBuf {
        self.directory.path().join("ca.pem")
    }

    /// A TLS server with a certificate for this name that ends with this year.
    pub(crate) async fn serve(&self, name: &str, last_year: i32) -> Server {
        Server::over(Some(self.acceptor(name, last_year, &TLS)), Talk::answer_all).await
    }

    /// One that speaks only this version of TLS and lets only those in who show a certificate of ours.
    pub(crate) async fn serve_known(&self, version: &'static rustls::SupportedProtocolVersion) -> Server {
        Server::over(Some(self.acceptor("localhost", 2099, &[version])), Talk::answer_all).await
    }

    /// The files of a certificate for a client, and of its key.
    pub(crate) fn client(&self, name: &str) -> (PathBuf, PathBuf) {
        let (certificate, key) = self.issue(name, 2099);
        let path = |end: &str| self.directory.path().join(format!("{name}.{end}"));
        std::fs::write(path("pem"), certificate.pem()).expect("writable");
        std::fs::write(path("key"), key.serialize_pem()).expect("writable");
        (path("pem"), path("key"))
    }

    /// A proxy to be spoken to over TLS, on `localhost`.
    pub(crate) async fn proxy(&self, target: SocketAddr) -> Server {
        Server::over(Some(self.acceptor("localhost", 2099, &TLS)), move |talk| forward(talk, target)).await
    }

    fn issue(&self, name: &str, last_year: i32) -> (rcgen::Certificate, KeyPair) {
        let mut parameters = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        parameters.not_before = rcgen::date_time_ymd(2000, 1, 1);
        parameters.not_after = rcgen::date_time_ymd(last_year, 12, 31);
        let key = KeyPair::generate().expect("a key");
        (parameters.signed_by(&key, &self.issuer).expect("a certificate"), key)
    }

    /// With one version of TLS it asks for a certificate; with several for none.
    fn acceptor(
        &self,
        name: &str,
        last_year: i32,
        versions: &[&'static rustls::SupportedProtocolVersion],
    ) -> TlsAcceptor {
        let (certificate, key) = self.issue(name, last_year);
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(versions)
            .expect("known versions");
        let builder = match versions {
            [_] => {
                let mut roots = rustls::RootCertStore::empty();
                roots.add(CertificateDer::from_pem_file(self.bundle()).expect("our own")).expect("a certificate");
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build();
                builder.with_client_cert_verifier(verifier.expect("there is a root"))
            }
            _ => builder.with_no_client_auth(),
        };
        let config = builder.with_single_cert(vec![certificate.der().clone()], key).expect("they belong together");
        TlsAcceptor::from(Arc::new(config))
    }
}

/// What servers speak that are not asked for one of the two.
const TLS: [&rustls::SupportedProtocolVersion; 2] = [&rustls::version::TLS12, &rustls::version::TLS13];
