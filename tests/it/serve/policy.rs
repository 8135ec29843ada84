//! The batch policy, over any queue.

use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use limbic::backend::Cost;
use limbic::serve::batching::{BatchPolicy, Priority, Waiting};
use proptest::prelude::*;

fn policy(budget: usize, cost: Cost) -> BatchPolicy {
    BatchPolicy::new(NonZeroUsize::new(budget).unwrap(), cost)
}

/// Texts that all say something else.
fn queue(now: Instant, lengths: &[usize]) -> Vec<Waiting> {
    let deadline = now + Duration::from_secs(1);
    lengths.iter().enumerate().map(|(at, &tokens)| Waiting { tokens, deadline, text: at as u64 }).collect()
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
fn texts_that_say_the_same_cost_one() {
    let now = Instant::now();
    let mut waiting = queue(now, &[20, 20, 20, 30, 20, 20, 60]);
    for at in [2, 4, 5] {
        waiting[at].text = waiting[0].text;
    }
    // Two different texts of 20 fill 40 of 50; the equal ones come along for nothing.
    let pick = policy(50, Cost::Padded).pick(&waiting, now);
    assert_eq!(pick.batch, [0, 1, 2, 4, 5]);
    // One that is late is late, whoever says the same.
    waiting[4].deadline = now;
    let pick = policy(50, Cost::Padded).pick(&waiting, now);
    assert_eq!((pick.batch, pick.expired), (vec![0, 1, 2, 5], vec![4]));
}

#[test]
fn a_priority_is_a_head_start_with_an_end() {
    let now = Instant::now();
    let [high, normal, low] = Priority::ALL;
    assert!(high.turn(now) < normal.turn(now) && normal.turn(now) < low.turn(now));
    for (behind, ahead) in [(normal, high), (low, high), (low, normal)] {
        let lead = behind.yields() - ahead.yields();
        assert!(ahead.turn(now + lead - Duration::from_nanos(1)) < behind.turn(now));
        assert!(ahead.turn(now + lead + Duration::from_nanos(1)) > behind.turn(now));
    }
    assert!(low.yields() < Duration::from_secs(5), "what is least urgent would miss the usual deadline");
    assert_eq!(Priority::ALL.map(Priority::name).map(Priority::of), Priority::ALL.map(Some));
    assert_eq!((Priority::of("urgent"), Priority::default()), (None, normal));
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
    fn holds_for_any_queue(budget in 1_usize..600, cost in cost(), texts in prop::collection::vec((1_usize..300, any::<bool>()), 0..400), different in 1_u64..400) {
        let now = Instant::now();
        let (policy, late) = (policy(budget, cost), now);
        let alive = now + Duration::from_secs(1);
        // What says the same has the same length.
        let text = |at: usize| ((at as u64 % different) << 32) | texts[at].0 as u64;
        let deadline = |at: usize| if texts[at].1 { late } else { alive };
        let waiting: Vec<Waiting> =
            (0..texts.len()).map(|at| Waiting { tokens: texts[at].0, deadline: deadline(at), text: text(at) }).collect();
        let pick = policy.pick(&waiting, now);

        // Every late text is named, and no other.
        let expected: Vec<usize> = (0..texts.len()).filter(|&at| texts[at].1).collect();
        prop_assert_eq!(&pick.expired, &expected);
        // The oldest that is wanted is always in; with none there is no batch.
        let oldest = (0..texts.len()).find(|&at| !texts[at].1);
        prop_assert_eq!(pick.batch.first().copied(), oldest);
        prop_assert!(pick.batch.windows(2).all(|pair| pair[0] < pair[1]));
        prop_assert!(pick.batch.iter().all(|&at| !texts[at].1));
        // The budget holds over different texts, but for one that is longer than it.
        let mut distinct: Vec<(u64, usize)> = pick.batch.iter().map(|&at| (waiting[at].text, texts[at].0)).collect();
        distinct.sort_unstable();
        distinct.dedup();
        let computed = policy.cost(distinct.iter().map(|&(_, tokens)| tokens));
        prop_assert!(computed <= budget || distinct.len() == 1, "{computed} of {budget}");
        // Nothing is mostly padding.
        let real: usize = distinct.iter().map(|&(_, tokens)| tokens).sum();
        prop_assert!(distinct.len() < 2 || real * 10 >= computed * 7, "{real} of {computed}");
        // Within sight, nobody who says the same as one that is taken is left.
        let seen = (0..texts.len()).filter(|&at| !texts[at].1).take(256);
        let left = seen.filter(|at| !pick.batch.contains(at) && distinct.iter().any(|&(text, _)| text == waiting[*at].text));
        prop_assert_eq!(left.count(), 0);
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

    #[test]
    fn nobody_is_overtaken_for_longer_than_a_head_start(texts in prop::collection::vec((0_usize..3, 0_u64..3_000), 1..200)) {
        let start = Instant::now();
        let arrived = |at: usize| start + Duration::from_millis(texts[at].1);
        let priority = |at: usize| Priority::ALL[texts[at].0];
        let mut order: Vec<usize> = (0..texts.len()).collect();
        order.sort_by_key(|&at| (priority(at).turn(arrived(at)), at));
        for (place, &behind) in order.iter().enumerate() {
            for &ahead in &order[..place] {
                // Who goes first either came no later or came within what the other yields.
                let after = arrived(ahead).saturating_duration_since(arrived(behind));
                prop_assert!(after <= priority(behind).yields().saturating_sub(priority(ahead).yields()), "{ahead} before {behind}");
            }
        }
    }

    #[test]
    fn the_least_urgent_goes_though_urgent_ones_never_end(tokens in 1_usize..300, each in 1_usize..300, takes in 50_u64..400) {
        // Urgent texts come faster than they can be computed, for ever; one that is not waits.
        let (start, policy) = (Instant::now(), policy(256, Cost::Padded));
        let deadline = start + Duration::from_secs(3600);
        let turn = Priority::Low.turn(start);
        let mut waiting = vec![(turn, Waiting { tokens, deadline, text: u64::MAX })];
        let (mut now, mut sent, mut before_it, mut batches) = (start, 0, 0, 0);
        loop {
            for _ in 0..6 {
                waiting.push((Priority::High.turn(now), Waiting { tokens: each, deadline, text: sent }));
                sent += 1;
                before_it += u32::from(now <= turn);
            }
            waiting.sort_by_key(|(turn, _)| *turn);
            let view: Vec<Waiting> = waiting.iter().map(|(_, text)| *text).collect();
            let picked = policy.pick(&view, now).batch;
            if picked.iter().any(|&at| view[at].text == u64::MAX) {
                break;
            }
            batches += 1;
            // Each batch takes at least one of those that came before its turn.
            prop_assert!(batches <= before_it, "{batches} batches went by, and only {before_it} texts were before it");
            let mut at = 0;
            waiting.retain(|_| (!picked.contains(&at), at += 1).0);
            now += Duration::from_millis(takes);
        }
    }
}
