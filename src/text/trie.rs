//! Which tokens may follow when a list of labels is written: an automaton over tokens.
//!
//! Labels come in the order of the label set and each at most once, so a state is a place in a tree of
//! tokens and the labels that are behind it. There are three trees: the list's beginning (`["`, or all
//! of `[]`), a label, and what follows one (`", "`, or `"]`); a leaf leads to the root of the next.
//! A list and its tokens determine each other: where tokens could be read two ways, the trie is refused.

use super::TextError;

/// What a tree's leaf leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leads {
    ToLabels,
    Behind(u32),
    Nowhere,
}

#[derive(Debug, Clone, Default)]
struct Node {
    children: Vec<(u32, u32)>,
    leads: Option<Leads>,
    /// One more than the largest label that may still be written through here.
    reach: u32,
}

/// The tokens of a list's pieces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pieces<'a> {
    /// The labels, for errors.
    pub(super) names: &'a [String],
    pub(super) empty: &'a [u32],
    pub(super) open: &'a [u32],
    pub(super) labels: &'a [Vec<u32>],
    pub(super) between: &'a [u32],
    pub(super) close: &'a [u32],
    pub(super) end: u32,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct LabelTrie {
    nodes: Vec<Node>,
}

/// How far a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    node: u32,
    /// Labels below this are written or left out.
    behind: u32,
}

/// A token that may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The token.
    pub token: u32,
    /// How far the list is written then.
    pub place: Place,
    /// The label that was completed before this token, which shows that it was.
    pub label: Option<usize>,
}

const START: u32 = 0;
const LABELS: u32 = 1;
const BEHIND: u32 = 2;

impl LabelTrie {
    /// # Errors
    /// [`TextError::Spelling`] when two lists are written by the same tokens.
    pub(super) fn new(pieces: Pieces<'_>) -> Result<Self, TextError> {
        let mut trie = Self { nodes: vec![Node::default(); 3] };
        trie.insert_all(pieces).and_then(|()| trie.check()).map_err(|clash| TextError::Spelling { reason: clash.told(pieces.names) })?;
        Ok(trie)
    }

    fn insert_all(&mut self, pieces: Pieces<'_>) -> Result<(), Clash> {
        let ended = |piece: &[u32]| [piece, &[pieces.end]].concat();
        // A label set is far smaller than this counts.
        let count = pieces.labels.len() as u32;
        self.insert(START, &ended(pieces.empty), Leads::Nowhere, u32::MAX)?;
        self.insert(START, pieces.open, Leads::ToLabels, count)?;
        for (label, tokens) in (0..).zip(pieces.labels) {
            self.insert(LABELS, tokens, Leads::Behind(label), label + 1)?;
        }
        self.insert(BEHIND, &ended(pieces.close), Leads::Nowhere, u32::MAX)?;
        self.insert(BEHIND, pieces.between, Leads::ToLabels, count)
    }

    /// Where every list begins.
    #[must_use]
    pub fn start(&self) -> Place {
        Place { node: START, behind: 0 }
    }

    /// Whether the list is written, its end token included.
    #[must_use]
    pub fn is_done(&self, place: Place) -> bool {
        self.node(place.node).leads == Some(Leads::Nowhere)
    }

    /// The tokens that may come next: none when the list is done, one when nothing is left to choose.
    #[must_use]
    pub fn steps(&self, place: Place) -> Vec<Step> {
        let mut steps = Vec::new();
        self.children(place, None, &mut steps);
        match self.node(place.node).leads {
            Some(Leads::ToLabels) => self.children(Place { node: LABELS, ..place }, None, &mut steps),
            // A label that lies behind may be the beginning of another's name.
            Some(Leads::Behind(label)) if label >= place.behind => {
                self.children(Place { node: BEHIND, behind: label + 1 }, Some(label as usize), &mut steps);
            }
            Some(Leads::Behind(_) | Leads::Nowhere) | None => {}
        }
        steps
    }

    fn children(&self, Place { node, behind }: Place, label: Option<usize>, steps: &mut Vec<Step>) {
        let open = self.node(node).children.iter().filter(|(_, child)| self.node(*child).reach > behind);
        steps.extend(open.map(|&(token, node)| Step { token, place: Place { node, behind }, label }));
    }

    fn node(&self, node: u32) -> &Node {
        &self.nodes[node as usize]
    }

    fn insert(&mut self, root: u32, tokens: &[u32], leads: Leads, reach: u32) -> Result<(), Clash> {
        if tokens.is_empty() {
            return Err(Clash::Empty(leads));
        }
        let mut at = root;
        for &token in tokens {
            let known = self.node(at).children.iter().find(|(known, _)| *known == token).map(|&(_, child)| child);
            let child = known.unwrap_or(self.nodes.len() as u32);
            if known.is_none() {
                self.nodes.push(Node::default());
                self.nodes[at as usize].children.push((token, child));
            }
            let reached = &mut self.nodes[child as usize].reach;
            *reached = reach.max(*reached);
            at = child;
        }
        match self.nodes[at as usize].leads.replace(leads) {
            None => Ok(()),
            Some(other) => Err(Clash::Same(other, leads)),
        }
    }

    /// Checks that a piece which is the beginning of another can be told from it by what comes next.
    fn check(&self) -> Result<(), Clash> {
        for node in &self.nodes {
            let (leads, next) = match node.leads {
                Some(leads @ Leads::ToLabels) => (leads, LABELS),
                Some(leads @ Leads::Behind(_)) => (leads, BEHIND),
                Some(Leads::Nowhere) | None => continue,
            };
            let next = &self.node(next).children;
            if node.children.iter().any(|(token, _)| next.iter().any(|(other, _)| other == token)) {
                return Err(Clash::Begins(leads));
            }
        }
        Ok(())
    }
}

/// Why tokens do not tell lists apart.
#[derive(Debug)]
enum Clash {
    Empty(Leads),
    Same(Leads, Leads),
    Begins(Leads),
}

impl Clash {
    fn told(&self, names: &[String]) -> String {
        let piece = |leads: &Leads| match leads {
            Leads::Behind(label) => format!("label {:?}", names[*label as usize]),
            Leads::ToLabels => "what stands before a label".to_owned(),
            Leads::Nowhere => "the end of a list".to_owned(),
        };
        match self {
            Self::Empty(leads) => format!("{} has no token", piece(leads)),
            Self::Same(one, other) => format!("{} and {} have the same tokens", piece(one), piece(other)),
            Self::Begins(leads) => format!("a token behind {} can be read in two ways", piece(leads)),
        }
    }
}
