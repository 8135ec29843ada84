//! One function a rule: text in, complaints out. Nothing here opens a file, so each rule is
//! tested on a snippet that breaks it.

use super::scan::{self, Hit};
use super::table::{BANS, CRATES, ONLY_IN, ROOMS, Room, Scope};

/// The room of a path below `src/`; nothing for `lib.rs`.
pub fn room_of(path: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| path == room.name || path.strip_prefix(room.name).is_some_and(|rest| rest.starts_with('/')))
}

/// Rooms that `path` (below `src/`) names and may not.
pub fn imports(path: &str, source: &str) -> Vec<String> {
    let Some(room) = room_of(path) else { return Vec::new() };
    let code = scan::code(source);
    // A binary sees the library by its name.
    let root = if path.starts_with("bin/") { "limbic" } else { "crate" };
    let mut found: Vec<String> = scan::heads(&code, root)
        .into_iter()
        .filter(|hit| ROOMS.iter().any(|other| other.name == hit.name) && !may_import(room, path, &hit.name))
        .map(|hit| format!("{path}:{}: {} may not import {}", hit.line, room.name, hit.name))
        .collect();
    found.extend(leaves_by_super(path, &code).map(|line| format!("{path}:{line}: leaves its room by super; say crate::room")));
    found
}

fn may_import(room: &Room, path: &str, other: &str) -> bool {
    let file = path.rsplit('/').next().unwrap_or(path);
    let narrowed = ONLY_IN.iter().find(|(from, to, _)| *from == room.name && *to == other);
    room.name == other || room.imports.contains(&other) && narrowed.is_none_or(|(_, _, prefix)| file.starts_with(prefix))
}

/// Lines where a chain of `super` climbs past the room's own root, which would hide an import.
fn leaves_by_super<'a>(path: &'a str, code: &'a str) -> impl Iterator<Item = usize> + 'a {
    let folders = path.matches('/').count();
    // `room/mod.rs` lies one module deep, `room/file.rs` two; an inline module adds one.
    let depth = if path.ends_with("/mod.rs") { folders } else { folders + 1 };
    let tests = code.find("mod tests {").unwrap_or(code.len());
    scan::words(code, "super").filter_map(move |at| {
        if code[..at].ends_with("super::") {
            return None;
        }
        let chain = code[at..].split("::").take_while(|part| *part == "super").count();
        let limit = depth + usize::from(at > tests);
        (chain >= limit).then(|| scan::line_of(code, at))
    })
}

/// Crates that `path` (below `src/`) names outside their room.
pub fn crates(path: &str, source: &str) -> Vec<String> {
    let code = scan::code(source);
    let room = room_of(path).map_or("lib.rs", |room| room.name);
    let mut found = Vec::new();
    for (name, rooms) in CRATES.iter().filter(|(_, rooms)| !rooms.contains(&room)) {
        for Hit { line, .. } in named_crate(&code, name) {
            found.push(format!("{path}:{line}: {name} belongs to {}", rooms.join(", ")));
        }
    }
    found
}

/// Places where `name` stands as the root of a path, or is brought in by `use` or an attribute.
fn named_crate(code: &str, name: &str) -> Vec<Hit> {
    scan::words(code, name)
        .filter(|&at| {
            let before = code[..at].trim_end();
            let after = code[at + name.len()..].trim_start();
            // `::ort` and `[::ort` begin a path, `backend::ort` goes on with one.
            let root =
                before.strip_suffix("::").is_none_or(|path| !path.ends_with(|last: char| last.is_alphanumeric() || "_>".contains(last)));
            let alone =
                ["use", "crate", "as"].iter().any(|word| before.ends_with(word)) && (after.starts_with(';') || after.starts_with("as "));
            root && (after.starts_with("::") || alone) && !inside_group_of_path(before)
        })
        .map(|at| Hit { line: scan::line_of(code, at), name: name.to_owned() })
        .collect()
}

/// Whether the text ends inside `use a::b::{`, where a name is a segment and no crate.
fn inside_group_of_path(before: &str) -> bool {
    let statement = before.rsplit(';').next().unwrap_or("");
    let Some(at) = statement.rfind("use ") else { return false };
    let open = &statement[at..];
    open.matches('{').count() > open.matches('}').count() && open.contains("::")
}

/// Refused calls in `path` (from the repository's root).
pub fn bans(path: &str, source: &str) -> Vec<String> {
    let code = scan::code(source);
    let inner = path.strip_prefix("src/");
    let room = inner.and_then(room_of);
    let library = inner.is_some_and(|inner| !inner.starts_with("bin/"));
    // Unit tests may read a fixture; what they may not is be skipped.
    let tests = code.find("#[cfg(test)]").unwrap_or(code.len());
    let mut found = Vec::new();
    for ban in BANS {
        let (holds, end) = match ban.scope {
            Scope::Everywhere => (true, code.len()),
            Scope::Library => (library, tests),
            Scope::Below(least) => (room.is_some_and(|room| room.touches < least), tests),
        };
        if holds {
            found.extend(
                scan::words(&code[..end], ban.call).map(|at| format!("{path}:{}: {}: {}", scan::line_of(&code, at), ban.call, ban.reason)),
            );
        }
    }
    found
}

/// A Rust file's form: it opens with its purpose and stays short.
pub fn form(path: &str, source: &str, most: usize) -> Vec<String> {
    let mut found = Vec::new();
    if !source.starts_with("//! ") {
        found.push(format!("{path}:1: opens with //!, what it owns and what it refuses"));
    }
    found.extend(length(path, source, most));
    found
}

/// A file that is longer than it may be.
pub fn length(path: &str, source: &str, most: usize) -> Option<String> {
    let lines = source.lines().count();
    (lines > most).then(|| format!("{path}: {lines} lines, at most {most}"))
}

/// Names that bind the repository to one machine or to a package registry, in any text file.
pub fn places(path: &str, text: &str) -> Vec<String> {
    // Spelled in halves, so that this file does not hold what it refuses.
    let halves =
        [("crates", ".io"), ("pypi", ".org"), ("pythonhosted", ".org"), ("npmjs", ".org"), ("npmjs", ".com"), ("deb.", "debian.org")];
    let homes = [("/wo", "rk/"), ("/ro", "ot/"), ("/ho", "me/"), ("/fa", "rm/"), ("/tm", "p/")];
    let mut found = Vec::new();
    for (line, content) in text.lines().enumerate() {
        for (first, second) in halves.iter().filter(|_| !path.ends_with(".lock")) {
            if content.contains(&format!("{first}{second}")) {
                found.push(format!("{path}:{}: names a registry's host; clients know it by default", line + 1));
            }
        }
        for (first, second) in homes {
            let home = format!("{first}{second}");
            let starts = |at: usize| {
                at == 0 || !content.as_bytes()[at - 1].is_ascii_alphanumeric() && !b"._-}/*".contains(&content.as_bytes()[at - 1])
            };
            if content.match_indices(&home).any(|(at, _)| starts(at)) {
                found.push(format!("{path}:{}: holds a path of one machine", line + 1));
            }
        }
    }
    found
}

/// Dependencies of a `Cargo.toml` that have no room.
pub fn homeless(manifest: &str) -> Vec<String> {
    let section = manifest.split("\n[").find_map(|part| part.strip_prefix("dependencies]")).unwrap_or("");
    let names = section.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name.trim()).filter(|name| !name.starts_with('#'));
    names
        .map(|name| name.replace('-', "_"))
        .filter(|name| !CRATES.iter().any(|(known, _)| known == name))
        .map(|name| format!("Cargo.toml: {name} has no room in tidy's table"))
        .collect()
}
