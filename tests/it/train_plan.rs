//! The plain parts of a fit: folds, batches, learning rates and loss weights.

use limbic::spec::Targets;
use limbic::train::answers::Answers;
use limbic::train::batches::BatchPlan;
use limbic::train::groups::Groups;
use limbic::train::recipe::{FoldsRecipe, Most, Split};
use limbic::train::schedule::{Schedule, ScheduleKind, Warmup};
use limbic::train::split::{Folds, SplitError};
use limbic::train::weights::{LossWeights, Weighting};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Rows with rare and common labels, a few of them near duplicates of the row before.
fn rows(count: usize, seed: u64) -> (Targets, Groups) {
    let mut random = StdRng::seed_from_u64(seed);
    let shares = [0.38, 0.3, 0.12, 0.05, 0.02];
    let mut values = Vec::new();
    let mut texts: Vec<String> = Vec::new();
    for row in 0..count {
        values.extend(shares.map(|share| random.random_bool(share)));
        let word = |n: u64| format!("w{:x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40).replace(|c: char| c.is_ascii_digit(), "q");
        let text: Vec<String> = (0..12).map(|place| word(random.random::<u64>() ^ place)).collect();
        texts.push(if row % 50 == 49 { texts[row - 1].to_uppercase() } else { text.join(" ") });
    }
    (Targets::new(count, 5, values).unwrap(), Groups::find(texts.iter().map(String::as_str)))
}

/// Mean absolute deviation of the folds' label shares from the whole's, over folds and labels,
/// relative to the label's share.
fn imbalance(targets: &Targets, of_row: &[usize], k: usize) -> f64 {
    let mut sum = 0.0;
    for label in 0..targets.labels() {
        let whole = targets.positives(label) as f64 / targets.rows() as f64;
        for fold in 0..k {
            let rows: Vec<usize> = (0..targets.rows()).filter(|&row| of_row[row] == fold).collect();
            let share = targets.select(&rows).positives(label) as f64 / rows.len() as f64;
            sum += (share - whole).abs() / whole;
        }
    }
    sum / (k * targets.labels()) as f64
}

#[test]
fn folds_partition_the_rows_alike_and_keep_groups_whole() {
    for (count, k, seed) in [(1000, 5, 1), (500, 3, 2), (2000, 10, 3)] {
        let (targets, groups) = rows(count, seed);
        let folds = Folds::stratify(&targets, &groups, k, seed).unwrap();
        assert_eq!(folds, Folds::stratify(&targets, &groups, k, seed).unwrap());
        assert_ne!(folds, Folds::stratify(&targets, &groups, k, seed + 1).unwrap());
        let mut seen = vec![0; count];
        for fold in 0..k {
            let held = folds.held_out(fold);
            assert!(held.len().abs_diff(count / k) <= 2 + count / k / 20, "{} of {count} in fold {fold} of {k}", held.len());
            held.iter().for_each(|&row| seen[row] += 1);
            assert_eq!(held.len() + folds.trained(fold).len(), count);
        }
        assert!(seen.iter().all(|&times| times == 1));
        let shared: Vec<_> = groups.members().iter().filter(|members| members.len() > 1).collect();
        assert!(shared.len() >= count / 60, "only {} groups", shared.len());
        assert!(shared.iter().all(|members| members.iter().all(|&row| folds.of_row()[row] == folds.of_row()[members[0]])));

        let mut random = StdRng::seed_from_u64(seed);
        let lots: Vec<usize> = (0..count).map(|_| random.random_range(0..k)).collect();
        let (ours, by_lot) = (imbalance(&targets, folds.of_row(), k), imbalance(&targets, &lots, k));
        assert!(ours < 0.25 * by_lot, "k {k}: imbalance {ours} is no better than by lot, {by_lot}");
    }
}

#[test]
fn a_hold_out_keeps_groups_whole_and_labels_alike() {
    let (targets, groups) = rows(1000, 5);
    let recipe = |fraction, stratify| FoldsRecipe { split: Split::HoldOut { fraction, stratify }, most: Most::default(), seed: 7 };
    let mut off = Vec::new();
    for (fraction, stratify) in [(0.3, true), (0.3, false), (0.1, true)] {
        let folds = Folds::new(&targets, &groups, &recipe(fraction, stratify)).unwrap();
        assert_eq!(folds.fitted(), 0..1);
        let (held, trained) = (folds.held_out(0), folds.trained(0));
        assert!((held.len() as f64 - fraction * 1000.0).abs() <= 12.0 && held.len() + trained.len() == 1000, "{}", held.len());
        assert!(groups.members().iter().all(|members| members.iter().all(|row| held.contains(row)) || !held.contains(&members[0])));
        let share = |rows: &[usize], label| targets.select(rows).positives(label) as f64 / rows.len() as f64;
        off.push((0..5).map(|label| (share(&held, label) - share(&trained, label)).abs()).sum::<f64>());
    }
    assert!(off[0] < 0.25 * off[1], "{off:?}");
    let all = Folds::new(&targets, &groups, &recipe(0.3, true)).unwrap();
    let stay = all.at_most(Most { trained: Some(200), held_out: Some(100) });
    let few = all.select(&stay);
    assert_eq!((few.trained(0).len(), few.held_out(0).len()), (200, 100));
    assert!(stay.iter().enumerate().all(|(row, &was)| few.of_row()[row] == all.of_row()[was]));

    // Parts inside the one fold: several, covering all its rows, groups whole.
    let held = all.held_out(0);
    let parts = all.parts(&targets, &groups, &held).unwrap();
    assert_eq!((parts.len(), parts.iter().max()), (held.len(), Some(&4)));
    let part = |row: &usize| held.binary_search(row).ok().map(|place| parts[place]);
    assert!(groups.members().iter().all(|members| members.iter().all(|row| part(row) == part(&members[0]))));
}

#[test]
fn impossible_folds_are_refused() {
    let targets = Targets::new(3, 1, vec![true, false, true]).unwrap();
    let groups = Groups::find(["one text that is here twice over", "one text that is here twice over!", "another"]);
    for k in [0, 1, 3] {
        assert_eq!(Folds::stratify(&targets, &groups, k, 0).unwrap_err(), SplitError::Folds { k, groups: 2 });
    }
    for (fraction, stratify) in [(0.01, false), (0.99, false)] {
        assert_eq!(Folds::hold_out(&targets, &groups, fraction, stratify, 0).unwrap_err(), SplitError::Fraction { fraction, groups: 2 });
    }
}

#[test]
fn an_epoch_holds_every_row_once_and_groups_lengths() {
    let lengths: Vec<usize> = (0..1003).map(|row| 3 + (row * 37) % 61).collect();
    let plan = BatchPlan { texts: 32, window: 8, seed: 7 };
    let spread = |batches: &[Vec<usize>]| -> f64 {
        let range = |batch: &Vec<usize>| {
            let all = batch.iter().map(|&row| lengths[row]);
            (all.clone().max().unwrap() - all.min().unwrap()) as f64
        };
        batches.iter().map(range).sum::<f64>() / batches.len() as f64
    };
    let batches = plan.epoch(&lengths, 0);
    assert_eq!(batches.len(), plan.count(lengths.len()));
    let mut all = batches.concat();
    all.sort_unstable();
    assert_eq!(all, (0..1003).collect::<Vec<_>>());
    assert_eq!(batches, plan.epoch(&lengths, 0));
    assert_ne!(batches, plan.epoch(&lengths, 1));
    assert_ne!(batches, BatchPlan { seed: 8, ..plan }.epoch(&lengths, 0));
    let loose = BatchPlan { window: 1, ..plan }.epoch(&lengths, 0);
    assert!(spread(&batches) < 0.35 * spread(&loose), "{} against {}", spread(&batches), spread(&loose));
}

#[test]
fn rates_are_those_of_transformers() {
    // transformers 4.57: get_linear_schedule_with_warmup and get_cosine_schedule_with_warmup with
    // two steps of warm-up in ten, and get_constant_schedule_with_warmup.
    let cosine = |progress: f64| 0.5 * (1.0 + (std::f64::consts::PI * progress).cos());
    let cases: [(ScheduleKind, [f64; 11]); 3] = [
        (ScheduleKind::Linear, [0.0, 0.5, 1.0, 0.875, 0.75, 0.625, 0.5, 0.375, 0.25, 0.125, 0.0]),
        (
            ScheduleKind::Cosine,
            [
                0.0,
                0.5,
                1.0,
                0.961_939_766_255_643_4,
                0.853_553_390_593_273_8,
                0.691_341_716_182_545,
                0.5,
                0.308_658_283_817_455,
                0.146_446_609_406_726_2,
                0.038_060_233_744_356_64,
                cosine(1.0),
            ],
        ),
        (ScheduleKind::Constant, [0.0, 0.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    ];
    for (kind, expected) in cases {
        for warmup in [Warmup::Steps(2), Warmup::Ratio(0.2), Warmup::Ratio(0.15)] {
            let schedule = Schedule::new(kind, warmup, 3.0, 10).unwrap();
            for (step, factor) in expected.iter().enumerate() {
                let rate = schedule.rate(step as u64);
                assert!((rate - 3.0 * factor).abs() < 1e-12, "{kind:?} {warmup:?} step {step}: {rate}");
            }
        }
    }
    assert_eq!(
        Schedule::new(ScheduleKind::Linear, Warmup::Steps(10), 1.0, 10).unwrap_err().to_string(),
        "warmup takes 10 steps: expected fewer than the 10 steps of the schedule"
    );
}

#[test]
fn a_plateau_warms_up_and_falls_only_when_the_score_stops_rising() {
    // torch's ReduceLROnPlateau(mode="max", factor=0.5, patience=1, threshold=0) on these scores.
    let mut schedule = Schedule::new(ScheduleKind::Plateau { factor: 0.5, patience: 1 }, Warmup::Steps(4), 8.0, 100).unwrap();
    assert_eq!([schedule.rate(0), schedule.rate(2), schedule.rate(4)], [0.0, 4.0, 8.0]);
    schedule.evaluated(2, 0.9);
    let scores = [0.1, 0.2, 0.2, 0.3, 0.3, 0.3, 0.3, 0.3, 0.4];
    let expected = [8.0, 8.0, 8.0, 8.0, 8.0, 4.0, 4.0, 2.0, 2.0];
    for (index, (score, rate)) in scores.into_iter().zip(expected).enumerate() {
        schedule.evaluated(10 + index as u64, score);
        assert_eq!(schedule.rate(50), rate, "after evaluation {index}");
    }
    let mut again = Schedule::new(ScheduleKind::Plateau { factor: 0.5, patience: 1 }, Warmup::Steps(4), 8.0, 100).unwrap();
    again.restore(schedule.state());
    assert_eq!(again.rate(50), 2.0);
}

/// Targets whose columns hold so many positives.
fn columns(rows: usize, positives: &[usize]) -> Answers {
    let values = (0..rows).flat_map(|row| positives.iter().map(move |&count| row < count)).collect();
    Answers::of(&Targets::new(rows, positives.len(), values).unwrap())
}

#[test]
fn weights_are_those_of_the_experiments() {
    // The tenth of ten folds: all 7,724 rows without the 773 held out; published weights of scheme B.
    let all = [2859, 1102, 2921, 1363, 2877, 832, 2291, 895, 2273, 396, 400];
    let held = [285, 111, 292, 137, 288, 83, 229, 90, 227, 40, 40];
    let trained: Vec<usize> = all.iter().zip(held).map(|(all, held)| all - held).collect();
    let published = [1.7005, 6.0141, 1.6440, 4.6697, 1.6848, 8.2804, 2.3710, 7.6348, 2.3974, 18.5253, 18.3083];
    let targets = columns(7724 - 773, &trained);
    let count = |cap, power| LossWeights::count(Weighting::PosWeight { cap, power }, &targets).positive;
    for ((weight, root), expected) in count(f64::INFINITY, 1.0).iter().zip(count(f64::INFINITY, 0.5)).zip(published) {
        assert!((weight - expected).abs() < 6e-5, "{weight} for {expected}");
        assert!((root - expected.sqrt()).abs() < 6e-5);
    }
    assert_eq!(count(5.0, 1.0).iter().filter(|&&weight| weight == 5.0).count(), 5);

    // The last of five folds; published weights of scheme A.
    let held = [572, 220, 585, 272, 576, 167, 458, 179, 454, 80, 80];
    let trained: Vec<usize> = all.iter().zip(held).map(|(all, held)| all - held).collect();
    let published = [0.0321, 0.0831, 0.0314, 0.0672, 0.0319, 0.1103, 0.0400, 0.1024, 0.0403, 0.2321, 0.2292];
    let weights = LossWeights::count(Weighting::ClassWeight, &columns(6180, &trained));
    assert!((weights.label.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    for (weight, expected) in weights.label.iter().zip(published) {
        assert!((weight - expected).abs() < 6e-5, "{weight} for {expected}");
    }
    assert!(weights.positive.iter().all(|&weight| weight == 1.0));
}

#[test]
fn rows_that_do_not_answer_a_label_are_not_counted() {
    // Two data sets in one head of five labels: ten rows answer the first three, six the last two.
    let table = |rows, positives: &[usize]| columns(rows, positives).targets();
    let both = Answers::placed(&table(10, &[5, 2, 1]), 0, 5).joined(&Answers::placed(&table(6, &[3, 1]), 3, 5));
    assert_eq!((both.rows(), both.count(1), both.count(4)), (16, (2.0, 10.0), (1.0, 6.0)));
    assert!(both.row(0)[3].is_nan() && both.row(10)[2].is_nan() && both.row(10)[3] == 1.0);
    let weights = LossWeights::count(Weighting::PosWeight { cap: f64::INFINITY, power: 1.0 }, &both);
    assert_eq!(weights.positive, [1.0, 4.0, 9.0, 1.0, 5.0]);
    // A teacher says nothing of what is absent.
    let soft = both.select(&[0, 10]).softened(&[0.5; 10], 0.5);
    assert_eq!((&soft.row(0)[..3], &soft.row(1)[3..]), (&[0.75; 3][..], &[0.75; 2][..]));
    assert!(soft.row(0)[3].is_nan() && soft.row(1)[0].is_nan());
}
