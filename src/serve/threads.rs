//! How many threads of each kind, from what the container has and not from the host.
//!
//! The standard library's `available_parallelism` already counts affinity and the quotas of control
//! groups of both versions, rounded down and at least one. What it does not tell is which of them
//! it was; here both are read again, so that the server can say what it chose and why. Rounding down
//! is kept: a quota of 1.5 cores pays for one session and the HTTP thread, and a second session
//! would be put to sleep in the middle of batches. Refuses to look at shares and weights, which
//! bound nothing while the machine is idle.

use std::fmt;
use std::fs;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

/// Tokens a batch. On the machines measured, about 256 tokens keep a layer's activations in a
/// core's second-level cache: fewer leave the matrix units idle, more spill.
const BATCH_TOKENS: NonZeroUsize = at_least_one(256);
const ONE: NonZeroUsize = NonZeroUsize::MIN;

/// The cores of this process, and what they follow from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cores {
    /// Cores to plan with.
    pub count: NonZeroUsize,
    /// Cores that the process may run on, where the system says so.
    pub affinity: Option<usize>,
    /// The tightest quota of its control groups, in cores.
    pub quota: Option<f64>,
}

impl Cores {
    /// `available` is what the standard library counts; files are looked for below `root`, which is
    /// `/` but for tests.
    #[must_use]
    pub fn find(root: &Path, available: NonZeroUsize) -> Self {
        let quota = quota(root);
        let whole = quota.and_then(|cores| NonZeroUsize::new(cores as usize)).unwrap_or(ONE);
        // The standard library does not see every mount; a quota found here counts all the same.
        let count = if quota.is_some() { available.min(whole) } else { available };
        Self { count, affinity: affinity(root), quota }
    }
}

impl fmt::Display for Cores {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", plural(self.count.get(), "core"))?;
        match self.affinity {
            Some(cores) => write!(f, "affinity {cores}, ")?,
            None => write!(f, "affinity unknown, ")?,
        }
        match self.quota {
            Some(cores) => write!(f, "cgroup quota {cores:.2})"),
            None => write!(f, "no cgroup quota)"),
        }
    }
}

/// What was asked for; the rest is chosen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Asked {
    /// Engine workers of each version.
    pub workers: Option<NonZeroUsize>,
    /// Threads inside one session.
    pub intra: Option<NonZeroUsize>,
    /// Tokens a batch.
    pub batch_tokens: Option<NonZeroUsize>,
    /// Threads that speak HTTP.
    pub http: Option<NonZeroUsize>,
}

/// What was chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThreadPlan {
    /// Engine workers of each version, each with its own session.
    pub workers: NonZeroUsize,
    /// Threads inside one session.
    pub intra: NonZeroUsize,
    /// Tokens a batch.
    pub batch_tokens: NonZeroUsize,
    /// Threads that speak HTTP.
    pub http: NonZeroUsize,
    cores: Cores,
    asked: Asked,
}

impl ThreadPlan {
    /// One session of one thread for each core: on two cores two such sessions answered 1.3 to 1.5
    /// times the texts a second of one session of two threads, whatever the weights' precision. One thread speaks HTTP, whose work is a hundredth of the engines'.
    #[must_use]
    pub fn choose(cores: Cores, asked: Asked) -> Self {
        let intra = asked.intra.unwrap_or(ONE);
        let share = NonZeroUsize::new(cores.count.get() / intra.get()).unwrap_or(ONE);
        Self {
            workers: asked.workers.unwrap_or(share),
            intra,
            batch_tokens: asked.batch_tokens.unwrap_or(BATCH_TOKENS),
            http: asked.http.unwrap_or(ONE),
            cores,
            asked,
        }
    }
}

impl fmt::Display for ThreadPlan {
    /// One line: what was chosen and why.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let because = |asked: Option<NonZeroUsize>, why: &'static str| if asked.is_some() { "as asked" } else { why };
        write!(
            f,
            "{}: {} a version ({}) of {} ({}), {} a batch ({}), {} for HTTP ({})",
            self.cores,
            plural(self.workers.get(), "worker"),
            because(self.asked.workers, "cores over threads"),
            plural(self.intra.get(), "thread"),
            because(self.asked.intra, "measured best"),
            plural(self.batch_tokens.get(), "token"),
            because(self.asked.batch_tokens, "measured best"),
            plural(self.http.get(), "thread"),
            because(self.asked.http, "enough"),
        )
    }
}

fn plural(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

const fn at_least_one(value: usize) -> NonZeroUsize {
    match NonZeroUsize::new(value) {
        Some(value) => value,
        None => NonZeroUsize::MIN,
    }
}

/// `Cpus_allowed_list` of proc(5), as in `0-3,8`.
fn affinity(root: &Path) -> Option<usize> {
    let status = fs::read_to_string(root.join("proc/self/status")).ok()?;
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    list.trim().split(',').map(cores_of).sum()
}

fn cores_of(range: &str) -> Option<usize> {
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
    (last.checked_sub(first)?).checked_add(1)
}

/// The least of the quotas of the process's control groups and those above them (cgroups(7)).
fn quota(root: &Path) -> Option<f64> {
    let groups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let quotas = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, controllers, path) = (parts.next()?, parts.next()?, parts.next()?);
        let mounts = root.join("sys/fs/cgroup");
        if controllers.is_empty() {
            return least(&mounts, path, second_version);
        }
        let controls_cores = controllers.split(',').any(|name| name == "cpu");
        let mount = controls_cores.then(|| [controllers, "cpu"].map(|name| mounts.join(name)).into_iter().find(|mount| mount.is_dir()));
        least(&mount??, path, first_version)
    });
    quotas.reduce(f64::min)
}

/// The least quota on the way from the group at `path` up to its mount. What is not there inside a
/// container, whose mount is its own group, is passed over.
fn least(mount: &Path, path: &str, read: fn(&Path) -> Option<f64>) -> Option<f64> {
    let inside: PathBuf = Path::new(path).components().filter(|part| matches!(part, std::path::Component::Normal(_))).collect();
    inside.ancestors().filter_map(|group| read(&mount.join(group))).reduce(f64::min)
}

/// `cpu.max`: microseconds or `max`, and the period.
fn second_version(group: &Path) -> Option<f64> {
    let text = fs::read_to_string(group.join("cpu.max")).ok()?;
    let (quota, period) = text.trim().split_once(' ')?;
    cores(quota, period)
}

/// `cpu.cfs_quota_us`, negative for none, and `cpu.cfs_period_us`.
fn first_version(group: &Path) -> Option<f64> {
    let read = |name: &str| fs::read_to_string(group.join(name)).ok();
    cores(&read("cpu.cfs_quota_us")?, &read("cpu.cfs_period_us")?)
}

fn cores(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.trim().parse().ok()?, period.trim().parse().ok()?);
    (quota > 0.0 && period > 0.0).then(|| quota / period)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A root with these files.
    #[track_caller]
    fn check(available: usize, files: &[(&str, &str)], count: usize, says: &str) {
        let root = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = root.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let cores = Cores::find(root.path(), at_least_one(available));
        assert_eq!((cores.count.get(), cores.to_string().as_str()), (count, says), "{files:?}");
    }

    #[test]
    fn cores_follow_affinity_and_both_kinds_of_quota() {
        const STATUS: (&str, &str) = ("proc/self/status", "Name:\ta\nCpus_allowed_list:\t0-3,8,10-12\n");
        const SECOND: (&str, &str) = ("proc/self/cgroup", "0::/a/b\n");
        const FIRST: (&str, &str) = ("proc/self/cgroup", "5:cpuset:/x\n4:cpu,cpuacct:/a\n");
        check(8, &[], 8, "8 cores (affinity unknown, no cgroup quota)");
        check(8, &[STATUS], 8, "8 cores (affinity 8, no cgroup quota)");
        check(64, &[STATUS, SECOND, ("sys/fs/cgroup/a/b/cpu.max", "200000 100000\n")], 2, "2 cores (affinity 8, cgroup quota 2.00)");
        // The tightest on the way up counts, and a part of a core is not a core.
        let nested = [SECOND, ("sys/fs/cgroup/a/cpu.max", "150000 100000"), ("sys/fs/cgroup/a/b/cpu.max", "max 100000")];
        check(4, &nested, 1, "1 core (affinity unknown, cgroup quota 1.50)");
        // Inside a container the group is often the mount itself.
        check(4, &[SECOND, ("sys/fs/cgroup/cpu.max", "50000 100000")], 1, "1 core (affinity unknown, cgroup quota 0.50)");
        let first = [
            FIRST,
            ("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_quota_us", "300000"),
            ("sys/fs/cgroup/cpu,cpuacct/a/cpu.cfs_period_us", "100000"),
        ];
        check(16, &first, 3, "3 cores (affinity unknown, cgroup quota 3.00)");
        let none = [FIRST, ("sys/fs/cgroup/cpu/a/cpu.cfs_quota_us", "-1"), ("sys/fs/cgroup/cpu/a/cpu.cfs_period_us", "100000")];
        check(16, &none, 16, "16 cores (affinity unknown, no cgroup quota)");
        check(2, &[SECOND, ("sys/fs/cgroup/a/b/cpu.max", "400000 100000")], 2, "2 cores (affinity unknown, cgroup quota 4.00)");
        for broken in ["", "max", "x y", "-1 -1", "100000 0"] {
            check(2, &[SECOND, ("sys/fs/cgroup/cpu.max", broken)], 2, "2 cores (affinity unknown, no cgroup quota)");
        }
    }

    #[test]
    fn the_plan_fills_the_cores_and_says_why() {
        let cores = |count| Cores { count: at_least_one(count), affinity: Some(64), quota: Some(count as f64) };
        let plan = ThreadPlan::choose(cores(4), Asked::default());
        assert_eq!((plan.workers.get(), plan.intra.get(), plan.http.get()), (4, 1, 1));
        assert_eq!(
            plan.to_string(),
            "4 cores (affinity 64, cgroup quota 4.00): 4 workers a version (cores over threads) of 1 thread (measured best), \
             256 tokens a batch (measured best), 1 thread for HTTP (enough)"
        );
        let asked = Asked { intra: Some(at_least_one(3)), batch_tokens: Some(at_least_one(512)), ..Asked::default() };
        let plan = ThreadPlan::choose(cores(4), asked);
        assert_eq!((plan.workers.get(), plan.intra.get(), plan.batch_tokens.get()), (1, 3, 512));
        assert!(plan.to_string().contains("of 3 threads (as asked), 512 tokens a batch (as asked)"), "{plan}");
        assert_eq!(ThreadPlan::choose(cores(1), Asked { workers: Some(at_least_one(8)), ..Asked::default() }).workers.get(), 8);
    }
}
