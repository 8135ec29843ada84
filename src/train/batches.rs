//! The order in which rows are trained on: shuffled, then grouped by length.
//!
//! Batches are ragged, so nothing is ever padded; grouping by length keeps a batch's threads
//! equally loaded. Rows are shuffled, cut into windows of some batches, sorted by length inside
//! each window, cut into batches, and the batches shuffled. An epoch's order is a pure function of
//! lengths, seed and epoch, so a run that was killed knows where it stood.

use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

/// How an epoch is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchPlan {
    /// Texts a batch, at least one; the last batch may hold fewer.
    pub texts: usize,
    /// Batches a window, at least one; one means no grouping by length.
    pub window: usize,
    /// Together with the epoch, decides the order.
    pub seed: u64,
}

impl BatchPlan {
    /// The batches of `epoch` as positions in `lengths`; every position once.
    #[must_use]
    pub fn epoch(&self, lengths: &[usize], epoch: u64) -> Vec<Vec<usize>> {
        let mut random = StdRng::seed_from_u64(self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(epoch));
        let mut rows: Vec<usize> = (0..lengths.len()).collect();
        rows.shuffle(&mut random);
        let mut batches: Vec<Vec<usize>> = Vec::with_capacity(self.count(lengths.len()));
        for window in rows.chunks_mut(self.texts * self.window) {
            if self.window > 1 {
                window.sort_by_key(|&row| lengths[row]);
            }
            batches.extend(window.chunks(self.texts).map(<[usize]>::to_vec));
        }
        batches.shuffle(&mut random);
        batches
    }

    /// How many batches an epoch over `rows` rows has.
    #[must_use]
    pub fn count(&self, rows: usize) -> usize {
        rows.div_ceil(self.texts)
    }
}
