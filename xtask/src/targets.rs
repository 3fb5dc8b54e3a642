//! `cargo xtask targets`: builds the project for other machines, and runs it where one can be emulated.

mod firmware;
mod linux;
mod windows;

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::arguments::Arguments;
use crate::cargo::{self, PUBLISHED, cargo, is_available, target_dir};
use crate::failure::Failure;
use crate::tools::{self, CLANG, Tool};

/// Builds and runs something. Returns what was found.
type Check = fn() -> Result<String, Failure>;

/// A kind of machine.
struct Target {
    /// The name for `--only`.
    name: &'static str,
    triple: &'static str,
    /// The programs that it needs.
    tools: &'static [Tool],
    /// The part of the check that takes seconds; without one, the crates that depend on the system are compiled.
    short: Option<Check>,
    full: Check,
}

/// The emulators of other processors for programs of Linux.
const QEMU_USER: Tool = Tool::required(
    "qemu-aarch64, qemu-i386 and qemu-s390x",
    || is_available("qemu-s390x", &["--version"]),
    &["qemu-user"],
);

const TARGETS: &[Target] = &[
    Target {
        name: "cortex-m4",
        triple: firmware::CORTEX_M.triple,
        tools: &[Tool::required(
            "qemu-system-arm",
            || is_available("qemu-system-arm", &["--version"]),
            &["qemu-system-arm"],
        )],
        short: Some(|| firmware::CORTEX_M.check()),
        full: || firmware::lint().and_then(|()| firmware::CORTEX_M.check()),
    },
    Target {
        name: "riscv32",
        triple: firmware::RISCV.triple,
        tools: &[Tool::required(
            "qemu-system-riscv32",
            || is_available("qemu-system-riscv32", &["--version"]),
            &["qemu-system-misc"],
        )],
        short: Some(|| firmware::RISCV.check()),
        full: || firmware::RISCV.check(),
    },
    Target {
        name: "browser",
        triple: firmware::BROWSER,
        tools: &[Tool::required(
            "node",
            || is_available("node", &["--version"]),
            &["nodejs"],
        )],
        short: Some(firmware::browser),
        full: firmware::browser,
    },
    Target {
        name: "aarch64",
        triple: linux::AARCH64.triple,
        tools: &[
            Tool::required(
                "aarch64-linux-gnu-g++",
                || is_available("aarch64-linux-gnu-g++", &["--version"]),
                &["g++-aarch64-linux-gnu"],
            ),
            QEMU_USER,
        ],
        short: None,
        full: || linux::AARCH64.test(),
    },
    Target {
        name: "i686",
        triple: linux::I686.triple,
        tools: &[
            Tool::required(
                "i686-linux-gnu-g++",
                || is_available("i686-linux-gnu-g++", &["--version"]),
                &["g++-i686-linux-gnu"],
            ),
            QEMU_USER,
        ],
        short: None,
        full: || linux::I686.test(),
    },
    Target {
        name: "s390x",
        triple: linux::S390X.triple,
        tools: &[
            Tool::required(
                "s390x-linux-gnu-g++",
                || is_available("s390x-linux-gnu-g++", &["--version"]),
                &["g++-s390x-linux-gnu"],
            ),
            QEMU_USER,
        ],
        short: None,
        full: || linux::S390X.test(),
    },
    Target {
        name: "windows",
        triple: windows::TRIPLE,
        tools: &[
            Tool::required(
                "x86_64-w64-mingw32-gcc",
                || is_available("x86_64-w64-mingw32-gcc", &["--version"]),
                &["gcc-mingw-w64-x86-64-win32"],
            ),
            Tool::required(
                "wine64",
                || Path::new(windows::WINE).exists(),
                &["wine64", "wine"],
            ),
            CLANG,
        ],
        short: None,
        full: windows::test,
    },
    Target {
        name: "msvc",
        triple: "x86_64-pc-windows-msvc",
        tools: &[],
        short: None,
        full: || compile("x86_64-pc-windows-msvc", PUBLISHED),
    },
    Target {
        name: "macos",
        triple: "aarch64-apple-darwin",
        tools: &[],
        short: None,
        full: || compile("aarch64-apple-darwin", PUBLISHED),
    },
    Target {
        name: "macos-x86",
        triple: "x86_64-apple-darwin",
        tools: &[],
        short: None,
        full: || compile("x86_64-apple-darwin", PUBLISHED),
    },
];

/// Runs `cargo xtask targets`: every target, and then a table of the results.
pub(crate) fn command(mut arguments: Arguments) -> Result<(), Failure> {
    let list = arguments.flag("--list");
    let only = arguments.value("--only")?;
    arguments.end()?;
    let selected = select(only.as_deref())?;
    if list {
        for target in selected {
            println!("{:<10} {}", target.name, target.triple);
        }
        return Ok(());
    }
    run(&selected, |target| {
        tools::provide_all(target.tools)?;
        (target.full)()
    })
}

/// Checks a part of every target, within minutes.
pub(crate) fn check() -> Result<(), Failure> {
    run(&select(None)?, |target| match target.short {
        Some(short) => {
            tools::provide_all(target.tools)?;
            short()
        }
        None => compile(target.triple, &["dynload-caps", "dynload-native"]),
    })
}

fn select(only: Option<&str>) -> Result<Vec<&'static Target>, Failure> {
    let names = || {
        let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
        names.join(", ")
    };
    let selected: Vec<&Target> = TARGETS
        .iter()
        .filter(|target| only.is_none_or(|name| [target.name, target.triple].contains(&name)))
        .collect();
    match (selected.is_empty(), only) {
        (true, Some(name)) => Err(Failure::new(format!(
            "unknown target `{name}`: use one of {}",
            names()
        ))),
        _ => Ok(selected),
    }
}

/// Runs a part of each target, also after one has failed.
fn run(targets: &[&Target], part: fn(&Target) -> Result<String, Failure>) -> Result<(), Failure> {
    let mut rows = Vec::new();
    let mut failed = Vec::new();
    for target in targets {
        println!("\n{}: {}", target.name, target.triple);
        let start = Instant::now();
        let result = provide(target.triple).and_then(|()| part(target));
        let seconds = start.elapsed().as_secs_f64();
        let found = result.unwrap_or_else(|failure| {
            failed.push(target.name);
            format!("FAILED: {failure}")
        });
        rows.push(format!("{:<10} {seconds:>6.1} s  {found}", target.name));
    }
    println!("\n{}", rows.join("\n"));
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "failed: {}; to run only one: cargo xtask targets --only {}",
        failed.join(", "),
        failed[0]
    )))
}

/// Adds a target to the toolchain.
fn provide(triple: &str) -> Result<(), Failure> {
    if tools::has_target(triple)? {
        return Ok(());
    }
    Err(Failure::new(format!(
        "this toolchain has no target {triple}: run `rustup target add {triple}`"
    )))
}

/// Checks that crates compile.
fn compile(triple: &str, packages: &[&str]) -> Result<String, Failure> {
    let mut command = cargo(["check", "--target", triple, "--target-dir"]);
    command.arg(directory()?);
    for package in packages {
        command.args(["-p", package]);
    }
    cargo::run(&mut command)?;
    Ok(match packages {
        PUBLISHED => "all crates compile".to_owned(),
        some => format!("{} compile", some.join(", ")),
    })
}

/// Returns the target directory for other machines.
fn directory() -> Result<PathBuf, Failure> {
    Ok(target_dir()?.join("xtask/targets"))
}
