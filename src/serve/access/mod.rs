//! Who may ask, and how fast: keys, what they open, and their rates.
//!
//! Nothing here knows of HTTP or gRPC: a transport says what was [`Presented`] and at which
//! [`Door`], and gets [`Admitted`] or the one error that every route writes in its own shape. Without
//! a key configured every door is open. A presented key is hashed and its hash compared with all
//! there are, in constant time; no key is kept, and none is ever logged.

mod key;
mod make;
mod rate;

pub use self::key::{KeyError, KeyHash, KeySpec, Scope};
pub use self::make::{NewKey, draw};
pub use self::rate::{RateSpec, Standing, Unit};

use std::num::NonZeroU32;

use subtle::ConditionallySelectable;
use thiserror::Error;

use self::rate::{EdgeClock, Limiter, Over};
use super::error::{ApiError, Violation};

/// Nothing longer is hashed: no key is.
const LONGEST: usize = 512;
/// More keys than this are a directory of users, which this is not.
const MOST_KEYS: usize = 1000;

/// What somebody stands before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Door {
    /// Health, and what is shown to everybody.
    Open,
    /// What the metrics say.
    Metrics,
    /// Everybody's routes.
    Api,
    /// The operator's.
    Admin,
}

/// Which keys there are, and whether the metrics ask for one.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AccessConfig {
    /// The keys; without any nobody is asked.
    pub keys: Vec<KeySpec>,
    /// Whether the metrics ask for a key.
    pub guards_metrics: bool,
}

/// Why keys do not fit together.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AccessError {
    /// Metrics and logs could not tell them apart.
    #[error("two keys are named {0:?}: expected a name each")]
    SameName(String),
    /// A key opens one thing.
    #[error("the keys {0:?} and {1:?} are the same: expected a key each")]
    SameKey(String, String),
    /// More than a list of keys is for.
    #[error("{0} keys: expected at most {most}", most = MOST_KEYS)]
    TooMany(usize),
    /// Nobody could use it.
    #[error("the admin port asks for an admin key, and no key is one: make one with limbic-serve key --admin")]
    NoAdmin,
}

/// What a request brought: either header may hold the key, since what stands before a server may use
/// one of them for itself.
#[derive(Clone, Copy, Default)]
pub struct Presented<'a> {
    bearer: Option<&'a [u8]>,
    api_key: Option<&'a [u8]>,
}

impl<'a> Presented<'a> {
    /// The values of `authorization` and `x-api-key`. An authorization by anything but a bearer token
    /// presents nothing.
    #[must_use]
    pub fn new(authorization: Option<&'a [u8]>, api_key: Option<&'a [u8]>) -> Self {
        Self { bearer: authorization.and_then(bearer), api_key: api_key.map(<[u8]>::trim_ascii) }
    }

    fn candidates(self) -> impl Iterator<Item = &'a [u8]> {
        self.bearer.into_iter().chain(self.api_key).filter(|key| !key.is_empty())
    }
}

/// `Bearer KEY` of RFC 6750; the scheme's case means nothing (RFC 9110).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.trim_ascii().split_at_checked(6)?;
    (scheme.eq_ignore_ascii_case(b"bearer") && rest.first() == Some(&b' ')).then(|| rest.trim_ascii())
}

/// Whose request it is: the place of their key, or nobody in particular.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Who(Option<u16>);

/// A request that may go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admitted {
    /// Whose it is.
    pub who: Who,
    /// Where their key stands, if it has a rate of requests.
    pub standing: Option<Standing>,
}

/// The keys and their buckets.
#[derive(Default)]
pub struct Access {
    keys: Vec<Key>,
    guards_metrics: bool,
}

struct Key {
    name: String,
    hash: KeyHash,
    scope: Scope,
    limiter: Option<Limiter>,
}

impl Access {
    /// Full buckets for these keys; `max_texts` is what one request may bring, and `admin` whether there
    /// is a port that asks for an admin key.
    ///
    /// # Errors
    /// [`AccessError`] where they do not fit together.
    pub fn new(config: &AccessConfig, max_texts: usize, admin: bool) -> Result<Self, AccessError> {
        let keys = &config.keys;
        if keys.len() > MOST_KEYS {
            return Err(AccessError::TooMany(keys.len()));
        }
        for (at, key) in keys.iter().enumerate() {
            for other in &keys[..at] {
                if other.name == key.name {
                    return Err(AccessError::SameName(key.name.clone()));
                }
                if other.hash == key.hash {
                    return Err(AccessError::SameKey(other.name.clone(), key.name.clone()));
                }
            }
        }
        if admin && !keys.is_empty() && keys.iter().all(|key| key.scope != Scope::Admin) {
            return Err(AccessError::NoAdmin);
        }
        let most = u32::try_from(max_texts).unwrap_or(u32::MAX);
        let kept = |key: &KeySpec| Key {
            name: key.name.clone(),
            hash: key.hash,
            scope: key.scope,
            limiter: key.rate.map(|rate| Limiter::new(rate, most, EdgeClock)),
        };
        Ok(Self { keys: keys.iter().map(kept).collect(), guards_metrics: config.guards_metrics })
    }

    /// Whether nobody is asked for a key.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.keys.is_empty()
    }

    /// Lets a request in, and takes it from its key's rate of requests.
    ///
    /// # Errors
    /// [`ApiError::Unauthorized`], [`ApiError::Forbidden`] or [`ApiError::RateLimited`].
    pub fn check(&self, presented: Presented<'_>, door: Door) -> Result<Admitted, ApiError> {
        let open = door == Door::Open || door == Door::Metrics && !self.guards_metrics;
        if open || self.is_open() {
            return Ok(Admitted { who: Who::default(), standing: None });
        }
        let who = self.find(presented)?;
        if door == Door::Admin && self.key(who).is_none_or(|key| key.scope != Scope::Admin) {
            return Err(ApiError::Forbidden("this key does not open the admin port"));
        }
        Ok(Admitted { who, standing: self.take(who, Unit::Requests, 1)? })
    }

    /// Takes a request's texts from its key's rate of texts, all or none.
    ///
    /// # Errors
    /// [`ApiError::RateLimited`], or [`ApiError::TooManyTexts`] where they are more than the key may ever
    /// bring at once.
    pub fn spend(&self, who: Who, texts: usize) -> Result<Option<Standing>, ApiError> {
        self.take(who, Unit::Texts, texts)
    }

    /// What metrics and logs call whose request it is.
    #[must_use]
    pub fn name(&self, who: Who) -> Option<&str> {
        self.key(who).map(|key| key.name.as_str())
    }

    /// All those names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|key| key.name.as_str())
    }

    fn key(&self, Who(at): Who) -> Option<&Key> {
        self.keys.get(usize::from(at?))
    }

    /// Whose key it is. Every key is looked at, whichever it is.
    fn find(&self, presented: Presented<'_>) -> Result<Who, ApiError> {
        const NONE: u16 = u16::MAX;
        let (mut found, mut any) = (NONE, false);
        for candidate in presented.candidates() {
            any = true;
            if candidate.len() > LONGEST {
                continue;
            }
            let hash = KeyHash::of(candidate);
            for (at, key) in (0..).zip(&self.keys) {
                found.conditional_assign(&at, key.hash.is(&hash));
            }
        }
        match (found, any) {
            (NONE, false) => Err(ApiError::Unauthorized("no key: expected Authorization: Bearer KEY, or X-API-Key: KEY")),
            (NONE, true) => Err(ApiError::Unauthorized("the key is none of this server's")),
            (at, _) => Ok(Who(Some(at))),
        }
    }

    fn take(&self, who: Who, unit: Unit, count: usize) -> Result<Option<Standing>, ApiError> {
        let limiter = self.key(who).and_then(|key| key.limiter.as_ref()).filter(|limiter| limiter.counts(unit));
        let Some((limiter, taken)) = limiter.zip(NonZeroU32::new(u32::try_from(count).unwrap_or(u32::MAX))) else { return Ok(None) };
        limiter.take(taken).map(Some).map_err(|over| match over {
            Over::Early(standing) => ApiError::RateLimited(standing),
            Over::Never { most } => {
                let detail = format!("the request has {count} texts; the limit of this key is {most} at once");
                ApiError::TooManyTexts(Violation::at("", detail).over(most as usize, Some(count)))
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAB: &[u8] = b"limbic_lab";
    const OPERATOR: &[u8] = b"limbic_operator";

    fn spec(name: &str, key: &[u8], more: &str) -> KeySpec {
        format!("{name}:{}{more}", KeyHash::of(key)).parse().unwrap()
    }

    fn access(more: &str) -> Access {
        let keys = vec![spec("lab", LAB, more), spec("operator", OPERATOR, ":admin")];
        Access::new(&AccessConfig { keys, guards_metrics: false }, 64, true).unwrap()
    }

    #[test]
    fn either_header_may_hold_the_key() {
        let access = access("");
        let name = |authorization: Option<&str>, api_key: Option<&str>| {
            let presented = Presented::new(authorization.map(str::as_bytes), api_key.map(str::as_bytes));
            access.check(presented, Door::Api).map(|admitted| access.name(admitted.who).unwrap_or("").to_owned()).ok()
        };
        let lab = Some("lab".to_owned());
        assert_eq!(name(Some("Bearer limbic_lab"), None), lab);
        assert_eq!(name(Some("bEARER   limbic_lab "), None), lab);
        assert_eq!(name(None, Some(" limbic_lab")), lab);
        assert_eq!(name(Some("Basic dXNlcjpwYXNz"), Some("limbic_lab")), lab);
        assert_eq!(name(Some("Bearer of-the-proxy"), Some("limbic_lab")), lab);
        assert_eq!(name(Some("Bearer limbic_operator"), None), Some("operator".to_owned()));
        for wrong in
            ["", "Bearer", "Bearer ", "limbic_lab", "Bearerlimbic_lab", "Bearer limbic_la", "Bearer limbic_labx", "Basic limbic_lab"]
        {
            assert_eq!(name(Some(wrong), None), None, "{wrong:?}");
        }
        let long = "x".repeat(1 << 20);
        assert_eq!((name(None, None), name(None, Some("")), name(None, Some(&long))), (None, None, None));
    }

    #[test]
    fn doors_ask_for_what_they_should() {
        let access = access("");
        let shown = |key: Option<&'static [u8]>| Presented::new(None, key);
        let verdict = |key, door| match access.check(shown(key), door) {
            Ok(_) => "in",
            Err(ApiError::Unauthorized(_)) => "401",
            Err(ApiError::Forbidden(_)) => "403",
            Err(_) => "other",
        };
        for (door, verdicts) in [
            (Door::Open, ["in", "in", "in", "in"]),
            (Door::Metrics, ["in", "in", "in", "in"]),
            (Door::Api, ["401", "401", "in", "in"]),
            (Door::Admin, ["401", "401", "403", "in"]),
        ] {
            assert_eq!([None, Some(b"x".as_slice()), Some(LAB), Some(OPERATOR)].map(|key| verdict(key, door)), verdicts, "{door:?}");
        }
        let guarded = AccessConfig { keys: vec![spec("lab", LAB, "")], guards_metrics: true };
        let guarded = Access::new(&guarded, 64, false).unwrap();
        assert!(guarded.check(shown(None), Door::Metrics).is_err() && guarded.check(shown(Some(LAB)), Door::Metrics).is_ok());
        assert!(Access::default().check(shown(None), Door::Admin).is_ok());
    }

    #[test]
    fn a_rate_counts_texts_or_requests() {
        let lab = Presented::new(None, Some(LAB));
        let texts = access(":texts=0.001:burst=5");
        let who = texts.check(lab, Door::Api).unwrap();
        assert_eq!(who.standing, None);
        assert_eq!(texts.spend(who.who, 3).unwrap().unwrap().remaining, 2);
        assert!(matches!(texts.spend(who.who, 3), Err(ApiError::RateLimited(Standing { unit: Unit::Texts, quota: 5, .. }))));
        assert!(matches!(texts.spend(who.who, 6), Err(ApiError::TooManyTexts(_))));
        assert_eq!(texts.spend(Who::default(), 1000), Ok(None));
        let requests = access(":requests=0.001:burst=2");
        let left = || requests.check(lab, Door::Api).map(|admitted| admitted.standing.unwrap().remaining);
        assert_eq!((left(), left()), (Ok(1), Ok(0)));
        assert!(matches!(left(), Err(ApiError::RateLimited(Standing { unit: Unit::Requests, remaining: 0, .. }))));
        // Another's bucket is another's.
        assert!(requests.check(Presented::new(None, Some(OPERATOR)), Door::Api).is_ok());
    }

    #[test]
    fn keys_that_do_not_fit_together_are_refused() {
        let refused = |keys: Vec<KeySpec>, admin| Access::new(&AccessConfig { keys, guards_metrics: false }, 64, admin).err().unwrap();
        assert_eq!(refused(vec![spec("a", b"1", ""), spec("a", b"2", "")], false), AccessError::SameName("a".to_owned()));
        let same = refused(vec![spec("a", b"1", ""), spec("b", b"1", ":admin")], false);
        assert_eq!(same, AccessError::SameKey("a".to_owned(), "b".to_owned()));
        assert_eq!(refused(vec![spec("a", b"1", "")], true), AccessError::NoAdmin);
        let many = (0..=1000).map(|at: usize| spec(&format!("k{at}"), &at.to_le_bytes(), "")).collect();
        assert_eq!(refused(many, false), AccessError::TooMany(1001));
    }
}
