//! The tokenizer's files: a Hugging Face `tokenizer.json`, or BERT's older `vocab.txt`, which is
//! rewritten as the former so that everything behind this file sees one format.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde_json::json;

use super::TextError;

/// Longer files than this are taken for something else. The largest vocabularies in use (250,000
/// pieces) take about 17 MB.
const LARGEST_FILE: u64 = 64 << 20;
/// The pieces that BERT's template and model cannot do without.
const BERT_SPECIAL: [&str; 3] = ["[UNK]", "[CLS]", "[SEP]"];

/// The `tokenizer.json` of a Hugging Face model folder, made from `vocab.txt` where there is none.
///
/// A `vocab.txt` is read as BERT's uncased `WordPiece`; a folder whose tokenizer is cased must bring
/// its `tokenizer.json`.
///
/// # Errors
/// [`TextError::File`] with the path when neither file is there, or one cannot be read or is
/// larger than 64 MiB; [`TextError::Tokenizer`] for a vocabulary that is no BERT vocabulary.
pub fn read_tokenizer_json(folder: &Path) -> Result<Vec<u8>, TextError> {
    let (json, vocab) = (folder.join("tokenizer.json"), folder.join("vocab.txt"));
    if json.is_file() {
        return read(&json);
    }
    if !vocab.is_file() {
        return Err(TextError::File { path: folder.into(), reason: "expected tokenizer.json or vocab.txt, found neither".into() });
    }
    let text = String::from_utf8(read(&vocab)?).map_err(|error| TextError::File { path: vocab, reason: error.to_string() })?;
    bert_tokenizer_json(&text)
}

fn read(path: &Path) -> Result<Vec<u8>, TextError> {
    let wrong = |reason: String| TextError::File { path: path.into(), reason };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| wrong(error.to_string()))?;
    file.take(LARGEST_FILE + 1).read_to_end(&mut bytes).map_err(|error| wrong(error.to_string()))?;
    if bytes.len() as u64 > LARGEST_FILE {
        return Err(wrong(format!("expected at most {LARGEST_FILE} bytes")));
    }
    Ok(bytes)
}

/// A `tokenizer.json` for the text of a BERT `vocab.txt`, uncased: one piece a line, its id the
/// line's number from zero.
///
/// # Errors
/// [`TextError::Tokenizer`] when a piece stands twice or one of `[UNK]`, `[CLS]`, `[SEP]` is
/// missing.
pub fn bert_tokenizer_json(vocab_txt: &str) -> Result<Vec<u8>, TextError> {
    let wrong = |reason: String| TextError::Tokenizer { reason };
    let mut vocab = HashMap::new();
    for (id, piece) in vocab_txt.lines().map(str::trim_end).enumerate() {
        if let Some(first) = vocab.insert(piece, id) {
            return Err(wrong(format!("vocab.txt: {piece:?} stands on lines {} and {}", first + 1, id + 1)));
        }
    }
    let id =
        |piece: &str| vocab.get(piece).ok_or_else(|| wrong(format!("vocab.txt: expected {piece}, found none in {} lines", vocab.len())));
    for piece in BERT_SPECIAL {
        id(piece)?;
    }
    let (cls, sep) = (id("[CLS]")?, id("[SEP]")?);
    let special = |name: &str| json!({"SpecialToken": {"id": name, "type_id": 0}});
    let text = |name: &str, kind: usize| json!({"Sequence": {"id": name, "type_id": kind}});
    let file = json!({
        "version": "1.0",
        "added_tokens": [],
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [special("[CLS]"), text("A", 0), special("[SEP]")],
            "pair": [special("[CLS]"), text("A", 0), special("[SEP]"), text("B", 1), special("[SEP]")],
            "special_tokens": {
                "[CLS]": {"id": "[CLS]", "ids": [cls], "tokens": ["[CLS]"]},
                "[SEP]": {"id": "[SEP]", "ids": [sep], "tokens": ["[SEP]"]},
            },
        },
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {
            "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
            "vocab": ordered(&vocab),
        },
    });
    serde_json::to_vec(&file).map_err(|error| wrong(error.to_string()))
}

/// The pieces in id order: the same vocabulary always gives the same bytes, which are hashed.
fn ordered(vocab: &HashMap<&str, usize>) -> serde_json::Map<String, serde_json::Value> {
    let mut pieces: Vec<_> = vocab.iter().collect();
    pieces.sort_unstable_by_key(|(_, id)| **id);
    pieces.into_iter().map(|(piece, id)| ((*piece).to_owned(), json!(id))).collect()
}
