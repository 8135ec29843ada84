//! The likeliest token, again and again.

use super::NextTokens;
use super::scores::best;

/// What the model writes behind each prompt when it always takes the likeliest token, the first of
/// equals: until `end`, which is then the answer's last token, or until `most` tokens.
///
/// # Errors
/// The model's own.
pub fn greedy<M: NextTokens>(model: &mut M, prompts: &[&[u32]], end: u32, most: usize) -> Result<Vec<Vec<u32>>, M::Error> {
    let mut answers = vec![Vec::new(); prompts.len()];
    if prompts.is_empty() || most == 0 {
        return Ok(answers);
    }
    let mut scores = model.begin(prompts)?;
    // Which prompt each of the model's sequences answers.
    let mut open: Vec<usize> = (0..prompts.len()).collect();
    loop {
        let mut going: Vec<(usize, [u32; 1])> = Vec::with_capacity(open.len());
        for (sequence, &prompt) in open.iter().enumerate() {
            let token = best(scores.last(sequence));
            answers[prompt].push(token);
            if token != end && answers[prompt].len() < most {
                going.push((sequence, [token]));
            }
        }
        if going.is_empty() {
            return Ok(answers);
        }
        let parents: Vec<usize> = going.iter().map(|(sequence, _)| *sequence).collect();
        let tokens: Vec<&[u32]> = going.iter().map(|(_, token)| token.as_slice()).collect();
        scores = model.advance(&parents, &tokens)?;
        open = parents.into_iter().map(|sequence| open[sequence]).collect();
    }
}
