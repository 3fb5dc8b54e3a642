//! Directories, and comparing paths as text.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use super::ScopeError;

/// What may be done in a directory. One bit, not two: write includes read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Access {
    /// Nothing in it changes, whichever flags and rights a call asks for.
    #[default]
    ReadOnly,
    /// Files and directories in it can be made, changed and removed.
    ReadWrite,
}

impl fmt::Display for Access {
    /// `read-only` or `read-write`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Access::ReadOnly => "read-only",
            Access::ReadWrite => "read-write",
        })
    }
}

impl FromStr for Access {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Access, ScopeError> {
        match text {
            "read-only" => Ok(Access::ReadOnly),
            "read-write" => Ok(Access::ReadWrite),
            _ => Err(ScopeError::UnknownAccess {
                found: text.chars().take(64).collect(),
            }),
        }
    }
}

/// A directory of the host that a guest sees under a name of its own, with everything in it.
///
/// Of scopes for directories that lie in each other the innermost governs, as with mount points. What is given read-only, the
/// guest cannot change, by whatever scope: with `/data` read-write and `/data/keys` read-only, nothing below `/data/keys`
/// changes by way of `/data` either, nor do `/data/keys` and the directories above it go away. With `/data` read-only and
/// `/data/log` read-write, `/data/log` is writable by its own name only. Of one directory that is given twice the lesser
/// access holds.
///
/// That is about directories, whatever the paths say that lead to them. A file with a second name in a directory that is
/// writable (a hard link that the host made) is writable by that name, and so is what the host mounts there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct DirScope {
    /// The directory on the host.
    pub host: String,
    /// The name under which the guest finds it, `/data` for instance. Separated by `/` on every platform.
    pub guest: String,
    /// What may be done in it.
    #[cfg_attr(feature = "serde", serde(default))]
    pub access: Access,
}

impl DirScope {
    /// A directory that the guest sees as `guest`.
    ///
    /// # Grants
    /// Opens `host` and everything below it.
    ///
    /// # Errors
    /// [`ScopeError::Dir`] when either path is empty or has a NUL, or when `guest` has a `..` component.
    pub fn new(
        host: impl Into<String>,
        guest: impl Into<String>,
        access: Access,
    ) -> Result<DirScope, ScopeError> {
        let dir = DirScope {
            host: host.into(),
            guest: guest.into(),
            access,
        };
        dir.validate()?;
        Ok(dir)
    }

    pub(super) fn validate(&self) -> Result<(), ScopeError> {
        let reason = if self.host.is_empty() {
            "the host path is empty"
        } else if self.guest.is_empty() {
            "the guest name is empty"
        } else if self.host.contains('\0') || self.guest.contains('\0') {
            "a path has a NUL character"
        } else if self.guest.split('/').any(|part| part == "..") {
            "the guest name has a `..` component"
        } else {
            return Ok(());
        };
        Err(ScopeError::Dir {
            host: self.host.clone(),
            guest: self.guest.clone(),
            reason,
        })
    }

    /// `want`, when this directory contains it, and how deep this directory is.
    pub(super) fn containing(&self, want: &DirScope) -> Option<(usize, DirScope)> {
        below(&self.host, &want.host)?;
        let access = self.access.min(want.access);
        let depth = components(&self.host).len();
        Some((
            depth,
            DirScope {
                host: want.host.clone(),
                guest: want.guest.clone(),
                access,
            },
        ))
    }

    /// This directory, when it lies inside of `want` (and is not the same), named as the guest of `want` expects.
    pub(super) fn inside(&self, want: &DirScope) -> Option<DirScope> {
        let rest = below(&want.host, &self.host).filter(|rest| !rest.is_empty())?;
        let mut guest = want.guest.trim_end_matches('/').to_string();
        for part in rest {
            guest.push('/');
            guest.push_str(part);
        }
        Some(DirScope {
            host: self.host.clone(),
            guest,
            access: self.access.min(want.access),
        })
    }
}

/// The components of a path, without `.` and doubled separators. The first one is empty when the path is absolute.
pub(super) fn components(path: &str) -> Vec<&str> {
    let separator = |c: char| c == '/' || (cfg!(windows) && c == '\\');
    let rooted = path.starts_with(separator);
    let parts = path
        .split(separator)
        .filter(|part| !part.is_empty() && *part != ".");
    rooted.then_some("").into_iter().chain(parts).collect()
}

/// The components that lead from `top` to `path`, when `path` is `top` or lies below it.
fn below<'a>(top: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let (top, path) = (components(top), components(path));
    // What `..` leads to is not known from the text. (`starts_with` on slices compares whole components.)
    if !path.starts_with(&top) || path.contains(&"..") {
        return None;
    }
    // A relative path of no components is the working directory; an absolute path is not below it.
    if top.is_empty() && path.first() == Some(&"") {
        return None;
    }
    Some(path[top.len()..].to_vec())
}

pub(super) fn same_path(a: &str, b: &str) -> bool {
    components(a) == components(b)
}
