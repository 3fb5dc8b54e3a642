//! The libraries as shipped, built from this workspace.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The shared and the static library, and the directory of the header.
#[derive(Debug)]
pub struct Artifacts {
    /// The shared library, in a directory that has it under its own name and under its SONAME, which programs look for.
    pub shared: PathBuf,
    /// The static library.
    pub archive: PathBuf,
    /// The directory of `dynload.h`.
    pub include: PathBuf,
    _dir: tempfile::TempDir,
}

/// Returns the root of the workspace.
///
/// # Panics
///
/// Never: the tests are in the workspace.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are in the workspace")
        .to_owned()
}

/// Builds the libraries, once per test program, with the profile and in the target directory of that program.
///
/// # Panics
///
/// If they cannot be built.
pub fn artifacts() -> &'static Artifacts {
    static ARTIFACTS: OnceLock<Artifacts> = OnceLock::new();
    ARTIFACTS.get_or_init(|| {
        // `<target>/<profile>/deps/<this program>`.
        let exe = std::env::current_exe().expect("a program has a path");
        let profile_dir = exe.ancestors().nth(2).expect("test programs are in `deps`");
        let target_dir = profile_dir
            .parent()
            .expect("profiles are in the target directory");
        let mut build = Command::new(env!("CARGO"));
        build
            .current_dir(root())
            .args(["build", "--quiet", "-p", "dynload-shared", "-p", "dynload-static"]);
        build.arg("--target-dir").arg(target_dir);
        if profile_dir.file_name().is_some_and(|name| name == "release") {
            build.arg("--release");
        }
        let status = build.status().expect("cargo runs");
        assert!(status.success(), "the libraries cannot be built: {status}");
        let dir = tempfile::tempdir().expect("a temporary directory");
        let shared = dir.path().join("libdynload.so");
        link(&profile_dir.join("libdynload.so"), &shared);
        // The library's SONAME.
        link(&shared, &dir.path().join("libdynload.so.0.1"));
        Artifacts {
            shared,
            archive: profile_dir.join("libdynload.a"),
            include: root().join("crates/dynload-ffi/include"),
            _dir: dir,
        }
    })
}

fn link(from: &Path, to: &Path) {
    std::os::unix::fs::symlink(from, to).expect("a symbolic link");
}
