//! A prompt in a tokenizer's tokens, and the tokenizer as it goes on behind it.

use serde_json::{Value, json};
use tokenizers::Tokenizer;

use super::encoder::{Answer, Template, opened, unusable};
use super::{Prompt, TextError};

/// The tokenizer for texts and answers, the tokens around a text, and how an answer begins and ends.
pub(super) fn open(json: &[u8], prompt: &Prompt) -> Result<(Tokenizer, Template, Answer), TextError> {
    let (first, own) = opened(json)?;
    let control = |token: &String, role| first.token_to_id(token).ok_or_else(|| TextError::ControlToken { token: token.clone(), role });
    let end = control(&prompt.end, "the end of an answer")?;
    prompt.markers.iter().try_for_each(|marker| control(marker, "a marker of the prompt").map(|_| ()))?;

    let (before, lead) = led(&prompt.before);
    let before = begun_once(&own.before, spoken(&first, before)?);
    let tokenizer = match continuing(json)? {
        Some(json) => opened(&json)?.0,
        None => first,
    };
    let (after, answer_lead) = led(&prompt.after);
    let after = spoken(&tokenizer, after)?;
    Ok((tokenizer, Template { before, after, lead }, Answer { lead: answer_lead, end }))
}

/// A part without the space at its end, which is tokenised with what comes next, as tokenizers do.
fn led(part: &str) -> (&str, &'static str) {
    part.strip_suffix(' ').map_or((part, ""), |part| (part, " "))
}

/// The tokens of a part of the prompt, control tokens among them.
fn spoken(tokenizer: &Tokenizer, part: &str) -> Result<Vec<u32>, TextError> {
    let mut tokenizer = tokenizer.clone();
    tokenizer.set_encode_special_tokens(false);
    Ok(tokenizer.encode_fast(part, false).map_err(unusable)?.get_ids().to_vec())
}

/// The tokens behind the tokenizer's own beginning, which stands there once even if they have it too.
fn begun_once(beginning: &[u32], mut ids: Vec<u32>) -> Vec<u32> {
    while !beginning.is_empty() && ids.starts_with(beginning) {
        ids.drain(..beginning.len());
    }
    [beginning, &ids].concat()
}

/// The definition of the tokenizer without the space that it puts before what it takes for a
/// beginning, where it does: behind a prompt nothing begins.
fn continuing(json: &[u8]) -> Result<Option<Vec<u8>>, TextError> {
    let original: Value = serde_json::from_slice(json).map_err(unusable)?;
    let mut file = original.clone();
    let prepends = |step: &Value| step["type"] == "Prepend";
    if let Some(normalizer) = file.get_mut("normalizer").filter(|normalizer| prepends(normalizer)) {
        *normalizer = Value::Null;
    }
    if let Some(steps) = file.pointer_mut("/normalizer/normalizers").and_then(Value::as_array_mut) {
        steps.retain(|step| !prepends(step));
    }
    file.get_mut("pre_tokenizer").into_iter().for_each(goes_on);
    file.pointer_mut("/pre_tokenizer/pretokenizers").and_then(Value::as_array_mut).into_iter().flatten().for_each(goes_on);
    if file == original { Ok(None) } else { serde_json::to_vec(&file).map(Some).map_err(unusable) }
}

fn goes_on(splitter: &mut Value) {
    match splitter["type"].as_str() {
        Some("Metaspace") => {
            splitter["prepend_scheme"] = json!("never");
            splitter["add_prefix_space"] = json!(false);
        }
        Some("ByteLevel") => splitter["add_prefix_space"] = json!(false),
        _ => {}
    }
}
