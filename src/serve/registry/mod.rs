//! The models in this process: from a name to its versions, and every change to that.
//!
//! Reading takes no lock that a change holds: a name leads to its versions, which are replaced as a
//! whole. A request holds the version it was given until it is answered, whatever is swapped
//! meanwhile. Changes come one at a time, each on a thread that may block; a bundle is opened,
//! verified and warmed before anything can ask it, and one that is refused changes nothing. One
//! name is the default, and always serves. Refuses HTTP; names are checked in `names`.

mod change;
mod folder;
mod loader;
mod names;
mod served;
mod shadow;
mod versions;
mod watch;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::{ArcSwap, ArcSwapOption};
use dashmap::DashMap;

pub(crate) use self::change::{Activate, Change, ChangeError, Previous};
pub(crate) use self::folder::ModelsFolder;
pub(crate) use self::loader::Loader;
pub use self::loader::{Opened, Opener};
pub(crate) use self::names::ModelId;
pub(crate) use self::served::{Chosen, Served};
pub(crate) use self::shadow::{Shadow, Share};
pub(crate) use self::watch::Watch;

use self::folder::Scan;
use self::versions::Versions;
use super::boot::ServeError;
use super::engine::Depth;
use super::telemetry::Sample;

/// One name.
struct Slot {
    versions: ArcSwap<Versions<Served>>,
    shadow: ArcSwapOption<Shadow>,
}

impl Slot {
    fn chosen(&self) -> Chosen {
        Chosen { served: Arc::clone(self.versions.load().current()), shadow: self.shadow.load_full() }
    }
}

/// Everything that is said of one name.
pub(crate) struct Line {
    pub(crate) current: Arc<Served>,
    /// The current one among them.
    pub(crate) all: Vec<Arc<Served>>,
    pub(crate) shadow: Option<Arc<Shadow>>,
}

/// See the module.
pub(crate) struct Registry {
    names: DashMap<String, Arc<Slot>>,
    default: Arc<Slot>,
    loader: Loader,
    folder: Option<ModelsFolder>,
    /// What lay in the folder when everything in it was loaded.
    at_start: Scan,
    /// Held through a change, however long it takes; nobody who only reads wants it.
    change: Mutex<()>,
    /// Why a bundle was refused, by folder, until it is accepted or gone.
    refused: Mutex<BTreeMap<PathBuf, String>>,
    closed: AtomicBool,
}

/// Where the models come from.
pub(crate) struct Sources {
    /// Given by itself.
    pub(crate) bundle: Option<PathBuf>,
    /// All bundles in here.
    pub(crate) folder: Option<ModelsFolder>,
    /// The name that answers when none is asked for.
    pub(crate) default: Option<String>,
}

impl Registry {
    /// Loads everything there is; of several versions of a name the newest is current.
    ///
    /// # Errors
    /// The first bundle's that is refused; [`ServeError::NoModel`] and [`ServeError::Default`].
    pub(crate) fn start(loader: Loader, sources: Sources) -> Result<Self, ServeError> {
        let Sources { bundle, folder, default } = sources;
        let at_start = folder.as_ref().map_or_else(|| Ok(Scan::new()), ModelsFolder::scan).map_err(ServeError::Folder)?;
        let names = DashMap::new();
        let alone = bundle.map(|path| loader.load(&path)).transpose()?;
        let default = default.or_else(|| alone.as_ref().map(|served| served.model.name.clone()));
        alone.into_iter().for_each(|served| enter(&names, served));
        for folder in at_start.keys() {
            enter(&names, loader.load(folder)?);
        }
        let default = default_slot(&names, default)?;
        Ok(Self {
            names,
            default,
            loader,
            folder,
            at_start,
            change: Mutex::default(),
            refused: Mutex::default(),
            closed: AtomicBool::new(false),
        })
    }

    /// Who answers a request that names `id`, or nothing.
    pub(crate) fn find(&self, id: Option<ModelId<'_>>) -> Option<Chosen> {
        let Some(ModelId { name, version }) = id else { return Some(self.default.chosen()) };
        let slot = Arc::clone(&*self.names.get(name)?);
        match version {
            None => Some(slot.chosen()),
            // Asked for by its version it is not what the shadow is compared with.
            Some(version) => Some(Chosen { served: Arc::clone(slot.versions.load().get(version)?), shadow: None }),
        }
    }

    /// The default model's current version.
    pub(crate) fn default(&self) -> Chosen {
        self.default.chosen()
    }

    /// What can be asked for, in alphabetical order.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.names.iter().map(|entry| entry.key().clone()).collect();
        names.sort();
        names
    }

    /// Every name with its versions, in the same order.
    pub(crate) fn list(&self) -> Vec<Line> {
        let line = |slot: &Arc<Slot>| {
            let versions = slot.versions.load();
            Line { current: Arc::clone(versions.current()), all: versions.iter().cloned().collect(), shadow: slot.shadow.load_full() }
        };
        let mut lines: Vec<Line> = self.names.iter().map(|entry| line(entry.value())).collect();
        lines.sort_by(|left, right| left.current.model.name.cmp(&right.current.model.name));
        lines
    }

    /// What the metrics say of the models at this moment.
    pub(crate) fn sample(&self) -> Sample {
        let all: Vec<Arc<Served>> = self.list().into_iter().flat_map(|line| line.all).collect();
        let depth = all.iter().map(|served| served.engine.depth()).fold(Depth::default(), |sum, depth| sum + depth);
        Sample {
            depth,
            models: all.iter().map(|served| served.info()).collect(),
            labels: all.iter().map(|served| served.labels()).collect(),
        }
    }

    /// Bundles that were refused, by folder, and why.
    pub(crate) fn refused(&self) -> BTreeMap<PathBuf, String> {
        self.refusals().clone()
    }

    /// Bundles that lie in the folder and do not serve, by folder. Reads the folder.
    ///
    /// # Errors
    /// When it cannot be listed.
    pub(crate) fn idle(&self) -> io::Result<Vec<PathBuf>> {
        let all: Vec<Arc<Served>> = self.list().into_iter().flat_map(|line| line.all).collect();
        let idle = |folder: &PathBuf| all.iter().all(|served| served.folder() != folder);
        Ok(self.scan()?.into_keys().filter(idle).collect())
    }

    /// The folder of the bundle called `name`.
    ///
    /// # Errors
    /// [`ChangeError::NoBundle`].
    pub(crate) fn bundle(&self, name: &str) -> Result<PathBuf, ChangeError> {
        self.folder.as_ref().and_then(|folder| folder.bundle(name)).ok_or_else(|| ChangeError::NoBundle(name.to_owned()))
    }

    /// Opens, verifies and warms a bundle, and puts it beside or in place of what serves. Blocks.
    ///
    /// # Errors
    /// [`ChangeError::Refused`] with what is wrong; everything serves on as it did.
    pub(crate) fn load(&self, folder: &Path, activate: Activate, previous: Previous) -> Result<Change, ChangeError> {
        let _change = self.changing();
        self.check_open()?;
        let served = self.loader.load(folder).map_err(ChangeError::Refused);
        let served = served.inspect_err(|error| drop(self.refusals().insert(folder.to_owned(), error.chain())))?;
        self.refusals().remove(folder);
        let current = self.publish(&served, activate, previous);
        // Whoever closed the registry meanwhile did not see this engine.
        if self.check_open().is_err() {
            served.engine.end();
        }
        let (model, took) = (&served.model, served.info().load);
        tracing::info!(model = model.name, version = model.version, digest = model.digest, current, ?took, "a model was loaded");
        Ok(Change { served, current })
    }

    /// Makes a loaded version current.
    ///
    /// # Errors
    /// [`ChangeError::Unknown`].
    pub(crate) fn swap(&self, name: &str, version: &str) -> Result<(), ChangeError> {
        let _change = self.changing();
        let slot = self.slot(name)?;
        let next = slot.versions.load().activated(version);
        slot.versions.store(Arc::new(next.ok_or_else(|| ChangeError::Unknown(format!("{name}@{version}")))?));
        tracing::info!(model = name, version, "another version is current");
        Ok(())
    }

    /// Leaves one version out, or a whole name. Requests that it was given are still answered.
    ///
    /// # Errors
    /// [`ChangeError::Unknown`], [`ChangeError::Current`] or [`ChangeError::Default`].
    pub(crate) fn unload(&self, name: &str, version: Option<&str>) -> Result<(), ChangeError> {
        let _change = self.changing();
        let slot = self.slot(name)?;
        let versions = slot.versions.load_full();
        if let Some(version) = version.filter(|_| versions.iter().count() > 1) {
            let unknown = || ChangeError::Unknown(format!("{name}@{version}"));
            versions.get(version).ok_or_else(unknown)?;
            let next = versions.without(version).ok_or_else(|| ChangeError::Current(format!("{name}@{version}")))?;
            slot.versions.store(Arc::new(next));
        } else {
            if version.is_some_and(|version| versions.get(version).is_none()) {
                return Err(ChangeError::Unknown(format!("{name}@{}", version.unwrap_or_default())));
            }
            if Arc::ptr_eq(&slot, &self.default) {
                return Err(ChangeError::Default(name.to_owned()));
            }
            slot.shadow.store(None);
            self.names.remove(name);
        }
        tracing::info!(model = name, version, "a model was unloaded");
        Ok(())
    }

    /// Leaves out what was loaded from a folder that is gone. Where that was current, the newest
    /// other version takes its place; the last version of the default serves on.
    pub(crate) fn leave(&self, folder: &Path) {
        self.refusals().remove(folder);
        for Line { current, all, .. } in self.list() {
            let (leaving, staying): (Vec<_>, Vec<_>) = all.into_iter().partition(|served| served.folder() == folder);
            let heir = staying.iter().reduce(|newest, other| if other.is_newer_than(newest) { other } else { newest });
            for Served { model, .. } in leaving.iter().map(|served| &**served) {
                let swapped =
                    heir.filter(|_| Arc::ptr_eq(model, &current.model)).map_or(Ok(()), |heir| self.swap(&model.name, &heir.model.version));
                if let Err(error) = swapped.and_then(|()| self.unload(&model.name, Some(&model.version))) {
                    tracing::warn!(model = model.name, version = model.version, %error, "its folder is gone, and it serves on");
                }
            }
        }
    }

    /// Lets `with` see a share of what `name`'s current version answers; replaces another shadow.
    ///
    /// # Errors
    /// [`ChangeError::Unknown`], [`ChangeError::NoCommonLabels`] or [`ChangeError::Thread`].
    pub(crate) fn shadow(&self, name: &str, with: ModelId<'_>, share: Share) -> Result<(), ChangeError> {
        let _change = self.changing();
        self.check_open()?;
        let slot = self.slot(name)?;
        let with = self.find(Some(with)).ok_or_else(|| ChangeError::Unknown(with.name.to_owned()))?.served;
        let serving = Arc::clone(slot.versions.load().current());
        if shadow::common_labels(&serving, &with).is_empty() {
            return Err(ChangeError::NoCommonLabels(name.to_owned()));
        }
        let (telemetry, crew) = (&*self.loader.telemetry, &self.loader.crew);
        let shadow = Shadow::start(&serving, with, share, (telemetry, crew)).map_err(ChangeError::Thread)?;
        slot.shadow.store(Some(Arc::new(shadow)));
        Ok(())
    }

    /// Ends a shadow, if there is one.
    ///
    /// # Errors
    /// [`ChangeError::Unknown`].
    pub(crate) fn unshadow(&self, name: &str) -> Result<(), ChangeError> {
        let _change = self.changing();
        self.slot(name)?.shadow.store(None);
        Ok(())
    }

    /// Admits nothing more, anywhere, and takes no more changes.
    pub(crate) fn refuse(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.engines(|served| served.engine.refuse());
    }

    /// Tells all workers to finish and leave, and waits for those of every engine there ever was.
    /// Blocks.
    pub(crate) fn end(&self) {
        self.refuse();
        self.names.iter().for_each(|entry| entry.value().shadow.store(None));
        self.engines(|served| served.engine.end());
        self.loader.crew.wait();
    }

    fn at_start(&self) -> &Scan {
        &self.at_start
    }

    fn scan(&self) -> io::Result<Scan> {
        self.folder.as_ref().map_or_else(|| Ok(Scan::new()), ModelsFolder::scan)
    }

    fn engines(&self, tell: impl Fn(&Served)) {
        self.list().into_iter().flat_map(|line| line.all).for_each(|served| tell(&served));
    }

    /// One change at a time.
    fn changing(&self) -> MutexGuard<'_, ()> {
        // A change that panicked had not published anything yet, or had done so as a whole.
        self.change.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refusals(&self) -> MutexGuard<'_, BTreeMap<PathBuf, String>> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn check_open(&self) -> Result<(), ChangeError> {
        if self.closed.load(Ordering::SeqCst) { Err(ChangeError::Closing) } else { Ok(()) }
    }

    fn slot(&self, name: &str) -> Result<Arc<Slot>, ChangeError> {
        self.names.get(name).map(|slot| Arc::clone(&*slot)).ok_or_else(|| ChangeError::Unknown(name.to_owned()))
    }

    /// Whether it became current.
    fn publish(&self, served: &Arc<Served>, activate: Activate, previous: Previous) -> bool {
        let (name, version) = (&served.model.name, &served.model.version);
        let Ok(slot) = self.slot(name) else {
            enter(&self.names, Arc::clone(served));
            return true;
        };
        let before = slot.versions.load_full();
        let mut next = before.with(version, Arc::clone(served));
        let activates = match activate {
            Activate::Now => true,
            Activate::IfNewer => served.is_newer_than(before.current()),
            Activate::No => false,
        };
        if activates {
            next = next.activated(version).unwrap_or(next);
            let old = &before.current().model.version;
            if previous == Previous::Unload {
                next = next.without(old).unwrap_or(next);
            }
        }
        let current = next.is_current(served);
        slot.versions.store(Arc::new(next));
        current
    }
}

/// Adds a version to its name while nothing serves yet, or a name that was not there.
fn enter(names: &DashMap<String, Arc<Slot>>, served: Arc<Served>) {
    let (name, version) = (served.model.name.clone(), served.model.version.clone());
    if let Some(slot) = names.get(&name) {
        let before = slot.versions.load_full();
        let next = before.with(&version, Arc::clone(&served));
        let newer = served.is_newer_than(before.current());
        let next = if newer { next.activated(&version).unwrap_or(next) } else { next };
        slot.versions.store(Arc::new(next));
        return;
    }
    let versions = ArcSwap::from_pointee(Versions::of(&version, served));
    names.insert(name, Arc::new(Slot { versions, shadow: ArcSwapOption::empty() }));
}

fn default_slot(names: &DashMap<String, Arc<Slot>>, asked: Option<String>) -> Result<Arc<Slot>, ServeError> {
    let mut known: Vec<String> = names.iter().map(|entry| entry.key().clone()).collect();
    known.sort();
    let name = match (asked, known.as_slice()) {
        (_, []) => return Err(ServeError::NoModel),
        (Some(name), _) => name,
        (None, [only]) => only.clone(),
        (None, several) => return Err(ServeError::Default { asked: None, known: several.join(", ") }),
    };
    let slot = names.get(&name).map(|slot| Arc::clone(&*slot));
    slot.ok_or_else(|| ServeError::Default { asked: Some(name), known: known.join(", ") })
}
