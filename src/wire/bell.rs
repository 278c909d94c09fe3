//! The waker of a connection, which does not ring while somebody is at the door.
//!
//! The two halves of a connection, its socket and its answer, wake each other while one task polls both. Passed on, each such wake
//! would put the task into the scheduler's queue once more, and often wake another thread to take it from there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use futures::task::AtomicWaker;

/// Nobody polls: a ring is passed on.
const RESTING: u8 = 0;
/// Somebody polls: a ring is noted.
const POLLING: u8 = 1;
/// Somebody polls and must poll again.
const RUNG: u8 = 2;

/// Polls in a row before the task lets others run. A second one answers what the first one rang for.
const MOST_POLLS: u32 = 4;

#[derive(Debug, Default)]
struct Inner {
    state: AtomicU8,
    outside: AtomicWaker,
}

impl Wake for Inner {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let noted =
            self.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, |state| (state != RESTING).then_some(RUNG));
        if noted.is_err() {
            self.outside.wake();
        }
    }
}

/// The bell of one connection.
#[derive(Debug)]
pub(super) struct Bell {
    inner: Arc<Inner>,
    waker: Waker,
}

impl Bell {
    pub(super) fn new() -> Self {
        let inner = Arc::<Inner>::default();
        Self { waker: Waker::from(Arc::clone(&inner)), inner }
    }

    /// Polls on behalf of the task behind `cx`, again if something rang meanwhile.
    pub(super) fn poll<T>(&self, cx: &mut Context<'_>, mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>) -> Poll<T> {
        self.inner.outside.register(cx.waker());
        for _ in 0..MOST_POLLS {
            self.inner.state.store(POLLING, Ordering::Release);
            if let Poll::Ready(done) = poll(&mut Context::from_waker(&self.waker)) {
                self.inner.state.store(RESTING, Ordering::Release);
                return Poll::Ready(done);
            }
            if self.inner.state.compare_exchange(POLLING, RESTING, Ordering::AcqRel, Ordering::Acquire).is_ok() {
                return Poll::Pending;
            }
        }
        self.inner.state.store(RESTING, Ordering::Release);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[derive(Default)]
    struct Task(AtomicU32);

    impl Wake for Task {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_ring_while_polling_polls_again_and_a_later_one_is_passed_on() {
        let (bell, task) = (Bell::new(), Arc::new(Task::default()));
        let waker = Waker::from(Arc::clone(&task));
        let (mut polls, mut kept) = (0, None);
        let pending = bell.poll::<()>(&mut Context::from_waker(&waker), |cx| {
            polls += 1;
            if polls == 1 {
                cx.waker().wake_by_ref();
            }
            kept = Some(cx.waker().clone());
            Poll::Pending
        });
        assert!(pending.is_pending());
        assert_eq!((polls, task.0.load(Ordering::Relaxed)), (2, 0));
        kept.expect("it was polled").wake();
        assert_eq!(task.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn what_rings_for_ever_lets_others_run() {
        let (bell, task) = (Bell::new(), Arc::new(Task::default()));
        let waker = Waker::from(Arc::clone(&task));
        let pending = bell.poll::<()>(&mut Context::from_waker(&waker), |cx| {
            cx.waker().wake_by_ref();
            Poll::Pending
        });
        assert!(pending.is_pending());
        assert_eq!(task.0.load(Ordering::Relaxed), 1);
    }
}
