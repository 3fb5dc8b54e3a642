//! The platform's loader: the only module that opens, searches and closes libraries.

#[cfg(all(unix, not(target_vendor = "apple")))]
mod images;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

#[cfg(all(unix, not(target_vendor = "apple")))]
pub(crate) use self::images::{Mapped, is_in_use, mapped};
#[cfg(unix)]
pub(crate) use self::unix::*;
#[cfg(windows)]
pub(crate) use self::windows::*;

use crate::error::LoaderError;

/// Returns the loader's own text. libloading's error names the call that failed, and has the text as its source.
fn loader_error(error: libloading::Error) -> LoaderError {
    match std::error::Error::source(&error) {
        Some(text) => LoaderError::new(text.to_string()),
        None => LoaderError::new(error.to_string()),
    }
}
