//! The connections at rest, by the place they lead to.
//!
//! A request takes the connection that rested least, so that the others grow old and go; one that nobody waits for is never
//! opened. A task that reads each answer to its end therefore needs one connection, and n tasks need n. There is no limit here:
//! what limits requests limits connections.
//!
//! Nobody watches resting connections. Their age and their health are looked at when something is taken or put.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::uri::{Authority, Scheme, Uri};
use tokio::time::Instant;

use super::link::Link;

/// Where a connection leads: scheme, host and port.
pub(super) type Place = (Scheme, Authority);

/// The place of a URI, if it names one that we can connect to.
pub(super) fn place(target: &Uri) -> Option<Place> {
    let scheme = target.scheme().filter(|scheme| **scheme == Scheme::HTTP || **scheme == Scheme::HTTPS)?;
    let authority = target.authority().filter(|authority| !authority.host().is_empty())?;
    Some((scheme.clone(), authority.clone()))
}

/// Oldest first.
type Resting = VecDeque<(Instant, Box<Link>)>;

/// The connections at rest.
pub(super) struct Pool {
    resting: Mutex<HashMap<Place, Resting>>,
    /// How long one may rest.
    longest: Duration,
}

impl Pool {
    pub(super) fn new(longest: Duration) -> Self {
        Self { resting: Mutex::default(), longest }
    }

    /// A connection that is there and free.
    pub(super) fn take(&self, place: &Place) -> Option<Box<Link>> {
        loop {
            let mut link = self.newest(place)?;
            // Outside the lock: it looks at the socket.
            if link.is_usable() {
                return Some(link);
            }
        }
    }

    fn newest(&self, place: &Place) -> Option<Box<Link>> {
        let too_old;
        {
            let mut all = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
            let resting = all.get_mut(place)?;
            match resting.pop_back() {
                Some((since, link)) if since.elapsed() < self.longest => return Some(link),
                last => too_old = (last, std::mem::take(resting)),
            }
        }
        // Closing sockets takes time, so not under the lock.
        drop(too_old);
        None
    }

    /// Takes back a connection that is free.
    fn put(&self, place: Place, link: Box<Link>) {
        let now = Instant::now();
        let too_old: Vec<_>;
        {
            let mut all = self.resting.lock().unwrap_or_else(PoisonError::into_inner);
            let resting = match all.entry(place) {
                Entry::Occupied(entry) => entry.into_mut(),
                Entry::Vacant(entry) => entry.insert(VecDeque::new()),
            };
            let count = resting.iter().take_while(|(since, _)| now - *since >= self.longest).count();
            too_old = resting.drain(..count).collect();
            resting.push_back((now, link));
        }
        drop(too_old);
    }
}

/// A connection in use, which knows where it belongs.
pub(super) struct Held {
    pub(super) link: Box<Link>,
    place: Place,
    home: Arc<Pool>,
}

impl Held {
    pub(super) fn new(link: Box<Link>, place: Place, home: &Arc<Pool>) -> Self {
        Self { link, place, home: Arc::clone(home) }
    }

    /// Goes back to rest if the exchange is over; otherwise the connection is closed, as nobody will read what it still brings.
    pub(super) fn release(mut self) {
        if self.link.is_free() || self.link.is_usable() {
            self.home.put(self.place, self.link);
        }
    }
}
