//! Moments at which `tests/kills.rs` ends a run of snapferry: when its journal says something, when it sends a request, or after a time.
//!
//! A [`Gate`] stands before a cluster and passes every request on, one connection for each. It knows the moment before a request arrives and
//! the moment after it was answered, and can let a request arrive only after its sender is gone.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which of the two clusters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Source,
    Target,
}

/// Something that can be seen of a run from outside.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sight {
    /// A line of the journal, in a word or three: `round`, `begun restore`, `restoring closing`, `over`.
    Line(String),
    /// A request that changes something, without the names in it.
    Request(Side, String),
}

/// How a run ends when something is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum When {
    /// Of a request: it never arrives. Of a line: as soon as it is on the disk.
    Before,
    /// Of a request: it is answered, and nobody hears the answer.
    After,
    /// Of a request: it arrives this much later than its sender ends.
    Late(Duration),
}

/// A moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Trap {
    At(Sight, When),
    In(Duration),
}

/// How a run is ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Blow {
    Kill,
    Interrupt,
}

/// A run that is to be ended.
#[derive(Debug)]
pub(crate) struct Victim {
    child: Mutex<Child>,
    blow: Blow,
    struck: AtomicBool,
}

impl Victim {
    pub(crate) fn new(child: Child, blow: Blow) -> Arc<Self> {
        Arc::new(Self { child: Mutex::new(child), blow, struck: AtomicBool::new(false) })
    }

    /// Once; and not if it has ended.
    pub(crate) fn strike(&self) {
        let mut child = lock(&self.child);
        if child.try_wait().expect("a child can be waited for").is_some() || self.struck.swap(true, Ordering::SeqCst) {
            return;
        }
        match self.blow {
            Blow::Kill => child.kill().expect("a child can be killed"),
            Blow::Interrupt => {
                let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
                assert!(sent.is_ok_and(|status| status.success()), "kill is installed");
            }
        }
    }

    pub(crate) fn ended(&self) -> Option<ExitStatus> {
        lock(&self.child).try_wait().expect("a child can be waited for")
    }

    pub(crate) fn was_struck(&self) -> bool {
        self.struck.load(Ordering::SeqCst)
    }
}

/// A request that went through a gate.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) at: Instant,
    pub(crate) label: String,
    pub(crate) path: String,
    pub(crate) body: String,
    /// What the cluster answered; 0 if the request was not let through.
    pub(crate) status: u16,
}

impl Seen {
    pub(crate) fn is_change(&self) -> bool {
        !self.label.starts_with("GET ") && !self.label.starts_with("HEAD ") && !self.label.ends_with("_search")
    }

    pub(crate) fn was_taken(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

type Armed = Option<(String, When, Arc<Victim>)>;

#[derive(Debug)]
struct Inner {
    server: String,
    seen: Mutex<Vec<Seen>>,
    armed: Mutex<Armed>,
    under_way: AtomicUsize,
}

/// A way to a cluster that is watched.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) url: String,
    inner: Arc<Inner>,
}

impl Gate {
    pub(crate) fn before(server: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it listens"));
        let inner = Arc::new(Inner {
            server: server.trim_start_matches("http://").trim_end_matches('/').to_owned(),
            seen: Mutex::default(),
            armed: Mutex::default(),
            under_way: AtomicUsize::new(0),
        });
        let shared = inner.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let inner = shared.clone();
                thread::spawn(move || {
                    inner.under_way.fetch_add(1, Ordering::SeqCst);
                    // A run that was killed hangs up, and that is no failure.
                    drop(inner.pass(stream));
                    inner.under_way.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { url, inner }
    }

    pub(crate) fn arm(&self, label: &str, when: When, victim: &Arc<Victim>) {
        *lock(&self.inner.armed) = Some((label.to_owned(), when, victim.clone()));
    }

    pub(crate) fn disarm(&self) {
        *lock(&self.inner.armed) = None;
    }

    /// Everything so far, once nothing is under way any more.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        while self.inner.under_way.load(Ordering::SeqCst) > 0 {
            thread::sleep(Duration::from_millis(1));
        }
        lock(&self.inner.seen).clone()
    }

    pub(crate) fn forget(&self) {
        lock(&self.inner.seen).clear();
    }
}

impl Inner {
    fn pass(&self, mut client: TcpStream) -> std::io::Result<()> {
        let (head, body) = request(&mut client)?;
        let mut words = head.split(' ');
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().to_owned());
        let label = label(method, &path);
        let mut armed = lock(&self.armed);
        let trap = if armed.as_ref().is_some_and(|(wanted, ..)| *wanted == label) { armed.take() } else { None };
        drop(armed);
        let at = Instant::now();
        let when = trap.as_ref().map(|(_, when, _)| *when);
        if let (Some(When::Before | When::Late(_)), Some((.., victim))) = (when, &trap) {
            victim.strike();
        }
        let mut answer = Vec::new();
        match when {
            // Who is only asked to end gets an answer.
            Some(When::Before) if trap.as_ref().is_some_and(|(.., victim)| victim.blow == Blow::Kill) => {}
            Some(When::Late(delay)) => {
                thread::sleep(delay);
                answer = self.ask(&head, &body)?;
            }
            _ => answer = self.ask(&head, &body)?,
        }
        let status = answer.get(9..12).and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok()).unwrap_or(0);
        let body = String::from_utf8_lossy(&body).into_owned();
        lock(&self.seen).push(Seen { at, label, path, body, status });
        if let (Some(When::After), Some((.., victim))) = (when, &trap) {
            victim.strike();
        }
        client.write_all(&answer)
    }

    /// One request on a connection of its own, whose end is the end of the answer.
    fn ask(&self, head: &str, body: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut server = TcpStream::connect(&self.server)?;
        let lines = head.lines().filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
        let lines: Vec<&str> = lines.filter(|line| !line.is_empty()).collect();
        server.write_all(format!("{}\r\nconnection: close\r\n\r\n", lines.join("\r\n")).as_bytes())?;
        server.write_all(body)?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        // 6.8.23 closes without saying so, and the program would send its next request into a connection that is gone.
        if let Some(line) = answer.windows(2).position(|two| two == b"\r\n") {
            answer.splice(line + 2..line + 2, *b"connection: close\r\n");
        }
        Ok(answer)
    }
}

/// The head of a request, and its body, whose length the head says.
fn request(client: &mut TcpStream) -> std::io::Result<(String, Vec<u8>)> {
    let mut bytes = Vec::new();
    let mut piece = [0; 16 << 10];
    loop {
        let length = client.read(&mut piece)?;
        if length == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        bytes.extend_from_slice(&piece[..length]);
        let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else { continue };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let field = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        let mut body = bytes.split_off(end + 4);
        let missing = field.unwrap_or(0).saturating_sub(body.len());
        let mut rest = vec![0; missing];
        client.read_exact(&mut rest)?;
        body.extend(rest);
        return Ok((head, body));
    }
}

/// A request without the names in it: `POST _snapshot/*/*/_restore`, `PUT */_block/write`.
pub(crate) fn label(method: &str, path: &str) -> String {
    let path = path.split('?').next().unwrap_or_default();
    let mut words = Vec::new();
    let mut own = false;
    for word in path.split('/').filter(|word| !word.is_empty()) {
        own = word.starts_with('_') || (own && matches!(word, "settings" | "write" | "health" | "state" | "metadata"));
        words.push(if own { word } else { "*" });
    }
    format!("{method} {}", words.join("/"))
}

/// Reads the lines of a journal as they come.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    path: &'a Path,
    lines: usize,
}

impl<'a> Reader<'a> {
    /// From what is there now.
    pub(crate) fn from_now(path: &'a Path) -> Self {
        Self { path, lines: lines(path).len() }
    }

    /// What is new.
    pub(crate) fn news(&mut self) -> Vec<Value> {
        let mut all = lines(self.path);
        let new = all.split_off(self.lines.min(all.len()));
        self.lines += new.len();
        new
    }
}

/// Every whole line of a journal.
pub(crate) fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    whole.filter_map(|line| serde_json::from_str(line.get(9..)?).ok()).collect()
}

/// What a line of a journal tells, in a word or three.
pub(crate) fn told(line: &Value) -> String {
    let Some((kind, body)) = line.as_object().and_then(|line| line.iter().next()) else { return "nothing".into() };
    let detail = body["step"].as_str().or_else(|| body["told"]["entry"].as_str());
    detail.map_or_else(|| kind.clone(), |detail| format!("{kind} {detail}"))
}
