//! Near duplicates, found before any split, so that no text is judged by a model that has seen its
//! twin.
//!
//! A text is reduced to a normal form (lower case; users, URLs, numbers, punctuation and the hash
//! of a hashtag masked). Texts of one normal form are one group; so are texts whose sets of
//! character shingles overlap by [`SIMILARITY`] (Jaccard). Candidate pairs come from min-hashing
//! in bands (Broder 1997; Leskovec, Rajaraman and Ullman, "Mining of Massive Datasets", 3.4) and
//! are then compared exactly. What is alike is joined, also through a third text.

use std::collections::{HashMap, HashSet};

/// Jaccard similarity of two texts' shingles from which they count as one.
pub const SIMILARITY: f64 = 0.7;
/// Characters a shingle.
const SHINGLE: usize = 4;
/// Normal forms shorter than this say too little to be compared by shingles.
const COMPARABLE_CHARS: usize = 16;
const BANDS: usize = 32;
const ROWS_PER_BAND: usize = 4;

/// Which group each row belongs to: numbers from zero, in order of first appearance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Groups {
    of_row: Vec<usize>,
    members: Vec<Vec<usize>>,
}

impl Groups {
    /// Groups the texts.
    pub fn find<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let forms: Vec<String> = texts.into_iter().map(normal_form).collect();
        let mut forest = Forest::new(forms.len());
        let mut first: HashMap<&str, usize> = HashMap::new();
        let mut distinct = Vec::new();
        for (row, form) in forms.iter().enumerate() {
            match first.get(form.as_str()) {
                Some(&twin) => forest.join(twin, row),
                None => {
                    first.insert(form, row);
                    distinct.push(row);
                }
            }
        }
        join_similar(&forms, &distinct, &mut forest);
        Self::numbered((0..forms.len()).map(|row| forest.root(row)))
    }

    /// The rows of each group, ascending.
    #[must_use]
    pub fn members(&self) -> &[Vec<usize>] {
        &self.members
    }

    /// The group of each row.
    #[must_use]
    pub fn of_row(&self) -> &[usize] {
        &self.of_row
    }

    /// The groups among the given rows alone, which become rows 0, 1 and so on.
    #[must_use]
    pub fn select(&self, rows: &[usize]) -> Self {
        Self::numbered(rows.iter().map(|&row| self.of_row[row]))
    }

    /// Groups from any names of theirs, row by row.
    fn numbered(names: impl IntoIterator<Item = usize>) -> Self {
        let (mut numbers, mut of_row, mut members) = (HashMap::new(), Vec::new(), Vec::<Vec<usize>>::new());
        for (row, name) in names.into_iter().enumerate() {
            let group = *numbers.entry(name).or_insert_with(|| {
                members.push(Vec::new());
                members.len() - 1
            });
            of_row.push(group);
            members[group].push(row);
        }
        Self { of_row, members }
    }
}

/// The text without what tells two copies of it apart. A text of nothing else (emoji, say) keeps
/// its own letters, so that not all such texts become one.
#[must_use]
pub fn normal_form(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.split_whitespace().filter(|word| !is_url(word)).map(|word| {
        if word.starts_with('@') && word.chars().count() > 1 {
            return "@".to_owned();
        }
        let kept = word.chars().filter(|c| c.is_alphanumeric());
        kept.map(|c| if c.is_numeric() { '0' } else { c }).collect()
    });
    let words: Vec<String> = words.filter(|word: &String| !word.is_empty()).collect();
    let form = words.join(" ");
    if form.chars().any(char::is_alphanumeric) { form } else { lower.trim().to_owned() }
}

fn is_url(word: &str) -> bool {
    word.contains("://") || word.starts_with("www.") || word.starts_with("t.co/")
}

fn join_similar(forms: &[String], rows: &[usize], forest: &mut Forest) {
    let shingles: HashMap<usize, HashSet<u64>> =
        rows.iter().filter(|&&row| forms[row].chars().count() >= COMPARABLE_CHARS).map(|&row| (row, shingles(&forms[row]))).collect();
    let mut buckets: HashMap<(usize, [u64; ROWS_PER_BAND]), Vec<usize>> = HashMap::new();
    for &row in rows {
        let Some(set) = shingles.get(&row) else { continue };
        for (band, key) in bands(set).into_iter().enumerate() {
            let bucket = buckets.entry((band, key)).or_default();
            // The first of a bucket stands for it: a copy of a copy meets it in another band.
            for &other in bucket.iter().take(8) {
                if forest.root(other) != forest.root(row) && jaccard(&shingles[&other], set) >= SIMILARITY {
                    forest.join(other, row);
                }
            }
            bucket.push(row);
        }
    }
}

fn shingles(form: &str) -> HashSet<u64> {
    let chars: Vec<char> = form.chars().collect();
    chars.windows(SHINGLE).map(|window| window.iter().fold(0, |hash, &c| mix(hash ^ u64::from(c)))).collect()
}

/// The min-hash signature, cut into bands.
fn bands(set: &HashSet<u64>) -> [[u64; ROWS_PER_BAND]; BANDS] {
    std::array::from_fn(|band| {
        std::array::from_fn(|row| {
            let salt = mix((band * ROWS_PER_BAND + row) as u64 + 1);
            set.iter().map(|&shingle| mix(shingle ^ salt)).min().unwrap_or(0)
        })
    })
}

fn jaccard(a: &HashSet<u64>, b: &HashSet<u64>) -> f64 {
    let both = a.intersection(b).count();
    both as f64 / (a.len() + b.len() - both).max(1) as f64
}

/// The finaliser of `SplitMix64` (Steele, Lea and Flood 2014): fixed, so that groups never depend on
/// a hasher's seed.
fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// Disjoint sets with path halving.
struct Forest {
    parents: Vec<usize>,
}

impl Forest {
    fn new(rows: usize) -> Self {
        Self { parents: (0..rows).collect() }
    }

    fn root(&mut self, mut row: usize) -> usize {
        while self.parents[row] != row {
            self.parents[row] = self.parents[self.parents[row]];
            row = self.parents[row];
        }
        row
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parents[a.max(b)] = a.min(b);
    }
}
