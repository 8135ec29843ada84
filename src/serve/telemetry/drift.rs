//! How far live scores have moved from those the bundle was calibrated on, label by label: the population stability
//! index over about the last hour.
//!
//! Scoring a text adds one to a bin a label, an atomic and nothing else. The window is kept by whoever reads: from
//! time to time a reading leaves the counts as they stand, and the oldest that are kept are taken off. So memory is
//! bounded by the window over its step, whatever the traffic, and nobody who does not read pays for it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::bundle::{ScoreBin, ScoreReference};

/// How far back the counts reach that a reading compares.
pub const WINDOW: Duration = Duration::from_secs(3600);
/// The least time between two counts that are kept: the window is longer than [`WINDOW`] by no more, and by the time
/// between two readings.
pub const STEP: Duration = Duration::from_secs(300);
/// With fewer texts than this in the window there is no index: chance alone would give about `(bins - 1) / texts`.
pub const LEAST_TEXTS: u64 = 500;

/// One version's live scores beside its reference.
#[derive(Debug)]
pub(super) struct Drift {
    labels: Vec<LabelBins>,
    kept: Mutex<Kept>,
}

/// One label's bins.
#[derive(Debug)]
struct LabelBins {
    /// The lowest score of each bin.
    from: Vec<f64>,
    reference: Vec<u64>,
    live: Vec<AtomicU64>,
}

/// Counts of all bins of all labels, as they stood at some times.
#[derive(Debug)]
struct Kept(VecDeque<(Instant, Vec<u64>)>);

/// What a reading found.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct DriftReading {
    /// Texts scored in the window.
    pub(super) texts: u64,
    /// The index of each label; none while there are too few texts.
    pub(super) index: Option<Vec<f64>>,
}

impl Drift {
    pub(super) fn new(reference: &ScoreReference, now: Instant) -> Self {
        let labels: Vec<LabelBins> = reference.labels.iter().map(|bins| LabelBins::of(bins)).collect();
        let none = vec![0; labels.iter().map(|label| label.live.len()).sum()];
        Self { labels, kept: Mutex::new(Kept(VecDeque::from([(now, none)]))) }
    }

    /// Counts one text's scores, one a label.
    pub(super) fn scored(&self, scores: &[f32]) {
        for (label, &score) in self.labels.iter().zip(scores) {
            let bin = label.from.partition_point(|&from| from <= f64::from(score)).saturating_sub(1);
            label.live[bin].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Compares the window that ends `now` with the reference.
    pub(super) fn read(&self, now: Instant) -> DriftReading {
        let counts: Vec<u64> = self.labels.iter().flat_map(|label| &label.live).map(|bin| bin.load(Ordering::Relaxed)).collect();
        let window = self.kept.lock().unwrap_or_else(PoisonError::into_inner).since(now, counts);
        let mut rest = window.as_slice();
        let mut each = Vec::with_capacity(self.labels.len());
        for label in &self.labels {
            let (live, others) = rest.split_at(label.live.len());
            each.push((live, label.reference.as_slice()));
            rest = others;
        }
        let texts = each.first().map_or(0, |(live, _)| live.iter().sum());
        let index = (texts >= LEAST_TEXTS).then(|| each.into_iter().map(|(live, reference)| stability_index(live, reference)).collect());
        DriftReading { texts, index }
    }
}

impl LabelBins {
    fn of(bins: &[ScoreBin]) -> Self {
        Self {
            from: bins.iter().map(|bin| bin.from).collect(),
            reference: bins.iter().map(|bin| bin.rows).collect(),
            live: bins.iter().map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Kept {
    /// What came to `counts` since the window began.
    fn since(&mut self, now: Instant, counts: Vec<u64>) -> Vec<u64> {
        let age = |(at, _): &(Instant, Vec<u64>)| now.saturating_duration_since(*at);
        while self.0.get(1).is_some_and(|second| age(second) >= WINDOW) {
            self.0.pop_front();
        }
        let before = self.0.front().map_or(&[][..], |(_, counts)| counts);
        let window = counts.iter().zip(before).map(|(now, before)| now.saturating_sub(*before)).collect();
        if self.0.back().is_none_or(|last| age(last) >= STEP) {
            self.0.push_back((now, counts));
        }
        window
    }
}

/// `sum of (p - q) ln(p / q)` over bins, `p` the live share and `q` the reference's: the population stability index of
/// credit scoring (Siddiqi 2006, "Credit Risk Scorecards"), which is Jeffreys' divergence. Half a row is added to every
/// bin of both, so that an empty one is not infinitely far. Without any change about `(bins - 1) (1 / live + 1 / rows)`
/// is expected of chance (Yurdakul and Naranjo 2020, "Statistical properties of the population stability index").
fn stability_index(live: &[u64], reference: &[u64]) -> f64 {
    let share = |counts: &[u64], bin: usize| {
        let total: u64 = counts.iter().sum();
        (counts[bin] as f64 + 0.5) / (total as f64 + 0.5 * counts.len() as f64)
    };
    let term = |bin: usize| {
        let (p, q) = (share(live, bin), share(reference, bin));
        (p - q) * (p / q).ln()
    };
    (0..live.len().min(reference.len())).map(term).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::clock;

    /// One label with four bins of equal width and mass.
    fn quarters() -> ScoreReference {
        let bins = [0.0, 0.25, 0.5, 0.75].map(|from| ScoreBin { from, rows: 250, score: from + 0.125, held: 0.5 });
        ScoreReference { set: "out_of_fold".to_owned(), labels: vec![bins.to_vec()] }
    }

    fn feed(drift: &Drift, score: f32, texts: u64) {
        (0..texts).for_each(|_| drift.scored(&[score]));
    }

    #[test]
    fn the_index_is_scipys() {
        // p, q = [(c + .5) / (c.sum() + .5 * len(c)) for c in map(np.array, (live, rows))]
        // scipy.stats.entropy(p, q) + scipy.stats.entropy(q, p)
        for (live, rows, expected) in [
            (&[250, 250, 250, 250][..], &[250, 250, 250, 250][..], 0.0),
            (&[700, 100, 100, 100], &[250, 250, 250, 250], 0.871_992_502_2),
            (&[0, 0, 0, 1000], &[400, 300, 200, 100], 7.845_312_204_1),
            (&[683, 684, 684, 684, 683, 684, 684, 684, 684, 684], &[70, 66, 75, 68, 60, 71, 69, 77, 58, 69], 0.006_709_238_9),
        ] {
            let found = stability_index(live, rows);
            assert!((found - expected).abs() < 1e-9, "{live:?} beside {rows:?}: {found}, expected {expected}");
        }
    }

    #[test]
    fn a_score_falls_into_the_bin_that_begins_at_or_below_it() {
        let start = clock::now();
        let drift = Drift::new(&quarters(), start);
        for score in [0.0, 0.249, 0.25, 0.5, 0.74, 0.75, 1.0] {
            drift.scored(&[score]);
        }
        let counts: Vec<u64> = drift.labels[0].live.iter().map(|bin| bin.load(Ordering::Relaxed)).collect();
        assert_eq!(counts, [2, 1, 2, 2]);
    }

    #[test]
    fn the_window_slides_and_memory_stays() {
        let start = clock::now();
        let drift = Drift::new(&quarters(), start);
        let minutes = |count: u64| start + Duration::from_secs(60 * count);
        feed(&drift, 0.1, LEAST_TEXTS - 1);
        assert_eq!(drift.read(minutes(1)), DriftReading { texts: LEAST_TEXTS - 1, index: None });
        feed(&drift, 0.1, 1);
        let found = drift.read(minutes(2)).index.unwrap();
        assert!(found[0] > 0.25, "all scores in one bin of four give {found:?}");
        // From now on the scores are spread as the reference is, read every five minutes.
        for step in 1..=40 {
            [0.1, 0.3, 0.6, 0.9].into_iter().for_each(|score| feed(&drift, score, 50));
            let reading = drift.read(minutes(5 * step));
            assert!(drift.kept.lock().unwrap().0.len() <= 14);
            if 5 * step > 70 {
                assert!(reading.index.unwrap()[0] < 0.01, "the first texts still count after {} minutes", 5 * step);
                assert!((2400..=2800).contains(&reading.texts), "{} texts in about an hour of 200 every five minutes", reading.texts);
            }
        }
        assert_eq!(drift.read(minutes(10_000)).texts, 0);
    }
}
