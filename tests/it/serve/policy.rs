//! The batch policy, over any queue.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use limbic::backend::Cost;
use limbic::serve::batching::{BatchPolicy, Waiting};
use proptest::prelude::*;

fn policy(budget: usize, cost: Cost) -> BatchPolicy {
    BatchPolicy::new(NonZeroUsize::new(budget).unwrap(), cost)
}

fn queue(now: Instant, lengths: &[usize]) -> Vec<Waiting> {
    lengths.iter().map(|&tokens| Waiting { tokens, deadline: now + Duration::from_secs(1) }).collect()
}

#[track_caller]
fn check(budget: usize, cost: Cost, lengths: &[usize], expected: &[usize]) {
    let now = Instant::now();
    let pick = policy(budget, cost).pick(&queue(now, lengths), now);
    assert_eq!(pick.batch, expected, "of {lengths:?} within {budget} {cost:?}");
    assert!(pick.expired.is_empty());
}

#[test]
fn the_oldest_takes_its_nearest_lengths() {
    check(256, Cost::Padded, &[], &[]);
    check(256, Cost::Padded, &[9], &[0]);
    check(256, Cost::Padded, &[300, 8, 8], &[0]);
    check(64, Cost::Padded, &[20, 8, 21, 60, 19], &[0, 2, 4]);
    check(64, Cost::Padded, &[16, 16, 16, 16, 16, 16], &[0, 1, 2, 3]);
    // Two thin batches are quicker than one that is mostly padding.
    check(256, Cost::Padded, &[60, 8], &[0]);
    check(256, Cost::Ragged, &[60, 8], &[0, 1]);
    check(64, Cost::Ragged, &[20, 40, 10, 34], &[0, 2, 3]);
}

#[test]
fn what_is_late_is_not_computed() {
    let now = Instant::now();
    let mut waiting = queue(now, &[8, 8, 8]);
    waiting[0].deadline = now;
    waiting[2].deadline = now.checked_sub(Duration::from_millis(1)).unwrap_or(now);
    let pick = policy(64, Cost::Padded).pick(&waiting, now);
    assert_eq!((pick.batch, pick.expired), (vec![1], vec![0, 2]));
}

#[test]
fn a_long_text_among_endless_short_ones_goes_within_three_batches() {
    let (now, policy) = (Instant::now(), policy(256, Cost::Padded));
    let mut lengths = vec![8; 40];
    lengths.push(512);
    for batch in 1..=3 {
        let picked = policy.pick(&queue(now, &lengths), now).batch;
        if picked.iter().any(|&at| lengths[at] == 512) {
            return;
        }
        let mut at = 0;
        lengths.retain(|_| (!picked.contains(&at), at += 1).0);
        lengths.resize(lengths.len() + 32, 8);
        assert!(batch < 3, "three batches went by");
    }
}

fn cost() -> impl Strategy<Value = Cost> {
    prop_oneof![Just(Cost::Padded), Just(Cost::Ragged)]
}

proptest! {
    #[test]
    fn holds_for_any_queue(budget in 1_usize..600, cost in cost(), texts in prop::collection::vec((1_usize..300, any::<bool>()), 0..400)) {
        let now = Instant::now();
        let (policy, late) = (policy(budget, cost), now);
        let alive = now + Duration::from_secs(1);
        let waiting: Vec<Waiting> =
            texts.iter().map(|&(tokens, is_late)| Waiting { tokens, deadline: if is_late { late } else { alive } }).collect();
        let pick = policy.pick(&waiting, now);

        // Every late text is named, and no other.
        let expected: Vec<usize> = (0..texts.len()).filter(|&at| texts[at].1).collect();
        prop_assert_eq!(&pick.expired, &expected);
        // The oldest that is wanted is always in; with none there is no batch.
        let oldest = (0..texts.len()).find(|&at| !texts[at].1);
        prop_assert_eq!(pick.batch.first().copied(), oldest);
        prop_assert!(pick.batch.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(pick.batch.iter().all(|&at| !texts[at].1));
        // The budget holds, but for one text that is longer than it.
        let computed = policy.cost(pick.batch.iter().map(|&at| texts[at].0));
        prop_assert!(computed <= budget || pick.batch.len() == 1, "{computed} of {budget}");
        // Nothing is mostly padding.
        let real: usize = pick.batch.iter().map(|&at| texts[at].0).sum();
        prop_assert!(pick.batch.len() < 2 || real * 10 >= computed * 7, "{real} of {computed}");
        // It never waits: the same queue without what was picked gives the next batch.
        prop_assert_eq!(pick, policy.pick(&waiting, now));
    }

    #[test]
    fn nothing_starves(lengths in prop::collection::vec(1_usize..300, 1..80)) {
        let (now, policy) = (Instant::now(), policy(256, Cost::Padded));
        let mut left = lengths.clone();
        let mut batches = 0;
        while !left.is_empty() {
            let picked = policy.pick(&queue(now, &left), now).batch;
            prop_assert_eq!(picked[0], 0);
            let mut at = 0;
            left.retain(|_| (!picked.contains(&at), at += 1).0);
            batches += 1;
        }
        prop_assert!(batches <= lengths.len());
    }
}
