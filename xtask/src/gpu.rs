//! `cargo xtask test --only gpu`: the worker of `dynload-gpu`, on a device.
//!
//! No other step builds wgpu, which takes minutes.

use std::path::{Path, PathBuf};

use crate::cargo::{cargo, run};
use crate::demo;
use crate::failure::Failure;
use crate::tools::{self, Tool};

/// A Vulkan device that every machine can have: Mesa's, which uses the CPU.
const TOOLS: &[Tool] = &[
    Tool::required("Vulkan's loader", has_loader, &["libvulkan1"]),
    Tool::required("a driver for Vulkan", has_driver, &["mesa-vulkan-drivers"]),
];

/// Checks and tests what needs the feature `wgpu`.
pub(crate) fn check() -> Result<(), Failure> {
    tools::provide_all(TOOLS)?;
    let of_crate = |command: &'static str| {
        let mut command = cargo([command, "--package", "dynload-gpu", "--features", "wgpu"]);
        // Without a device, the tests would pass.
        command.env("DYNLOAD_REQUIRE_GPU", "1");
        command
    };
    run(of_crate("clippy").args(["--all-targets", "--", "-D", "warnings"]))?;
    run(&mut of_crate("test"))?;
    demo::play_with_gpu()?;
    run(of_crate("doc")
        .arg("--no-deps")
        .env("RUSTDOCFLAGS", "-D warnings"))
}

fn has_loader() -> bool {
    let directories = entries(Path::new("/usr/lib")).into_iter();
    let mut directories = directories.chain(["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from));
    directories.any(|directory| directory.join("libvulkan.so.1").exists())
}

fn has_driver() -> bool {
    let is_manifest = |path: PathBuf| path.extension().is_some_and(|extension| extension == "json");
    [
        "/usr/share/vulkan/icd.d",
        "/usr/local/share/vulkan/icd.d",
        "/etc/vulkan/icd.d",
    ]
    .into_iter()
    .flat_map(|directory| entries(Path::new(directory)))
    .any(is_manifest)
}

/// Returns the paths in a directory; none if it cannot be read.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}
