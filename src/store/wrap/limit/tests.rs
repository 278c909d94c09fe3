//! Limits before simulated servers.

use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::TryStreamExt as _;
use futures::future::{join, join_all};
use tokio::time::{Instant, sleep, timeout};

use super::simulated::*;
use super::*;
use crate::error::ErrorKind;
use crate::event::Silent;
use crate::store::MemoryStore;
use crate::store::conformance::{Expectation, Trial, check};

#[tokio::test(start_paused = true)]
async fn a_fixed_rate_is_found_and_kept() {
    // Allowed in a second and at once, the hint in a refusal and the latency in milliseconds, callers.
    for (rate, burst, hint, latency, callers) in [
        (30.0, 6.0, None, 20, 32),
        (200.0, 4.0, None, 20, 32),
        (200.0, 40.0, Some(200), 20, 32),
        (200.0, 40.0, Some(1000), 20, 32),
        (200.0, 200.0, None, 100, 128),
        (1000.0, 200.0, None, 20, 128),
    ] {
        let server = Server::new(latency, bucket(rate, burst, hint));
        press(&limit(&server, callers, None), callers, 90.0).await;
        let (served, refused) = server.count(30.0..90.0);
        let (used, share) = (served / 60.0 / rate, refused / (served + refused));
        tracing::info!("{rate}/s, {burst} at once, hint {hint:?}, {latency} ms: used {used:.3}, refused {share:.4}");
        assert!(used >= 0.9, "only {used} of {rate} requests a second was used");
        assert!(share <= 0.05, "of {rate} requests a second a share of {share} was refused");
    }
}

/// Thirty of a hundred fail for a minute, then all for 20 s.
fn storm(begin: f64, kind: ErrorKind) -> impl FnMut(f64) -> Option<Error> {
    let mut chance = Chance(3);
    move |at| {
        let share = match at - begin {
            since if (0.0..60.0).contains(&since) => 0.3,
            since if (60.0..80.0).contains(&since) => 1.0,
            _ => 0.0,
        };
        (chance.next() < share).then(|| Error::new(kind, "head"))
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_storm_the_earlier_rate_is_back_within_ten_seconds() {
    for kind in [ErrorKind::Throttled, ErrorKind::Unavailable] {
        for (latency, callers) in [(20, 32), (100, 128), (200, 32)] {
            let server = Server::new(latency, storm(20.0, kind));
            let limit = limit(&server, callers, None);
            press(&limit, callers, 130.0).await;
            let before = server.rate(10.0..20.0);
            let (served, refused) = server.count(20.0..80.0);
            let back = (0..300)
                .map(|tenth| f64::from(tenth) / 10.0)
                .find(|after| server.rate(100.0 + after..101.0 + after) >= 0.8 * before);
            tracing::info!(
                "{kind:?}, {latency} ms, {callers} callers: {before}/s before, {:.0}/s at 30 %, back after {back:?} s",
                served / 60.0
            );
            assert!((served + refused) / served <= 1.6);
            assert!(back.is_some_and(|after| after <= 9.0), "{kind:?} {latency} {callers}: {back:?}");
            assert!(server.rate(110.0..120.0) >= 0.8 * before);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_refusals_to_requests_under_way_counts_once() {
    let server = Server::new(20, |at| (at > 1.0).then(throttled));
    let limit = limit(&server, 32, None);
    press(&limit, 32, 0.9).await;
    assert_eq!(limit.snapshot().limit, 32);
    sleep(Duration::from_millis(200)).await;
    let wanted = key();
    join_all((0..30).map(|_| limit.head(&wanted))).await;
    let after = limit.snapshot();
    assert_eq!((after.throttled, after.limit, after.in_flight), (30, 22, 0), "{after:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hint_holds_back_every_new_request() {
    let mut first = true;
    let server =
        Server::new(20, move |_| std::mem::take(&mut first).then(|| throttled().after(Duration::from_secs(3))));
    let limit = limit(&server, 32, None);
    limit.head(&key()).await.expect_err("refused");
    let begun = Instant::now();
    limit.head(&key()).await.expect("served");
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn single_failures_change_little() {
    let mut number = 0u32;
    let server = Server::new(20, move |_| {
        number += 1;
        number.is_multiple_of(50).then(|| Error::new(ErrorKind::Unavailable, "head"))
    });
    let limit = limit(&server, 32, None);
    press(&limit, 32, 20.0).await;
    assert_eq!(limit.snapshot().lowest, 8, "{:?}", limit.snapshot());
    assert_eq!(limit.snapshot().per_second, None);
}

#[tokio::test(start_paused = true)]
async fn a_good_server_is_soon_asked_for_as_much_as_is_allowed() {
    let server = Server::new(50, always);
    let limit = limit(&server, 512, None);
    press(&limit, 600, 1.0).await;
    let after = limit.snapshot();
    assert_eq!((after.lowest, after.limit, after.per_second), (8, 512, None), "{after:?}");
    assert_eq!(server.most_at_once.load(Ordering::SeqCst), 512);
}

#[tokio::test(start_paused = true)]
async fn more_requests_than_a_server_works_on_are_not_kept_waiting_there() {
    let server = Server::with_workers(40, 12, always);
    let limit = limit(&server, 256, None);
    press(&limit, 256, 30.0).await;
    let after = limit.snapshot();
    assert!(after.limit < 80, "{after:?}");
    let rate = server.rate(10.0..30.0);
    assert!(rate > 0.95 * 12.0 / 0.02, "{rate} of 600 a second");
}

#[tokio::test(start_paused = true)]
async fn the_bound_of_requests_a_second_holds() {
    let server = Server::new(5, always);
    press(&limit(&server, 64, Some(100)), 64, 20.0).await;
    for tenth in 0..190 {
        let (served, _) = server.count(f64::from(tenth) / 10.0..f64::from(tenth) / 10.0 + 1.0);
        assert!(served <= 112.0, "{served} in the second from {}", f64::from(tenth) / 10.0);
    }
    assert!(server.rate(1.0..20.0) > 98.0, "{}", server.rate(1.0..20.0));
}

#[tokio::test(start_paused = true)]
async fn who_came_first_goes_first_and_who_gave_up_is_forgotten() {
    let server = Server::new(10, always);
    let (limit, order) = (limit(&server, 1, None), Mutex::new(Vec::new()));
    let callers = (0..20u32).map(|number| {
        let (limit, order) = (&limit, &order);
        async move {
            if number % 3 == 2 {
                drop(timeout(Duration::from_millis(u64::from(number) * 5), limit.head(&key())).await);
            } else {
                limit.head(&key()).await.expect("served");
                lock(order).push(number);
            }
        }
    });
    join_all(callers).await;
    let order = lock(&order).clone();
    assert!(order.is_sorted() && order.len() == 14, "{order:?}");
    assert_eq!(limit.snapshot().in_flight, 0);
    assert_eq!(server.most_at_once.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn a_body_keeps_its_place_until_it_ends_or_is_dropped() {
    let limit = limit(&Server::new(10, always), 1, None);
    let mut got = limit.get(&key(), GetOptions::default()).await.expect("is there");
    assert_eq!(limit.snapshot().in_flight, 1);
    assert!(timeout(Duration::from_mins(1), limit.head(&key())).await.is_err());
    while let Some(bytes) = got.body.stream.next().await {
        bytes.expect("no trouble");
    }
    assert_eq!(limit.snapshot().in_flight, 0);
    let again = limit.get(&key(), GetOptions::default()).await.expect("is there");
    let ((), waited) = join(async { drop((sleep(Duration::from_secs(1)).await, again)) }, limit.head(&key())).await;
    waited.expect("the place is free");
}

#[tokio::test(start_paused = true)]
async fn what_gives_something_back_waits_for_nobody() {
    let limit = limit(&Server::new(10, always), 1, Some(1));
    let upload = limit.put_multipart(&key(), 10, &PutOptions::default()).await.expect("begins");
    let _held = limit.get(&key(), GetOptions::default()).await.expect("is there");
    let begun = Instant::now();
    upload.abort().await.expect("aborts");
    limit.delete(&key()).await.expect("deletes");
    assert!(begun.elapsed() < Duration::from_millis(20), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn a_listing_holds_no_place_between_its_pages() {
    let memory = MemoryStore::default();
    for number in 0..3000 {
        memory.insert(Key::new(format!("{number:05}")).expect("a name"), "x", jiff::Timestamp::UNIX_EPOCH);
    }
    let limit = Limit::new(Arc::new(memory), LimitOptions { most: 1, per_second: None }, Arc::new(Silent));
    let mut pages = limit.list(ListOptions::default());
    let mut count = 0;
    while let Some(page) = pages.try_next().await.expect("lists") {
        count += page.len();
        if let Some(first) = page.first() {
            limit.head(&first.key).await.expect("there is a place");
        }
    }
    assert_eq!(count, 3000);
}

#[tokio::test(start_paused = true)]
async fn a_limit_keeps_the_contract() {
    // The suite holds a body open while it asks for something else: with one place it would wait for itself.
    for most in [4, 32] {
        let inner = Arc::new(MemoryStore::default());
        let limit = Limit::new(inner, LimitOptions { most, per_second: None }, Arc::new(Silent));
        let cannot = [Trial::Copies, Trial::CopiedParts, Trial::CopiedChanged].map(|trial| trial.sentence().1).into();
        let expectation = Expectation { cannot, ..Expectation::default() };
        for verdict in check(Arc::new(limit), "suite/", &expectation).await {
            verdict.result.expect(verdict.tried);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_repeated_and_errors_pass_unchanged() {
    let server = Server::new(1, |_| Some(Error::new(ErrorKind::Unavailable, "x").because("y")));
    let limit = limit(&server, 4, None);
    let error = limit.head(&key()).await.expect_err("refused");
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::Unavailable, "cannot x: y".to_owned()));
    assert_eq!(server.count(0.0..10.0), (0.0, 1.0));
}

/// `cargo test --release --lib limit -- --ignored --nocapture` tells what a passage costs.
#[tokio::test]
#[ignore = "it measures"]
async fn a_free_passage_costs_little_and_changes_nothing() {
    const ROUNDS: u32 = 200_000;
    let memory = Arc::new(MemoryStore::default());
    memory.insert(key(), "content", jiff::Timestamp::UNIX_EPOCH);
    let plain: Arc<dyn ObjectStore> = memory.clone();
    let limited: Arc<dyn ObjectStore> =
        Arc::new(Limit::new(memory, LimitOptions { most: 64, per_second: None }, Arc::new(Silent)));
    for (name, store) in [("plain", &plain), ("limited", &limited), ("plain", &plain), ("limited", &limited)] {
        let begun = std::time::Instant::now();
        for _ in 0..ROUNDS {
            store.head(&key()).await.expect("is there");
        }
        tracing::info!("{name}: {:?} for a request", begun.elapsed() / ROUNDS);
    }
    let heads = |store: Arc<dyn ObjectStore>| async move { store.head(&key()).await.expect("is there") };
    assert_eq!(heads(plain).await, heads(limited).await);
}

#[tokio::test(start_paused = true)]
async fn refusals_that_do_not_depend_on_the_rate_do_not_stop_the_run() {
    for (share, kind) in [(0.01, ErrorKind::Throttled), (0.05, ErrorKind::Throttled), (0.05, ErrorKind::Unavailable)] {
        let mut chance = Chance(5);
        let server = Server::new(20, move |_| (chance.next() < share).then(|| Error::new(kind, "head")));
        press(&limit(&server, 32, None), 32, 60.0).await;
        // What the callers' own waits after failures leave of it.
        let possible = 32.0 / (0.02 + share * 0.15);
        let rate = server.rate(20.0..60.0) / possible;
        tracing::info!("{kind:?} {share}: {rate:.2} of what is possible");
        assert!(rate > 0.7, "{kind:?} {share}: {rate}");
    }
}
