//! The house rules as data: who may import whom, which crate lives in which room, and which
//! calls stay at the edge. ARCHITECTURE.md says why; this file is what is enforced.

/// What one room may import from its own crate.
pub struct Room {
    pub name: &'static str,
    /// Other rooms it may name. Its own name is always allowed.
    pub imports: &'static [&'static str],
    /// What of the world it may touch.
    pub touches: Touches,
}

/// How much of the world a room may touch, from least to most.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Touches {
    /// Values in, values out.
    Nothing,
    /// Files, but no clock and no network.
    Files,
    /// Also clocks and sockets.
    World,
}

/// All rooms, lowest first. A room missing here fails the test that walks `src/`.
pub const ROOMS: &[Room] = &[
    Room { name: "spec", imports: &[], touches: Touches::Nothing },
    Room { name: "text", imports: &["spec"], touches: Touches::Files },
    Room { name: "decide", imports: &["spec"], touches: Touches::Nothing },
    Room { name: "metrics", imports: &["spec", "decide"], touches: Touches::Nothing },
    Room { name: "nn", imports: &["spec"], touches: Touches::Nothing },
    Room { name: "model", imports: &["spec", "nn"], touches: Touches::Nothing },
    Room { name: "generate", imports: &["spec", "text", "nn", "model"], touches: Touches::Nothing },
    Room { name: "bundle", imports: &["spec", "text", "decide"], touches: Touches::Files },
    Room { name: "backend", imports: &["spec", "text", "decide", "nn", "model", "generate", "bundle"], touches: Touches::Files },
    Room { name: "export", imports: &["spec", "text", "decide", "nn", "model", "bundle", "backend"], touches: Touches::Files },
    Room {
        name: "train",
        imports: &["spec", "text", "decide", "metrics", "nn", "model", "generate", "bundle", "backend", "export"],
        touches: Touches::World,
    },
    Room { name: "serve", imports: &["spec", "text", "decide", "bundle", "backend"], touches: Touches::World },
    Room { name: "bin/train.rs", imports: &["spec", "bundle", "backend", "train"], touches: Touches::World },
    Room { name: "bin/serve.rs", imports: &["serve"], touches: Touches::World },
];

/// Exceptions to the rooms' imports that hold for some of a room's files only: the room, the room
/// it may name, and how the names of those files begin.
pub const ONLY_IN: &[(&str, &str, &str)] = &[("export", "backend", "verify")];

/// Where each dependency may be named. A dependency that is missing here fails a test, so every
/// new one gets a home on the day it comes.
pub const CRATES: &[(&str, &[&str])] = &[
    ("actix_web", &["serve"]),
    ("anyhow", &["bin/train.rs", "bin/serve.rs"]),
    ("arc_swap", &["serve"]),
    ("base64", &["train"]),
    ("candle_core", &["nn"]),
    ("clap", &["train", "serve", "bin/train.rs", "bin/serve.rs"]),
    ("crc", &["train"]),
    ("csv", &["train"]),
    ("dashmap", &["serve"]),
    ("emojis", &["text"]),
    ("futures_util", &["serve"]),
    ("gemm", &["nn"]),
    ("governor", &["serve"]),
    ("hf_hub", &["train"]),
    ("html_escape", &["text"]),
    ("indicatif", &["train"]),
    ("libm", &["decide", "metrics", "nn", "generate"]),
    ("maud", &["train"]),
    ("mimalloc", &["bin/train.rs", "bin/serve.rs"]),
    ("minijinja", &["text"]),
    ("minijinja_contrib", &["text"]),
    ("moka", &["serve"]),
    ("opentelemetry", &["serve"]),
    ("opentelemetry_otlp", &["serve"]),
    ("opentelemetry_sdk", &["serve"]),
    ("ort", &["backend"]),
    ("plotters", &["train"]),
    ("prometheus", &["serve"]),
    ("prost", &["export", "train", "serve"]),
    ("rand", &["decide", "metrics", "nn", "train"]),
    ("rayon", &["text", "decide", "metrics", "bundle", "nn", "train"]),
    ("resvg", &["train"]),
    ("rustls", &["serve"]),
    ("rustls_pki_types", &["serve"]),
    ("safetensors", &["nn", "bundle", "backend", "export"]),
    ("serde", &["spec", "text", "decide", "metrics", "model", "bundle", "export", "train", "serve"]),
    ("serde_json", &["text", "nn", "model", "bundle", "export", "train", "serve"]),
    ("sha2", &["bundle", "train", "serve"]),
    ("subtle", &["serve"]),
    ("thiserror", &["spec", "text", "decide", "metrics", "nn", "model", "generate", "bundle", "backend", "export", "train", "serve"]),
    ("tokenizers", &["text"]),
    ("tokio", &["serve", "bin/serve.rs"]),
    ("tokio_rustls", &["serve"]),
    ("toml", &["train", "serve"]),
    ("tonic", &["serve"]),
    ("tonic_prost", &["serve"]),
    ("tonic_types", &["serve"]),
    ("tracing", &["backend", "train", "serve", "bin/train.rs", "bin/serve.rs"]),
    ("tracing_subscriber", &["train", "serve", "bin/train.rs", "bin/serve.rs"]),
    ("unicode_normalization", &["text"]),
    ("unicode_segmentation", &["text"]),
    ("ureq", &["train"]),
    ("utoipa", &["serve"]),
    ("utoipa_swagger_ui", &["serve"]),
    ("uuid", &["serve"]),
    ("zip", &["nn"]),
];

/// A call that is refused, where, and why.
pub struct Ban {
    /// Source text, found where it is not part of a longer word.
    pub call: &'static str,
    pub scope: Scope,
    pub reason: &'static str,
}

/// Where a [`Ban`] holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Everywhere in `src/` but the two binaries.
    Library,
    /// In rooms that touch less than this.
    Below(Touches),
    /// Everywhere, tests included.
    Everywhere,
}

/// The refused calls. `clippy.toml` refuses some of them too, where an exception with a reason is
/// thinkable; those here have none.
pub const BANS: &[Ban] = &[
    Ban { call: "std::env", scope: Scope::Library, reason: "the environment is an argument, read by the binaries" },
    Ban { call: "env::var", scope: Scope::Library, reason: "the environment is an argument, read by the binaries" },
    Ban { call: "println!", scope: Scope::Library, reason: "reports go to a writer that the caller passes" },
    Ban { call: "eprintln!", scope: Scope::Library, reason: "reports go to a writer that the caller passes" },
    Ban { call: "print!", scope: Scope::Library, reason: "reports go to a writer that the caller passes" },
    Ban { call: "eprint!", scope: Scope::Library, reason: "reports go to a writer that the caller passes" },
    Ban { call: "process::exit", scope: Scope::Library, reason: "only a binary ends the process" },
    Ban { call: "rand::rng", scope: Scope::Library, reason: "a seed is an argument" },
    Ban { call: "from_os_rng", scope: Scope::Library, reason: "a seed is an argument" },
    Ban { call: "Instant::now", scope: Scope::Below(Touches::World), reason: "time is an argument" },
    Ban { call: "SystemTime", scope: Scope::Below(Touches::World), reason: "time is an argument" },
    Ban { call: "std::fs", scope: Scope::Below(Touches::Files), reason: "a computing room takes bytes, not paths" },
    Ban { call: "File::open", scope: Scope::Below(Touches::Files), reason: "a computing room takes bytes, not paths" },
    Ban { call: "std::net", scope: Scope::Below(Touches::World), reason: "only the trainer and the server speak to others" },
    Ban { call: "#[ignore", scope: Scope::Everywhere, reason: "an ignored test is a test nobody runs" },
];

/// Most lines of a source file, tests included.
pub const FILE_LINES: usize = 500;
/// Most lines of a binary.
pub const BIN_LINES: usize = 120;
/// Most lines of ARCHITECTURE.md.
pub const MAP_LINES: usize = 250;
