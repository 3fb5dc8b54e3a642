//! What the capabilities reach: directories, environment names, hosts, programs, workers, GPUs.

mod dir;
mod env;
mod error;
mod gpu;
mod net;
mod network;
mod program;

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::cmp::Reverse;
use core::net::IpAddr;

pub use dir::{Access, DirScope};
pub use env::EnvScope;
pub use error::{ParseGpuPatternError, ParseNetError, ScopeError};
pub use gpu::{GpuKind, GpuPattern, GpuScope};
pub use net::{NamePattern, NetScope, PortRange};
pub use network::{Cidr, Network, canonical_address, is_public_address};
pub use program::ProgramScope;

/// What the capabilities reach. An empty scope (the [`Default`]) reaches nothing.
///
/// # Examples
///
/// ```
/// use dynload_caps::{EnvScope, ProgramScope, Scopes};
///
/// let mut scopes = Scopes::none();
/// scopes.env.push(EnvScope::host("LANG")?);
/// scopes.env.push(EnvScope::fixed("TZ", "UTC")?);
/// scopes.net.push("api.example.com:443".parse()?);
/// # #[cfg(unix)]
/// scopes.programs.push(ProgramScope::new("/usr/bin/git")?);
/// scopes.validate()?;
///
/// let address = "93.184.215.14".parse()?;
/// assert!(scopes.allows_remote_net(Some("api.example.com"), address, 443));
/// // The same name is refused when it resolves to the host itself.
/// assert!(!scopes.allows_remote_net(Some("api.example.com"), "127.0.0.1".parse()?, 443));
/// # Ok::<(), Box<dyn core::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct Scopes {
    /// Directories for `FS_READ` and `FS_WRITE`.
    pub dirs: Vec<DirScope>,
    /// Environment variables for `ENV`.
    pub env: Vec<EnvScope>,
    /// Hosts and ports for `NETWORK`.
    pub net: Vec<NetScope>,
    /// Programs for `PROCESS`.
    pub programs: Vec<ProgramScope>,
    /// The number of workers that may run at the same time, for `THREADING`.
    pub max_workers: u32,
    /// Devices for `GPU`.
    #[cfg_attr(feature = "serde", serde(skip_serializing_if = "GpuScope::is_empty"))]
    pub gpu: GpuScope,
}

impl Scopes {
    /// Returns scopes that reach nothing.
    #[must_use]
    pub fn none() -> Scopes {
        Scopes::default()
    }

    /// Adds a directory.
    ///
    /// # Grants
    ///
    /// See [`DirScope::new`].
    #[must_use]
    pub fn with_dir(mut self, dir: DirScope) -> Scopes {
        self.dirs.push(dir);
        self
    }

    /// Adds an environment variable.
    ///
    /// # Grants
    ///
    /// The plugin can read it.
    #[must_use]
    pub fn with_env(mut self, variable: EnvScope) -> Scopes {
        self.env.push(variable);
        self
    }

    /// Adds a pattern of hosts and ports.
    ///
    /// # Grants
    ///
    /// The plugin can connect to them, or listen on them.
    #[must_use]
    pub fn with_net(mut self, pattern: NetScope) -> Scopes {
        self.net.push(pattern);
        self
    }

    /// Adds a program.
    ///
    /// # Grants
    ///
    /// The plugin can run it with any arguments.
    #[must_use]
    pub fn with_program(mut self, program: ProgramScope) -> Scopes {
        self.programs.push(program);
        self
    }

    /// Sets the number of workers that may run at the same time.
    #[must_use]
    pub fn with_max_workers(mut self, workers: u32) -> Scopes {
        self.max_workers = workers;
        self
    }

    /// Sets the GPUs.
    ///
    /// # Grants
    ///
    /// See [`GpuScope::new`].
    #[must_use]
    pub fn with_gpu(mut self, gpu: GpuScope) -> Scopes {
        self.gpu = gpu;
        self
    }

    /// Checks every entry, and that no two have the same guest name or variable: a guest could not tell them apart.
    ///
    /// The fields are public, so entries may not have passed through a checking constructor. Code that enforces scopes
    /// calls this first.
    ///
    /// # Errors
    ///
    /// The first [`ScopeError`] found, in the order of the fields.
    pub fn validate(&self) -> Result<(), ScopeError> {
        let mut guests = BTreeSet::new();
        for dir in &self.dirs {
            dir.validate()?;
            if !guests.insert(dir::components(&dir.guest)) {
                return Err(ScopeError::DuplicateGuest {
                    guest: dir.guest.clone(),
                });
            }
        }
        let mut names = BTreeSet::new();
        for variable in &self.env {
            variable.validate()?;
            if !names.insert(&variable.name) {
                return Err(ScopeError::DuplicateEnv {
                    name: variable.name.clone(),
                });
            }
        }
        self.programs.iter().try_for_each(ProgramScope::validate)?;
        self.gpu.validate()
    }

    /// Returns what the host allows (`self`), reduced to what the plugin `requested`: the result reaches something only
    /// if both reach it.
    ///
    /// - **Directories** are compared as text, component by component. A requested directory inside an allowed one is
    ///   granted under its requested guest name. When a requested directory *contains* allowed ones, those are granted,
    ///   under the names where the guest expects them. The access is the lesser of the requested access and that of the
    ///   innermost allowed directory that contains the requested one. Allowed directories inside a granted one are
    ///   granted too, so that its read-only parts stay read-only ([`DirScope`]); where one of their names is already
    ///   in use, the outer directory becomes read-only. Symbolic links are not resolved: pass canonical paths
    ///   [without links](DirScope::without_links) where others can write to the directories.
    /// - **Variables** need the same name on both sides. A value that the host fixed overrides one that the plugin
    ///   fixed, and either overrides the value in the host's environment.
    /// - **Hosts** are intersected pattern by pattern, exactly.
    /// - **Programs** need the same path. **Workers** are the smaller number.
    /// - **GPUs** are intersected pattern by pattern, exactly, and each of their limits is the smaller number.
    #[must_use]
    pub fn intersection(&self, requested: &Scopes) -> Scopes {
        let mut narrowed = Scopes {
            max_workers: self.max_workers.min(requested.max_workers),
            gpu: self.gpu.intersection(&requested.gpu),
            ..Scopes::default()
        };
        for want in &requested.dirs {
            narrowed.add_dirs(&self.dirs, want);
        }
        for want in &requested.env {
            let known = narrowed.env.iter().any(|known| known.name == want.name);
            if let (false, Some(have)) = (known, self.env.iter().find(|have| have.name == want.name)) {
                let value = have.value.clone().or_else(|| want.value.clone());
                narrowed.env.push(EnvScope {
                    name: want.name.clone(),
                    value,
                });
            }
        }
        for want in &requested.net {
            for have in &self.net {
                if let Some(both) = have.intersection(want)
                    && !narrowed.net.contains(&both)
                {
                    narrowed.net.push(both);
                }
            }
        }
        for want in &requested.programs {
            if self.programs.contains(want) && !narrowed.programs.contains(want) {
                narrowed.programs.push(want.clone());
            }
        }
        narrowed
    }

    /// Adds the requested directory as far as it is allowed, and the allowed directories inside it.
    fn add_dirs(&mut self, allowed: &[DirScope], want: &DirScope) {
        // The innermost directory that contains it decides; if that is listed twice, the lesser access applies.
        let around = allowed
            .iter()
            .filter_map(|have| have.containing(want))
            .max_by_key(|(depth, dir)| (*depth, Reverse(dir.access)));
        let inside: Vec<_> = allowed.iter().filter_map(|have| have.inside(want)).collect();
        if let Some((_, mut around)) = around {
            let is_taken = |dir: &DirScope| {
                let mut known = self.dirs.iter();
                known.any(|known| {
                    dir::same_path(&known.guest, &dir.guest) && !dir::same_path(&known.host, &dir.host)
                })
            };
            // Without its own entry, nothing would keep the inner directory read-only.
            if inside.iter().any(is_taken) {
                around.access = Access::ReadOnly;
            }
            self.add_dir(around);
        }
        inside.into_iter().for_each(|dir| self.add_dir(dir));
    }

    /// Adds a directory, unless the guest already has another one of that name.
    fn add_dir(&mut self, dir: DirScope) {
        let mut known = self.dirs.iter_mut();
        match known.find(|known| dir::same_path(&known.guest, &dir.guest)) {
            Some(known) if dir::same_path(&known.host, &dir.host) => {
                known.access = known.access.min(dir.access);
                known.no_links |= dir.no_links;
            }
            Some(_) => {}
            None => self.dirs.push(dir),
        }
    }

    /// Returns whether a connection to `port` of `address` is within the scope, where the guest passed the host name
    /// `name` (`None` when it passed the address).
    ///
    /// Check the address that the name *resolved to*, for the connection about to be made, so that the name cannot be
    /// pointed elsewhere in between. Do not look up a name that no pattern [matches](NetScope::matches_name). See
    /// [`NetScope::allows_remote`]. For one of the host's own addresses, call [`allows_local_net`](Scopes::allows_local_net)
    /// instead.
    #[must_use]
    pub fn allows_remote_net(&self, name: Option<&str>, address: IpAddr, port: u16) -> bool {
        self.net
            .iter()
            .any(|scope| scope.allows_remote(name, address, port))
    }

    /// Like [`allows_net`](Scopes::allows_remote_net), for an `address` that is one of the host's own, public or not.
    ///
    /// See [`NetScope::allows_local`].
    #[must_use]
    pub fn allows_local_net(&self, name: Option<&str>, address: IpAddr, port: u16) -> bool {
        self.net
            .iter()
            .any(|scope| scope.allows_local(name, address, port))
    }

    /// Returns whether running `program` is within the scope.
    #[must_use]
    pub fn allows_program(&self, program: &str) -> bool {
        self.programs.iter().any(|scope| scope.matches(program))
    }
}
