//! Real guest programs: C and WAT, in `tests/guests/src`.
//!
//! Each imports nothing and exports `run(i32) -> i32` or `run(i32) -> i64`, a checksum of work that grows with its argument.
//! [`wasm`] has what is checked in; [`build`] compiles the sources again.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A guest program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guest {
    /// Its name, and its file's without extension.
    pub name: &'static str,
    /// `c` or `wat`.
    pub language: &'static str,
    /// An argument of `run` that is enough to see what it does: some ten thousand to a million operators.
    pub small: i32,
    /// An argument for benchmarks: some tens of millions of operators.
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

/// Arguments for clang that every C guest is compiled with. With one version of clang they give the same bytes everywhere.
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

/// Why a guest cannot be had.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no guest of this name.
    Unknown(String),
    /// A file cannot be read or written, or a program not be started.
    Io(PathBuf, io::Error),
    /// clang has refused the source, and says this.
    Refused(String),
    /// The WAT source does not parse.
    Wat(wat::Error),
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "there is no guest `{name}`"),
            Self::Io(path, _) => write!(f, "`{}` cannot be used", path.display()),
            Self::Refused(stderr) => write!(f, "clang does not compile the guest:\n{stderr}"),
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

/// The folder of the guests.
pub fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../guests")
}

/// The guest of this name.
pub fn find(name: &str) -> Option<Guest> {
    ALL.iter().copied().find(|guest| guest.name == name)
}

/// A guest's binary as it is checked in; needs no compiler.
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
/// [`BuildError::Unknown`], [`BuildError::Io`]
pub fn wasm(name: &str) -> Result<Vec<u8>, BuildError> {
    let guest = find(name).ok_or_else(|| BuildError::Unknown(name.into()))?;
    let path = folder().join("wasm").join(guest.name).with_extension("wasm");
    std::fs::read(&path).map_err(|cause| BuildError::Io(path, cause))
}

/// Compiles a guest from its source: C with the `clang` in the path (or the one `CLANG` names), WAT with the `wat` crate.
///
/// # Errors
/// All of [`BuildError`]
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
