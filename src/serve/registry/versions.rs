//! The versions of one model that can be asked, and which of them answers when none is named.
//!
//! A plain value that is never changed: every change makes the next one, which the registry puts in
//! its place as a whole. So whoever reads sees a current version that is there, always.

use std::sync::Arc;

/// At least one version; one of them is current.
#[derive(Debug)]
pub(super) struct Versions<T> {
    current: Arc<T>,
    /// In order of arrival, the current one among them.
    all: Vec<(String, Arc<T>)>,
}

impl<T> Clone for Versions<T> {
    fn clone(&self) -> Self {
        Self { current: Arc::clone(&self.current), all: self.all.clone() }
    }
}

impl<T> Versions<T> {
    pub(super) fn of(version: &str, value: Arc<T>) -> Self {
        Self { current: Arc::clone(&value), all: vec![(version.to_owned(), value)] }
    }

    pub(super) fn current(&self) -> &Arc<T> {
        &self.current
    }

    pub(super) fn get(&self, version: &str) -> Option<&Arc<T>> {
        self.all.iter().find(|(name, _)| name == version).map(|(_, value)| value)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<T>> {
        self.all.iter().map(|(_, value)| value)
    }

    pub(super) fn is_current(&self, value: &Arc<T>) -> bool {
        Arc::ptr_eq(&self.current, value)
    }

    /// Adds a version that can be asked by its name. One of that name is replaced, and stays
    /// current if it was.
    pub(super) fn with(&self, version: &str, value: Arc<T>) -> Self {
        let mut next = self.clone();
        let replaces_current = self.get(version).is_some_and(|old| self.is_current(old));
        next.all.retain(|(name, _)| name != version);
        next.all.push((version.to_owned(), Arc::clone(&value)));
        if replaces_current {
            next.current = value;
        }
        next
    }

    /// Makes a version current; nothing when it is not there.
    pub(super) fn activated(&self, version: &str) -> Option<Self> {
        let current = Arc::clone(self.get(version)?);
        Some(Self { current, all: self.all.clone() })
    }

    /// Leaves a version out; nothing when it is current or not there.
    pub(super) fn without(&self, version: &str) -> Option<Self> {
        let leaving = self.get(version)?;
        if self.is_current(leaving) {
            return None;
        }
        let mut next = self.clone();
        next.all.retain(|(name, _)| name != version);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_version_that_comes_again_takes_its_place() {
        let first = Versions::of("1", Arc::new("a"));
        let second = first.with("2", Arc::new("b"));
        assert_eq!((**second.current(), second.iter().count()), ("a", 2));
        let again = second.with("1", Arc::new("c"));
        assert_eq!((**again.current(), again.get("1").map(|value| **value), again.iter().count()), ("c", Some("c"), 2));
        let swapped = again.activated("2").unwrap();
        assert_eq!(**swapped.current(), "b");
        assert!(swapped.without("2").is_none() && swapped.without("3").is_none() && swapped.activated("3").is_none());
        assert_eq!(swapped.without("1").unwrap().iter().count(), 1);
        // What was read before is what it was.
        assert_eq!(**first.current(), "a");
    }

    proptest! {
        #[test]
        fn the_current_one_is_always_there(changes in prop::collection::vec((0_u8..3, 0_u8..5), 0..60)) {
            let mut versions = Versions::of("0", Arc::new(0_usize));
            for (at, (kind, version)) in changes.into_iter().enumerate() {
                let version = version.to_string();
                let next = match kind {
                    0 => Some(versions.with(&version, Arc::new(at + 1))),
                    1 => versions.activated(&version),
                    _ => versions.without(&version),
                };
                versions = next.unwrap_or(versions);
                prop_assert_eq!(versions.iter().filter(|value| versions.is_current(value)).count(), 1);
                let mut names: Vec<&String> = versions.all.iter().map(|(name, _)| name).collect();
                names.sort();
                names.dedup();
                prop_assert_eq!(names.len(), versions.all.len());
            }
        }
    }
}
