//! A second model looks at some of the texts, and its answers are only counted.
//!
//! Never on the way of an answer: what the shadow shall see is handed over once the answer is
//! computed, to a thread of its own, which asks one request's texts at a time. When texts wait for
//! an engine, or the thread is behind, the shadow goes without and that is counted. Which requests
//! it sees follows from their number, evenly spread. Refuses to compare what the two models do not
//! both call a label.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use super::served::Served;
use crate::decide::{Logits, Prediction};
use crate::serve::batching::Priority;
use crate::serve::clock;
use crate::serve::engine::{Crew, Order};
use crate::serve::telemetry::{Pair, ShadowFigures, Shadowed, Telemetry};
use crate::text::Encoding;

/// Requests that wait for the shadow's thread.
const BACKLOG: usize = 8;
/// How long the shadow's engine gets.
const PATIENCE: Duration = Duration::from_secs(10);

/// Requests in ten thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Share(u64);

impl Share {
    const WHOLE: u64 = 10_000;

    /// From percent, above 0 and at most 100, to a hundredth of one.
    pub(crate) fn percent(percent: f64) -> Option<Self> {
        let share = (percent * 100.0).round();
        // In [1, 10000], so the cast is exact; a number that is none is in no range.
        (1.0..=Self::WHOLE as f64).contains(&share).then_some(Self(share as u64))
    }

    pub(crate) fn as_percent(self) -> f64 {
        self.0 as f64 / 100.0
    }

    /// Whether request number `count` is among them: of any ten thousand in a row exactly the
    /// share, evenly spread.
    fn holds(self, count: u64) -> bool {
        let count = count % Self::WHOLE;
        (count + 1) * self.0 / Self::WHOLE > count * self.0 / Self::WHOLE
    }
}

/// What the shadow is to see of one request.
struct Glimpse {
    serving: Arc<Served>,
    texts: Vec<String>,
    logits: Logits,
}

/// See the module. Dropping it lets its thread go.
pub(crate) struct Shadow {
    with: Arc<Served>,
    share: Share,
    requests: AtomicU64,
    dropped: ShadowFigures,
    sender: SyncSender<Glimpse>,
}

impl Shadow {
    /// Starts the thread that asks `with` what `serving` answered, over the labels of both.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub(super) fn start(serving: &Served, with: Arc<Served>, share: Share, (telemetry, crew): (&Telemetry, &Crew)) -> io::Result<Self> {
        let labels = common_labels(serving, &with);
        let words: Vec<&str> = labels.iter().map(String::as_str).collect();
        let (sender, glimpses) = sync_channel(BACKLOG);
        let [mut figures, dropped] = [&words[..], &[]].map(|labels| telemetry.shadow(&serving.model.name, labels));
        let (member, asked) = (crew.sign_on(), Arc::clone(&with));
        std::thread::Builder::new().name("limbic-shadow".to_owned()).spawn(move || {
            let _member = member;
            watch(&glimpses, &asked, &labels, &mut figures);
        })?;
        Ok(Self { with, share, requests: AtomicU64::new(0), dropped, sender })
    }

    /// Whom it asks.
    pub(crate) fn with(&self) -> &Served {
        &self.with
    }

    pub(crate) fn share(&self) -> Share {
        self.share
    }

    /// Counts one request; whether the shadow is to see it.
    pub(crate) fn wants(&self) -> bool {
        self.share.holds(self.requests.fetch_add(1, Ordering::Relaxed))
    }

    /// Hands over what was answered, unless somebody waits.
    pub(crate) fn show(&self, serving: &Arc<Served>, texts: Vec<String>, logits: &Logits) {
        let count = texts.len();
        let busy = serving.engine.depth().texts > 0 || self.with.engine.depth().texts > 0;
        let glimpse = || Glimpse { serving: Arc::clone(serving), texts, logits: logits.clone() };
        if busy || self.sender.try_send(glimpse()).is_err() {
            self.dropped.texts(Shadowed::Dropped, count);
        }
    }
}

/// The labels that both models know, in the serving one's order.
pub(super) fn common_labels(serving: &Served, with: &Served) -> Vec<String> {
    let theirs = with.model.decider.labels();
    serving.model.decider.labels().names().iter().filter(|label| theirs.index_of(label).is_some()).cloned().collect()
}

fn watch(glimpses: &Receiver<Glimpse>, with: &Served, labels: &[String], figures: &mut ShadowFigures) {
    while let Ok(Glimpse { serving, texts, logits }) = glimpses.recv() {
        let Some(theirs) = ask(with, &texts) else {
            figures.texts(Shadowed::Failed, texts.len());
            continue;
        };
        let (ours, theirs) = (serving.model.decider.decide(&logits), with.model.decider.decide(&theirs));
        for (our, their) in ours.iter().zip(&theirs) {
            let pair = |label: &String| Some(Pair { serving: view(&serving, our, label)?, shadow: view(with, their, label)? });
            // A version with other labels may have come to serve meanwhile.
            match labels.iter().map(pair).collect::<Option<Vec<Pair>>>() {
                Some(pairs) => figures.compared(pairs),
                None => figures.texts(Shadowed::Failed, 1),
            }
        }
    }
}

/// The shadow's logits, if it has any.
fn ask(with: &Served, texts: &[String]) -> Option<Logits> {
    let encodings = texts.iter().map(|text| with.model.encoder.encode(text)).collect::<Result<Vec<Encoding>, _>>().ok()?;
    let order = Order { deadline: clock::now() + PATIENCE, priority: Priority::Low, origin: None };
    let ticket = with.engine.admit(texts.len()).and_then(|permit| permit.submit(encodings, order)).ok()?;
    ticket.wait_blocking().ok().map(|answer| answer.logits)
}

fn view(served: &Served, prediction: &Prediction, label: &str) -> Option<(f32, bool)> {
    let at = served.model.decider.labels().index_of(label)?;
    Some((*prediction.scores.get(at)?, prediction.labels.contains(&at)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_share_is_a_percentage_that_can_be_seen() {
        assert_eq!(Share::percent(5.0).map(Share::as_percent), Some(5.0));
        assert_eq!(Share::percent(0.01), Some(Share(1)));
        for bad in [0.0, -1.0, 0.001, 100.01, f64::NAN, f64::INFINITY] {
            assert_eq!(Share::percent(bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn of_ten_thousand_in_a_row_exactly_the_share(share in 1_u64..=10_000, start in 0_u64..1 << 40) {
            let seen: Vec<u64> = (start..start + 10_000).filter(|&count| Share(share).holds(count)).collect();
            prop_assert_eq!(seen.len() as u64, share);
            // Evenly spread: no gap is longer than its part, rounded up.
            prop_assert!(seen.windows(2).all(|pair| pair[1] - pair[0] <= 10_000_u64.div_ceil(share)));
        }
    }
}
