//! Why a plugin was not called, or did not return a result.

use std::fmt;

use dynload_diagnostics::printable;
use dynload_sandbox::Error;

use crate::pool::PoolError;

/// Why a call of a plugin has no result.
#[derive(Clone)]
#[non_exhaustive]
pub enum CallError {
    /// No plugin with this id is loaded: it was not found, or could not be loaded, which an [event](crate::Event) explains.
    #[non_exhaustive]
    NotLoaded {
        /// The id.
        id: String,
        /// A plugin with a similar id.
        nearest: Option<String>,
    },
    /// The plugin is native code, not WebAssembly: use [`Plugins::native`](crate::Plugins::native).
    #[non_exhaustive]
    Native {
        /// The id.
        id: String,
    },
    /// The plugin has no instance for the call.
    #[non_exhaustive]
    Pool {
        /// The id.
        id: String,
        /// The reason.
        source: PoolError,
    },
    /// The call failed.
    #[non_exhaustive]
    Call {
        /// The id.
        id: String,
        /// The reason.
        source: Error,
    },
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::NotLoaded { id, nearest } => {
                write!(f, "no plugin `{}` is loaded", printable(id))?;
                match nearest {
                    Some(nearest) => write!(f, ": did you mean `{}`?", printable(nearest)),
                    None => Ok(()),
                }
            }
            CallError::Native { id } => {
                write!(
                    f,
                    "the plugin `{}` is native: look its functions up",
                    printable(id)
                )
            }
            CallError::Pool { id, .. } => write!(f, "the plugin `{}` cannot be called", printable(id)),
            CallError::Call { id, .. } => write!(f, "the plugin `{}` did not return a result", printable(id)),
        }
    }
}

impl std::error::Error for CallError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            CallError::Pool { source, .. } => Some(source),
            CallError::Call { source, .. } => Some(source),
            _ => None,
        }
    }
}

dynload_diagnostics::debug_with_causes!(CallError);
