//! Logits over a vocabulary, behind the tokens that were read.

/// For every sequence a row of logits behind each of the tokens that were asked about, at least one.
#[derive(Debug, Clone, PartialEq)]
pub struct Scores {
    vocabulary: usize,
    /// Where each sequence's rows begin, and the end.
    offsets: Vec<usize>,
    values: Vec<f32>,
}

impl Scores {
    /// Takes rows of `vocabulary` logits, end to end, and how many of them each sequence has.
    ///
    /// # Panics
    /// When the values are not as many as that makes.
    #[must_use]
    pub fn new(vocabulary: usize, rows: impl IntoIterator<Item = usize>, values: Vec<f32>) -> Self {
        let mut offsets = vec![0];
        offsets.extend(rows.into_iter().scan(0, |end, rows| {
            *end += rows;
            Some(*end)
        }));
        assert_eq!(values.len(), offsets[offsets.len() - 1] * vocabulary, "a row a token; anything else, this is a bug");
        Self { vocabulary, offsets, values }
    }

    /// Logits behind the last token of a sequence.
    ///
    /// # Panics
    /// When there is no such sequence.
    #[must_use]
    pub fn last(&self, sequence: usize) -> &[f32] {
        self.row(self.offsets[sequence + 1] - 1)
    }

    /// Logits behind token `token`, of those that were read last, of a sequence.
    ///
    /// # Panics
    /// When there is no such sequence or token.
    #[must_use]
    pub fn behind(&self, sequence: usize, token: usize) -> &[f32] {
        assert!(self.offsets[sequence] + token < self.offsets[sequence + 1], "no row behind token {token}; this is a bug");
        self.row(self.offsets[sequence] + token)
    }

    fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.vocabulary..(row + 1) * self.vocabulary]
    }
}

/// The natural logarithm of each token's probability under softmax; the sum over the vocabulary is made once, here.
///
/// # Panics
/// When a token that is asked for is beyond the logits.
pub fn log_probabilities(logits: &[f32]) -> impl Fn(u32) -> f64 + '_ {
    let all = log_sum_exp(logits.iter().map(|&logit| f64::from(logit)));
    move |token| f64::from(logits[token as usize]) - all
}

/// `ln(sum(exp(x)))`; minus infinity without values.
pub(super) fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest + libm::log(values.map(|value| libm::exp(value - largest)).sum::<f64>())
}

/// The token with the largest logit, the first of equals.
pub(super) fn best(logits: &[f32]) -> u32 {
    let best = logits.iter().enumerate().fold(0, |best, (token, logit)| if *logit > logits[best] { token } else { best });
    u32::try_from(best).expect("a vocabulary is counted in u32; anything else, this is a bug")
}
