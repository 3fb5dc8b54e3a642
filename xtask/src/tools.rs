//! The programs that the steps need, and their installation on Debian and its derivatives.

use std::path::Path;
use std::process::Command;

use crate::cargo::{is_available, output, run};
use crate::failure::Failure;

/// A program or a library that a step needs.
pub(crate) struct Tool {
    name: &'static str,
    is_available: fn() -> bool,
    /// The Debian packages that contain it.
    packages: &'static [&'static str],
    /// Whether the steps fail without it. Without the others, their tests are skipped or their step fails with a reason.
    required: bool,
}

impl Tool {
    /// Returns a program without which a step fails.
    pub(crate) const fn required(
        name: &'static str,
        is_available: fn() -> bool,
        packages: &'static [&'static str],
    ) -> Tool {
        Tool {
            name,
            is_available,
            packages,
            required: true,
        }
    }
}

pub(crate) const CLANG: Tool = Tool::required("clang", || is_available("clang", &["--version"]), &["clang"]);

const TOOLS: &[Tool] = &[
    Tool {
        name: "cc, a C compiler",
        is_available: || is_available("cc", &["--version"]),
        packages: &["gcc", "libc6-dev"],
        required: true,
    },
    Tool {
        name: "c++, a C++ compiler",
        is_available: || is_available("c++", &["--version"]),
        packages: &["g++"],
        required: true,
    },
    CLANG,
    Tool {
        name: "wasm-ld",
        is_available: || is_available("wasm-ld", &["--version"]),
        packages: &["lld"],
        required: true,
    },
    Tool {
        name: "python3",
        is_available: || is_available("python3", &["--version"]),
        packages: &["python3"],
        required: true,
    },
    Tool {
        name: "pkg-config",
        is_available: || is_available("pkg-config", &["--version"]),
        packages: &["pkg-config"],
        required: true,
    },
    Tool {
        name: "cmake",
        is_available: || is_available("cmake", &["--version"]),
        packages: &["cmake", "make"],
        required: false,
    },
    Tool {
        name: "valgrind",
        is_available: || is_available("valgrind", &["--version"]),
        packages: &["valgrind", "libc6-dbg"],
        required: false,
    },
    Tool {
        name: "a C library for WASI",
        is_available: || Path::new("/usr/include/wasm32-wasi/stdio.h").exists(),
        packages: &["wasi-libc"],
        required: false,
    },
    Tool {
        name: "the functions that clang's code for WebAssembly calls",
        is_available: has_wasm_builtins,
        packages: &["libclang-rt-dev-wasm32"],
        required: false,
    },
];

/// The rustup components.
const COMPONENTS: &[(&str, &str)] = &[("fmt", "rustfmt"), ("clippy", "clippy")];

/// Installs the missing tools, or says how to install them.
pub(crate) fn provide() -> Result<(), Failure> {
    for (subcommand, component) in COMPONENTS {
        if !is_available("cargo", &[subcommand, "--version"]) {
            println!("installing {component}, which `cargo {subcommand}` needs");
            run(Command::new("rustup").args(["component", "add", component])).map_err(|failure| {
                Failure::new(format!(
                    "this toolchain has no {component}: run `rustup component add {component}` ({failure})"
                ))
            })?;
        }
    }
    provide_all(TOOLS)
}

/// Installs those of the tools that are missing, or says how to install them.
pub(crate) fn provide_all(tools: &[Tool]) -> Result<(), Failure> {
    let missing: Vec<&Tool> = tools.iter().filter(|tool| !(tool.is_available)()).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<&str> = missing.iter().flat_map(|tool| tool.packages).copied().collect();
    let names: Vec<&str> = missing.iter().map(|tool| tool.name).collect();
    println!("missing: {}", names.join("; "));
    let installed = install(&packages);
    let still: Vec<&Tool> = missing
        .into_iter()
        .filter(|tool| !(tool.is_available)())
        .collect();
    for tool in still.iter().filter(|tool| !tool.required) {
        println!(
            "not installed: {}; tests that need it are skipped or fail",
            tool.name
        );
    }
    let required: Vec<&str> = still
        .iter()
        .filter(|tool| tool.required)
        .map(|tool| tool.name)
        .collect();
    if required.is_empty() {
        return Ok(());
    }
    let reason = match installed {
        Ok(()) => String::new(),
        Err(failure) => format!(" ({failure})"),
    };
    Err(Failure::new(format!(
        "these programs are missing: {}; on Debian or Ubuntu run `sudo apt-get install {}`{reason}",
        required.join("; "),
        packages.join(" ")
    )))
}

/// Installs Debian packages, as root or with a `sudo` that does not ask for a password.
pub(crate) fn install(packages: &[&str]) -> Result<(), Failure> {
    if !is_available("apt-get", &["--version"]) {
        return Err(Failure::new("this machine has no apt-get"));
    }
    let prefix: &[&str] = match (is_root(), is_available("sudo", &["-n", "true"])) {
        (true, _) => &[],
        (false, true) => &["sudo", "-n"],
        (false, false) => return Err(Failure::new("installing packages needs root or sudo")),
    };
    println!("installing the packages {}", packages.join(" "));
    let apt_get = |arguments: &[&str]| {
        let mut words = prefix
            .iter()
            .copied()
            .chain(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        let mut command = Command::new(words.next().unwrap_or("env"));
        command.args(words).args(arguments);
        run(&mut command)
    };
    apt_get(&["update"])?;
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(packages);
    apt_get(&arguments)
}

/// Adds a target to the toolchain if rustup can and it is missing. Returns whether the toolchain has it.
pub(crate) fn has_target(triple: &str) -> Result<bool, Failure> {
    let library = output(Command::new("rustc").args(["--print", "target-libdir", "--target", triple]))?;
    Ok(Path::new(library.trim_end()).exists() || is_available("rustup", &["target", "add", triple]))
}

/// Returns whether this process runs as root, as `id` reports it: this crate has no dependencies and no `unsafe`.
fn is_root() -> bool {
    let user = Command::new("id").arg("-u").output();
    user.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Returns whether one of the installed versions of LLVM has the functions that clang's code for WebAssembly calls.
fn has_wasm_builtins() -> bool {
    let entries = |directory: &Path| -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    entries(Path::new("/usr/lib"))
        .into_iter()
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| name.to_string_lossy().starts_with("llvm-"))
        })
        .flat_map(|llvm| entries(&llvm.join("lib/clang")))
        .any(|version| version.join("lib/wasi/libclang_rt.builtins-wasm32.a").exists())
}
