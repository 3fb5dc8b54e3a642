//! Compiles the programs, each once.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use crate::coremark;
use crate::list::{Made, Program, Sources};
use crate::sources::Workspace;

/// The flags of the guests in `tests/guests`, with room for deep recursion.
const FLAGS: &[&str] = &[
    "--target=wasm32-wasi",
    "-O2",
    "-mbulk-memory",
    "-msign-ext",
    "-mnontrapping-fptoint",
    "-ftls-model=local-exec",
    "-nostartfiles",
    "-Wl,--no-entry",
    "-Wl,--strip-all",
    "-Wl,-z,stack-size=1048576",
    "-DNDEBUG",
    // Warnings concern only the libraries' authors.
    "-w",
];

/// Why a program cannot be built.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// A build tool cannot be started.
    Start(&'static str, io::Error),
    /// A file cannot be read or written.
    File(PathBuf, io::Error),
    /// The compiler or cargo failed with this output.
    Refused(String),
    /// The output of cargo cannot be parsed.
    Metadata(serde_json::Error),
    /// Cargo reports no package of this name.
    NoPackage(String),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(program, _) => write!(f, "cannot start `{program}`: check that it is installed"),
            Self::File(path, _) => write!(f, "cannot read or write `{}`", path.display()),
            Self::Refused(said) => write!(f, "the program cannot be built:\n{said}"),
            Self::Metadata(_) => f.write_str("cannot parse the output of `cargo metadata`"),
            Self::NoPackage(name) => write!(f, "cargo reports no package `{name}`"),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Start(_, cause) | Self::File(_, cause) => Some(cause),
            Self::Metadata(cause) => Some(cause),
            Self::Refused(_) | Self::NoPackage(_) => None,
        }
    }
}

/// Builds programs into a folder of the target directory, and reuses those that are already built.
pub struct Builder {
    workspace: Workspace,
    folder: PathBuf,
}

impl Builder {
    /// Returns a builder for this workspace. Fetches the sources if they are missing.
    ///
    /// # Errors
    ///
    /// If cargo fails, or if the folder cannot be created.
    pub fn new() -> Result<Builder, BuildError> {
        let workspace = Workspace::ask()?;
        let folder = workspace.target.join("programs");
        std::fs::create_dir_all(&folder).map_err(|cause| BuildError::File(folder.clone(), cause))?;
        Ok(Builder { workspace, folder })
    }

    /// Returns the binary of a program, and builds it first if necessary.
    ///
    /// # Errors
    ///
    /// If the program has to be built and cannot be built.
    pub fn wasm(&self, program: &Program) -> Result<Vec<u8>, BuildError> {
        let (sources, flags) = match program.made {
            Made::Compiled { sources, flags } => (sources, flags),
            Made::CoreMark { package, header } => {
                return coremark::wasm(&self.workspace.package(package)?.join(header));
            }
        };
        let output = self.folder.join(program.name).with_extension("wasm");
        let arguments = self.arguments(program.name, sources, flags, &output)?;
        // The folders' names contain the versions, so a change of version is detected.
        let note = format!("{arguments:?}");
        let note_file = output.with_extension("command");
        let current = std::fs::read_to_string(&note_file).is_ok_and(|before| before == note)
            && changed(&output).is_some_and(|built| built > drivers_changed());
        if !current {
            compile(&arguments)?;
            std::fs::write(&note_file, note).map_err(|cause| BuildError::File(note_file, cause))?;
        }
        std::fs::read(&output).map_err(|cause| BuildError::File(output, cause))
    }

    fn arguments(
        &self,
        driver: &str,
        sources: &[Sources],
        flags: &[&str],
        output: &Path,
    ) -> Result<Vec<OsString>, BuildError> {
        let mut arguments: Vec<OsString> = FLAGS.iter().chain(flags).map(OsString::from).collect();
        let mut files = vec![
            drivers().join(driver).with_extension("c"),
            drivers().join("no_system.c"),
        ];
        arguments.push("-I.".into());
        for sources in sources {
            let folder = self.workspace.package(sources.package)?.join(sources.folder);
            for include in sources.include {
                arguments.extend(["-I".into(), folder.join(include).into()]);
            }
            files.extend(sources.files.iter().map(|file| folder.join(file)));
        }
        arguments.extend(files.into_iter().map(OsString::from));
        arguments.extend(["-o".into(), output.into()]);
        Ok(arguments)
    }
}

fn compile(arguments: &[OsString]) -> Result<(), BuildError> {
    let clang = std::env::var_os("CLANG").unwrap_or_else(|| "clang".into());
    let output = Command::new(clang)
        .args(arguments)
        .current_dir(drivers())
        .output()
        .map_err(|cause| BuildError::Start("clang", cause))?;
    if output.status.success() {
        return Ok(());
    }
    Err(BuildError::Refused(
        String::from_utf8_lossy(&output.stderr).into_owned(),
    ))
}

/// Returns the folder of the drivers.
fn drivers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("c")
}

fn changed(file: &Path) -> Option<SystemTime> {
    file.metadata().and_then(|metadata| metadata.modified()).ok()
}

/// Returns the time of the last change to any driver or header.
fn drivers_changed() -> SystemTime {
    let newest = |folder: &Path| {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.filter_map(|entry| changed(&entry.path())).max()
    };
    newest(&drivers())
        .max(newest(&drivers().join("lua")))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}
