//! The errors of loading, reloading, searching and unloading a library.

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};

use dynload_diagnostics::printable;

use crate::descriptor::DescriptorError;
use crate::flags::UnknownFlags;
use crate::image::DetachedImage;
use crate::inspect::HeaderError;
use crate::staging::StageError;

/// A library could not be loaded, reloaded, searched or unloaded.
///
/// The message names the file and the request; the reason, such as the text of `dlerror`, is the
/// [`source`](StdError::source). [`Error::step`] returns the step that failed.
#[non_exhaustive]
pub enum Error {
    /// A bit is not a loading flag.
    Flags(UnknownFlags),
    /// A path or name that no loader accepts: it is empty or contains a NUL, or a name contains a separator.
    Name {
        /// The path or name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The copy to load could not be created.
    Stage {
        /// The library.
        path: PathBuf,
        /// The reason.
        source: StageError,
    },
    /// The file's headers say that it cannot be loaded here. The platform's loader never saw it.
    Header {
        /// The library, or one beside it that it needs.
        path: PathBuf,
        /// The reason.
        source: HeaderError,
    },
    /// The platform's loader refused the library.
    Open {
        /// The library.
        path: PathBuf,
        /// Another library that this one needs and that was not found, if the loader reports its name.
        missing: Option<String>,
        /// The loader's message.
        source: LoaderError,
    },
    /// The library is on a file system that is mounted `noexec`: no code can be mapped from there.
    NoExec {
        /// The library.
        path: PathBuf,
        /// The directory of the file that was to be mapped: for a staged copy, its own.
        directory: PathBuf,
        /// The loader's message.
        source: LoaderError,
    },
    /// The library needs another one by a name for which the loader would use a version that was reloaded or unloaded,
    /// because it is still in memory.
    Outdated {
        /// The library.
        path: PathBuf,
        /// The name of the other library.
        needed: String,
        /// The version that the loader would use.
        image: DetachedImage,
    },
    /// The library's descriptor does not fit this host.
    Descriptor {
        /// The library.
        path: PathBuf,
        /// The reason.
        source: DescriptorError,
    },
    /// The plugin has settings, but does not export the function that receives them.
    NotConfigurable {
        /// The library.
        path: PathBuf,
    },
    /// The plugin refused a setting.
    Configure {
        /// The library.
        path: PathBuf,
        /// The name of the setting.
        name: String,
        /// The result of `dynload_plugin_configure`: never 0.
        code: i32,
        /// The plugin's own message, if it was built with [`export_plugin!`](crate::export_plugin).
        message: Option<String>,
    },
    /// The plugin's `init` refused to start.
    Init {
        /// The library.
        path: PathBuf,
        /// The result of `init`: never 0.
        code: i32,
        /// The plugin's own message, if it was built with [`export_plugin!`](crate::export_plugin).
        message: Option<String>,
    },
    /// The library has no such symbol.
    Symbol {
        /// The library.
        path: PathBuf,
        /// The requested symbol.
        name: String,
        /// The loader's message.
        source: LoaderError,
    },
    /// The symbol exists but its address is null, so there is nothing to call or read.
    NullSymbol {
        /// The library.
        path: PathBuf,
        /// The requested symbol.
        name: String,
    },
    /// The platform's loader could not unload the library.
    Close {
        /// The library.
        path: PathBuf,
        /// The loader's message.
        source: LoaderError,
    },
    /// The module was unloaded or retired.
    NotLoaded {
        /// The library.
        path: PathBuf,
    },
    /// A reload, retirement or unload was requested during another one of the same module: by its constructor,
    /// `init` or `shutdown`.
    Reentered {
        /// The library.
        path: PathBuf,
    },
}

/// The step that failed: how far a load or a reload progressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Step {
    /// Checking the request itself.
    Request,
    /// Copying the file.
    Stage,
    /// Reading the headers of the copy, and of the libraries beside the original that it needs.
    Header,
    /// Opening it with the platform's loader.
    Open,
    /// Comparing the plugin's descriptor with the host.
    Descriptor,
    /// Passing the plugin its settings.
    Configure,
    /// The plugin's own `init`.
    Init,
    /// Finding a symbol.
    Symbol,
    /// Unloading.
    Close,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Request => "request",
            Step::Stage => "stage",
            Step::Header => "header",
            Step::Open => "open",
            Step::Descriptor => "descriptor",
            Step::Configure => "configure",
            Step::Init => "init",
            Step::Symbol => "symbol",
            Step::Close => "close",
        })
    }
}

impl Error {
    /// Returns the step that failed.
    pub fn step(&self) -> Step {
        match self {
            Error::Flags(_) | Error::Name { .. } | Error::NotLoaded { .. } | Error::Reentered { .. } => {
                Step::Request
            }
            Error::Stage { .. } => Step::Stage,
            Error::Header { .. } => Step::Header,
            Error::Outdated { .. } | Error::NoExec { .. } | Error::Open { .. } => Step::Open,
            Error::Descriptor { .. } => Step::Descriptor,
            Error::NotConfigurable { .. } | Error::Configure { .. } => Step::Configure,
            Error::Init { .. } => Step::Init,
            Error::Symbol { .. } | Error::NullSymbol { .. } => Step::Symbol,
            Error::Close { .. } => Step::Close,
        }
    }

    /// Returns the path of the library that the error is about, as the caller named it.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Error::Flags(_) | Error::Name { .. } => None,
            Error::Stage { path, .. }
            | Error::Header { path, .. }
            | Error::NoExec { path, .. }
            | Error::Outdated { path, .. }
            | Error::Open { path, .. }
            | Error::Descriptor { path, .. }
            | Error::NotConfigurable { path }
            | Error::Configure { path, .. }
            | Error::Init { path, .. }
            | Error::Symbol { path, .. }
            | Error::NullSymbol { path, .. }
            | Error::Close { path, .. }
            | Error::NotLoaded { path }
            | Error::Reentered { path } => Some(path),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Flags(unknown) => unknown.fmt(f),
            Error::Name { name, problem } => write!(f, "cannot load `{}`: {problem}", printable(name)),
            Error::Stage { path, .. } => {
                write!(
                    f,
                    "cannot copy `{}` for loading",
                    printable(path.display()).path()
                )
            }
            Error::Header { path, .. } => {
                write!(
                    f,
                    "`{}` is not a library that this process can load",
                    printable(path.display()).path()
                )
            }
            Error::Open {
                path, missing: None, ..
            } => {
                write!(
                    f,
                    "cannot open `{}` or one of the libraries that it needs",
                    printable(path.display()).path()
                )
            }
            Error::Open {
                path,
                missing: Some(missing),
                ..
            } => write!(
                f,
                "cannot open `{}`: it needs `{}`, which was not found; install it or put it on the library search path",
                printable(path.display()).path(),
                printable(missing)
            ),
            Error::NoExec { path, directory, .. } => write!(
                f,
                "cannot open `{}`: the file system of `{}` is mounted noexec; use a directory from which code may be mapped (for copies: TMPDIR)",
                printable(path.display()).path(),
                printable(directory.display()).path()
            ),
            Error::Outdated { path, needed, image } => write!(
                f,
                "cannot open `{}`: it needs `{}`, for which the loader would use a version of `{}` that was reloaded or unloaded; restart the process, or link that library without a soname",
                printable(path.display()).path(),
                printable(needed),
                printable(image.path.display()).path()
            ),
            Error::Descriptor { path, .. } => {
                write!(
                    f,
                    "`{}` is not compatible with this host",
                    printable(path.display()).path()
                )
            }
            Error::NotConfigurable { path } => write!(
                f,
                "`{}` has settings, but does not receive them: export `dynload_plugin_configure` from it, or remove the settings",
                printable(path.display()).path()
            ),
            Error::Configure {
                path,
                name,
                code,
                message,
            } => {
                write!(
                    f,
                    "`{}` refused its setting `{}`: ",
                    printable(path.display()).path(),
                    printable(name)
                )?;
                match message {
                    Some(message) => printable(message).message().fmt(f),
                    None => write!(f, "its dynload_plugin_configure returned {code}"),
                }
            }
            Error::Init {
                path,
                code,
                message: None,
            } => {
                write!(
                    f,
                    "`{}` did not start: its init returned {code}",
                    printable(path.display()).path()
                )
            }
            Error::Init {
                path,
                message: Some(message),
                ..
            } => {
                write!(
                    f,
                    "`{}` did not start: {}",
                    printable(path.display()).path(),
                    printable(message).message()
                )
            }
            Error::Symbol { path, name, .. } => {
                write!(
                    f,
                    "`{}` has no symbol `{}`",
                    printable(path.display()).path(),
                    printable(name)
                )
            }
            Error::NullSymbol { path, name } => {
                write!(
                    f,
                    "the address of the symbol `{}` of `{}` is null",
                    printable(name),
                    printable(path.display()).path()
                )
            }
            Error::Close { path, .. } => write!(f, "cannot unload `{}`", printable(path.display()).path()),
            Error::NotLoaded { path } => {
                write!(
                    f,
                    "`{}` is no longer loaded: load it again",
                    printable(path.display()).path()
                )
            }
            Error::Reentered { path } => write!(
                f,
                "`{}` requested its own reload or unload while one was in progress: request it outside of its constructors, init and shutdown",
                printable(path.display()).path()
            ),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Error::Stage { source, .. } => Some(source),
            Error::Header { source, .. } => Some(source),
            Error::Descriptor { source, .. } => Some(source),
            Error::NoExec { source, .. }
            | Error::Open { source, .. }
            | Error::Symbol { source, .. }
            | Error::Close { source, .. } => Some(source),
            Error::Flags(_)
            | Error::Name { .. }
            | Error::Outdated { .. }
            | Error::NotConfigurable { .. }
            | Error::Configure { .. }
            | Error::Init { .. }
            | Error::NullSymbol { .. }
            | Error::NotLoaded { .. }
            | Error::Reentered { .. } => None,
        }
    }
}

dynload_diagnostics::debug_with_causes!(Error);

impl From<UnknownFlags> for Error {
    fn from(unknown: UnknownFlags) -> Error {
        Error::Flags(unknown)
    }
}

/// The message of the platform's loader: the text of `dlerror`, or of the Windows error code.
#[derive(Clone, PartialEq, Eq)]
pub struct LoaderError {
    text: String,
}

impl LoaderError {
    pub(crate) fn new(text: impl Into<String>) -> LoaderError {
        LoaderError { text: text.into() }
    }

    /// Returns the loader's text, unchanged.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the library that glibc or musl reports as not found, if it is not the requested one.
    ///
    /// glibc: `libx.so: cannot open shared object file: ...`;
    /// musl: `Error loading shared library libx.so: ... (needed by ...)`.
    pub(crate) fn missing_dependency(&self, asked: &Path) -> Option<String> {
        let text = self.text.as_str();
        let name = match text.split_once(": cannot open shared object file") {
            Some((name, _)) => name,
            None => {
                text.strip_prefix("Error loading shared library ")?
                    .split_once(": ")?
                    .0
            }
        };
        (Path::new(name) != asked).then(|| name.to_owned())
    }
}

impl fmt::Display for LoaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        printable(&self.text).message().fmt(f)
    }
}

impl StdError for LoaderError {}

dynload_diagnostics::debug_with_causes!(LoaderError);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_missing_dependency_is_read_from_the_loaders_text() {
        let asked = Path::new("/plugins/libplugin.so");
        let name = |text: &str| LoaderError::new(text).missing_dependency(asked);
        let glibc = "libdep.so.1: cannot open shared object file: No such file or directory";
        assert_eq!(name(glibc).as_deref(), Some("libdep.so.1"));
        let itself = "/plugins/libplugin.so: cannot open shared object file: No such file or directory";
        assert_eq!(name(itself), None);
        let musl = "Error loading shared library libdep.so: No such file or directory (needed by /plugins/libplugin.so)";
        assert_eq!(name(musl).as_deref(), Some("libdep.so"));
        assert_eq!(name("/plugins/libplugin.so: undefined symbol: frobnicate"), None);
    }
}
