//! Looks at the folder of bundles now and then, and brings the registry to what lies there.
//!
//! By polling: it works on every file system, a network's or a container's volume too, where
//! notices of changes do not arrive. A bundle is tried once it has stayed the same from one look to
//! the next, so that one being copied is left alone, and tried again only when it changes.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::folder::Scan;
use super::{Activate, Previous, Registry};

/// The watching thread. Dropping it ends the watch after the step it is in.
pub(crate) struct Watch {
    /// Never sent on: the thread sees it go.
    _stop: Sender<()>,
}

impl Watch {
    /// # Errors
    /// When the system refuses a thread.
    pub(crate) fn start(registry: Arc<Registry>, every: Duration) -> std::io::Result<Self> {
        let (stop, stopped) = channel::<()>();
        let mut watcher = Watcher { done: registry.at_start().clone(), last: Scan::new() };
        std::thread::Builder::new().name("limbic-watch".to_owned()).spawn(move || {
            while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                match registry.scan() {
                    Ok(found) => watcher.steps(found).into_iter().for_each(|step| take(&registry, &step)),
                    Err(error) => tracing::warn!(%error, "the folder of bundles could not be listed"),
                }
            }
        })?;
        Ok(Self { _stop: stop })
    }
}

fn take(registry: &Registry, step: &Step) {
    match step {
        Step::Load(folder) => match registry.load(folder, Activate::IfNewer, Previous::Keep) {
            Ok(_) => {}
            // The registry keeps the reason, and what served goes on.
            Err(error) => tracing::error!(folder = %folder.display(), reason = %error.chain(), "a bundle was refused"),
        },
        Step::Unload(folder) => registry.leave(folder),
    }
}

/// One thing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    Load(PathBuf),
    Unload(PathBuf),
}

/// What was seen, and what was acted on.
struct Watcher {
    /// Bundles that were tried, as they were then.
    done: Scan,
    last: Scan,
}

impl Watcher {
    /// What a look gives to do.
    fn steps(&mut self, found: Scan) -> Vec<Step> {
        let gone = self.done.keys().filter(|folder| !found.contains_key(*folder)).cloned();
        let mut steps: Vec<Step> = gone.map(Step::Unload).collect();
        self.done.retain(|folder, _| found.contains_key(folder));
        for (folder, fingerprint) in &found {
            if self.last.get(folder) == Some(fingerprint) && self.done.get(folder) != Some(fingerprint) {
                self.done.insert(folder.clone(), fingerprint.clone());
                steps.push(Step::Load(folder.clone()));
            }
        }
        self.last = found;
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::serve::registry::folder::ModelsFolder;
    use std::fs;

    #[test]
    fn a_bundle_is_tried_once_it_rests_and_again_when_it_changes() {
        let root = tempfile::tempdir().unwrap();
        let put = |name: &str, file: &str, content: &str| {
            fs::create_dir_all(root.path().join(name)).unwrap();
            fs::write(root.path().join(name).join(file), content).unwrap();
        };
        put("a", "bundle.json", "1");
        let folder = ModelsFolder::open(root.path()).unwrap();
        let path = |name: &str| root.path().canonicalize().unwrap().join(name);
        let mut watcher = Watcher { done: folder.scan().unwrap(), last: Scan::new() };
        let mut look = || watcher.steps(folder.scan().unwrap());
        assert_eq!((look(), look()), (vec![], vec![]));
        put("b", "bundle.json", "1");
        assert_eq!(look(), []);
        put("b", "weights", "half");
        assert_eq!(look(), []);
        put("b", "weights", "the whole");
        assert_eq!(look(), []);
        assert_eq!(look(), [Step::Load(path("b"))]);
        assert_eq!(look(), []);
        put("a", "bundle.json", "another");
        assert_eq!((look(), look(), look()), (vec![], vec![Step::Load(path("a"))], vec![]));
        fs::remove_dir_all(root.path().join("b")).unwrap();
        assert_eq!((look(), look()), (vec![Step::Unload(path("b"))], vec![]));
    }
}
