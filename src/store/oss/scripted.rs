//! A small HTTP server that answers as its script says, for the tests of credentials.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A request as it came.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    /// Method and path: `GET /latest`.
    pub(super) line: String,
    /// In lower case.
    pub(super) headers: String,
    pub(super) body: String,
}

type Script = dyn Fn(&Seen) -> (u16, String) + Send + Sync;

/// The server; it ends with the test's runtime.
pub(super) struct Server {
    pub(super) endpoint: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    #[expect(clippy::disallowed_methods, reason = "a server for a test")]
    pub(super) async fn start(script: impl Fn(&Seen) -> (u16, String) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("bound");
        let endpoint = format!("http://{}", listener.local_addr().expect("bound"));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (script, noted): (Arc<Script>, _) = (Arc::new(script), seen.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script.clone(), noted.clone()));
            }
        });
        Self { endpoint, seen }
    }

    /// All requests until now, and none of them again.
    pub(super) fn taken(&self) -> Vec<Seen> {
        std::mem::take(&mut *self.seen.lock().expect("not poisoned"))
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.taken().into_iter().map(|seen| seen.line).collect()
    }
}

async fn serve(mut stream: TcpStream, script: Arc<Script>, noted: Arc<Mutex<Vec<Seen>>>) {
    let mut came = Vec::new();
    let seen = loop {
        let mut more = [0; 4096];
        let Ok(count @ 1..) = stream.read(&mut more).await else { return };
        came.extend_from_slice(&more[..count]);
        let text = String::from_utf8_lossy(&came);
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let (line, headers) = head.split_once("\r\n").expect("a host at least");
        let headers = headers.to_ascii_lowercase();
        let length = headers.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            let line = line.trim_end_matches(" HTTP/1.1").to_owned();
            break Seen { line, headers, body: body.to_owned() };
        }
    };
    let (status, body) = script(&seen);
    noted.lock().expect("not poisoned").push(seen);
    let answer = format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    stream.write_all(answer.as_bytes()).await.expect("the client waits");
}
