//! From "stop" to "nothing left": readiness falls at once, admission ends after a delay, what is in
//! flight is answered, the workers are joined.
//!
//! The delay is for what routes traffic here and needs a moment to notice. Connections that are
//! merely open do not count as in flight.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Where the server stands between start and stop, and how many requests it holds.
#[derive(Debug, Default)]
pub(crate) struct Lifecycle {
    draining: AtomicBool,
    stopping: Notify,
    in_flight: AtomicUsize,
    idle: Notify,
}

impl Lifecycle {
    /// Makes readiness fall.
    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::SeqCst);
        self.stopping.notify_waiters();
    }

    /// Waits until readiness falls.
    pub(crate) async fn draining(&self) {
        let mut notified = std::pin::pin!(self.stopping.notified());
        notified.as_mut().enable();
        if !self.is_draining() {
            notified.await;
        }
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Counts one request until the guard is dropped.
    pub(crate) fn enter(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        InFlight(Arc::clone(self))
    }

    /// Waits until no request is in flight.
    pub(crate) async fn idle(&self) {
        loop {
            // Registered before the look, so that a last request leaving in between is not missed.
            let mut notified = std::pin::pin!(self.idle.notified());
            notified.as_mut().enable();
            if self.in_flight.load(Ordering::SeqCst) == 0 {
                return;
            }
            notified.await;
        }
    }
}

/// One request in flight.
#[derive(Debug)]
pub(crate) struct InFlight(Arc<Lifecycle>);

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.0.in_flight.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}
