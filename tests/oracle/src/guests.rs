//! Real guest programs: C and WAT, in `tests/guests/src`.
//!
//! Each imports nothing and exports `run(i32) -> i32` or `run(i32) -> i64`, which returns a checksum; its work grows with the
//! argument. [`wasm`] returns the checked-in binary; [`build`] compiles the source.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A guest program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Its name, which is also that of its file without extension.
    pub name: &'static str,
    /// `c` or `wat`.
    pub language: &'static str,
    /// An argument of `run` for tests: about ten thousand to a million operators.
    pub small: i32,
    /// An argument of `run` for benchmarks: some tens of millions of operators.
    pub large: i32,
}

const fn c(name: &'static str, small: i32, large: i32) -> Guest {
    Guest {
        name,
        language: "c",
        small,
        large,
    }
}

const fn wat(name: &'static str, small: i32, large: i32) -> Guest {
    Guest {
        name,
        language: "wat",
        small,
        large,
    }
}

/// All guests.
pub const ALL: &[Guest] = &[
    c("ackermann", 12, 900),
    c("checksum", 4, 700),
    wat("coroutine", 2_000, 1_500_000),
    c("dispatch", 3_000, 1_000_000),
    wat("exits", 1_000, 1_000_000),
    c("fib", 15, 30),
    c("hashmap", 100, 10_000),
    c("json", 10, 3_000),
    c("lz", 8, 400),
    c("mandelbrot", 12, 200),
    c("matmul", 1, 60),
    c("memory", 10, 900),
    c("nbody", 50, 30_000),
    c("queens", 6, 12),
    c("regex", 1, 40),
    c("sha256", 4, 250),
    c("sieve", 5_000, 1_000_000),
    c("sort", 1, 40),
    c("vm", 20, 800),
];

/// The clang arguments that every C guest is compiled with. With one version of clang they produce the same bytes everywhere.
pub const CLANG_FLAGS: &[&str] = &[
    "--target=wasm32-wasi",
    "-O2",
    "-std=c11",
    "-mbulk-memory",
    "-msign-ext",
    "-mnontrapping-fptoint",
    "-nostartfiles",
    "-Wl,--no-entry",
    "-Wl,--strip-all",
];

/// Why a guest is not available.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// No guest has this name.
    Unknown(String),
    /// A file cannot be read or written, or a program cannot be started.
    Io(PathBuf, io::Error),
    /// clang rejected the source, with this output.
    Refused(String),
    /// The WAT source does not parse.
    Wat(wat::Error),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "no guest is named `{name}`"),
            Self::Io(path, _) => write!(f, "cannot read, write or run `{}`", path.display()),
            Self::Refused(stderr) => write!(f, "clang failed to compile the guest:\n{stderr}"),
            Self::Wat(_) => write!(f, "the guest is not valid WAT"),
        }
    }
}

impl std::error::Error for BuildError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, cause) => Some(cause),
            Self::Wat(cause) => Some(cause),
            _ => None,
        }
    }
}

/// Returns the folder of the guests.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests")
}

/// Returns the guest with this name.
pub fn find(name: &str) -> Option<Guest> {
    ALL.iter().copied().find(|guest| guest.name == name)
}

/// Returns a guest's checked-in binary, which needs no compiler.
///
/// # Examples
///
/// ```
/// use dynload_oracle::{guests, Imports, Limits, Oracle, Schedule, Value};
///
/// let wasm = guests::wasm("sieve")?;
/// let mut oracle = Oracle::new(&wasm, Imports::new(), Schedule::default())?;
/// oracle.instantiate(Limits::default())?;
/// let outcome = oracle.call("run", &[Value::I32(100)], Limits::default());
/// assert_eq!(outcome.result, Ok(vec![Value::I32(25)]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// - [`BuildError::Unknown`] if no guest has this name
/// - [`BuildError::Io`] if the binary cannot be read
pub fn wasm(name: &str) -> Result<Vec<u8>, BuildError> {
    let guest = find(name).ok_or_else(|| BuildError::Unknown(name.into()))?;
    let path = folder().join("wasm").join(guest.name).with_extension("wasm");
    std::fs::read(&path).map_err(|cause| BuildError::Io(path, cause))
}

/// Compiles a guest from its source: C with the `clang` in `PATH` (or the one named by the environment variable `CLANG`), WAT
/// with the `wat` crate.
///
/// # Errors
///
/// Any [`BuildError`]
pub fn build(name: &str) -> Result<Vec<u8>, BuildError> {
    let guest = find(name).ok_or_else(|| BuildError::Unknown(name.into()))?;
    let source = folder()
        .join("src")
        .join(guest.name)
        .with_extension(guest.language);
    if guest.language == "wat" {
        return wat::parse_file(&source).map_err(BuildError::Wat);
    }
    let folder = tempfile::tempdir().map_err(|cause| BuildError::Io(std::env::temp_dir(), cause))?;
    let out = folder.path().join("guest.wasm");
    let clang = std::env::var_os("CLANG").unwrap_or_else(|| "clang".into());
    let output = Command::new(&clang)
        .args(CLANG_FLAGS)
        .arg("-o")
        .arg(&out)
        .arg(&source)
        .output()
        .map_err(|cause| BuildError::Io(clang.into(), cause))?;
    if !output.status.success() {
        return Err(BuildError::Refused(
            String::from_utf8_lossy(&output.stderr).into_owned(),
        ));
    }
    std::fs::read(&out).map_err(|cause| BuildError::Io(out, cause))
}
