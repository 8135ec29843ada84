//! Numbers and names by label, written in the label set's order.

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

/// Some label names, by position.
pub(crate) struct Names<'a> {
    names: &'a [String],
    positions: Vec<usize>,
}

impl<'a> Names<'a> {
    pub(crate) fn at(names: &'a [String], positions: Vec<usize>) -> Self {
        Self { names, positions }
    }
}

impl Serialize for Names<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.positions.len()))?;
        for &position in &self.positions {
            list.serialize_element(&self.names[position])?;
        }
        list.end()
    }
}

/// A number for some of the labels, in the set's order.
#[derive(Clone)]
pub(crate) struct ByLabel<'a, T> {
    names: &'a [String],
    values: Vec<(usize, T)>,
}

impl<'a, T> ByLabel<'a, T> {
    /// For the labels at these positions.
    pub(crate) fn some(names: &'a [String], values: Vec<(usize, T)>) -> Self {
        Self { names, values }
    }
}

impl<'a, T: Copy + PartialOrd> ByLabel<'a, T> {
    pub(crate) fn all(names: &'a [String], values: &[T]) -> Self {
        Self { names, values: values.iter().copied().enumerate().collect() }
    }

    /// The `most` largest, still in the set's order; of equals the first.
    pub(crate) fn largest(names: &'a [String], values: &[T], most: usize) -> Self {
        let mut values: Vec<(usize, T)> = values.iter().copied().enumerate().collect();
        values.sort_by(|(_, left), (_, right)| right.partial_cmp(left).unwrap_or(std::cmp::Ordering::Equal));
        values.truncate(most);
        values.sort_by_key(|(position, _)| *position);
        Self { names, values }
    }
}

impl<T: Serialize> Serialize for ByLabel<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.values.len()))?;
        for (position, value) in &self.values {
            map.serialize_entry(&self.names[*position], value)?;
        }
        map.end()
    }
}
