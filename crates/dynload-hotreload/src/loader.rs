//! The pipeline's interface to a kind of plugin.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use dynload_diagnostics::printable;

use crate::artifact::Artifact;

/// Loads running code from an artifact.
///
/// One loader serves one reloader. Its functions are called on the reloader's own thread, one at a time; a panic in
/// one of them is a failed reload and nothing worse.
///
/// # Examples
///
/// ```
/// use dynload_hotreload::{Artifact, LoadError, Loader};
///
/// /// Treats any text file as a plugin.
/// struct Text;
///
/// impl Loader for Text {
///     type Loaded = String;
///
///     fn load(&self, artifact: &Artifact) -> Result<String, LoadError> {
///         std::fs::read_to_string(&artifact.path)
///             .map_err(|error| LoadError::new("not a text file").with_source(error))
///     }
/// }
/// ```
///
/// A loader that passes state on, from each version to the next:
///
/// ```
/// use std::sync::Mutex;
/// use std::time::Duration;
/// use dynload_hotreload::{Artifact, Builder, Config, LoadError, Loader, Reloader, State};
///
/// /// A plugin that counts in steps of the number in its file.
/// struct Counter {
///     step: u64,
///     count: Mutex<u64>,
/// }
///
/// struct Counters;
///
/// impl Loader for Counters {
///     type Loaded = Counter;
///
///     fn load(&self, artifact: &Artifact) -> Result<Counter, LoadError> {
///         let text = std::fs::read_to_string(&artifact.path)
///             .map_err(|error| LoadError::new("not a text file").with_source(error))?;
///         let step = text.trim().parse().map_err(|error| LoadError::new("not a number").with_source(error))?;
///         Ok(Counter { step, count: Mutex::new(0) })
///     }
///
///     fn save(&self, old: &Counter) -> Result<Option<State>, LoadError> {
///         let count = *old.count.lock().unwrap();
///         Ok(Some(State { schema: 1, bytes: count.to_le_bytes().to_vec() }))
///     }
///
///     fn restore(&self, new: &Counter, state: &State) -> Result<(), LoadError> {
///         let bytes = <[u8; 8]>::try_from(state.bytes.as_slice()).ok().filter(|_| state.schema == 1);
///         let bytes = bytes.ok_or_else(|| LoadError::new(format!("schema {} is unknown", state.schema)))?;
///         *new.count.lock().unwrap() = u64::from_le_bytes(bytes);
///         Ok(())
///     }
/// }
///
/// # let directory = tempfile::tempdir()?;
/// # let source = directory.path().join("counter.txt");
/// std::fs::write(&source, "1")?;
/// let reloader = Reloader::new(Config::new(&source).with_builder(Builder::None), Counters)?;
/// reloader.start()?;
/// *reloader.current().unwrap().count.lock().unwrap() = 42;
///
/// std::fs::write(&source, "10")?;
/// assert_eq!(reloader.wait(Duration::from_secs(10)), Some(2));
/// let counter = reloader.current().unwrap();
/// assert_eq!((counter.step, *counter.count.lock().unwrap()), (10, 42));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Loader: Send + Sync + 'static {
    /// The loaded code. It is dropped when the last [`Guard`](crate::Guard) of its version is dropped. If there is none when a
    /// newer version is swapped in, it is dropped before that version is announced: its drop must not wait for the
    /// announcement.
    type Loaded: Send + Sync + 'static;

    /// Checks an artifact without running any of it: whether it is complete, and whether it is for this machine.
    ///
    /// This check distinguishes partly written files from broken ones: after an error created by
    /// [`LoadError::incomplete`], the reloader waits for the rest of the artifact before it reports a failure. The
    /// default accepts every artifact.
    ///
    /// # Errors
    ///
    /// Any reason not to load the artifact.
    fn check(&self, artifact: &Artifact) -> Result<(), LoadError> {
        let _ = artifact;
        Ok(())
    }

    /// Loads the artifact, beside the running version.
    ///
    /// # Errors
    ///
    /// Any reason why the artifact cannot be used. The running version stays.
    fn load(&self, artifact: &Artifact) -> Result<Self::Loaded, LoadError>;

    /// Returns the state that `old` passes to the next version. The default is none.
    ///
    /// Calls into `old` may be running meanwhile, and calls may start until the new version is swapped in; a plugin
    /// whose calls change its state must do its own locking.
    ///
    /// # Errors
    ///
    /// The reason why the state cannot be saved. The reload fails, and `old` keeps running.
    fn save(&self, old: &Self::Loaded) -> Result<Option<State>, LoadError> {
        let _ = old;
        Ok(None)
    }

    /// Passes the state that [`save`](Loader::save) returned to the next version, before any caller can call it.
    ///
    /// The default refuses, because silently dropping saved state would lose it.
    ///
    /// # Errors
    ///
    /// The reason why the state cannot be restored (another schema, for example). The reload fails, and the old
    /// version keeps running.
    fn restore(&self, new: &Self::Loaded, state: &State) -> Result<(), LoadError> {
        let _ = new;
        Err(LoadError::new(format!(
            "the loader saved state (schema {}, {} bytes) but cannot restore it: implement `Loader::restore`",
            state.schema,
            state.bytes.len()
        )))
    }
}

impl<L: Loader + ?Sized> Loader for Box<L> {
    type Loaded = L::Loaded;

    fn check(&self, artifact: &Artifact) -> Result<(), LoadError> {
        (**self).check(artifact)
    }

    fn load(&self, artifact: &Artifact) -> Result<Self::Loaded, LoadError> {
        (**self).load(artifact)
    }

    fn save(&self, old: &Self::Loaded) -> Result<Option<State>, LoadError> {
        (**self).save(old)
    }

    fn restore(&self, new: &Self::Loaded, state: &State) -> Result<(), LoadError> {
        (**self).restore(new, state)
    }
}

/// The state that one version of a plugin passes to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The layout of `bytes`: a number that the plugin chooses and changes with the layout.
    pub schema: u64,
    /// The state itself; only the plugin can interpret it.
    pub bytes: Vec<u8>,
}

/// The reason why a loader refused: a human-readable message and the underlying error.
#[derive(Clone)]
pub struct LoadError {
    message: String,
    incomplete: bool,
    // Shared, so that one failure can be in an event, in `last_error` and in a log.
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl LoadError {
    /// Creates an error for an artifact that can never be loaded.
    ///
    /// `message` is lowercase, ends without a period, and does not repeat the cause.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            incomplete: false,
            source: None,
        }
    }

    /// Creates an error for an artifact that looks as if it is still being written: it is truncated or empty.
    ///
    /// The reloader waits for the rest (up to [`Config::with_settle_timeout`](crate::Config::with_settle_timeout))
    /// before it reports this error.
    #[must_use]
    pub fn incomplete(message: impl Into<String>) -> Self {
        Self {
            incomplete: true,
            ..Self::new(message)
        }
    }

    /// Sets the underlying error.
    #[must_use]
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Returns whether the error was created by [`LoadError::incomplete`].
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        self.incomplete
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        printable(&self.message).message().fmt(f)
    }
}

impl Error for LoadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source
            .as_ref()
            .map(|source| &**source as &(dyn Error + 'static))
    }
}

dynload_diagnostics::debug_with_causes!(LoadError);
