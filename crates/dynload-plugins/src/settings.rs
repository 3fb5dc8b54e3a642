//! What a host decides before plugins are loaded.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::num::NonZero;

use dynload_caps::Limits;
use dynload_discovery::{ConfigValue, Plugin, Policy, Scanner};
use dynload_hotreload::NativeLoader;
use dynload_sandbox::{EngineConfig, Sandbox};

use crate::plugins::Plugins;

/// Prepares the sandbox of a plugin.
type Prepare = dyn Fn(&Plugin, &mut Sandbox) -> Result<(), Box<dyn Error + Send + Sync>> + Send + Sync;

/// What a host decides before plugins are loaded.
///
/// # Examples
///
/// ```
/// use dynload_plugins::{Capabilities, ConfigValue, Grant, Limits, Policy, Scanner, SearchPath, Settings};
///
/// let scanner = Scanner::new(SearchPath::standard().with_dir("plugins"));
/// let grant = Grant::none().with_capabilities(Capabilities::CONSOLE | Capabilities::TIME);
/// let settings = Settings::new(scanner, Policy::new(grant, Limits::DEFAULT))
///     .with_config("greeter", "greeting", ConfigValue::String("hello".into()))
///     .with_sandbox(|plugin, sandbox| {
///         let name = plugin.name().to_owned();
///         sandbox.func_wrap("editor", "insert", Capabilities::NONE, move |caller, (ptr, len): (i32, i32)| {
///             let memory = caller.memory()?;
///             let text = memory.slice(ptr as u32, len as u32)?;
///             println!("{name} inserts {}", String::from_utf8_lossy(text));
///             Ok(())
///         });
///         Ok(())
///     });
/// # drop(settings);
/// ```
pub struct Settings {
    pub(crate) scanner: Scanner,
    pub(crate) policy: Policy,
    pub(crate) engine: EngineConfig,
    pub(crate) instances: NonZero<usize>,
    /// By plugin and name.
    pub(crate) config: BTreeMap<String, BTreeMap<String, Setting>>,
    pub(crate) prepare: Option<Box<Prepare>>,
    pub(crate) native: Option<NativeLoader>,
}

/// The host's value for a setting of a plugin.
pub(crate) enum Setting {
    Value(ConfigValue),
    /// A text, to be read as the type that the manifest declares.
    Text(String),
}

impl Settings {
    /// Creates settings: where to search, and what any plugin may have.
    #[must_use]
    pub fn new(scanner: Scanner, policy: Policy) -> Settings {
        Settings {
            scanner,
            policy,
            engine: EngineConfig::default(),
            instances: NonZero::<usize>::MIN,
            config: BTreeMap::new(),
            prepare: None,
            native: None,
        }
    }

    /// Sets a setting of a plugin, which its manifest declares. One that it does not declare is an error when it is loaded.
    #[must_use]
    pub fn with_config(mut self, id: &str, name: &str, value: ConfigValue) -> Settings {
        let config = self.config.entry(id.to_owned()).or_default();
        config.insert(name.to_owned(), Setting::Value(value));
        self
    }

    /// Sets a setting of a plugin from a text, which is read as the type that its manifest declares
    /// ([`ConfigType::parse`](dynload_discovery::ConfigType::parse)).
    #[must_use]
    pub fn with_config_text(mut self, id: &str, name: &str, text: &str) -> Settings {
        let config = self.config.entry(id.to_owned()).or_default();
        config.insert(name.to_owned(), Setting::Text(text.to_owned()));
        self
    }

    /// Sets the limits of the policy.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Settings {
        self.policy.limits = limits;
        self
    }

    /// Sets a function that prepares the sandbox of each Wasm plugin: host functions, console, clock. It is called before each
    /// load; the grant, the limits and the configuration are already set.
    ///
    /// # Grants
    ///
    /// Whatever the function adds.
    #[must_use]
    pub fn with_sandbox(
        mut self,
        prepare: impl Fn(&Plugin, &mut Sandbox) -> Result<(), Box<dyn Error + Send + Sync>>
        + Send
        + Sync
        + 'static,
    ) -> Settings {
        self.prepare = Some(Box::new(prepare));
        self
    }

    /// Sets the configuration of the engine.
    #[must_use]
    pub fn with_engine(mut self, engine: EngineConfig) -> Settings {
        self.engine = engine;
        self
    }

    /// Sets how many calls of one plugin can run at the same time: each needs an instance of its own. The default is 1.
    #[must_use]
    pub fn with_instances(mut self, most: NonZero<usize>) -> Settings {
        self.instances = most;
        self
    }

    /// Loads native plugins too, with a loader that
    /// [`native_loader!`](dynload_hotreload::native_loader) creates in an `unsafe` block.
    ///
    /// They receive their settings through their [`dynload_plugin_configure`](dynload_native::descriptor::Configure). A plugin
    /// that has settings and does not export it is not loaded.
    ///
    /// # Grants
    ///
    /// A native plugin can do whatever the process can, whatever its manifest requests.
    #[must_use]
    pub fn with_native(mut self, loader: NativeLoader) -> Settings {
        self.native = Some(loader);
        self
    }

    /// Searches, and loads what is found. Each plugin that cannot be loaded is an [event](Plugins::next_event).
    #[must_use]
    pub fn open(self) -> Plugins {
        Plugins::with_settings(self)
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("scanner", &self.scanner)
            .field("policy", &self.policy)
            .field("instances", &self.instances)
            .finish_non_exhaustive()
    }
}
