//! Programs.

use alloc::string::String;

use super::ScopeError;

/// A program that a guest may run.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(deny_unknown_fields)
)]
pub struct ProgramScope {
    /// The absolute path. `PATH` is not searched: whoever can set it could choose the program.
    pub path: String,
}

impl ProgramScope {
    /// Creates a scope for the program at an absolute path of this platform (`/usr/bin/git`; `C:\Tools\git.exe` on
    /// Windows).
    ///
    /// # Grants
    ///
    /// A running program is outside every other limit of the guest that started it.
    ///
    /// # Errors
    ///
    /// [`ScopeError::Program`] when `path` is not absolute, contains a NUL, has a `.` or `..` component, or ends with a
    /// separator.
    pub fn new(path: impl Into<String>) -> Result<ProgramScope, ScopeError> {
        let program = ProgramScope { path: path.into() };
        program.validate()?;
        Ok(program)
    }

    /// Returns whether the path is exactly `program`, and valid.
    #[must_use]
    pub fn matches(&self, program: &str) -> bool {
        self.validate().is_ok() && self.path == program
    }

    pub(super) fn validate(&self) -> Result<(), ScopeError> {
        let path = self.path.as_str();
        let separator = |c: char| c == '/' || (cfg!(windows) && c == '\\');
        let reason = if path.contains('\0') {
            "it contains a NUL character"
        } else if !is_absolute(path) {
            "it is not an absolute path"
        } else if path.split(separator).any(|part| part == "." || part == "..") {
            "it has a `.` or `..` component"
        } else if path.ends_with(separator) {
            "it is a directory"
        } else {
            return Ok(());
        };
        Err(ScopeError::Program {
            path: self.path.clone(),
            reason,
        })
    }
}

/// `std::path::Path::is_absolute`, without `std`. A path of another platform is not absolute here: `C:\x` on Unix is
/// a relative name, and would be searched for in `PATH`.
fn is_absolute(path: &str) -> bool {
    if !cfg!(windows) {
        return path.starts_with('/');
    }
    match path.as_bytes() {
        [b'\\', b'\\', ..] => true,
        [drive, b':', b'\\' | b'/', ..] => drive.is_ascii_alphabetic(),
        _ => false,
    }
}
