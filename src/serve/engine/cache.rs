//! Answers kept for texts that come again: token ids to a row of logits, within a bound in bytes.
//!
//! A cache belongs to one engine, and an engine to one model digest, so digest and ids together are
//! the key and no answer of one model can reach another; a version that is swapped out takes its
//! answers with it. Keys are compared in full: what is found is exactly what was computed. Refuses
//! to hold texts, probabilities or decisions: thresholds are the request's business.

use std::num::NonZeroU64;
use std::sync::Arc;

use moka::sync::Cache;

/// What an entry takes beside its ids and logits, about: the map's and the policy's bookkeeping.
const OVERHEAD: usize = 160;

/// See the module.
pub(super) struct ResponseCache {
    rows: Cache<Box<[u32]>, Arc<[f32]>>,
}

impl ResponseCache {
    /// Holds at most about this many bytes; the least often used go first.
    pub(super) fn new(bytes: NonZeroU64) -> Self {
        let rows = Cache::<Box<[u32]>, Arc<[f32]>>::builder().weigher(|ids, row| {
            let bytes = size_of_val::<[u32]>(ids) + size_of_val::<[f32]>(row) + OVERHEAD;
            u32::try_from(bytes).unwrap_or(u32::MAX)
        });
        Self { rows: rows.max_capacity(bytes.get()).build() }
    }

    pub(super) fn get(&self, ids: &[u32]) -> Option<Arc<[f32]>> {
        self.rows.get(ids)
    }

    pub(super) fn put(&self, ids: &[u32], row: &Arc<[f32]>) {
        self.rows.insert(ids.into(), Arc::clone(row));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(bytes: u64) -> ResponseCache {
        ResponseCache::new(NonZeroU64::new(bytes).unwrap())
    }

    fn row(value: f32) -> Arc<[f32]> {
        Arc::from([value; 4])
    }

    #[test]
    fn gives_back_what_was_put_for_these_very_ids() {
        let cache = cache(1 << 20);
        cache.put(&[1, 2, 3], &row(0.5));
        assert_eq!(cache.get(&[1, 2, 3]).as_deref(), Some(&[0.5; 4][..]));
        for other in [&[1, 2][..], &[1, 2, 4], &[1, 2, 3, 0], &[]] {
            assert_eq!(cache.get(other), None, "{other:?}");
        }
    }

    #[test]
    fn stays_within_its_bytes() {
        let cache = cache(20_000);
        for id in 0..10_000 {
            cache.put(&[id, id, id], &row(0.0));
        }
        cache.rows.run_pending_tasks();
        assert!(cache.rows.weighted_size() <= 20_000, "{}", cache.rows.weighted_size());
        assert!(cache.rows.entry_count() > 20, "{} entries are left: the bound is too tight to see", cache.rows.entry_count());
    }
}
