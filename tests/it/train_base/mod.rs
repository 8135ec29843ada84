//! Base models: what a recipe may name, what a folder must hold, and a hub met over real HTTP.

mod hub;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use limbic::train::base::{BaseError, BaseFolder, BaseSpec, HubOptions, TokenizerFile, WeightsFormat, resolve};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use self::hub::{Answer, COMMIT, Hub};
use super::support::{base_model, fixture};

fn nowhere() -> HubOptions {
    HubOptions { cache: "no-cache".into(), endpoint: Some("http://127.0.0.1:1".to_owned()), token: None }
}

fn folder(path: &Path) -> Result<BaseFolder, BaseError> {
    resolve(&BaseSpec::Folder(path.to_owned()), &nowhere())
}

#[test]
fn a_spec_is_a_folder_or_a_pinned_name() {
    let refused = [
        ("", "it is empty"),
        ("hf://owner", "not owner/name"),
        ("hf://owner/name/more@v1", "not owner/name"),
        ("hf://../name@v1", "not owner/name"),
        ("hf://owner/na me@v1", "not owner/name"),
        ("hf://owner/name@../../etc", "the revision is no commit"),
        ("hf://owner/name@/v1", "the revision is no commit"),
        ("https://example.org/model", "no other scheme"),
        ("hf://owner/name", "expected hf://owner/name@revision"),
        ("hf://owner/name@", "expected hf://owner/name@revision"),
    ];
    for (given, part) in refused {
        let error = given.parse::<BaseSpec>().expect_err(given).to_string();
        assert!(error.contains(part), "{given}: {error}");
    }
    for given in ["some/folder", "hf://owner/name@v1", "hf://o-1/n.2_x@refs/pr/1"] {
        assert_eq!(given.parse::<BaseSpec>().unwrap().to_string(), given);
    }
}

#[test]
fn a_folder_gives_its_files() {
    let tiny = folder(&fixture("tiny-bert")).unwrap();
    assert_eq!(tiny.weights(), [fixture("tiny-bert").join("model.safetensors")]);
    assert_eq!(tiny.tokenizer(), &TokenizerFile::Json(fixture("tiny-bert").join("tokenizer.json")));
    assert_eq!(tiny.commit(), None);
    assert_eq!(folder(&base_model()).unwrap().config(), base_model().join("config.json"));
    let roberta = fixture("tiny-roberta");
    let (vocab, merges) = (roberta.join("vocab.json"), roberta.join("merges.txt"));
    assert_eq!(folder(&roberta).unwrap().tokenizer(), &TokenizerFile::BytePairs { vocab, merges });
    let distilbert = folder(&fixture("tiny-distilbert")).unwrap();
    assert_eq!(distilbert.weights(), [fixture("tiny-distilbert").join("pytorch_model.bin")]);
    assert_eq!(distilbert.format(), WeightsFormat::Pickle);
}

/// A folder of empty files, and an index where its content matters.
fn dummy(files: &[&str], index: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    for file in files {
        fs::write(folder.path().join(file), if file.ends_with(".index.json") { index } else { "" }).unwrap();
    }
    folder
}

#[test]
fn shards_come_from_the_index() {
    let index = r#"{"weight_map": {"a": "model-2.safetensors", "b": "model-1.safetensors", "c": "model-2.safetensors"}}"#;
    let files = ["config.json", "vocab.txt", "model.safetensors.index.json", "model-1.safetensors", "model-2.safetensors"];
    let made = dummy(&files, index);
    let found = folder(made.path()).unwrap();
    assert_eq!(found.weights(), [made.path().join("model-1.safetensors"), made.path().join("model-2.safetensors")]);
    assert_eq!(found.tokenizer(), &TokenizerFile::Vocabulary(made.path().join("vocab.txt")));
    assert_eq!(found.format(), WeightsFormat::Safetensors);
    let index = r#"{"weight_map": {"a": "pytorch_model-1.bin"}}"#;
    let made = dummy(&["config.json", "vocab.txt", "pytorch_model.bin.index.json", "pytorch_model-1.bin"], index);
    let found = folder(made.path()).unwrap();
    assert_eq!(found.weights(), [made.path().join("pytorch_model-1.bin")]);
    assert_eq!(found.format(), WeightsFormat::Pickle);
}

#[test]
fn a_folder_that_lacks_a_file_says_which() {
    let index = "model.safetensors.index.json";
    let cases: [(&[&str], &str, &str); 9] = [
        (&[], "", "expected config.json"),
        (&["config.json", "model.safetensors"], "", "expected tokenizer.json, vocab.txt, or vocab.json and merges.txt"),
        (&["config.json", "model.safetensors", "vocab.json"], "", "expected tokenizer.json, vocab.txt, or vocab.json and merges.txt"),
        (&["config.json", "tokenizer.json"], "", "expected model.safetensors, pytorch_model.bin, or an index"),
        (&["config.json", "tokenizer.json", index], r#"{"weight_map": {"a": "x.safetensors"}}"#, "expected x.safetensors"),
        (&["config.json", "tokenizer.json", index], r#"{"weight_map": {"a": "../x.safetensors"}}"#, "beside it"),
        (&["config.json", "tokenizer.json", index], r#"{"weight_map": {"a": "x.bin"}}"#, "beside it"),
        (&["config.json", "tokenizer.json", index], r#"{"weight_map": {}}"#, "expected an object weight_map"),
        (&["config.json", "tokenizer.json", index], "[", "expected JSON"),
    ];
    for (files, content, part) in cases {
        let made = dummy(files, content);
        let error = folder(made.path()).expect_err(part).to_string();
        assert!(error.contains(part) && error.contains(&made.path().display().to_string()), "{error}");
    }
    let absent = folder(Path::new("no/such/folder")).unwrap_err().to_string();
    assert!(
        absent.contains("no/such/folder: expected a folder with config.json, weights and a tokenizer") && absent.contains("found nothing"),
        "{absent}"
    );
}

const WEIGHTS: &[u8] = b"weights of a model, long enough to break in the middle";

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A repository as the hub lays it out: small files in git, the weights behind a redirect.
fn repository() -> BTreeMap<String, Answer> {
    let at = |file: &str| format!("/owner/name/resolve/v1/{file}");
    BTreeMap::from([
        (at("config.json"), Answer::File(b"{}".to_vec())),
        (at("tokenizer.json"), Answer::File(b"{\"version\": \"1.0\"}".to_vec())),
        (at("model.safetensors"), Answer::Large { sha256: sha256(WEIGHTS), at: "/cdn/weights".to_owned() }),
        ("/cdn/weights".to_owned(), Answer::Bytes(WEIGHTS.to_vec())),
    ])
}

/// Resolves `hf://owner/name@v1` into `cache` from a hub with `answers`.
fn fetch(answers: BTreeMap<String, Answer>, cache: &Path) -> (Hub, Result<BaseFolder, BaseError>) {
    let hub = Hub::start(answers);
    let options = HubOptions { cache: cache.to_owned(), endpoint: Some(format!("{}/", hub.endpoint)), token: Some("secret".to_owned()) };
    let found = resolve(&"hf://owner/name@v1".parse().unwrap(), &options);
    (hub, found)
}

#[test]
fn a_repository_is_fetched_once() {
    let cache = TempDir::new().unwrap();
    let (hub, found) = fetch(repository(), cache.path());
    let found = found.unwrap();
    assert_eq!(fs::read(&found.weights()[0]).unwrap(), WEIGHTS);
    assert_eq!(fs::read(found.config()).unwrap(), b"{}");
    assert_eq!(found.commit(), Some(COMMIT));
    let asked = hub.asked();
    assert!(
        asked.iter().any(|request| request.path == "/owner/name/resolve/v1/config.json" && request.range.as_deref() == Some("bytes=0-0"))
    );
    assert!(asked.iter().all(|request| request.path.starts_with("/cdn") || request.token.as_deref() == Some("Bearer secret")), "{asked:?}");
    drop(hub);
    // The cache alone is enough: this hub holds nothing, and is asked nothing.
    let (empty, again) = fetch(BTreeMap::new(), cache.path());
    assert_eq!(again.unwrap(), found);
    assert_eq!(empty.asked().len(), 0);
}

#[test]
fn a_vocabulary_and_shards_do_instead() {
    let mut answers = repository();
    let at = |file: &str| format!("/owner/name/resolve/v1/{file}");
    answers.remove(&at("tokenizer.json"));
    answers.remove(&at("model.safetensors"));
    answers.insert(at("vocab.txt"), Answer::File(b"[PAD]\n".to_vec()));
    let index = br#"{"weight_map": {"a": "model-1.safetensors"}}"#;
    answers.insert(at("model.safetensors.index.json"), Answer::File(index.to_vec()));
    answers.insert(at("model-1.safetensors"), Answer::Large { sha256: sha256(WEIGHTS), at: "/cdn/weights".to_owned() });
    let cache = TempDir::new().unwrap();
    let (_hub, found) = fetch(answers, cache.path());
    let found = found.unwrap();
    assert!(matches!(found.tokenizer(), TokenizerFile::Vocabulary(_)));
    assert_eq!(fs::read(&found.weights()[0]).unwrap(), WEIGHTS);
}

#[test]
fn a_moved_repository_is_followed() {
    let mut answers = repository();
    let moved: Vec<(String, Answer)> =
        answers.iter().map(|(path, answer)| (path.replace("/owner/name/", "/new/home/"), answer.clone())).collect();
    for (path, answer) in answers.iter_mut().filter(|(path, _)| path.starts_with("/owner")) {
        *answer = Answer::Moved(path.replace("/owner/name/", "/new/home/"));
    }
    answers.extend(moved.into_iter().filter(|(path, _)| path.starts_with("/new")));
    let cache = TempDir::new().unwrap();
    let (_hub, found) = fetch(answers, cache.path());
    assert_eq!(fs::read(&found.unwrap().weights()[0]).unwrap(), WEIGHTS);
}

#[test]
fn a_broken_transfer_goes_on_where_it_stopped() {
    let mut answers = repository();
    answers.insert("/cdn/weights".to_owned(), Answer::Breaking(WEIGHTS.to_vec()));
    let cache = TempDir::new().unwrap();
    let (hub, found) = fetch(answers, cache.path());
    assert_eq!(fs::read(&found.unwrap().weights()[0]).unwrap(), WEIGHTS);
    let resumed = format!("bytes={}-", WEIGHTS.len() / 2);
    assert!(hub.asked().iter().any(|request| request.range.as_deref() == Some(resumed.as_str())), "{:?}", hub.asked());
}

#[test]
fn a_file_that_is_not_what_was_promised_is_removed() {
    let cache = TempDir::new().unwrap();
    let mut answers = repository();
    answers.insert("/cdn/weights".to_owned(), Answer::Bytes(b"something else".to_vec()));
    let error = fetch(answers, cache.path()).1.unwrap_err().to_string();
    assert!(error.contains("owner/name@v1, model.safetensors: expected sha256") && error.contains(&sha256(WEIGHTS)), "{error}");
    fetch(repository(), cache.path()).1.expect("a further run fetches it again");
}

#[test]
fn a_refusal_names_the_file_and_the_status() {
    let config = "/owner/name/resolve/v1/config.json";
    let tokenizer = "/owner/name/resolve/v1/tokenizer.json";
    let cases = [
        (config, Answer::Status(401), "owner/name@v1, config.json: the hub answered 401 (no such repository, or a private"),
        (config, Answer::Status(403), "answered 403 (no such repository, or a private"),
        (config, Answer::Status(404), "owner/name@v1, config.json: the hub answered 404 (no such repository, revision or file)"),
        (tokenizer, Answer::Status(500), "owner/name@v1, tokenizer.json: the hub answered 500"),
        (tokenizer, Answer::Status(404), "owner/name@v1: expected tokenizer.json, vocab.txt, or vocab.json"),
        ("/owner/name/resolve/v1/model.safetensors", Answer::Status(404), "expected model.safetensors, pytorch_model.bin"),
        (config, Answer::Bytes(b"{}".to_vec()), "owner/name@v1, config.json: Header x-repo-commit is missing"),
    ];
    for (path, answer, part) in cases {
        let mut answers = repository();
        answers.insert(path.to_owned(), answer);
        let cache = TempDir::new().unwrap();
        let error = fetch(answers, cache.path()).1.expect_err(part).to_string();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn a_hub_that_is_not_there_is_an_error() {
    let cache = TempDir::new().unwrap();
    let options = HubOptions { cache: cache.path().to_owned(), ..nowhere() };
    let error = resolve(&"hf://owner/name@v1".parse().unwrap(), &options).unwrap_err().to_string();
    assert!(error.starts_with("owner/name@v1, config.json: "), "{error}");
}
