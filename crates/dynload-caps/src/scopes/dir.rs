//! Directories, and comparing paths as text.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use super::ScopeError;

/// The access to a directory. Write includes read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "kebab-case"))]
pub enum Access {
    /// Nothing in it can be changed, whichever flags and rights a call requests.
    #[default]
    ReadOnly,
    /// Files and directories in it can be created, changed and removed.
    ReadWrite,
}

impl fmt::Display for Access {
    /// Writes `read-only` or `read-write`.
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

/// A host directory that a guest sees under a guest name, with everything in it.
///
/// When scopes are nested, the innermost directory governs, as with mount points. The guest cannot change a read-only
/// directory through any scope: with `/data` read-write and `/data/keys` read-only, nothing below `/data/keys` can be
/// changed through `/data` either, and neither `/data/keys` nor a directory above it can be removed or renamed. With `/data`
/// read-only and `/data/log` read-write, `/data/log` is writable only by its own name. If a directory is listed twice, the
/// lesser access applies.
///
/// These rules are about directories, whichever paths lead to them. A file with a second name in a writable directory (a hard
/// link that the host created) is writable by that name, and so is whatever the host mounts there.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct DirScope {
    /// The directory on the host.
    pub host: String,
    /// The name that the guest uses for it, `/data` for instance. Separated by `/` on every platform.
    pub guest: String,
    /// The access that the guest has.
    #[cfg_attr(feature = "serde", serde(default))]
    pub access: Access,
    /// Whether `host` is refused if a component of it is a symbolic link when it is opened.
    ///
    /// Set it for a path whose links have been resolved, as by `Plugin::admit` of `dynload-discovery`: then what was checked is
    /// what is opened, even if a directory on the path was exchanged for a link in between.
    #[cfg_attr(
        feature = "serde",
        serde(default, skip_serializing_if = "core::ops::Not::not")
    )]
    pub no_links: bool,
}

impl DirScope {
    /// Creates a scope for the directory `host`, which the guest sees as `guest`.
    ///
    /// # Grants
    ///
    /// Opens `host` and everything below it.
    ///
    /// # Errors
    ///
    /// [`ScopeError::Dir`] when either path is empty or contains a NUL, or when `guest` has a `..` component.
    pub fn new(
        host: impl Into<String>,
        guest: impl Into<String>,
        access: Access,
    ) -> Result<DirScope, ScopeError> {
        let dir = DirScope {
            host: host.into(),
            guest: guest.into(),
            access,
            no_links: false,
        };
        dir.validate()?;
        Ok(dir)
    }

    /// Refuses the directory if a component of `host` is a symbolic link when it is opened: see
    /// [`no_links`](DirScope::no_links).
    #[must_use]
    pub fn without_links(mut self) -> DirScope {
        self.no_links = true;
        self
    }

    pub(super) fn validate(&self) -> Result<(), ScopeError> {
        let reason = if self.host.is_empty() {
            "the host path is empty"
        } else if self.guest.is_empty() {
            "the guest name is empty"
        } else if self.host.contains('\0') || self.guest.contains('\0') {
            "a path contains a NUL character"
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

    /// Returns the depth of this directory, and `want` with the lesser access, when this directory contains `want`.
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
                // A link below a directory without links would lead out of what is allowed.
                no_links: self.no_links || want.no_links,
            },
        ))
    }

    /// Returns this directory, when it is inside `want` (and not equal to it), under the name that the guest expects.
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
            no_links: self.no_links,
        })
    }
}

/// Returns the components of a path, without `.` and doubled separators: on Windows the drive or the share if it has one, an
/// empty one for the root if it has one, and the names.
pub(super) fn components(path: &str) -> Vec<&str> {
    let (prefix, rest) = path.split_at(if cfg!(windows) { prefix_len(path) } else { 0 });
    // A share is never relative.
    let rooted = rest.starts_with(is_separator) || prefix.starts_with(is_separator);
    let parts = rest
        .split(is_separator)
        .filter(|part| !part.is_empty() && *part != ".");
    let prefix = Some(prefix).filter(|prefix| !prefix.is_empty());
    let start = prefix.into_iter().chain(rooted.then_some(""));
    start.chain(parts).collect()
}

fn is_separator(c: char) -> bool {
    c == '/' || (cfg!(windows) && c == '\\')
}

/// Returns the length of the drive (`C:`) or the share (`\\server\share`, `\\?\C:`) with which a path of Windows begins.
fn prefix_len(path: &str) -> usize {
    if let [drive, b':', ..] = path.as_bytes()
        && drive.is_ascii_alphabetic()
    {
        return 2;
    }
    if !path.chars().take(2).all(is_separator) || path.len() < 2 {
        return 0;
    }
    // The second separator after the first two ends it.
    let mut separators = path.match_indices(is_separator).skip(3);
    separators.next().map_or(path.len(), |(at, _)| at)
}

/// Returns the components that lead from `top` to `path`, when `path` is `top` or is below it.
fn below<'a>(top: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let is_on_drive = cfg!(windows) && prefix_len(path) > 0;
    let (top, path) = (components(top), components(path));
    // The text does not tell where `..` leads. (`starts_with` on slices compares whole components.)
    if !path.starts_with(&top) || path.contains(&"..") {
        return None;
    }
    // A path without a root is the working directory, or that of a drive; a path with one is not below it.
    if path.get(top.len()) == Some(&"") || top.is_empty() && is_on_drive {
        return None;
    }
    Some(path[top.len()..].to_vec())
}

pub(super) fn same_path(a: &str, b: &str) -> bool {
    components(a) == components(b)
}
