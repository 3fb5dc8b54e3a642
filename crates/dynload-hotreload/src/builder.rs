//! Builds an artifact from a source.

mod capture;
mod cargo;
mod compiler;
mod process;

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use dynload_native::staging::private_directory;

use crate::artifact::ArtifactKind;
use crate::config::{BuildCommand, Builder, Config};
use crate::error::ReloadError;
use crate::inbox::{Inbox, Pending};
use crate::vais;
use crate::watch::Signature;
use process::{Ended, Watch};

/// The maximum length in bytes of the part of the source's name that names of outputs contain. File systems allow 255 for the
/// whole name, to which compilers add their own suffixes.
const MAX_NAME: usize = 64;

/// How the artifact is built from the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Recipe {
    /// No build: the source is loaded as it is.
    AsIs,
    /// A build command.
    Command(BuildCommand),
    /// `cargo build` of the package at the source. Cargo reports the artifact.
    Cargo {
        /// The target directory, unless cargo chooses it.
        target_dir: Option<PathBuf>,
    },
}

impl Recipe {
    /// Returns the recipe for `source`, or `None` if no builder supports it.
    pub(crate) fn choose(config: &Config, source: &Path) -> Option<Self> {
        match &config.builder {
            Builder::None => return Some(Self::AsIs),
            Builder::Command(command) => return Some(Self::Command(command.clone())),
            Builder::Auto => {}
        }
        if ArtifactKind::of(source) != ArtifactKind::Other {
            return Some(Self::AsIs);
        }
        if source.file_name() == Some(OsStr::new("Cargo.toml")) {
            let target_dir = config.output_dir.as_ref().map(|dir| dir.join("cargo-target"));
            return Some(Self::Cargo { target_dir });
        }
        let extension = source.extension().and_then(OsStr::to_str)?.to_ascii_lowercase();
        Some(Self::Command(match extension.as_str() {
            "vais" => BuildCommand::new("vaisc").args(["build", "--hot", "{src}", "-o", "{out}"]),
            "rs" => BuildCommand::new("rustc")
                .args(["--crate-type", "cdylib", "--edition", "2021", "--crate-name"])
                .arg(crate_name(source))
                .args(["{src}", "-o", "{out}"]),
            "c" => compiler::command(),
            _ => return None,
        }))
    }
}

/// Returns a valid crate name for rustc, whatever the name of the file.
fn crate_name(source: &Path) -> String {
    let stem = source.file_stem().unwrap_or_default().to_string_lossy();
    let valid = stem.chars().take(MAX_NAME).map(|c| match c {
        c if c.is_ascii_alphanumeric() => c.to_ascii_lowercase(),
        _ => '_',
    });
    // rustc adds more than a hundred bytes to it for its own files.
    format!("plugin_{}", valid.collect::<String>())
}

/// The inputs of a build besides its recipe.
pub(crate) struct Job<'a> {
    pub(crate) source: &'a Path,
    pub(crate) config: &'a Config,
    /// A directory in which builds create their own directories.
    pub(crate) scratch: &'a Path,
    pub(crate) inbox: &'a Arc<Inbox>,
    pub(crate) overtaken: &'a mut dyn FnMut(Pending) -> bool,
    pub(crate) deliver: &'a dyn Fn(),
    /// Called with the command when it starts.
    pub(crate) starting: &'a mut dyn FnMut(String),
}

/// The result of a build.
pub(crate) enum Outcome {
    Built(Built),
    Superseded,
    Stopped,
}

/// The artifact of a build and its metadata.
pub(crate) struct Built {
    pub(crate) artifact: PathBuf,
    pub(crate) output: String,
    pub(crate) took: Duration,
    /// The build directory, removed with its contents when the artifact has been copied.
    _scratch: Scratch,
}

/// A directory that is removed when the value is dropped.
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Runs `recipe`, which must not be [`Recipe::AsIs`].
pub(crate) fn build(recipe: &Recipe, job: Job<'_>) -> Result<Outcome, ReloadError> {
    // All reloaders of the process may share the directory.
    static LAST: AtomicU64 = AtomicU64::new(0);
    let number = LAST.fetch_add(1, Ordering::Relaxed) + 1;
    let dir = job.scratch.join("build").join(number.to_string());
    fs::create_dir_all(&dir).map_err(|source| ReloadError::OutputDir {
        path: dir.clone(),
        source,
    })?;
    let scratch = Scratch(dir);
    let out = scratch.0.join(out_name(recipe, job.source));
    let places = Placeholders {
        source: job.source,
        out: &out,
        out_dir: &scratch.0,
    };
    let (mut command, cargo) = match recipe {
        Recipe::Command(recipe) => (places.command(recipe), false),
        Recipe::Cargo { target_dir } => {
            if let Some(path) = target_dir {
                // The name is fixed: where others may create files, it could be another user's.
                private_directory(path).map_err(|source| ReloadError::OutputDir {
                    path: path.clone(),
                    source: io::Error::other(source),
                })?;
            }
            (cargo::command(job.source, target_dir.as_deref()), true)
        }
        Recipe::AsIs => unreachable!("callers do not build `AsIs`"),
    };
    if job.config.builder == Builder::Auto && vais::is_source(job.source) {
        let (name, value) = vais::LINKED_AS_LIBRARY;
        command.env(name, value);
    }
    command.envs(job.config.env.iter().map(|(name, value)| (name, value)));
    check_unicode(&command)?;
    let shown = shown(&command);
    let program = command.get_program().to_string_lossy().into_owned();
    (job.starting)(shown.clone());
    let earlier = match recipe {
        Recipe::Command(BuildCommand {
            output: Some(path), ..
        }) => Signature::of(path),
        _ => None,
    };
    let started = Instant::now();
    let watch = Watch {
        inbox: job.inbox,
        debounce: job.config.debounce,
        limit: job.config.build_timeout,
        overtaken: job.overtaken,
        deliver: job.deliver,
    };
    let ended = process::run(&command, cargo, watch).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => ReloadError::BuilderMissing {
            program,
            path: job.source.to_owned(),
            source,
        },
        _ => ReloadError::Builder {
            command: shown.clone(),
            source,
        },
    })?;
    match ended {
        Ended::Superseded => Ok(Outcome::Superseded),
        Ended::Stopped => Ok(Outcome::Stopped),
        Ended::Timeout { output } => {
            let limit = job.config.build_timeout.unwrap_or_default();
            Err(ReloadError::BuildTimeout {
                command: shown,
                limit,
                output,
            })
        }
        Ended::Exited {
            status: Some(status),
            output,
            ..
        } if !status.success() => Err(ReloadError::BuildFailed {
            command: shown,
            status: status.to_string(),
            output,
        }),
        // If the status is unknown, the artifact decides.
        Ended::Exited {
            status,
            stdout,
            output,
        } => {
            let artifact = match recipe {
                Recipe::Cargo { .. } => cargo::artifact(&stdout, job.source).ok_or_else(|| {
                    "a shared library or Wasm module: set `crate-type = [\"cdylib\"]` in the package's [lib]".to_owned()
                }),
                // An earlier build may have written it.
                Recipe::Command(BuildCommand {
                    output: Some(path), ..
                }) if status.is_none() && Signature::of(path) == earlier => {
                    Err(format!("a new file `{}` (the exit status is unknown)", path.display()))
                }
                Recipe::Command(BuildCommand {
                    output: Some(path), ..
                }) => is_there(path),
                _ => is_there(&out),
            };
            match artifact {
                Ok(artifact) => Ok(Outcome::Built(Built {
                    artifact,
                    output,
                    took: started.elapsed(),
                    _scratch: scratch,
                })),
                Err(expected) => Err(ReloadError::NoArtifact {
                    command: shown,
                    expected,
                    output,
                }),
            }
        }
    }
}

fn is_there(path: &Path) -> Result<PathBuf, String> {
    if path.is_file() {
        Ok(path.to_owned())
    } else {
        Err(format!("the file `{}`", path.display()))
    }
}

/// Returns the file name of the artifact: that of the source, shortened, with the extension of the platform's shared
/// libraries. It is Unicode, because not every compiler accepts other names.
fn out_name(recipe: &Recipe, source: &Path) -> String {
    let stem = source
        .file_stem()
        .unwrap_or(OsStr::new("plugin"))
        .to_string_lossy();
    let mut name = stem.replace(char::REPLACEMENT_CHARACTER, "_");
    while name.len() > MAX_NAME {
        name.pop();
    }
    let extension = match recipe {
        Recipe::Command(BuildCommand {
            extension: Some(extension),
            ..
        }) => extension,
        _ => std::env::consts::DLL_EXTENSION,
    };
    format!("{name}.{extension}")
}

/// Returns an error if one of the builders that accept only Unicode would get another argument. They say so themselves, but
/// not what to do.
fn check_unicode(command: &Command) -> Result<(), ReloadError> {
    let program = command.get_program();
    if program != "rustc" && program != "cargo" {
        return Ok(());
    }
    match command.get_args().find(|arg| arg.to_str().is_none()) {
        Some(path) => Err(ReloadError::NotUnicode {
            program: program.to_string_lossy().into_owned(),
            path: path.into(),
        }),
        None => Ok(()),
    }
}

/// The values of a command's placeholders.
struct Placeholders<'a> {
    source: &'a Path,
    out: &'a Path,
    out_dir: &'a Path,
}

impl Placeholders<'_> {
    fn command(&self, recipe: &BuildCommand) -> Command {
        let mut command = Command::new(&recipe.program);
        command.args(recipe.args.iter().map(|arg| self.fill(arg)));
        if let Some(dir) = &recipe.current_dir {
            command.current_dir(dir);
        }
        command
    }

    fn fill(&self, arg: &OsStr) -> OsString {
        // An argument that is not Unicode is passed on unchanged.
        let Some(mut text) = arg.to_str() else {
            return arg.to_owned();
        };
        let mut filled = OsString::new();
        while let Some(open) = text.find('{') {
            filled.push(&text[..open]);
            text = &text[open..];
            let (taken, with) = [
                ("{src}", self.source.as_os_str()),
                ("{out}", self.out.as_os_str()),
                ("{out_dir}", self.out_dir.as_os_str()),
            ]
            .into_iter()
            .find(|(name, _)| text.starts_with(name))
            .map_or((1, OsStr::new("{")), |(name, with)| (name.len(), with));
            filled.push(with);
            text = &text[taken..];
        }
        filled.push(text);
        filled
    }
}

/// Returns the command in human-readable form.
fn shown(command: &Command) -> String {
    std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|part| {
            let part = part.to_string_lossy();
            if part.is_empty() || part.contains(|c: char| c.is_whitespace() || c == '"' || c == '\'') {
                format!("{part:?}")
            } else {
                part.into_owned()
            }
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(source: &str) -> Option<String> {
        match Recipe::choose(&Config::new(source), source.as_ref())? {
            Recipe::AsIs => Some("as is".into()),
            Recipe::Cargo { .. } => Some("cargo".into()),
            Recipe::Command(command) => Some(command.program.to_string_lossy().into_owned()),
        }
    }

    #[test]
    fn the_name_of_the_source_selects_the_builder() {
        let cases = [
            ("a/plugin.vais", Some("vaisc")),
            ("plugin.rs", Some("rustc")),
            ("plugin.c", Some("cc")),
            ("x/Cargo.toml", Some("cargo")),
            ("other.toml", None),
            ("libx.so", Some("as is")),
            ("libx.so.1", Some("as is")),
            ("x.dylib", Some("as is")),
            ("x.dll", Some("as is")),
            ("x.wasm", Some("as is")),
            ("x.wat", Some("as is")),
            ("README", None),
            ("", None),
        ];
        for (source, expected) in cases {
            assert_eq!(program(source).as_deref(), expected, "{source}");
        }
    }

    #[test]
    fn placeholders_are_filled_in() {
        let places = Placeholders {
            source: "/s p/x.c".as_ref(),
            out: "/o/x.so".as_ref(),
            out_dir: "/o".as_ref(),
        };
        let fill = |arg: &str| places.fill(arg.as_ref()).into_string().unwrap();
        assert_eq!(fill("{src}"), "/s p/x.c");
        assert_eq!(fill("-o{out}"), "-o/o/x.so");
        assert_eq!(fill("{out_dir}/{out}{src}"), "/o//o/x.so/s p/x.c");
        assert_eq!(fill("{other} { {{src}}"), "{other} { {/s p/x.c}");
        assert_eq!(fill("plain"), "plain");
    }

    #[test]
    fn names_of_outputs_are_short_and_unicode() {
        let name = |source: &Path| out_name(&Recipe::Cargo { target_dir: None }, source);
        let extension = std::env::consts::DLL_EXTENSION;
        assert_eq!(name("/x/my plugin.c".as_ref()), format!("my plugin.{extension}"));
        let long = format!("{}ü.c", "x".repeat(MAX_NAME - 1));
        assert_eq!(
            name(long.as_ref()),
            format!("{}.{extension}", "x".repeat(MAX_NAME - 1))
        );
        assert_eq!(crate_name(long.as_ref()).len(), "plugin_".len() + MAX_NAME);
        #[cfg(unix)]
        {
            use std::os::unix::ffi::OsStrExt;
            let odd = OsStr::from_bytes(b"/x/a\xffb.c");
            assert_eq!(name(odd.as_ref()), format!("a_b.{extension}"));
        }
    }

    #[test]
    fn crate_names_are_valid() {
        assert_eq!(crate_name("/x/my-plugin 2.rs".as_ref()), "plugin_my_plugin_2");
        assert_eq!(crate_name("9ü.rs".as_ref()), "plugin_9_");
    }
}
