//! From what a plugin asks for and what the host allows to what it is given.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use dynload_caps::{Access, Capabilities, DirScope, EnvScope, Grant, Limits, ProgramScope, Scopes};

use crate::Plugin;
use crate::manifest::{CapabilityRequest, HostDir};

/// What a host allows to any plugin.
///
/// ```
/// use dynload_caps::{Capabilities, Grant, Limits};
/// use dynload_discovery::Policy;
///
/// let policy = Policy::new(Grant::none().with_capabilities(Capabilities::CONSOLE | Capabilities::TIME), Limits::RESTRICTIVE);
/// assert_eq!(policy.own_directory, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// The capabilities and scopes that a plugin can have.
    pub grant: Grant,
    /// The limits that a plugin can have.
    pub limits: Limits,
    /// What a plugin may do in its own directory, when it asks for it as `$PLUGIN` and `grant` has the capability for
    /// files. `None`: only what the directories of `grant` allow.
    pub own_directory: Option<Access>,
}

impl Policy {
    /// A host that allows `grant` within `limits`, and nothing in the plugins' own directories.
    #[must_use]
    pub fn new(grant: Grant, limits: Limits) -> Policy {
        Policy {
            grant,
            limits,
            own_directory: None,
        }
    }

    /// The same policy with this access to a plugin's own directory.
    ///
    /// # Grants
    /// A plugin that can write to its own directory can change its own code and manifest, and what it asks for next time.
    #[must_use]
    pub fn with_own_directory(mut self, access: Access) -> Policy {
        self.own_directory = Some(access);
        self
    }
}

/// What a plugin is given: as `dynload-sandbox` takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Admission {
    /// What the host allows, cut by what the plugin asks for.
    pub grant: Grant,
    /// The tighter of the host's limits and the plugin's.
    pub limits: Limits,
}

/// A plugin needs capabilities that the host does not allow.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Denied {
    /// The plugin.
    pub id: crate::PluginId,
    /// The capabilities.
    pub missing: Capabilities,
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Denied { id, missing } = self;
        write!(
            f,
            "plugin {id} needs {missing}, which this host does not allow: allow it, or do without the plugin"
        )
    }
}

impl std::error::Error for Denied {}

impl Plugin {
    /// What the plugin is given by a host of this policy: only what both the policy allows and the manifest asks for. A
    /// plugin without a manifest asks for nothing, and is given nothing but limits.
    ///
    /// Directories on both sides are compared with their symbolic links resolved; one that is not there is not given.
    ///
    /// ```no_run
    /// # use dynload_caps::{Capabilities, Grant, Limits};
    /// # use dynload_discovery::{Policy, Scanner, SearchPath};
    /// # let policy = Policy::new(Grant::none().with_capabilities(Capabilities::CONSOLE), Limits::DEFAULT);
    /// # let found = Scanner::new(SearchPath::standard()).scan();
    /// # let plugin = found.get("greeter").ok_or("no greeter")?;
    /// let admitted = plugin.admit(&policy)?;
    /// let bytes = plugin.read_entry(64 << 20)?;
    /// // ... and `admitted.grant`, `admitted.limits` and `bytes` make a sandbox and its instance.
    /// # drop((admitted, bytes));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Denied`] when the policy lacks a capability that the manifest lists under `needs`.
    pub fn admit(&self, policy: &Policy) -> Result<Admission, Denied> {
        let Some(manifest) = self.manifest() else {
            return Ok(Admission {
                grant: Grant::none(),
                limits: policy.limits,
            });
        };
        let request = &manifest.capabilities;
        let missing = request.needs & !policy.grant.capabilities;
        if !missing.is_empty() {
            return Err(Denied {
                id: self.id().clone(),
                missing,
            });
        }
        let mut host = policy.grant.clone();
        for dir in &mut host.scopes.dirs {
            if let Some(real) = real_text(Path::new(&dir.host)) {
                dir.host = real;
            }
        }
        if let (Some(access), Some(dir)) = (policy.own_directory, self.dir().to_str()) {
            host.scopes.dirs.push(DirScope {
                host: dir.to_owned(),
                guest: "/plugin".to_owned(),
                access,
            });
        }
        let requested = Grant::none()
            .with_capabilities(request.all())
            .with_scopes(self.asked_scopes(request));
        Ok(Admission {
            grant: host.intersection(&requested),
            limits: manifest.limits.intersection(&policy.limits),
        })
    }

    fn asked_scopes(&self, request: &CapabilityRequest) -> Scopes {
        let mut scopes = Scopes::none().with_max_workers(request.workers);
        scopes.net.clone_from(&request.hosts);
        for dir in &request.directories {
            let host = self.real_dir(&dir.host).and_then(|path| real_text(&path));
            let scope = host.and_then(|host| DirScope::new(host, dir.guest.clone(), dir.access).ok());
            scopes.dirs.extend(scope);
        }
        for variable in &request.environment {
            scopes.env.push(EnvScope {
                name: variable.name.clone(),
                value: variable.value.clone(),
            });
        }
        // Programs of other platforms are no absolute paths here, and fall out.
        scopes.programs.extend(
            request
                .programs
                .iter()
                .filter_map(|path| ProgramScope::new(path.clone()).ok()),
        );
        scopes
    }

    fn real_dir(&self, dir: &HostDir) -> Option<PathBuf> {
        match dir {
            HostDir::Plugin(below) => Some(self.dir().join(below)),
            HostDir::Home(below) => {
                let home = std::env::home_dir().filter(|home| home.is_absolute())?;
                Some(home.join(below))
            }
            // A path of another platform would be relative here.
            HostDir::Absolute(path) => Some(PathBuf::from(path)).filter(|path| path.is_absolute()),
        }
    }
}

/// The path without symbolic links, where it is there and is Unicode.
fn real_text(path: &Path) -> Option<String> {
    fs::canonicalize(path).ok()?.into_os_string().into_string().ok()
}
