//! The scanner: its settings and threads.

use std::num::NonZero;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use semver::Version;

use super::candidates::{Candidate, CandidateKind, candidates};
use super::settings::Settings;
use super::{Discovery, Found, directory, single_file};
use crate::audit::{Audit, AuditCache};
use crate::cache::CacheLocation;
use crate::{EntryError, Platform, Plugin, Problem, ProblemKind, SearchPath, Severity, order};

/// Finds plugins in the directories of a [`SearchPath`].
///
/// A scan never loads or runs a plugin. It never fails as a whole: files that cannot be read are reported as
/// [problems](Discovery::problems).
///
/// The scanner writes only the [cache](CacheLocation) of its audits: in [`save_cache`](Scanner::save_cache), and when
/// it is dropped with audits that are not in the file yet. Dropping it ignores errors; to see them, call `save_cache`
/// before.
///
/// # Examples
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
/// let scanner = Scanner::new(SearchPath::empty().with_dir(plugins)).with_cache(CacheLocation::None);
/// let found = scanner.scan();
/// for problem in &found.problems {
///     eprintln!("{problem}");
/// }
/// let greeter = found.get("greeter").ok_or("no greeter")?;
/// assert!(scanner.audit(greeter)?.is_clean());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Scanner {
    path: SearchPath,
    settings: Settings,
    threads: Option<NonZero<usize>>,
    audits: AuditCache,
}

impl Scanner {
    /// Creates a scanner for this platform.
    ///
    /// It does not check host versions, reports files and directories that others can write to, and keeps its cache in the
    /// user's cache directory.
    #[must_use]
    pub fn new(path: SearchPath) -> Scanner {
        Scanner {
            path,
            settings: Settings {
                platform: Platform::current(),
                host_version: None,
                refuse_writable: false,
            },
            threads: None,
            audits: AuditCache::new(CacheLocation::User),
        }
    }

    /// Sets the version of the host, for plugins that require certain versions.
    ///
    /// # Examples
    ///
    /// ```
    /// use dynload_discovery::{CacheLocation, Scanner, SearchPath};
    /// use semver::Version;
    ///
    /// # let dir = tempfile::tempdir()?;
    /// # let plugins = dir.path();
    /// # std::fs::create_dir(plugins.join("greeter"))?;
    /// # std::fs::write(plugins.join("greeter/greeter.wasm"), wat::parse_str("(module)")?)?;
    /// std::fs::write(plugins.join("greeter/plugin.toml"), r#"
    ///     [plugin]
    ///     id = "greeter"
    ///     version = "1.0.0"
    ///     format = "wasm"
    ///     entry = "greeter.wasm"
    ///     host_version = ">=2"
    /// "#)?;
    /// let scanner = Scanner::new(SearchPath::empty().with_dir(plugins)).with_cache(CacheLocation::None);
    /// let found = scanner.with_host_version(Version::new(1, 4, 0)).scan();
    /// let greeter = found.get("greeter").ok_or("no greeter")?;
    /// assert!(!greeter.is_compatible());
    /// assert_eq!(
    ///     greeter.incompatibilities()[0].to_string(),
    ///     "plugin greeter requires host version >=2, but this host is 1.4.0"
    /// );
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_host_version(mut self, version: Version) -> Scanner {
        self.settings.host_version = Some(version);
        self
    }

    /// Sets the platform that plugins run on, if it is not this one.
    #[must_use]
    pub fn with_platform(mut self, platform: Platform) -> Scanner {
        self.settings.platform = platform;
        self
    }

    /// Sets whether plugins and search directories that users other than their owner and root can write to are refused.
    ///
    /// This applies to a plugin's directory, its manifest, its entry, the directories along the path to it, and the directory
    /// that a link leads into. By default they are only reported.
    #[must_use]
    pub fn refuse_writable(mut self, refuse: bool) -> Scanner {
        self.settings.refuse_writable = refuse;
        self
    }

    /// Sets the file that [audits](Scanner::audit) are cached in. By default, [`CacheLocation::User`].
    #[must_use]
    pub fn with_cache(mut self, location: CacheLocation) -> Scanner {
        self.audits = AuditCache::new(location);
        self
    }

    /// Sets the number of threads.
    ///
    /// By default, the number of processors of the machine, at most eight, and one where there is little to do.
    #[must_use]
    pub fn with_threads(mut self, threads: NonZero<usize>) -> Scanner {
        self.threads = Some(threads);
        self
    }

    /// Searches the directories for plugins, and reads their manifests.
    #[must_use]
    pub fn scan(&self) -> Discovery {
        let mut problems = self.path.problems().to_vec();
        if let Err((file, reason)) = self.audits.open(self.settings.platform) {
            let kind = ProblemKind::CacheDiscarded { reason };
            problems.push(Problem::new(&file, Severity::Note, kind));
        }
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
        let threads = self.thread_count(all.len());
        let results = self.inspect_all(&all, threads);

        let mut discovery = Discovery {
            problems,
            ..Discovery::default()
        };
        let mut plugins = Vec::with_capacity(results.len());
        for found in results {
            discovery.stats.parsed += usize::from(found.parsed);
            plugins.extend(found.plugin);
            discovery.problems.extend(found.problems);
        }
        discovery.stats.candidates = all.len();
        discovery.stats.threads = threads;
        (discovery.plugins, discovery.duplicates) = order::rank(plugins);
        discovery
            .problems
            .sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
        discovery
    }

    fn thread_count(&self, candidates: usize) -> usize {
        /// Starting a thread costs about as much as scanning this many directories.
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

    fn inspect_all(&self, all: &[Candidate], threads: usize) -> Vec<Found> {
        if threads == 1 {
            return all.iter().map(|candidate| self.inspect(candidate)).collect();
        }
        // Threads take small portions, so that one slow directory does not delay those after it.
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
                done.extend((start..end).map(|at| (at, self.inspect(&all[at]))));
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

    fn inspect(&self, candidate: &Candidate) -> Found {
        let mut found = match candidate.kind {
            CandidateKind::Dir | CandidateKind::RootDir => directory::look(candidate, &self.settings),
            CandidateKind::File(format) => single_file::look(
                candidate,
                format,
                self.settings.platform,
                self.settings.refuse_writable,
            ),
        };
        for problem in &mut found.problems {
            problem.plugin.clone_from(&found.id);
        }
        found
    }

    /// Reads the file of a plugin and compares its contents with the manifest.
    ///
    /// The facts about a file whose contents were audited before come from the [cache](Scanner::with_cache). New ones are
    /// written to it by [`save_cache`](Scanner::save_cache), or when the scanner is dropped.
    ///
    /// # Errors
    ///
    /// The errors of [`Plugin::read_entry`]. A difference from the manifest is not an error but a finding.
    pub fn audit(&self, plugin: &Plugin) -> Result<Audit, EntryError> {
        self.audits.audit(plugin, self.settings.platform)
    }

    /// Writes new audits to the cache, and keeps those that other programs have written. Returns the files that are audited
    /// again next time.
    ///
    /// These are the files whose imports and exports take more than 256 KiB, and those that do not fit into a cache of 64 MiB,
    /// the largest first. One plugin with much to describe does not displace many others.
    ///
    /// # Errors
    ///
    /// The I/O error if the file cannot be written. The audits are then written next time.
    pub fn save_cache(&self) -> std::io::Result<Vec<PathBuf>> {
        self.audits.save(self.settings.platform)
    }
}

impl Drop for Scanner {
    fn drop(&mut self) {
        // The audits can be repeated, and a drop cannot report an error.
        let _ = self.save_cache();
    }
}
