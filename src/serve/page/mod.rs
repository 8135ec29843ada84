//! The page at `/`: what a browser is given to read texts with, look at the model and watch the server.
//!
//! | file | what it owns |
//! |---|---|
//! | `index.html` | everything that stands on the page |
//! | `base.css`, `read.css`, `tables.css` | ground rules and tones of labels; the first tab; the others |
//! | `theme.js` | light or dark, before anything is drawn |
//! | `main.js` | the page as a whole: tabs, theme, key, model |
//! | `read.js`, `bars.js`, `passages.js` | a text while it is typed; a bar a label; sentences and words |
//! | `batch.js`, `bulk.js`, `csv.js` | a table in and out; its way through the bulk route; tables as text |
//! | `card.js`, `reliability.js` | the model card; its diagrams |
//! | `live.js`, `prometheus.js`, `spark.js` | the server's figures, read and drawn |
//! | `api.js`, `notice.js` | talking to this server; what went wrong |
//! | `places.js` | code points of the API, UTF-16 units of a browser |
//! | `labels.js`, `dom.js`, `tabs.js` | how a label looks; elements; the tabs |
//!
//! Plain HTML, CSS and ES modules, compiled in as they are: there is no build, and nothing is fetched
//! from anywhere else. No script or style stands in the page itself, so that [`POLICY`] can be strict.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// The content security policy that the page was written for.
pub(crate) const POLICY: &str = "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'";

/// One file of the page.
pub(crate) struct Asset {
    name: &'static str,
    /// Its media type.
    pub(crate) kind: &'static str,
    /// Its content.
    pub(crate) text: &'static str,
    /// A strong entity tag without its quotes: part of the content's SHA-256.
    pub(crate) tag: String,
}

macro_rules! assets {
    ($($name:literal),* $(,)?) => { vec![$(Asset::new($name, include_str!($name))),*] };
}

/// The page first, then what it asks for.
static ASSETS: LazyLock<Vec<Asset>> = LazyLock::new(|| {
    assets![
        "index.html",
        "base.css",
        "read.css",
        "tables.css",
        "mark.svg",
        "theme.js",
        "main.js",
        "api.js",
        "bars.js",
        "batch.js",
        "bulk.js",
        "card.js",
        "csv.js",
        "dom.js",
        "labels.js",
        "live.js",
        "notice.js",
        "passages.js",
        "places.js",
        "prometheus.js",
        "read.js",
        "reliability.js",
        "spark.js",
        "tabs.js",
    ]
});

/// The page itself.
pub(crate) fn index() -> &'static Asset {
    &ASSETS[0]
}

/// One of the files that the page asks for.
pub(crate) fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().skip(1).find(|asset| asset.name == name)
}

impl Asset {
    fn new(name: &'static str, text: &'static str) -> Self {
        let kind = match name.rsplit_once('.') {
            Some((_, "html")) => "text/html; charset=utf-8",
            Some((_, "css")) => "text/css; charset=utf-8",
            Some((_, "svg")) => "image/svg+xml",
            _ => "text/javascript; charset=utf-8",
        };
        let tag = Sha256::digest(text).iter().take(12).map(|byte| format!("{byte:02x}")).collect();
        Self { name, kind, text, tag }
    }
}
