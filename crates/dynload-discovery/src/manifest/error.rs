//! The errors of manifests.

use std::error::Error;
use std::fmt;

use dynload_caps::{ParseCapabilitiesError, ParseGpuPatternError, ParseNetError, ScopeError};
use dynload_diagnostics::{Listed, listed, printable};

use super::EntryPathError;
use crate::{InvalidId, UnknownPlatform};

/// The errors of one manifest, as far as [`Manifest::parse`](crate::Manifest::parse) reports them; never empty.
#[derive(Clone)]
pub struct ManifestErrors(Vec<ManifestError>);

impl ManifestErrors {
    pub(super) fn new(mut errors: Vec<ManifestError>) -> ManifestErrors {
        errors.sort_by_key(|error| (error.line, error.column));
        ManifestErrors(errors)
    }

    /// Returns the errors, in the order of the file.
    #[must_use]
    pub fn errors(&self) -> &[ManifestError] {
        &self.0
    }

    /// Converts this into the errors, in the order of the file.
    #[must_use]
    pub fn into_errors(self) -> Vec<ManifestError> {
        self.0
    }
}

impl fmt::Display for ManifestErrors {
    /// Writes one line for each error, starting with its line number: the first 20, and the number of the others.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MOST: usize = Listed::<ManifestError>::MOST;
        for (at, error) in self.0.iter().take(MOST).enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            write!(f, "{end}line {}: {error}", error.line)?;
            // The text of a list has to be complete: callers do not follow the sources of each error.
            if let Some(source) = error.source() {
                write!(f, ": {}", printable(source))?;
            }
        }
        match self.0.len().saturating_sub(MOST) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

impl Error for ManifestErrors {}

dynload_diagnostics::debug_with_causes!(ManifestErrors);

/// One error of a manifest, and its position.
#[derive(Clone)]
pub struct ManifestError {
    pub(super) line: u32,
    pub(super) column: u32,
    pub(super) kind: ManifestErrorKind,
}

impl ManifestError {
    /// Returns the line, from 1.
    #[must_use]
    pub const fn line(&self) -> u32 {
        self.line
    }

    /// Returns the column in that line, from 1, in bytes.
    #[must_use]
    pub const fn column(&self) -> u32 {
        self.column
    }

    /// Returns the kind of the error.
    #[must_use]
    pub const fn kind(&self) -> &ManifestErrorKind {
        &self.kind
    }

    /// Converts this into the kind of the error, without its position.
    #[must_use]
    pub fn into_kind(self) -> ManifestErrorKind {
        self.kind
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

impl Error for ManifestError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.kind.source()
    }
}

dynload_diagnostics::debug_with_causes!(ManifestError);

/// The kind of a [`ManifestError`]. `field` is the full name of a field, `capabilities.needs` for instance.
#[derive(Clone)]
#[non_exhaustive]
pub enum ManifestErrorKind {
    /// The text is not TOML.
    #[non_exhaustive]
    Syntax {
        /// The message of the TOML parser.
        message: String,
    },
    /// An unknown field.
    #[non_exhaustive]
    UnknownField {
        /// The field.
        field: String,
        /// A field that exists: the nearest name in this table, or this name in the table where it belongs.
        nearest: Option<String>,
    },
    /// A field, or a form of it, of the older Vais loader's manifests.
    #[non_exhaustive]
    OlderFormat {
        /// The field.
        field: String,
        /// What to write instead.
        remedy: &'static str,
    },
    /// A required field is missing.
    #[non_exhaustive]
    MissingField {
        /// The field.
        field: String,
    },
    /// A value has the wrong type.
    #[non_exhaustive]
    WrongType {
        /// The field.
        field: String,
        /// The expected type.
        expected: &'static str,
        /// The actual type.
        found: &'static str,
    },
    /// A word is not one of those that the field accepts.
    #[non_exhaustive]
    UnknownWord {
        /// The field.
        field: String,
        /// The word.
        found: String,
        /// The known word that it probably meant.
        nearest: Option<&'static str>,
        /// The words that the field accepts.
        known: &'static [&'static str],
    },
    /// A number is out of range.
    #[non_exhaustive]
    OutOfRange {
        /// The field.
        field: String,
        /// The number as it was written.
        found: String,
        /// The accepted range.
        expected: &'static str,
    },
    /// A value that must not be empty is empty.
    #[non_exhaustive]
    Empty {
        /// The field.
        field: String,
    },
    /// A text contains a character that could change how a terminal displays it.
    #[non_exhaustive]
    ControlCharacter {
        /// The field.
        field: String,
        /// The character.
        found: char,
    },
    /// The id of the plugin, or of a dependency, is invalid.
    Id(InvalidId),
    /// A version, or a range of versions, does not follow [Semantic Versioning](https://semver.org).
    #[non_exhaustive]
    Version {
        /// The field.
        field: String,
        /// The text.
        found: String,
        /// The cause.
        source: std::sync::Arc<semver::Error>,
    },
    /// An entry is not a path below the plugin's directory.
    Entry(EntryPathError),
    /// A key of `entry` is not the name of a platform.
    Platform(UnknownPlatform),
    /// A word is not the name of a capability.
    Capability(ParseCapabilitiesError),
    /// A directory or environment variable is invalid.
    Scope(ScopeError),
    /// A pattern of `capabilities.hosts` is invalid.
    #[non_exhaustive]
    Host {
        /// The pattern.
        pattern: String,
        /// The cause.
        source: ParseNetError,
    },
    /// A pattern of `capabilities.gpu.devices` is invalid.
    #[non_exhaustive]
    Gpu {
        /// The pattern.
        pattern: String,
        /// The cause.
        source: ParseGpuPatternError,
    },
    /// A host path in `capabilities.directories` or `capabilities.programs` is invalid.
    #[non_exhaustive]
    HostPath {
        /// The field.
        field: String,
        /// The path.
        found: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Two values contradict each other.
    #[non_exhaustive]
    Contradiction {
        /// The field.
        field: String,
        /// The contradiction.
        reason: &'static str,
    },
}

impl fmt::Display for ManifestErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use ManifestErrorKind as K;
        match self {
            K::Syntax { message } => write!(f, "not TOML: {}", printable(message)),
            K::UnknownField {
                field,
                nearest: Some(nearest),
            } => {
                let (field, nearest) = (printable(field), printable(nearest));
                write!(f, "unknown field `{field}`: did you mean `{nearest}`?")
            }
            K::UnknownField { field, nearest: None } => {
                write!(f, "unknown field `{}`: remove it", printable(field))
            }
            K::OlderFormat { field, remedy } => {
                write!(
                    f,
                    "`{}` is in the format of the older Vais loader: {remedy}",
                    printable(field)
                )
            }
            K::MissingField { field } => write!(f, "field `{}` is missing: add it", printable(field)),
            K::WrongType {
                field,
                expected,
                found,
            } => write!(f, "`{}` is {found}: write {expected}", printable(field)),
            K::UnknownWord {
                field,
                found,
                nearest: Some(nearest),
                ..
            } => {
                let (field, found, nearest) = (printable(field), printable(found), printable(nearest));
                write!(f, "`{field}` is {found:?}: did you mean {nearest:?}?")
            }
            K::UnknownWord {
                field,
                found,
                nearest: None,
                known,
            } => {
                let (field, found) = (printable(field), printable(found));
                write!(f, "`{field}` is {found:?}: write one of {}", listed(known))
            }
            K::OutOfRange {
                field,
                found,
                expected,
            } => write!(
                f,
                "`{}` is {}: write {expected}",
                printable(field),
                printable(found)
            ),
            K::Empty { field } => write!(f, "`{}` is empty: give it a value or remove it", printable(field)),
            K::ControlCharacter { field, found } => {
                write!(
                    f,
                    "`{}` contains the character U+{:04X}, which is not allowed: remove it",
                    printable(field),
                    u32::from(*found)
                )
            }
            K::Id(error) => write!(f, "{error}"),
            K::Version { field, found, .. } => {
                write!(
                    f,
                    "`{}` is {:?}, which is not a semantic version (`1.2.3`) or range (`>=1.2, <2`)",
                    printable(field),
                    printable(found)
                )
            }
            K::Entry(error) => write!(f, "{error}"),
            K::Platform(error) => write!(f, "{error}"),
            K::Capability(error) => write!(f, "{error}"),
            K::Scope(error) => write!(f, "{error}"),
            K::Host { pattern, .. } => {
                write!(
                    f,
                    "`capabilities.hosts` has the invalid pattern {:?}",
                    printable(pattern)
                )
            }
            K::Gpu { pattern, .. } => {
                write!(
                    f,
                    "`capabilities.gpu.devices` has the invalid pattern {:?}",
                    printable(pattern)
                )
            }
            K::HostPath { field, found, reason } => {
                write!(f, "`{}` is {:?}: {reason}", printable(field), printable(found))
            }
            K::Contradiction { field, reason } => write!(f, "`{}`: {}", printable(field), printable(reason)),
        }
    }
}

impl Error for ManifestErrorKind {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        use ManifestErrorKind as K;
        match self {
            K::Version { source, .. } => Some(source),
            K::Host { source, .. } => Some(source),
            K::Gpu { source, .. } => Some(source),
            // The text of this error is that of the scope error, so the chain continues with the source of that error.
            K::Scope(error) => error.source(),
            _ => None,
        }
    }
}

dynload_diagnostics::debug_with_causes!(ManifestErrorKind);
