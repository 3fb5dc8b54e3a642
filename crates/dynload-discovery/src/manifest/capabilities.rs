//! The capabilities that a plugin requests, and their scopes.

use std::fmt;
use std::str::FromStr;

use dynload_caps::{Access, Capabilities, GpuScope, NetScope};

/// The capabilities and scopes that a plugin requests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CapabilityRequest {
    /// The capabilities that it cannot do without.
    pub needs: Capabilities,
    /// The capabilities that it uses if they are granted.
    pub optional: Capabilities,
    /// The directories that it requests.
    pub directories: Vec<DirRequest>,
    /// The environment variables that it requests.
    pub environment: Vec<EnvRequest>,
    /// The hosts and ports that it requests.
    pub hosts: Vec<NetScope>,
    /// The absolute paths of programs that it requests to run; paths of other platforms are skipped.
    pub programs: Vec<String>,
    /// The number of workers that it requests to run at the same time.
    pub workers: u32,
    /// The GPUs that it requests.
    pub gpu: GpuScope,
}

impl CapabilityRequest {
    /// Returns all requested capabilities, needed and optional.
    #[must_use]
    pub fn all(&self) -> Capabilities {
        self.needs | self.optional
    }

    /// Returns the requested capabilities whose scope is empty: they open nothing.
    #[must_use]
    pub fn without_scope(&self) -> Capabilities {
        self.all() & !self.scoped() & SCOPED
    }

    /// Returns the capabilities that have a scope here but are not requested.
    #[must_use]
    pub fn scope_only(&self) -> Capabilities {
        let files = Capabilities::FS_READ | Capabilities::FS_WRITE;
        let missing = self.scoped() & !self.all();
        // A directory is a scope for both.
        if self.all().intersects(files) {
            missing & !files
        } else {
            missing & !Capabilities::FS_WRITE
        }
    }

    fn scoped(&self) -> Capabilities {
        let mut set = Capabilities::NONE;
        set.set(Capabilities::FS_READ, !self.directories.is_empty());
        set.set(
            Capabilities::FS_WRITE,
            self.directories.iter().any(|dir| dir.access == Access::ReadWrite),
        );
        set.set(Capabilities::ENV, !self.environment.is_empty());
        set.set(Capabilities::NETWORK, !self.hosts.is_empty());
        set.set(Capabilities::PROCESS, !self.programs.is_empty());
        set.set(Capabilities::THREADING, self.workers > 0);
        set.set(Capabilities::GPU, !self.gpu.is_empty());
        set
    }
}

const SCOPED: Capabilities = Capabilities::FS_READ
    .union(Capabilities::FS_WRITE)
    .union(Capabilities::ENV)
    .union(Capabilities::NETWORK)
    .union(Capabilities::PROCESS)
    .union(Capabilities::THREADING)
    .union(Capabilities::GPU);

/// A directory that a plugin requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirRequest {
    /// The directory on the host.
    pub host: HostDir,
    /// The name that the plugin uses for it.
    pub guest: String,
    /// The requested access.
    pub access: Access,
}

/// A directory of the host, in a form that does not depend on the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HostDir {
    /// `$PLUGIN` or `$PLUGIN/assets`: the plugin's own directory, or one below it.
    Plugin(String),
    /// `$HOME` or `$HOME/Music`: the home directory of the user, or one below it.
    Home(String),
    /// An absolute path, of this platform or of another.
    Absolute(String),
}

impl fmt::Display for HostDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostDir::Plugin(below) if below.is_empty() => f.write_str("$PLUGIN"),
            HostDir::Plugin(below) => write!(f, "$PLUGIN/{below}"),
            HostDir::Home(below) if below.is_empty() => f.write_str("$HOME"),
            HostDir::Home(below) => write!(f, "$HOME/{below}"),
            HostDir::Absolute(path) => f.write_str(path),
        }
    }
}

impl FromStr for HostDir {
    /// What is wrong.
    type Err = &'static str;

    fn from_str(text: &str) -> Result<HostDir, &'static str> {
        if text.contains('\0') {
            return Err("it contains a NUL character");
        }
        if text.split(['/', '\\']).any(|part| part == "..") {
            return Err("it has a `..` component");
        }
        let below = |rest: &str| match rest.strip_prefix('/') {
            None if rest.is_empty() => Some(String::new()),
            None => None,
            // Each directory has one spelling, so that a written manifest parses to an equal one.
            Some(rest) => {
                let parts = rest.split('/').filter(|part| !part.is_empty() && *part != ".");
                Some(parts.collect::<Vec<_>>().join("/"))
            }
        };
        if let Some(below) = text.strip_prefix("$PLUGIN").and_then(below) {
            return Ok(HostDir::Plugin(below));
        }
        if let Some(below) = text.strip_prefix("$HOME").and_then(below) {
            return Ok(HostDir::Home(below));
        }
        if is_absolute_anywhere(text) {
            return Ok(HostDir::Absolute(text.to_owned()));
        }
        Err("it is not `$PLUGIN`, `$HOME`, a path below one of them, or an absolute path")
    }
}

/// Returns whether a path is absolute on some platform: a manifest is written for several.
pub(super) fn is_absolute_anywhere(path: &str) -> bool {
    match path.as_bytes() {
        [b'/', ..] | [b'\\', b'\\', ..] => true,
        [drive, b':', b'\\' | b'/', ..] => drive.is_ascii_alphabetic(),
        _ => false,
    }
}

/// An environment variable that a plugin requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvRequest {
    /// Its name.
    pub name: String,
    /// The value that the plugin requests, unless the host fixes one; `None` stands for the value in the host's environment.
    pub value: Option<String>,
}
