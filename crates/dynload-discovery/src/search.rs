//! The directories that are searched for plugins.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::{Problem, ProblemKind, Severity};

/// The environment variable that names directories of plugins, separated as in `PATH`.
pub const PLUGIN_PATH_VARIABLE: &str = "VAIS_PLUGIN_PATH";

/// Why a directory is in the search path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The program specified it.
    Explicit,
    /// `VAIS_PLUGIN_PATH` lists it.
    Environment,
    /// It is one of the user's plugin directories.
    User,
    /// It is one of the system's plugin directories.
    System,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Source::Explicit => "explicit",
            Source::Environment => "environment",
            Source::User => "user",
            Source::System => "system",
        })
    }
}

/// The directories to search, from the first to the last. Plugins in an earlier directory are preferred to those in a
/// later one. A directory that does not exist is not an error.
///
/// [`SearchPath::standard`] contains, in this order:
/// 1. the directories of `VAIS_PLUGIN_PATH`;
/// 2. the user's: `~/.vais/plugins`; on macOS then `~/Library/Application Support/Vais/Plugins`; on Windows
///    `%APPDATA%\Vais\plugins` first and then `%USERPROFILE%\.vais\plugins`;
/// 3. the system's: `/usr/local/lib/vais/plugins`; on macOS then `/Library/Application Support/Vais/Plugins`; on Windows
///    `%ProgramData%\Vais\plugins` instead.
///
/// Directories that a program specifies precede all of them.
///
/// # Examples
///
/// ```
/// use dynload_discovery::{SearchPath, Source};
///
/// let path = SearchPath::standard().with_dir("/opt/my-app/plugins");
/// assert_eq!(path.dirs()[0].source, Source::Explicit);
/// assert!(path.dirs().iter().any(|dir| dir.source == Source::System));
/// ```
#[derive(Clone, Debug, Default)]
pub struct SearchPath {
    dirs: Vec<SearchDir>,
    problems: Vec<Problem>,
}

/// One directory of a [`SearchPath`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SearchDir {
    /// The directory.
    pub path: PathBuf,
    /// Why it is in the path.
    pub source: Source,
}

impl SearchPath {
    /// Returns a path without directories.
    #[must_use]
    pub fn empty() -> SearchPath {
        SearchPath::default()
    }

    /// Returns the directories of `VAIS_PLUGIN_PATH`, the user's directories and the system's directories.
    #[must_use]
    pub fn standard() -> SearchPath {
        let variable = std::env::var_os(PLUGIN_PATH_VARIABLE).unwrap_or_default();
        SearchPath::empty()
            .with_plugin_path(&variable)
            .with_user_dirs()
            .with_system_dirs()
    }

    /// Inserts a directory before those of all other [sources](Source), whatever the order of the calls.
    ///
    /// Explicit directories keep the order in which they were added.
    #[must_use]
    pub fn with_dir(mut self, dir: impl Into<PathBuf>) -> SearchPath {
        // The explicit directories keep the order in which they were added.
        let explicit = self
            .dirs
            .iter()
            .take_while(|dir| dir.source == Source::Explicit)
            .count();
        self.dirs.insert(
            explicit,
            SearchDir {
                path: dir.into(),
                source: Source::Explicit,
            },
        );
        self
    }

    /// Appends the directories of `list`, which has the format of `VAIS_PLUGIN_PATH`: separated by `:` (on Windows `;`).
    ///
    /// Empty entries are skipped. So are relative ones, which the scan reports.
    #[must_use]
    pub fn with_plugin_path(mut self, list: &OsStr) -> SearchPath {
        for path in std::env::split_paths(list).filter(|path| !path.as_os_str().is_empty()) {
            if path.is_absolute() {
                self.dirs.push(SearchDir {
                    path,
                    source: Source::Environment,
                });
            } else {
                self.problems.push(Problem::new(
                    &path,
                    Severity::Warning,
                    ProblemKind::RelativeSearchDir,
                ));
            }
        }
        self
    }

    /// Appends the user's directories.
    #[must_use]
    pub fn with_user_dirs(self) -> SearchPath {
        self.extended(user_dirs(), Source::User)
    }

    /// Appends the system's directories.
    #[must_use]
    pub fn with_system_dirs(self) -> SearchPath {
        self.extended(system_dirs(), Source::System)
    }

    fn extended(mut self, paths: Vec<PathBuf>, source: Source) -> SearchPath {
        self.dirs
            .extend(paths.into_iter().map(|path| SearchDir { path, source }));
        self
    }

    /// Returns the directories, from the first to the last. The position of a directory in this list is its rank.
    #[must_use]
    pub fn dirs(&self) -> &[SearchDir] {
        &self.dirs
    }

    pub(crate) fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

/// Returns the first of the user's plugin directories: `~/.vais/plugins`, on Windows `%APPDATA%\Vais\plugins`; `None` when
/// the user has no home directory.
#[must_use]
pub fn user_plugin_dir() -> Option<PathBuf> {
    user_dirs().into_iter().next()
}

/// Returns the first of the system's plugin directories: `/usr/local/lib/vais/plugins`, on Windows
/// `%ProgramData%\Vais\plugins`; `None` only on Windows, when the variable is not set.
#[must_use]
pub fn system_plugin_dir() -> Option<PathBuf> {
    system_dirs().into_iter().next()
}

fn user_dirs() -> Vec<PathBuf> {
    // A relative home directory would change with the working directory.
    let home = std::env::home_dir().filter(|home| home.is_absolute());
    let own = home.as_ref().map(|home| home.join(".vais").join("plugins"));
    if cfg!(windows) {
        variable("APPDATA")
            .map(|data| data.join("Vais").join("plugins"))
            .into_iter()
            .chain(own)
            .collect()
    } else if cfg!(target_os = "macos") {
        let library = home.map(|home| home.join("Library/Application Support/Vais/Plugins"));
        own.into_iter().chain(library).collect()
    } else {
        own.into_iter().collect()
    }
}

fn system_dirs() -> Vec<PathBuf> {
    const UNIX: &str = "/usr/local/lib/vais/plugins";
    if cfg!(windows) {
        variable("ProgramData")
            .map(|data| data.join("Vais").join("plugins"))
            .into_iter()
            .collect()
    } else if cfg!(target_os = "macos") {
        vec![
            Path::new(UNIX).to_owned(),
            Path::new("/Library/Application Support/Vais/Plugins").to_owned(),
        ]
    } else {
        vec![Path::new(UNIX).to_owned()]
    }
}

fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
}
