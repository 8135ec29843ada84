//! The folder of bundles: which there are, and whether one changed.
//!
//! A bundle is named by its folder's plain name and must lie inside the root once links are
//! resolved, so that neither a name nor a link leads anywhere else. Refuses to read what is in a
//! bundle: sizes and times say enough to see that one is new.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::names::is_plain;

/// What makes a folder a bundle.
const MANIFEST: &str = "bundle.json";

/// Name, size and time of each file of one bundle: another value is another bundle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fingerprint(Vec<(String, u64, Option<SystemTime>)>);

/// What lies in the root at one moment, by path.
pub(super) type Scan = BTreeMap<PathBuf, Fingerprint>;

/// See the module.
#[derive(Debug)]
pub(crate) struct ModelsFolder {
    /// With links resolved.
    root: PathBuf,
}

impl ModelsFolder {
    /// # Errors
    /// When it is no folder that can be listed.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let root = path.canonicalize()?;
        fs::read_dir(&root)?;
        Ok(Self { root })
    }

    /// The bundle's folder of this name; nothing when there is none, or not inside.
    pub(crate) fn bundle(&self, name: &str) -> Option<PathBuf> {
        if !is_plain(name) {
            return None;
        }
        let folder = self.root.join(name);
        let resolved = folder.canonicalize().ok()?;
        // The path as named, and not as resolved: a link that is pointed elsewhere is the same bundle changed.
        (resolved.starts_with(&self.root) && resolved != self.root && resolved.join(MANIFEST).is_file()).then_some(folder)
    }

    /// Every bundle there is now.
    ///
    /// # Errors
    /// When the root cannot be listed. A bundle that cannot be listed is left out: it is being
    /// written or removed.
    pub(super) fn scan(&self) -> io::Result<Scan> {
        let mut found = Scan::new();
        for entry in fs::read_dir(&self.root)? {
            let name = entry?.file_name();
            let Some(folder) = name.to_str().and_then(|name| self.bundle(name)) else { continue };
            if let Ok(fingerprint) = fingerprint(&folder) {
                found.insert(folder, fingerprint);
            }
        }
        Ok(found)
    }
}

fn fingerprint(folder: &Path) -> io::Result<Fingerprint> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let about = fs::metadata(entry.path())?;
        files.push((entry.file_name().to_string_lossy().into_owned(), about.len(), about.modified().ok()));
    }
    files.sort();
    Ok(Fingerprint(files))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(root: &Path, name: &str) {
        fs::create_dir_all(root.join(name)).unwrap();
        fs::write(root.join(name).join(MANIFEST), "{}").unwrap();
    }

    #[test]
    fn only_what_lies_inside_is_found() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        bundle(root.path(), "one");
        bundle(root.path(), ".hidden");
        bundle(root.path(), "with space");
        bundle(outside.path(), "other");
        fs::create_dir(root.path().join("empty")).unwrap();
        fs::write(root.path().join("file"), "").unwrap();
        std::os::unix::fs::symlink(outside.path().join("other"), root.path().join("escape")).unwrap();
        std::os::unix::fs::symlink("one", root.path().join("inside")).unwrap();
        std::os::unix::fs::symlink("..", root.path().join("up")).unwrap();
        std::os::unix::fs::symlink(".", root.path().join("itself")).unwrap();
        fs::write(root.path().join(MANIFEST), "{}").unwrap();

        let folder = ModelsFolder::open(root.path()).unwrap();
        let names = |scan: Scan| scan.into_keys().map(|path| path.file_name().unwrap().to_string_lossy().into_owned()).collect::<Vec<_>>();
        assert_eq!(names(folder.scan().unwrap()), ["inside", "one"]);
        for bad in ["escape", "up", "itself", "..", ".", "", "../one", "one/../one", "/etc", "empty", "file", "none", ".hidden", "one\0"] {
            assert_eq!(folder.bundle(bad), None, "{bad:?}");
        }
        assert!(ModelsFolder::open(&root.path().join("none")).is_err());
    }

    #[test]
    fn another_file_is_another_bundle() {
        let root = tempfile::tempdir().unwrap();
        bundle(root.path(), "one");
        let folder = ModelsFolder::open(root.path()).unwrap();
        let before = folder.scan().unwrap();
        assert_eq!(before, folder.scan().unwrap());
        fs::write(root.path().join("one/golden.json"), "{}").unwrap();
        assert_ne!(before, folder.scan().unwrap());
    }
}
