//! Errors with their causes.

use core::error::Error;
use core::fmt::{self, Display};

use crate::printable;

/// Wraps an error so that it is displayed with its causes, as [`WithCauses`] describes.
///
/// # Examples
///
/// ```
/// use dynload_diagnostics::with_causes;
/// use std::{error::Error, fmt, io};
///
/// #[derive(Debug)]
/// struct Unreadable(io::Error);
///
/// impl fmt::Display for Unreadable {
///     fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
///         f.write_str("cannot read the settings")
///     }
/// }
///
/// impl Error for Unreadable {
///     fn source(&self) -> Option<&(dyn Error + 'static)> {
///         Some(&self.0)
///     }
/// }
///
/// let error = Unreadable(io::Error::other("no such\ndevice"));
/// assert_eq!(with_causes(&error).to_string(), r"cannot read the settings: no such\u{a}device");
/// ```
pub fn with_causes<'a>(error: &'a (dyn Error + 'a)) -> WithCauses<'a> {
    WithCauses(error)
}

/// Displays an error and each of its causes, separated by `: `.
///
/// The error itself is displayed as it is. The causes are escaped and cut as a
/// [`message`](crate::Printable::message), because they are often errors of other crates.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct WithCauses<'a>(&'a (dyn Error + 'a));

impl Display for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self.0, f)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {}", printable(error).message())?;
            cause = error.source();
        }
        Ok(())
    }
}

/// Implements `Debug` for an error type: its text with its causes, as [`with_causes`](crate::with_causes()) displays them.
///
/// A program whose `main` returns an error prints its `Debug`, and so do `unwrap` and `expect`.
///
/// # Examples
///
/// ```
/// struct Full;
///
/// impl std::fmt::Display for Full {
///     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
///         f.write_str("there is no space left")
///     }
/// }
///
/// impl std::error::Error for Full {}
///
/// dynload_diagnostics::debug_with_causes!(Full);
///
/// assert_eq!(format!("{Full:?}"), "there is no space left");
/// ```
#[macro_export]
macro_rules! debug_with_causes {
    ($error:ty) => {
        impl ::core::fmt::Debug for $error {
            fn fmt(&self, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                ::core::fmt::Display::fmt(&$crate::with_causes(self), f)
            }
        }
    };
}
