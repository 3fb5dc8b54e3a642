//! The capabilities that a plugin asks for, and their scopes.

use std::fmt;
use std::str::FromStr;

use dynload_caps::{Access, Capabilities, NetScope};

/// What a plugin asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CapabilityRequest {
    /// What it cannot do without.
    pub needs: Capabilities,
    /// What it uses when it is given.
    pub optional: Capabilities,
    /// The directories that it wants to see.
    pub directories: Vec<DirRequest>,
    /// The environment variables that it wants to see.
    pub environment: Vec<EnvRequest>,
    /// The hosts that it wants to talk to.
    pub hosts: Vec<NetScope>,
    /// The absolute paths of programs that it wants to run; paths of other platforms are passed over.
    pub programs: Vec<String>,
    /// The number of workers that it wants to start.
    pub workers: u32,
}

impl CapabilityRequest {
    /// Everything that is asked for, needed or not.
    #[must_use]
    pub fn all(&self) -> Capabilities {
        self.needs | self.optional
    }

    /// Capabilities with a scope that lists nothing: they open nothing.
    #[must_use]
    pub fn without_scope(&self) -> Capabilities {
        self.all() & !self.scoped() & SCOPED
    }

    /// Capabilities that have a scope here and are not asked for.
    #[must_use]
    pub fn scope_only(&self) -> Capabilities {
        let files = Capabilities::FS_READ | Capabilities::FS_WRITE;
        let missing = self.scoped() & !self.all();
        // A directory serves either of the two.
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
        set
    }
}

const SCOPED: Capabilities = Capabilities::FS_READ
    .union(Capabilities::FS_WRITE)
    .union(Capabilities::ENV)
    .union(Capabilities::NETWORK)
    .union(Capabilities::PROCESS)
    .union(Capabilities::THREADING);

/// A directory that a plugin wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirRequest {
    /// Which one.
    pub host: HostDir,
    /// The name that the plugin knows it by.
    pub guest: String,
    /// What it wants to do in it.
    pub access: Access,
}

/// A directory of the host, as a manifest can name it without knowing the machine.
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
            return Err("it has a NUL character");
        }
        if text.split(['/', '\\']).any(|part| part == "..") {
            return Err("it has a `..` component");
        }
        let below = |rest: &str| match rest.strip_prefix('/') {
            None if rest.is_empty() => Some(String::new()),
            None => None,
            // One spelling for each directory, so that reading and writing agree.
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

/// Whether a path is absolute on some platform: a manifest is written for several.
pub(super) fn is_absolute_anywhere(path: &str) -> bool {
    match path.as_bytes() {
        [b'/', ..] | [b'\\', b'\\', ..] => true,
        [drive, b':', b'\\' | b'/', ..] => drive.is_ascii_alphabetic(),
        _ => false,
    }
}

/// An environment variable that a plugin wants to see.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvRequest {
    /// Its name.
    pub name: String,
    /// The value that the plugin wants when the host does not set one; `None` is the host's own.
    pub value: Option<String>,
}
