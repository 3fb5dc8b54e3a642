//! Graphics and compute processors.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::str::FromStr;

use super::{ParseGpuPatternError, ScopeError};

/// The GPUs that a guest may use, and how much of them.
///
/// Without a pattern (the [`Default`]) it opens no device.
///
/// # Examples
///
/// ```
/// use dynload_caps::{GpuKind, GpuScope};
///
/// let scope = GpuScope::new(["discrete".parse()?, "name:llvmpipe*".parse()?]).with_max_memory_bytes(16 << 20);
/// assert!(scope.allows(GpuKind::Discrete, "Example 9000"));
/// assert!(scope.allows(GpuKind::Cpu, "llvmpipe (LLVM 15.0.6, 256 bits)"));
/// assert!(!scope.allows(GpuKind::Integrated, "Example 100"));
/// # Ok::<(), dynload_caps::ParseGpuPatternError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    feature = "serde",
    derive(serde::Serialize, serde::Deserialize),
    serde(default, deny_unknown_fields)
)]
#[non_exhaustive]
pub struct GpuScope {
    /// The devices. Without a pattern, none is open.
    pub devices: Vec<GpuPattern>,
    /// The maximum size of all buffers of an instance together, in bytes.
    pub max_memory_bytes: u64,
    /// The maximum number of shader invocations of all dispatches of one call together.
    pub max_invocations: u64,
    /// The maximum size of one shader's source text, in bytes. At most [`MAX_SHADER_BYTES`](GpuScope::MAX_SHADER_BYTES).
    pub max_shader_bytes: u32,
}

impl GpuScope {
    /// The highest value of [`max_shader_bytes`](GpuScope::max_shader_bytes): 1 MiB.
    pub const MAX_SHADER_BYTES: u32 = 1 << 20;

    /// Creates a scope for these devices, with 64 MiB of buffers, 2^32 invocations in a call and shaders of 64 KiB.
    ///
    /// # Grants
    ///
    /// The plugin can run any shader on them, within the limits. Loops in a shader are bounded by the time limit alone.
    #[must_use]
    pub fn new(devices: impl IntoIterator<Item = GpuPattern>) -> GpuScope {
        GpuScope {
            devices: devices.into_iter().collect(),
            ..GpuScope::default()
        }
    }

    /// Sets the maximum size of all buffers of an instance together, in bytes.
    #[must_use]
    pub fn with_max_memory_bytes(mut self, bytes: u64) -> GpuScope {
        self.max_memory_bytes = bytes;
        self
    }

    /// Sets the maximum number of shader invocations of all dispatches of one call together.
    #[must_use]
    pub fn with_max_invocations(mut self, invocations: u64) -> GpuScope {
        self.max_invocations = invocations;
        self
    }

    /// Sets the maximum size of one shader's source text, in bytes.
    #[must_use]
    pub fn with_max_shader_bytes(mut self, bytes: u32) -> GpuScope {
        self.max_shader_bytes = bytes;
        self
    }

    /// Returns whether a device of this kind and name is open.
    #[must_use]
    pub fn allows(&self, kind: GpuKind, name: &str) -> bool {
        self.devices.iter().any(|pattern| pattern.matches(kind, name))
    }

    /// Returns whether it opens no device.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    pub(super) fn validate(&self) -> Result<(), ScopeError> {
        if self.max_shader_bytes > GpuScope::MAX_SHADER_BYTES {
            return Err(ScopeError::ShaderBytes {
                found: self.max_shader_bytes,
            });
        }
        Ok(())
    }

    /// Returns the devices that both allow, with the lesser of each limit.
    pub(super) fn intersection(&self, requested: &GpuScope) -> GpuScope {
        let mut both = GpuScope {
            devices: Vec::new(),
            max_memory_bytes: self.max_memory_bytes.min(requested.max_memory_bytes),
            max_invocations: self.max_invocations.min(requested.max_invocations),
            max_shader_bytes: self.max_shader_bytes.min(requested.max_shader_bytes),
        };
        for want in &requested.devices {
            for have in &self.devices {
                if let Some(pattern) = have.intersection(want)
                    && !both.devices.contains(&pattern)
                {
                    both.devices.push(pattern);
                }
            }
        }
        if both.is_empty() {
            // The limits of nothing say nothing.
            return GpuScope::default();
        }
        both
    }
}

impl Default for GpuScope {
    fn default() -> GpuScope {
        GpuScope {
            devices: Vec::new(),
            max_memory_bytes: 64 << 20,
            max_invocations: 1 << 32,
            max_shader_bytes: 64 << 10,
        }
    }
}

/// The kinds of devices, as Vulkan (`VkPhysicalDeviceType`) and WebGPU implementations report them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GpuKind {
    /// A driver that computes on the processor.
    Cpu,
    /// A GPU that shares the memory of the processor.
    Integrated,
    /// A GPU with memory of its own.
    Discrete,
    /// A GPU of a virtual machine.
    Virtual,
    /// Something else, or unknown.
    Other,
}

const KINDS: [(GpuKind, &str); 5] = [
    (GpuKind::Cpu, "cpu"),
    (GpuKind::Integrated, "integrated"),
    (GpuKind::Discrete, "discrete"),
    (GpuKind::Virtual, "virtual"),
    (GpuKind::Other, "other"),
];

impl fmt::Display for GpuKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut kinds = KINDS.iter();
        f.write_str(
            kinds
                .find(|(kind, _)| kind == self)
                .map_or("other", |(_, word)| word),
        )
    }
}

/// A pattern of devices, `KIND` or `KIND:NAME`.
///
/// | kind | allows |
/// | --- | --- |
/// | `cpu`, `integrated`, `discrete`, `virtual`, `other` | the devices of that kind |
/// | `*` | every device but those of kind `cpu`, which are slow and share the processor with the host |
/// | `name` | every device, with a name |
///
/// The name is the whole name of the device, or its beginning followed by `*`. Case matters.
///
/// # Examples
///
/// ```
/// use dynload_caps::{GpuKind, GpuPattern};
///
/// let any: GpuPattern = "*".parse()?;
/// assert!(any.matches(GpuKind::Integrated, "Example 100") && !any.matches(GpuKind::Cpu, "llvmpipe"));
/// let named: GpuPattern = "discrete:Example *".parse()?;
/// assert!(named.matches(GpuKind::Discrete, "Example 9000"));
/// assert_eq!(named.to_string(), "discrete:Example *");
/// # Ok::<(), dynload_caps::ParseGpuPatternError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct GpuPattern {
    kind: Kinds,
    name: Name,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Kinds {
    All,
    AllButCpu,
    One(GpuKind),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Name {
    Any,
    Exact(String),
    Prefix(String),
}

impl GpuPattern {
    /// Returns whether a device of this kind and name matches.
    #[must_use]
    pub fn matches(&self, kind: GpuKind, name: &str) -> bool {
        let has_kind = match self.kind {
            Kinds::All => true,
            Kinds::AllButCpu => kind != GpuKind::Cpu,
            Kinds::One(one) => one == kind,
        };
        let has_name = match &self.name {
            Name::Any => true,
            Name::Exact(exact) => exact == name,
            Name::Prefix(prefix) => name.starts_with(prefix.as_str()),
        };
        has_kind && has_name
    }

    /// Returns the pattern of the devices that match both, if there can be any.
    #[must_use]
    pub fn intersection(&self, other: &GpuPattern) -> Option<GpuPattern> {
        let kind = match (self.kind, other.kind) {
            (Kinds::All, kind) | (kind, Kinds::All) => kind,
            (Kinds::AllButCpu, Kinds::AllButCpu) => Kinds::AllButCpu,
            (Kinds::AllButCpu, Kinds::One(kind)) | (Kinds::One(kind), Kinds::AllButCpu) => {
                (kind != GpuKind::Cpu).then_some(Kinds::One(kind))?
            }
            (Kinds::One(one), Kinds::One(two)) => (one == two).then_some(Kinds::One(one))?,
        };
        let name = match (&self.name, &other.name) {
            (Name::Any, name) | (name, Name::Any) => name,
            (exact @ Name::Exact(name), Name::Prefix(prefix))
            | (Name::Prefix(prefix), exact @ Name::Exact(name)) => {
                name.starts_with(prefix.as_str()).then_some(exact)?
            }
            (one @ Name::Prefix(first), two @ Name::Prefix(second)) => {
                if first.starts_with(second.as_str()) {
                    one
                } else {
                    second.starts_with(first.as_str()).then_some(two)?
                }
            }
            (one, two) => (one == two).then_some(one)?,
        };
        let name = name.clone();
        Some(GpuPattern { kind, name })
    }
}

impl FromStr for GpuPattern {
    type Err = ParseGpuPatternError;

    fn from_str(text: &str) -> Result<GpuPattern, ParseGpuPatternError> {
        let (word, name) = match text.split_once(':') {
            Some((word, name)) => (word, Some(name)),
            None => (text, None),
        };
        let kind = match word {
            "*" => Kinds::AllButCpu,
            "name" => Kinds::All,
            _ => {
                let found = KINDS.iter().find(|(_, known)| *known == word);
                let unknown = || ParseGpuPatternError::UnknownKind(word.to_owned());
                Kinds::One(found.ok_or_else(unknown)?.0)
            }
        };
        let name = match name {
            None if kind == Kinds::All => return Err(ParseGpuPatternError::NoName),
            None => Name::Any,
            Some("") => return Err(ParseGpuPatternError::NoName),
            Some(name) => match name.strip_suffix('*') {
                Some("") => Name::Any,
                Some(prefix) => Name::Prefix(prefix.to_owned()),
                None => Name::Exact(name.to_owned()),
            },
        };
        Ok(GpuPattern { kind, name })
    }
}

impl fmt::Display for GpuPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kinds::All => f.write_str("name")?,
            Kinds::AllButCpu => f.write_str("*")?,
            Kinds::One(kind) => write!(f, "{kind}")?,
        }
        match &self.name {
            Name::Any if self.kind == Kinds::All => f.write_str(":*"),
            Name::Any => Ok(()),
            Name::Exact(name) => write!(f, ":{name}"),
            Name::Prefix(prefix) => write!(f, ":{prefix}*"),
        }
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for GpuPattern {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for GpuPattern {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
