//! Operating systems and processors, as named in manifests.

use std::fmt;
use std::str::FromStr;

use dynload_diagnostics::{nearest_name, printable};

/// The operating systems that a manifest can name, as Rust names them (`std::env::consts::OS`).
pub(crate) const SYSTEMS: &[&str] = &[
    "linux",
    "macos",
    "windows",
    "freebsd",
    "netbsd",
    "openbsd",
    "dragonfly",
    "android",
    "ios",
    "illumos",
];
/// The processors that a manifest can name, as Rust names them (`std::env::consts::ARCH`).
pub(crate) const PROCESSORS: &[&str] = &[
    "x86_64",
    "aarch64",
    "x86",
    "arm",
    "riscv64",
    "riscv32",
    "powerpc64",
    "s390x",
    "loongarch64",
    "mips64",
    "sparc64",
];

/// The platform that plugins run on.
///
/// # Examples
///
/// ```
/// use dynload_discovery::Platform;
///
/// let here = Platform::current();
/// assert_eq!(here.to_string(), format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Platform {
    os: &'static str,
    arch: &'static str,
}

impl Platform {
    /// Returns the platform that this program was compiled for.
    #[must_use]
    pub const fn current() -> Platform {
        Platform {
            os: std::env::consts::OS,
            arch: std::env::consts::ARCH,
        }
    }

    /// Returns the operating system, `linux` for instance.
    #[must_use]
    pub const fn os(self) -> &'static str {
        self.os
    }

    /// Returns the processor, `x86_64` for instance.
    #[must_use]
    pub const fn arch(self) -> &'static str {
        self.arch
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.os, self.arch)
    }
}

impl FromStr for Platform {
    type Err = UnknownPlatform;

    fn from_str(text: &str) -> Result<Platform, UnknownPlatform> {
        match text.parse()? {
            PlatformKey::OsArch { os, arch } => Ok(Platform { os, arch }),
            _ => Err(UnknownPlatform::new(text)),
        }
    }
}

/// The platforms that an entry of a manifest is for: `any`, an operating system, or an `os-arch` pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum PlatformKey {
    /// `any`: used where no other key matches.
    Any,
    /// `linux`: used where no pair matches.
    Os(&'static str),
    /// `linux-x86_64`.
    OsArch {
        /// The operating system.
        os: &'static str,
        /// The processor.
        arch: &'static str,
    },
}

impl PlatformKey {
    /// Returns whether an entry with this key can be used on `platform`.
    #[must_use]
    pub fn fits(self, platform: Platform) -> bool {
        match self {
            PlatformKey::Any => true,
            PlatformKey::Os(os) => os == platform.os,
            PlatformKey::OsArch { os, arch } => os == platform.os && arch == platform.arch,
        }
    }
}

impl fmt::Display for PlatformKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PlatformKey::Any => f.write_str("any"),
            PlatformKey::Os(os) => f.write_str(os),
            PlatformKey::OsArch { os, arch } => write!(f, "{os}-{arch}"),
        }
    }
}

impl FromStr for PlatformKey {
    type Err = UnknownPlatform;

    fn from_str(text: &str) -> Result<PlatformKey, UnknownPlatform> {
        let known = |list: &[&'static str], word: &str| list.iter().copied().find(|name| *name == word);
        if text == "any" {
            return Ok(PlatformKey::Any);
        }
        let key = match text.split_once('-') {
            None => known(SYSTEMS, text).map(PlatformKey::Os),
            Some((os, arch)) => known(SYSTEMS, os)
                .zip(known(PROCESSORS, arch))
                .map(|(os, arch)| PlatformKey::OsArch { os, arch }),
        };
        key.ok_or_else(|| UnknownPlatform::new(text))
    }
}

/// A text that is not the name of a platform.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnknownPlatform {
    /// The text.
    pub found: String,
    /// The known name that it probably meant.
    pub nearest: Option<String>,
}

impl UnknownPlatform {
    fn new(found: &str) -> UnknownPlatform {
        let nearest = match found.split_once('-') {
            None => nearest_name(found, SYSTEMS.iter().copied().chain(["any"])).map(str::to_owned),
            Some((os, arch)) => {
                // The names that other tools use.
                let os = if os == "darwin" { "macos" } else { os };
                let arch = match arch {
                    "amd64" | "x64" => "x86_64",
                    "arm64" => "aarch64",
                    "i686" | "i386" => "x86",
                    other => other,
                };
                let os = nearest_name(os, SYSTEMS.iter().copied());
                let arch = nearest_name(arch, PROCESSORS.iter().copied());
                os.zip(arch).map(|(os, arch)| format!("{os}-{arch}"))
            }
        };
        UnknownPlatform {
            found: found.chars().take(64).collect(),
            nearest,
        }
    }
}

impl fmt::Display for UnknownPlatform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown platform {:?}: ", printable(&self.found))?;
        match &self.nearest {
            Some(nearest) => write!(f, "did you mean `{}`?", printable(nearest)),
            None => f.write_str("write `any`, an operating system (`linux`), or `os-arch` (`linux-x86_64`)"),
        }
    }
}

impl std::error::Error for UnknownPlatform {}

dynload_diagnostics::debug_with_causes!(UnknownPlatform);
