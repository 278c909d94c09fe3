//! The one HTTP client: what stores and the Elasticsearch client send their requests with.
//!
//! It owns connections, proxies, TLS, name resolution and the clocks that notice a peer which no longer moves. It knows no
//! protocol above HTTP, signs nothing and never follows a redirect. It repeats no request, save one that met a connection
//! which the server had closed in the meantime (`client` says when that is safe); those are decisions of the rooms above.

mod answer;
mod bell;
mod body;
mod client;
mod clock;
mod connect;
mod document;
mod failure;
mod link;
mod names;
mod pool;
mod proxy;
mod tls;

pub use answer::ResponseBody;
pub use body::{BoxError, RequestBody, empty, full};
pub use client::{Client, ClientCertificate, Options, Patience};
pub use document::collect;
pub use proxy::Proxy;
