//! Which tokens a masked language model is asked about, and what stands in their place (Devlin et al.
//! 2019, arXiv:1810.04805): a share of a text's own tokens, of which 80 % are hidden, 10 % replaced by
//! any other, 10 % left. Drawn anew every epoch (Liu et al. 2019, arXiv:1907.11692).

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::TrainError;
use crate::text::{Encoding, TextEncoder};

/// How tokens are masked.
#[derive(Debug, Clone)]
pub(super) struct Masking {
    encoder: TextEncoder,
    mask: u32,
    vocabulary: u32,
    probability: f64,
    seed: u64,
}

/// A text with tokens hidden, and for each token its id where it is asked about, NaN elsewhere.
pub(super) type Masked = (Vec<u32>, Vec<f32>);

impl Masking {
    /// Asks about each of a text's own tokens with this probability, and about one at least.
    ///
    /// # Errors
    /// [`TrainError::NoMask`] for a vocabulary without a mask token.
    pub(super) fn new(encoder: &TextEncoder, probability: f64, seed: u64) -> Result<Self, TrainError> {
        let mask = encoder.mask_token().ok_or(TrainError::NoMask)?;
        let vocabulary = u32::try_from(encoder.vocabulary()).unwrap_or(u32::MAX);
        Ok(Self { encoder: encoder.clone(), mask, vocabulary, probability, seed })
    }

    /// The row of this number in this epoch.
    pub(super) fn apply(&self, encoding: &Encoding, row: usize, epoch: u64) -> Masked {
        let mut random = StdRng::seed_from_u64(self.seed);
        let key: u64 = random.random::<u64>() ^ epoch.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (row as u64).rotate_left(32);
        let mut random = StdRng::seed_from_u64(key);
        let own = self.encoder.own_tokens(encoding);
        let mut asked: Vec<usize> = own.clone().filter(|_| random.random_bool(self.probability)).collect();
        if asked.is_empty() && !own.is_empty() {
            asked.push(random.random_range(own));
        }
        let mut ids = encoding.ids().to_vec();
        let mut targets = vec![f32::NAN; ids.len()];
        for token in asked {
            targets[token] = ids[token] as f32;
            match random.random_range(0..10) {
                0..8 => ids[token] = self.mask,
                8 => ids[token] = random.random_range(0..self.vocabulary),
                _ => {}
            }
        }
        (ids, targets)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Normalization;

    const VOCABULARY: &str = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nd\n";

    fn masking(probability: f64) -> (TextEncoder, Masking) {
        let encoder = TextEncoder::from_vocab(VOCABULARY, Normalization::None, 512).expect("a vocabulary");
        let masking = Masking::new(&encoder, probability, 7).expect("it has a mask token");
        (encoder, masking)
    }

    #[test]
    fn words_are_hidden_replaced_and_left_in_their_shares() {
        let (encoder, masking) = masking(0.15);
        let text = encoder.encode(&"a b c d ".repeat(100)).expect("a text");
        let (mut own, mut asked, mut hidden, mut left) = (0, 0, 0, 0);
        for epoch in 0..50 {
            let (ids, targets) = masking.apply(&text, 3, epoch);
            assert!(targets[0].is_nan() && targets[ids.len() - 1].is_nan(), "the template is never asked about");
            own += ids.len() - 2;
            for (token, target) in targets.iter().enumerate() {
                if target.is_nan() {
                    assert_eq!(ids[token], text.ids()[token]);
                    continue;
                }
                assert_eq!(*target, text.ids()[token] as f32);
                asked += 1;
                hidden += usize::from(ids[token] == 4);
                left += usize::from(ids[token] == text.ids()[token]);
            }
        }
        let share = |count: usize, of: usize| count as f64 / of as f64;
        assert!((share(asked, own) - 0.15).abs() < 0.01, "{asked} of {own}");
        // One in ninety is replaced by the mask, as many by the word itself.
        assert!((share(hidden, asked) - 0.8 - 0.1 / 9.0).abs() < 0.03, "{hidden} of {asked}");
        assert!((share(left, asked) - 0.1 - 0.1 / 9.0).abs() < 0.03, "{left} of {asked}");
    }

    #[test]
    fn a_draw_is_the_rows_and_the_epochs_and_asks_about_one_word_at_least() {
        let (encoder, masking) = masking(0.001);
        let text = encoder.encode("a b c d a b c d").expect("a text");
        let draw = |row, epoch| {
            let (ids, targets) = masking.apply(&text, row, epoch);
            (ids, targets.iter().map(|target| target.to_bits()).collect::<Vec<_>>())
        };
        assert_eq!(draw(0, 0), draw(0, 0));
        let draws: Vec<_> = (0..20).map(|number| draw(number % 5, number as u64 / 5)).collect();
        assert!(draws.iter().any(|other| *other != draws[0]), "rows and epochs differ");
        assert!(draws.iter().all(|(_, targets)| targets.iter().any(|&bits| !f32::from_bits(bits).is_nan())));
        // A text of nothing is not asked about.
        let empty = encoder.encode("").expect("no text");
        assert!(masking.apply(&empty, 0, 0).1.iter().all(|target| target.is_nan()));
    }

    #[test]
    fn a_vocabulary_without_a_mask_is_refused() {
        let encoder = TextEncoder::from_vocab(&VOCABULARY.replace("[MASK]", "mask"), Normalization::None, 16).expect("a vocabulary");
        assert!(matches!(Masking::new(&encoder, 0.15, 7), Err(TrainError::NoMask)));
    }
}
