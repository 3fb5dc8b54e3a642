//! The platform's loader: the only place where a library is opened, searched and closed.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(unix)]
pub(crate) use self::unix::*;
#[cfg(windows)]
pub(crate) use self::windows::*;

use crate::error::LoaderError;

/// The loader's own text. libloading says which call failed and keeps the text as the source.
fn loader_error(error: libloading::Error) -> LoaderError {
    match std::error::Error::source(&error) {
        Some(text) => LoaderError::new(text.to_string()),
        None => LoaderError::new(error.to_string()),
    }
}
