//! Who still works: a count of threads, and the wait for the last of them.
//!
//! Engines come and go while the server runs, and one that was swapped out ends when its last
//! request does. Nobody holds its threads then, so they sign on to one list, which outlives the
//! engine and is what the end of the process waits for.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// The list. Clones are the same list.
#[derive(Debug, Clone, Default)]
pub struct Crew(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    members: Mutex<usize>,
    left: Condvar,
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, usize> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Crew {
    /// Counts one thread until the member is dropped, which it is at the thread's end.
    pub(crate) fn sign_on(&self) -> Member {
        *self.0.lock() += 1;
        Member(Arc::clone(&self.0))
    }

    /// Threads that have not left.
    #[must_use]
    pub fn size(&self) -> usize {
        *self.0.lock()
    }

    /// Waits until every thread has left. Blocks: not for an async worker.
    pub fn wait(&self) {
        let mut members = self.0.lock();
        while *members > 0 {
            members = self.0.left.wait(members).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// One thread's line in the list.
#[derive(Debug)]
pub(crate) struct Member(Arc<Inner>);

impl Drop for Member {
    fn drop(&mut self) {
        if std::thread::panicking() {
            tracing::error!("a worker ended by a panic");
        }
        *self.0.lock() -= 1;
        self.0.left.notify_all();
    }
}
