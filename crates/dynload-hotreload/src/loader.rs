//! What the pipeline needs to know of a kind of plugin, and no more.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

use dynload_diagnostics::printable;

use crate::artifact::Artifact;

/// How to make running code out of an artifact.
///
/// One loader serves one reloader. Its functions are called on the reloader's own thread, one at a time; a panic in one
/// of them is a failed reload and nothing worse.
///
/// ```
/// use dynload_hotreload::{Artifact, LoadError, Loader};
///
/// /// Takes any text file for a plugin.
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
pub trait Loader: Send + Sync + 'static {
    /// Code that runs. It is dropped when the last [`Guard`](crate::Guard) of its version is gone.
    type Loaded: Send + Sync + 'static;

    /// Looks at an artifact without running any of it: is it whole, is it for this machine?
    ///
    /// This is where half-written files are told from broken ones: after an error made by [`LoadError::incomplete`] the
    /// artifact is waited for before it counts as a failure. The default takes everything.
    ///
    /// # Errors
    /// Whatever speaks against loading the artifact.
    fn check(&self, artifact: &Artifact) -> Result<(), LoadError> {
        let _ = artifact;
        Ok(())
    }

    /// Loads the artifact, beside the version that runs.
    ///
    /// # Errors
    /// Whatever keeps the artifact from being used. The version that runs stays.
    fn load(&self, artifact: &Artifact) -> Result<Self::Loaded, LoadError>;

    /// The state that `old` wants to live on in the next version. The default is none.
    ///
    /// Calls into `old` may be running meanwhile, and calls may start until the new version is swapped in; a plugin whose
    /// state they change has to lock for itself.
    ///
    /// # Errors
    /// Why the state cannot be saved. The reload fails, `old` runs on.
    fn save(&self, old: &Self::Loaded) -> Result<Option<State>, LoadError> {
        let _ = old;
        Ok(None)
    }

    /// Gives the state that [`save`](Loader::save) returned to the version that follows, before anybody calls it.
    ///
    /// The default refuses: state that was saved and then silently dropped would be lost.
    ///
    /// # Errors
    /// Why the state cannot be taken (another schema, say). The reload fails, the old version runs on.
    fn restore(&self, new: &Self::Loaded, state: &State) -> Result<(), LoadError> {
        let _ = new;
        Err(LoadError::new(format!(
            "the loader saved state (schema {}, {} bytes) and has no way to restore it",
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

/// State on its way from one version of a plugin to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The layout of `bytes`, a number that the plugin chooses and changes with the layout.
    pub schema: u64,
    /// The state itself; only the plugin knows what it means.
    pub bytes: Vec<u8>,
}

/// Why a loader refused: a sentence for a person, and the error below it.
#[derive(Clone, Debug)]
pub struct LoadError {
    message: String,
    incomplete: bool,
    // Shared, so that one failure can stand in an event, in `last_error` and in a log.
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl LoadError {
    /// An artifact that cannot be loaded, whatever happens to it next.
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

    /// An artifact that looks as if somebody were still writing it: cut off, or empty.
    ///
    /// The reloader waits for more (up to [`Config::with_settle_timeout`](crate::Config::with_settle_timeout)) before it reports this.
    #[must_use]
    pub fn incomplete(message: impl Into<String>) -> Self {
        Self {
            incomplete: true,
            ..Self::new(message)
        }
    }

    /// Adds the error below this one.
    #[must_use]
    pub fn with_source(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(source));
        self
    }

    /// Whether it was made by [`LoadError::incomplete`].
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
