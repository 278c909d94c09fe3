//! The one HTTP client: what stores and the Elasticsearch client send their requests with.
//!
//! It owns connections, TLS, name resolution and the clocks that notice a peer which no longer moves. It knows no protocol
//! above HTTP, signs nothing, never follows a redirect and never repeats a request; those are decisions of the rooms above.

mod body;
mod client;
mod tls;

pub use body::{BoxError, RequestBody, ResponseBody, empty, full};
pub use client::{Client, Options};
