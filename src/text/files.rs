//! The tokenizer's files: a Hugging Face `tokenizer.json`, or what stood in its place before, which
//! is rewritten as one so that everything behind this file sees one format: BERT's `vocab.txt`, and
//! RoBERTa's `vocab.json` with `merges.txt`.

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

/// The `tokenizer.json` of a Hugging Face model folder, made from `vocab.txt`, or from `vocab.json`
/// and `merges.txt`, where there is none.
///
/// A `vocab.txt` is read as BERT's uncased `WordPiece`; a folder whose tokenizer is cased must bring
/// its `tokenizer.json`.
///
/// # Errors
/// [`TextError::File`] with the path when none of these is there, or one cannot be read or is
/// larger than 64 MiB; otherwise as [`bert_tokenizer_json`] and [`roberta_tokenizer_json`].
pub fn read_tokenizer_json(folder: &Path) -> Result<Vec<u8>, TextError> {
    let [json, vocab, pieces, merges] = ["tokenizer.json", "vocab.txt", "vocab.json", "merges.txt"].map(|name| folder.join(name));
    if json.is_file() {
        read(&json)
    } else if vocab.is_file() {
        bert_tokenizer_json(&read_text(&vocab)?)
    } else if pieces.is_file() && merges.is_file() {
        roberta_tokenizer_json(&read_text(&pieces)?, &read_text(&merges)?)
    } else {
        let reason = "expected tokenizer.json or vocab.txt, or vocab.json and merges.txt, found none of them";
        Err(TextError::File { path: folder.into(), reason: reason.into() })
    }
}

fn read_text(path: &Path) -> Result<String, TextError> {
    String::from_utf8(read(path)?).map_err(|error| TextError::File { path: path.into(), reason: error.to_string() })
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

/// A `tokenizer.json` for RoBERTa's two files: byte-level BPE (Radford et al. 2019) without a space
/// before the text, between `<s>` and `</s>`. `vocab_json` gives every piece its id, `merges_txt`
/// has two pieces a line, the most urgent merge first, below a line of `#version`.
///
/// # Errors
/// [`TextError::Tokenizer`] when the vocabulary is no object of ids, two pieces share an id, `<s>`
/// or `</s>` is missing, or a merge is not of two pieces.
pub fn roberta_tokenizer_json(vocab_json: &str, merges_txt: &str) -> Result<Vec<u8>, TextError> {
    let wrong = |reason: String| TextError::Tokenizer { reason };
    let vocab: HashMap<String, u32> = serde_json::from_str(vocab_json).map_err(|error| wrong(format!("vocab.json: {error}")))?;
    let pieces: HashMap<&str, usize> = vocab.iter().map(|(piece, &id)| (piece.as_str(), id as usize)).collect();
    let mut owners = HashMap::new();
    for (piece, id) in &pieces {
        if let Some(other) = owners.insert(id, piece) {
            return Err(wrong(format!("vocab.json: {piece:?} and {other:?} share the id {id}")));
        }
    }
    let special = |piece: &str| pieces.get(piece).ok_or_else(|| wrong(format!("vocab.json: expected {piece}, found none")));
    let (cls, sep) = (special("<s>")?, special("</s>")?);
    let lines = merges_txt.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with("#version"));
    let pair = |(index, line): (usize, &str)| match line.split(' ').collect::<Vec<_>>()[..] {
        [left, right] => Ok(json!([left, right])),
        _ => Err(wrong(format!("merges.txt: expected two pieces on line {}, found {line:?}", index + 1))),
    };
    let merges = lines.map(pair).collect::<Result<Vec<_>, _>>()?;
    let file = json!({
        "version": "1.0",
        "added_tokens": [],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
        "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", sep], "cls": ["<s>", cls], "trim_offsets": true, "add_prefix_space": false},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
        "model": {
            "type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": "", "end_of_word_suffix": "", "fuse_unk": false,
            "vocab": ordered(&pieces), "merges": merges,
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
