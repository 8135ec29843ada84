//! The checkpoint that a fit starts from: a folder on disk, or a repository on a hub.
//!
//! [`BaseSpec`] is what a recipe says, [`resolve`] turns it into a [`BaseFolder`] whose files
//! stand on this disk. A hub's name must say its revision, because a run that starts from "the
//! newest" cannot be repeated; files are fetched once into a cache and, where the hub states a
//! SHA-256, checked against it each time.
//!
//! Safetensors are preferred where a checkpoint has both; pickled weights are read as data. This
//! room refuses anything that would run a repository's code; it reads no environment (endpoint,
//! cache and token are arguments) and prints nothing.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use hf_hub::api::sync::{ApiBuilder, ApiError, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// The hub that is asked when none is named.
pub const DEFAULT_ENDPOINT: &str = "https://huggingface.co";
/// How often a broken transfer is taken up again where it stopped.
const RETRIES: usize = 3;
/// An index of shards is small; a larger file is taken for a broken one.
const MAX_INDEX_BYTES: u64 = 16 << 20;

/// Why a base model could not be had.
#[derive(Debug, Error)]
pub enum BaseError {
    /// Neither a folder's path nor a hub's name.
    #[error("base {given:?}: expected a folder, or hf://owner/name@revision; {reason}")]
    Spec {
        /// As the recipe has it.
        given: String,
        /// What is wrong.
        reason: &'static str,
    },
    /// A hub's name without a revision.
    #[error("base {given:?} names no revision: expected {given}@revision, a commit or a tag, so that the run can be repeated")]
    Unpinned {
        /// As the recipe has it.
        given: String,
    },
    /// The folder is not there.
    #[error("{}: expected a folder with config.json, weights and a tokenizer, found {found}", path.display())]
    Folder {
        /// The path tried.
        path: PathBuf,
        /// What stands there.
        found: &'static str,
    },
    /// A file that a checkpoint must have.
    #[error("{place}: expected {expected}, found no such file")]
    Missing {
        /// Folder, or repository and revision.
        place: String,
        /// The file, or the choice of files.
        expected: String,
    },
    /// An index of weight files that cannot be used.
    #[error("{}: {reason}", path.display())]
    Index {
        /// The index.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The hub answered with an error.
    #[error("{repo}, {file}: the hub answered {status}{}", hint(*status))]
    Status {
        /// Repository and revision.
        repo: String,
        /// The file asked for.
        file: String,
        /// HTTP status.
        status: u16,
    },
    /// The hub could not be reached, or what it sent could not be kept.
    #[error("{repo}, {file}: {reason}")]
    Transfer {
        /// Repository and revision.
        repo: String,
        /// The file asked for.
        file: String,
        /// What the client said.
        reason: String,
    },
    /// A file in the cache is not what the hub promised. It has been removed: a further run fetches it again.
    #[error("{repo}, {file}: expected sha256 {expected}, found {found}; it was removed from the cache")]
    Digest {
        /// Repository and revision.
        repo: String,
        /// The file.
        file: String,
        /// What the hub stated.
        expected: String,
        /// What was received.
        found: String,
    },
    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

fn hint(status: u16) -> &'static str {
    match status {
        401 | 403 => " (no such repository, or a private or gated one: it needs a token that may read it, and its terms accepted)",
        404 => " (no such repository, revision or file)",
        _ => "",
    }
}

/// Where a recipe's base model comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseSpec {
    /// A folder in the layout of a Hugging Face checkpoint.
    Folder(PathBuf),
    /// A repository on a hub, `hf://owner/name@revision`.
    Hub {
        /// `owner/name`.
        repo: String,
        /// A commit or a tag.
        revision: String,
    },
}

impl FromStr for BaseSpec {
    type Err = BaseError;

    fn from_str(given: &str) -> Result<Self, BaseError> {
        let refuse = |reason| Err(BaseError::Spec { given: given.to_owned(), reason });
        let Some(name) = given.strip_prefix("hf://") else {
            return match given {
                "" => refuse("it is empty"),
                _ if given.contains("://") => refuse("no other scheme is known"),
                _ => Ok(Self::Folder(PathBuf::from(given))),
            };
        };
        let (repo, revision) = name.split_once('@').unwrap_or((name, ""));
        if repo.split('/').count() != 2 || !repo.split('/').all(is_name) {
            return refuse("the repository is not owner/name");
        }
        if revision.is_empty() {
            return Err(BaseError::Unpinned { given: given.trim_end_matches('@').to_owned() });
        }
        // A revision names a file of the cache, so it may not climb out of it.
        if !revision.split('/').all(is_name) {
            return refuse("the revision is no commit, tag or branch name");
        }
        Ok(Self::Hub { repo: repo.to_owned(), revision: revision.to_owned() })
    }
}

fn is_name(part: &str) -> bool {
    let plain = part.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
    plain && !part.is_empty() && !part.starts_with('.')
}

impl fmt::Display for BaseSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path) => write!(out, "{}", path.display()),
            Self::Hub { repo, revision } => write!(out, "hf://{repo}@{revision}"),
        }
    }
}

/// The hub to ask, and where to keep what it sends.
#[derive(Debug, Clone)]
pub struct HubOptions {
    /// Folder of the cache, in the layout that Hugging Face's own tools use and share.
    pub cache: PathBuf,
    /// Base of every address; [`DEFAULT_ENDPOINT`] when nothing is given.
    pub endpoint: Option<String>,
    /// A token for private or gated repositories, sent to the endpoint's host only.
    pub token: Option<String>,
}

/// What turns text into ids in a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenizerFile {
    /// A whole tokenizer, `tokenizer.json`.
    Json(PathBuf),
    /// A `WordPiece` vocabulary alone, `vocab.txt`.
    Vocabulary(PathBuf),
    /// A byte-level BPE's vocabulary and merges, `vocab.json` and `merges.txt`.
    BytePairs {
        /// `vocab.json`.
        vocab: PathBuf,
        /// `merges.txt`.
        merges: PathBuf,
    },
}

/// How a checkpoint's weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WeightsFormat {
    /// `model.safetensors`, or shards of it.
    Safetensors,
    /// `pytorch_model.bin`, or shards of it.
    Pickle,
}

impl WeightsFormat {
    /// The name of a file that holds all the weights, and the ending of it and of every shard.
    const fn name(self) -> (&'static str, &'static str) {
        match self {
            Self::Safetensors => ("model.safetensors", ".safetensors"),
            Self::Pickle => ("pytorch_model.bin", ".bin"),
        }
    }
}

/// A checkpoint whose files all stand on this disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseFolder {
    config: PathBuf,
    weights: Vec<PathBuf>,
    format: WeightsFormat,
    tokenizer: TokenizerFile,
    commit: Option<String>,
}

impl BaseFolder {
    /// `config.json`.
    #[must_use]
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// The files that hold the weights together, sorted by name; at least one.
    #[must_use]
    pub fn weights(&self) -> &[PathBuf] {
        &self.weights
    }

    /// What those files are.
    #[must_use]
    pub fn format(&self) -> WeightsFormat {
        self.format
    }

    /// The tokenizer; `tokenizer.json` is preferred, then `vocab.txt`.
    #[must_use]
    pub fn tokenizer(&self) -> &TokenizerFile {
        &self.tokenizer
    }

    /// The commit that a hub's revision stood for, as the hub answered; nothing for a folder.
    #[must_use]
    pub fn commit(&self) -> Option<&str> {
        self.commit.as_deref()
    }
}

/// Finds the files of `spec`, fetching them into the cache when it names a hub's repository.
///
/// A repository that stands whole in the cache is used without a request.
///
/// # Errors
/// [`BaseError`] naming the folder or repository, the file, and for a hub its answer.
pub fn resolve(spec: &BaseSpec, hub: &HubOptions) -> Result<BaseFolder, BaseError> {
    match spec {
        BaseSpec::Folder(path) => from_folder(path),
        BaseSpec::Hub { repo, revision } => from_hub(repo, revision, hub),
    }
}

/// One more file of `spec`'s place; nothing when there is no such file.
///
/// # Errors
/// As [`resolve`].
pub fn beside(spec: &BaseSpec, name: &str, hub: &HubOptions) -> Result<Option<PathBuf>, BaseError> {
    match spec {
        BaseSpec::Folder(path) => Ok(Some(path.join(name)).filter(|path| path.is_file())),
        BaseSpec::Hub { repo, revision } => {
            let place = format!("{repo}@{revision}");
            fetch(&remote(repo, revision, &place, hub)?, &place, name)
        }
    }
}

fn from_folder(path: &Path) -> Result<BaseFolder, BaseError> {
    if !path.is_dir() {
        let found = if path.exists() { "a file" } else { "nothing" };
        return Err(BaseError::Folder { path: path.to_owned(), found });
    }
    assemble(&path.display().to_string(), |file| {
        let candidate = path.join(file);
        Ok(candidate.is_file().then_some(candidate))
    })
}

/// Picks a checkpoint's files. `get` gives a file's path, or nothing when there is no such file.
fn assemble(place: &str, mut get: impl FnMut(&str) -> Result<Option<PathBuf>, BaseError>) -> Result<BaseFolder, BaseError> {
    let missing = |expected: &str| BaseError::Missing { place: place.to_owned(), expected: expected.to_owned() };
    let config = get("config.json")?.ok_or_else(|| missing("config.json"))?;
    let tokenizer = tokenizer(&mut get)?.ok_or_else(|| missing("tokenizer.json, vocab.txt, or vocab.json and merges.txt"))?;
    for format in [WeightsFormat::Safetensors, WeightsFormat::Pickle] {
        let (whole, ending) = format.name();
        let weights = match get(whole)? {
            Some(path) => vec![path],
            None => match get(&format!("{whole}.index.json"))? {
                Some(index) => {
                    let shards = shards(&index, ending)?;
                    shards.iter().map(|shard| get(shard)?.ok_or_else(|| missing(shard))).collect::<Result<_, _>>()?
                }
                None => continue,
            },
        };
        return Ok(BaseFolder { config, weights, format, tokenizer, commit: None });
    }
    Err(missing("model.safetensors, pytorch_model.bin, or an index of one of them such as model.safetensors.index.json"))
}

/// The first of the tokenizer's files there is.
fn tokenizer(get: &mut impl FnMut(&str) -> Result<Option<PathBuf>, BaseError>) -> Result<Option<TokenizerFile>, BaseError> {
    if let Some(json) = get("tokenizer.json")? {
        return Ok(Some(TokenizerFile::Json(json)));
    }
    if let Some(vocabulary) = get("vocab.txt")? {
        return Ok(Some(TokenizerFile::Vocabulary(vocabulary)));
    }
    let Some(vocab) = get("vocab.json")? else { return Ok(None) };
    Ok(get("merges.txt")?.map(|merges| TokenizerFile::BytePairs { vocab, merges }))
}

/// The distinct files that an index of shards names, sorted.
fn shards(index: &Path, ending: &str) -> Result<BTreeSet<String>, BaseError> {
    let refuse = |reason: String| BaseError::Index { path: index.to_owned(), reason };
    let io = |source| BaseError::Io { path: index.to_owned(), source };
    let bytes = fs::metadata(index).map_err(io)?.len();
    if bytes > MAX_INDEX_BYTES {
        return Err(refuse(format!("expected at most {MAX_INDEX_BYTES} bytes, found {bytes}")));
    }
    let text = fs::read_to_string(index).map_err(io)?;
    let value: serde_json::Value = serde_json::from_str(&text).map_err(|error| refuse(format!("expected JSON: {error}")))?;
    let map = value.get("weight_map").and_then(serde_json::Value::as_object);
    let map =
        map.filter(|map| !map.is_empty()).ok_or_else(|| refuse("expected an object weight_map that names a file a tensor".to_owned()))?;
    let shard = |(tensor, file): (&String, &serde_json::Value)| match file.as_str() {
        Some(file) if is_name(file) && file.ends_with(ending) => Ok(file.to_owned()),
        _ => Err(refuse(format!("weight_map gives {file} for {tensor}: expected the name of a {ending} file beside it"))),
    };
    map.iter().map(shard).collect()
}

fn from_hub(repo: &str, revision: &str, hub: &HubOptions) -> Result<BaseFolder, BaseError> {
    let place = format!("{repo}@{revision}");
    let remote = remote(repo, revision, &place, hub)?;
    let mut folder = assemble(&place, |file| fetch(&remote, &place, file))?;
    folder.commit = folder.config.parent().and_then(Path::file_name).map(|name| name.to_string_lossy().into_owned());
    Ok(folder)
}

fn remote(repo: &str, revision: &str, place: &str, hub: &HubOptions) -> Result<ApiRepo, BaseError> {
    let endpoint = hub.endpoint.as_deref().unwrap_or(DEFAULT_ENDPOINT).trim_end_matches('/');
    let api = ApiBuilder::from_cache(Cache::new(hub.cache.clone()))
        .with_endpoint(endpoint.to_owned())
        .with_token(hub.token.clone())
        .with_progress(false)
        .with_retries(RETRIES)
        .build()
        .map_err(|error| refused(place, "client", error))?;
    Ok(api.repo(Repo::with_revision(repo.to_owned(), RepoType::Model, revision.to_owned())))
}

/// One file from the cache or the hub, checked; nothing when the hub says that there is none.
fn fetch(remote: &ApiRepo, place: &str, file: &str) -> Result<Option<PathBuf>, BaseError> {
    match remote.get(file).map_err(|error| refused(place, file, error)) {
        Ok(path) => verify(place, file, &path).map(|()| Some(path)),
        // A missing config.json means that the repository or the revision is not there: say so.
        Err(BaseError::Status { status: 404, .. }) if file != "config.json" => Ok(None),
        Err(error) => Err(error),
    }
}

fn refused(place: &str, file: &str, error: ApiError) -> BaseError {
    let (repo, file) = (place.to_owned(), file.to_owned());
    match error {
        ApiError::TooManyRetries(last) => refused(place, &file, *last),
        ApiError::RequestError(request) => match *request {
            ureq::Error::StatusCode(status) => BaseError::Status { repo, file, status },
            other => BaseError::Transfer { repo, file, reason: other.to_string() },
        },
        other => BaseError::Transfer { repo, file, reason: other.to_string() },
    }
}

/// Compares a cached file with the SHA-256 that names it. Small files are named by git's own
/// hash instead, which says nothing that a length check of the transfer did not.
fn verify(place: &str, file: &str, path: &Path) -> Result<(), BaseError> {
    let io = |source| BaseError::Io { path: path.to_owned(), source };
    let blob = path.canonicalize().map_err(io)?;
    let expected = blob.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    if expected.len() != 64 || !expected.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(());
    }
    let mut hasher = Sha256::new();
    io::copy(&mut fs::File::open(&blob).map_err(io)?, &mut hasher).map_err(io)?;
    let found: String = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    if found == expected.to_ascii_lowercase() {
        return Ok(());
    }
    fs::remove_file(path).and_then(|()| fs::remove_file(&blob)).map_err(io)?;
    Err(BaseError::Digest { repo: place.to_owned(), file: file.to_owned(), expected, found })
}
