//! The scanner: settings, threads, cache.

use std::num::NonZero;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

use semver::Version;

use super::below::{Below, keys};
use super::list::{Candidate, CandidateKind, candidates};
use super::{Discovery, Found, directory, lone};
use crate::audit::{Audit, Facts, hash};
use crate::cache::{AuditRecord, CacheLocation, Code, Kind, Store, key, now};
use crate::plugin::MAX_AUDIT_BYTES;
use crate::{EntryError, Platform, Plugin, Problem, ProblemKind, SearchPath, Severity, order};

/// Looks for plugins along a [`SearchPath`].
///
/// ```
/// use dynload_discovery::{CacheLocation, Scanner, SearchPath};
///
/// # let dir = tempfile::tempdir()?;
/// # std::fs::create_dir(dir.path().join("greeter"))?;
/// # std::fs::write(dir.path().join("greeter/greeter.wasm"), wat::parse_str("(module)")?)?;
/// # std::fs::write(dir.path().join("greeter/plugin.toml"),
/// #     "[plugin]\nid = \"greeter\"\nversion = \"1.0.0\"\nformat = \"wasm\"\nentry = \"greeter.wasm\"")?;
/// # let plugins = dir.path();
/// let scanner = Scanner::new(SearchPath::empty().first(plugins)).cache(CacheLocation::None);
/// let found = scanner.scan();
/// for problem in &found.problems {
///     eprintln!("{problem}");
/// }
/// let greeter = found.get("greeter").ok_or("no greeter")?;
/// assert!(scanner.audit(greeter)?.is_clean());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A scan reads; it never loads or runs anything, and it never fails as a whole: what cannot be read is among the
/// [problems](Discovery::problems).
#[derive(Debug)]
pub struct Scanner {
    path: SearchPath,
    settings: Settings,
    cache: CacheLocation,
    threads: Option<NonZero<usize>>,
    audits: Mutex<Audits>,
}

/// What a scan goes by.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) platform: Platform,
    pub(super) host_version: Option<Version>,
    pub(super) refuse_writable: bool,
    /// Whether what is found is to be kept.
    pub(super) keep: bool,
}

/// Audits that the cache had or will have.
#[derive(Debug, Default)]
struct Audits {
    store: Option<Store>,
    changed: bool,
}

impl Scanner {
    /// A scanner for this platform that takes every host version for right, reports what others can write to, and
    /// keeps its cache in the user's cache directory.
    #[must_use]
    pub fn new(path: SearchPath) -> Scanner {
        Scanner {
            path,
            settings: Settings {
                platform: Platform::current(),
                host_version: None,
                refuse_writable: false,
                keep: true,
            },
            cache: CacheLocation::User,
            threads: None,
            audits: Mutex::default(),
        }
    }

    /// The version of the host, for the plugins that need certain ones.
    #[must_use]
    pub fn host_version(mut self, version: Version) -> Scanner {
        self.settings.host_version = Some(version);
        self
    }

    /// The platform that plugins are to run on, when it is not this one.
    #[must_use]
    pub fn platform(mut self, platform: Platform) -> Scanner {
        self.settings.platform = platform;
        self
    }

    /// Whether to refuse, and not only report, plugins and directories of the search path that others than their owner
    /// and root can write to: a plugin's directory, its manifest, its entry and the directories on the way there, and the
    /// directory that a link leads into. By default they are only reported.
    #[must_use]
    pub fn refuse_writable(mut self, refuse: bool) -> Scanner {
        self.settings.refuse_writable = refuse;
        self
    }

    /// Where to keep the cache.
    #[must_use]
    pub fn cache(mut self, location: CacheLocation) -> Scanner {
        self.settings.keep = location != CacheLocation::None;
        self.cache = location;
        self
    }

    /// How many threads to work on; by default as many as the machine has processors, eight at most, and one where there
    /// is little to do.
    #[must_use]
    pub fn threads(mut self, threads: NonZero<usize>) -> Scanner {
        self.threads = Some(threads);
        self
    }

    /// Looks through the search path, reading only what changed since the last scan.
    #[must_use]
    pub fn scan(&self) -> Discovery {
        self.rescan(false)
    }

    /// Looks through the search path; with `force` without believing anything that the cache says of it.
    #[must_use]
    pub fn rescan(&self, force: bool) -> Discovery {
        let mut problems = self.path.problems().to_vec();
        let file = self.cache.path();
        let loaded = file.as_ref().and_then(|file| {
            Store::load(file, &self.stamp()).unwrap_or_else(|reason| {
                let kind = ProblemKind::CacheDiscarded { reason };
                problems.push(Problem::new(file, Severity::Note, kind));
                None
            })
        });
        let was_there = loaded.is_some();
        let mut store = loaded.unwrap_or_default();

        let mut seen = Vec::new();
        let mut all = Vec::new();
        for (rank, root) in self.path.dirs().iter().enumerate() {
            all.extend(candidates(
                root,
                rank,
                self.settings.refuse_writable,
                &mut seen,
                &mut problems,
            ));
        }
        let below = Below(&seen);
        if force {
            store.retain(|kind, path| !below.concerns(kind, path));
            self.audits().store = None;
        }
        let threads = self.thread_count(all.len());
        let results = self.look_at_all(&all, &store, threads);

        let mut discovery = Discovery {
            problems,
            ..Discovery::default()
        };
        let mut plugins = Vec::with_capacity(results.len());
        let mut changed = !was_there || force;
        let mut recorded = Vec::with_capacity(results.len());
        for (candidate, found) in all.iter().zip(results) {
            discovery.stats.cached += usize::from(found.cached);
            discovery.stats.parsed += usize::from(found.parsed);
            if let Some(record) = found.fresh {
                store.put(Kind::Dir, key(&candidate.real), record);
                changed = true;
            }
            recorded.extend(found.recorded.then_some(candidate));
            plugins.extend(found.plugin);
            discovery.problems.extend(found.problems);
        }
        discovery.stats.candidates = all.len();
        discovery.stats.threads = threads;
        (discovery.plugins, discovery.duplicates) = order::rank(plugins);
        if let Some(file) = &file
            && let Err(error) = self.keep(file, store, changed, &below, &all, &recorded)
        {
            let kind = ProblemKind::CacheNotWritten(error.into());
            discovery.problems.push(Problem::new(file, Severity::Note, kind));
        }
        discovery
            .problems
            .sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
        discovery
    }

    fn thread_count(&self, candidates: usize) -> usize {
        /// Starting a thread costs about as much as this many directories.
        const WORTH_A_THREAD: usize = 32;
        let most = match self.threads {
            Some(threads) => threads.get(),
            None => thread::available_parallelism()
                .map_or(1, NonZero::get)
                .min(8)
                .min(candidates / WORTH_A_THREAD),
        };
        most.clamp(1, candidates.max(1))
    }

    fn look_at_all(&self, all: &[Candidate], store: &Store, threads: usize) -> Vec<Found> {
        if threads == 1 {
            return all
                .iter()
                .map(|candidate| self.look_at(candidate, store))
                .collect();
        }
        // Handed out in small portions: one slow directory must not hold up those behind it.
        const PORTION: usize = 16;
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = Vec::new();
            loop {
                let start = next.fetch_add(PORTION, Ordering::Relaxed);
                if start >= all.len() {
                    return done;
                }
                let end = (start + PORTION).min(all.len());
                done.extend((start..end).map(|at| (at, self.look_at(&all[at], store))));
            }
        };
        let mut results: Vec<(usize, Found)> = thread::scope(|scope| {
            let others: Vec<_> = (1..threads)
                .filter_map(|_| thread::Builder::new().spawn_scoped(scope, work).ok())
                .collect();
            let mut results = work();
            for other in others {
                match other.join() {
                    Ok(done) => results.extend(done),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            results
        });
        results.sort_by_key(|(at, _)| *at);
        results.into_iter().map(|(_, found)| found).collect()
    }

    fn look_at(&self, candidate: &Candidate, store: &Store) -> Found {
        match candidate.kind {
            CandidateKind::Dir | CandidateKind::RootDir => {
                directory::look(candidate, store.dir(key(&candidate.real)), &self.settings)
            }
            CandidateKind::File(format) => lone::look(
                candidate,
                format,
                self.settings.platform,
                self.settings.refuse_writable,
            ),
        }
    }

    /// Writes the cache when it has to change: new records in, those of what is gone or not in order any more out. Records
    /// of what is not in this search path belong to another program and stay.
    fn keep(
        &self,
        file: &Path,
        mut store: Store,
        changed: bool,
        below: &Below<'_>,
        all: &[Candidate],
        recorded: &[&Candidate],
    ) -> std::io::Result<()> {
        let mut audits = self.audits();
        let count = store.count_dirs(|path| below.concerns(Kind::Dir, path));
        let recorded_once = || keys(recorded.iter().copied());
        // One may be found by two ways: only when the numbers differ is it worth to count more closely.
        let gone = || count != recorded.len() && count != recorded_once().len();
        if changed || audits.changed || gone() {
            let (there, recorded) = (keys(all), recorded_once());
            store.retain(|kind, path| {
                let holds = match kind {
                    Kind::Dir => recorded.contains(path),
                    Kind::Audit => below.is_of(&there, path),
                };
                holds || !below.concerns(kind, path)
            });
            if let Some(old) = audits.store.take() {
                store.take_audits(old);
            }
            // What could not be saved is to be saved next time.
            let saved = store.save(file, &self.stamp());
            audits.changed &= saved.is_err();
            audits.store = Some(store);
            return saved;
        }
        audits.store = Some(store);
        Ok(())
    }

    /// Reads the file of a plugin and compares it with the manifest. A file whose content was audited before, by this or
    /// by another process, is not taken apart again.
    ///
    /// What is new is written to the cache by [`save_cache`](Scanner::save_cache), by the next scan, or when the scanner
    /// goes.
    ///
    /// # Errors
    /// Those of [`Plugin::read_entry`]. A file that is not what it should be is no error but a finding.
    pub fn audit(&self, plugin: &Plugin) -> Result<Audit, EntryError> {
        let path = plugin.entry_path().ok_or_else(|| EntryError::None {
            id: plugin.id().clone(),
        })?;
        let file = plugin.entry.as_ref().map(|entry| entry.file);
        let old = {
            let mut audits = self.audits();
            if audits.store.is_none() {
                audits.store = self
                    .cache
                    .path()
                    .and_then(|file| Store::load(&file, &self.stamp()).ok().flatten());
            }
            audits
                .store
                .as_ref()
                .and_then(|store| store.get::<AuditRecord>(Kind::Audit, key(&path)))
        };
        if let Some(old) = &old
            && Some(old.file) == file
            && old.file.settled_at(old.read_at)
            && old.facts.is_of(plugin.format())
            && crate::plugin::unchanged(&path, old.file)
        {
            return Ok(Audit::new(
                old.hash,
                old.facts.clone(),
                plugin,
                self.settings.platform,
            ));
        }
        let read_at = now();
        let bytes = plugin.read_entry(MAX_AUDIT_BYTES)?;
        let hash = hash(&bytes);
        let facts = match old {
            Some(old) if old.hash == hash && old.facts.is_of(plugin.format()) => old.facts,
            _ => Facts::of(plugin.format(), &bytes),
        };
        if let Some(file) = file {
            let record = AuditRecord {
                file,
                read_at,
                hash,
                facts: facts.clone(),
            };
            let mut audits = self.audits();
            let mut form = Vec::new();
            record.put(&mut form);
            audits
                .store
                .get_or_insert_default()
                .put(Kind::Audit, key(&path), form);
            audits.changed = true;
        }
        Ok(Audit::new(hash, facts, plugin, self.settings.platform))
    }

    /// Writes the audits since the last scan to the cache, beside those that other programs wrote meanwhile.
    ///
    /// # Errors
    /// What the file system says when the file cannot be written.
    pub fn save_cache(&self) -> std::io::Result<()> {
        let mut audits = self.audits();
        let Some(file) = self.cache.path().filter(|_| audits.changed) else {
            return Ok(());
        };
        let mut now = Store::load(&file, &self.stamp())
            .ok()
            .flatten()
            .unwrap_or_default();
        now.take_audits(audits.store.take().unwrap_or_default());
        let saved = now.save(&file, &self.stamp());
        audits.changed = saved.is_err();
        audits.store = Some(now);
        saved
    }

    fn audits(&self) -> MutexGuard<'_, Audits> {
        // Every state of the store is a good one: a panic in between loses nothing but time.
        self.audits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a cache has to agree with: another version may read manifests otherwise, and another platform has other
    /// entries.
    fn stamp(&self) -> String {
        format!(
            "{} {} {}",
            env!("CARGO_PKG_NAME"),
            env!("CARGO_PKG_VERSION"),
            self.settings.platform
        )
    }
}

impl Drop for Scanner {
    fn drop(&mut self) {
        // The audits can be made again; there is nobody to tell.
        let _ = self.save_cache();
    }
}
