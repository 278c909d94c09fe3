//! An S3 server in this process (`s3s-fs`): strict about signatures, its buckets are folders.

use std::net::SocketAddr;
use std::path::Path;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;

/// The access key it takes.
pub(crate) const ACCESS_KEY: &str = "canary-access-key";
/// The secret it takes.
pub(crate) const SECRET_KEY: &str = "canary-secret-key-1f2e3d";

/// A running server; it ends with the runtime of the test.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Serves the folders below `root` as buckets.
    #[expect(clippy::disallowed_methods, reason = "the server owns its connections")]
    pub(crate) async fn start(root: &Path) -> Self {
        let files = s3s_fs::FileSystem::new(root).expect("the root exists");
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single(ACCESS_KEY, SECRET_KEY));
        let service = service.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    drop(Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(socket), service).await);
                });
            }
        });
        Self { address }
    }

    /// Its endpoint.
    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}
