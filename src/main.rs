//! The `snapferry` program: a runtime and a signal handler around [`snapferry::cli`].

use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Many small allocations on two threads: with the system's allocator a copy of small objects costs a third more processor time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let Ok(runtime) = tokio::runtime::Builder::new_multi_thread().enable_all().build() else {
        return ExitCode::from(1);
    };
    let cancel = CancellationToken::new();
    let code = runtime.block_on(async {
        watch(cancel.clone());
        snapferry::cli::run(std::env::args_os(), cancel).await
    });
    runtime.shutdown_timeout(Duration::from_secs(2));
    code
}

/// The first signal asks the run to stop, the second ends the process at once.
#[expect(clippy::disallowed_methods, clippy::exit, reason = "main owns the process and its signals")]
fn watch(cancel: CancellationToken) {
    let (Ok(mut interrupt), Ok(mut terminate)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    tokio::spawn(async move {
        for again in [false, true] {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            if again {
                std::process::exit(130);
            }
            cancel.cancel();
        }
    });
}
