//! Computes what a plugin is granted, from what it requests and what the host allows.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use dynload_caps::{
    Access, Capabilities, DirScope, EnvScope, GpuScope, Grant, Limits, NetScope, ProgramScope, Scopes,
};
use dynload_diagnostics::printable;

use crate::Plugin;
use crate::manifest::{CapabilityRequest, HostDir};

/// What a host allows any plugin.
///
/// # Examples
///
/// ```
/// use dynload_caps::{Capabilities, Grant, Limits};
/// use dynload_discovery::Policy;
///
/// let policy = Policy::new(Grant::none().with_capabilities(Capabilities::CONSOLE | Capabilities::TIME), Limits::RESTRICTIVE);
/// assert_eq!(policy.own_directory, None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// The capabilities and scopes that a plugin can have.
    pub grant: Grant,
    /// The limits that a plugin can have.
    pub limits: Limits,
    /// The access that a plugin gets to its own directory if its manifest requests `$PLUGIN` and `grant` includes
    /// `fs_read` or `fs_write`. With `None` it gets only what `grant.scopes.dirs` covers.
    pub own_directory: Option<Access>,
}

impl Policy {
    /// Creates a policy that allows `grant` within `limits`, and no access to the plugins' own directories.
    #[must_use]
    pub fn new(grant: Grant, limits: Limits) -> Policy {
        Policy {
            grant,
            limits,
            own_directory: None,
        }
    }

    /// Sets the access of a plugin to its own directory.
    ///
    /// # Grants
    ///
    /// A plugin that can write to its own directory can change its own code and manifest, and what it requests next time.
    #[must_use]
    pub fn with_own_directory(mut self, access: Access) -> Policy {
        self.own_directory = Some(access);
        self
    }
}

/// What a plugin is granted, as values that `dynload-sandbox` accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Admission {
    /// What the host allows, reduced to what the plugin requests.
    pub grant: Grant,
    /// The lower of the host's limits and the plugin's.
    pub limits: Limits,
    /// What the plugin requests and does not get.
    pub reductions: Vec<Reduction>,
}

/// Something that a plugin requests in its manifest and that the host does not allow, or only in part.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reduction {
    /// Capabilities that it lists as optional.
    Capabilities(Capabilities),
    /// A directory, by the name that the plugin uses for it: not granted, or with less access, or only some directories in it.
    Directory(String),
    /// An environment variable.
    Variable(String),
    /// A pattern of hosts and ports: not granted, or only some of them.
    Hosts(NetScope),
    /// A program.
    Program(String),
    /// GPUs: not granted, or only some of them, or less of them.
    Gpu,
    /// Workers: the number that it requests, and the number that it gets.
    Workers {
        /// The number that it requests.
        requested: u32,
        /// The number that it gets.
        granted: u32,
    },
}

impl fmt::Display for Reduction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reduction::Capabilities(capabilities) => {
                write!(f, "the optional capabilities {capabilities} are not granted")
            }
            Reduction::Directory(guest) => {
                write!(
                    f,
                    "the directory `{}` is not granted as requested",
                    printable(guest).path()
                )
            }
            Reduction::Variable(name) => write!(f, "the variable `{}` is not granted", printable(name)),
            Reduction::Hosts(pattern) => write!(f, "the hosts `{pattern}` are not granted as requested"),
            Reduction::Program(path) => {
                write!(f, "the program `{}` is not granted", printable(path).path())
            }
            Reduction::Gpu => f.write_str("the GPUs are not granted as requested"),
            Reduction::Workers { requested, granted } => {
                write!(f, "{granted} workers are granted, of {requested}")
            }
        }
    }
}

/// Returns what `granted` lacks of what is requested. A directory that does not exist is in `request` alone.
fn reductions(request: &CapabilityRequest, requested: &Grant, granted: &Grant) -> Vec<Reduction> {
    let mut reductions = Vec::new();
    let missing = requested.capabilities & !granted.capabilities;
    if !missing.is_empty() {
        reductions.push(Reduction::Capabilities(missing));
    }
    let (want, have) = (&requested.scopes, &granted.scopes);
    for dir in &request.directories {
        let want = want.dirs.iter().find(|want| want.guest == dir.guest);
        let is_granted = want.is_some_and(|want| {
            let same = |have: &DirScope| {
                (&have.guest, &have.host, have.access) == (&want.guest, &want.host, want.access)
            };
            have.dirs.iter().any(same)
        });
        if !is_granted {
            reductions.push(Reduction::Directory(dir.guest.clone()));
        }
    }
    for variable in &want.env {
        if !have.env.iter().any(|have| have.name == variable.name) {
            reductions.push(Reduction::Variable(variable.name.clone()));
        }
    }
    for pattern in want.net.iter().filter(|pattern| !have.net.contains(pattern)) {
        reductions.push(Reduction::Hosts(pattern.clone()));
    }
    for program in want
        .programs
        .iter()
        .filter(|program| !have.programs.contains(program))
    {
        reductions.push(Reduction::Program(program.path.clone()));
    }
    if have.max_workers < want.max_workers {
        reductions.push(Reduction::Workers {
            requested: want.max_workers,
            granted: have.max_workers,
        });
    }
    if is_reduced(&have.gpu, &want.gpu) {
        reductions.push(Reduction::Gpu);
    }
    reductions
}

/// Returns whether some of the requested devices are not granted, or less of them. What is granted may list a device by more
/// patterns than the request.
fn is_reduced(have: &GpuScope, want: &GpuScope) -> bool {
    let lacks = |device| !have.devices.contains(device);
    let is_less = have.max_memory_bytes < want.max_memory_bytes
        || have.max_invocations < want.max_invocations
        || have.max_shader_bytes < want.max_shader_bytes;
    !want.is_empty() && (is_less || want.devices.iter().any(lacks))
}

/// The error of a plugin that needs capabilities that the host does not allow.
#[derive(Clone, PartialEq, Eq)]
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

dynload_diagnostics::debug_with_causes!(Denied);

impl Plugin {
    /// Returns what a host with this policy grants the plugin: only what both the policy allows and the manifest requests.
    ///
    /// A plugin without a manifest requests nothing, and is granted nothing; only the policy's limits apply.
    ///
    /// The directories of both sides are compared after resolving symbolic links; one that does not exist is not
    /// granted. They are granted [without links](DirScope::without_links): a directory that is exchanged for a link afterwards,
    /// by the plugin itself for instance, is refused when it is opened. Directories and programs of other platforms are
    /// skipped.
    ///
    /// # Grants
    ///
    /// `dynload-sandbox` enforces the result for a Wasm plugin. Nothing enforces it for a native plugin, which can do
    /// whatever its process can once it is loaded, whatever its manifest requests.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use dynload_caps::{Capabilities, Grant, Limits};
    /// # use dynload_discovery::{Policy, Scanner, SearchPath};
    /// # let policy = Policy::new(Grant::none().with_capabilities(Capabilities::CONSOLE), Limits::DEFAULT);
    /// # let found = Scanner::new(SearchPath::standard()).scan();
    /// # let plugin = found.get("greeter").ok_or("no greeter")?;
    /// let admitted = plugin.admit(&policy)?;
    /// let bytes = plugin.read_entry(64 << 20)?;
    /// // Create a sandbox and its instance from `admitted.grant`, `admitted.limits` and `bytes`.
    /// # drop((admitted, bytes));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`Denied`] when the policy lacks a capability that the manifest lists under `needs`.
    pub fn admit(&self, policy: &Policy) -> Result<Admission, Denied> {
        let Some(manifest) = self.manifest() else {
            return Ok(Admission {
                grant: Grant::none(),
                limits: policy.limits,
                reductions: Vec::new(),
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
                dir.no_links = true;
            }
        }
        if let (Some(access), Some(dir)) = (policy.own_directory, self.dir().to_str()) {
            host.scopes.dirs.push(DirScope {
                host: dir.to_owned(),
                guest: "/plugin".to_owned(),
                access,
                no_links: true,
            });
        }
        let requested = Grant::none()
            .with_capabilities(request.all())
            .with_scopes(self.asked_scopes(request));
        let grant = host.intersection(&requested);
        Ok(Admission {
            reductions: reductions(request, &requested, &grant),
            grant,
            limits: manifest.limits.intersection(&policy.limits),
        })
    }

    fn asked_scopes(&self, request: &CapabilityRequest) -> Scopes {
        let mut scopes = Scopes::none().with_max_workers(request.workers);
        scopes.net.clone_from(&request.hosts);
        scopes.gpu.clone_from(&request.gpu);
        for dir in &request.directories {
            let host = self.real_dir(&dir.host).and_then(|path| real_text(&path));
            let scope = host.and_then(|host| DirScope::new(host, dir.guest.clone(), dir.access).ok());
            scopes.dirs.extend(scope.map(DirScope::without_links));
        }
        for variable in &request.environment {
            scopes.env.push(EnvScope {
                name: variable.name.clone(),
                value: variable.value.clone(),
            });
        }
        // Programs of other platforms are not absolute paths here, and are skipped.
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

/// Returns the path without symbolic links, if it exists and is Unicode.
fn real_text(path: &Path) -> Option<String> {
    fs::canonicalize(path).ok()?.into_os_string().into_string().ok()
}
