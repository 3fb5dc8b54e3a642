//! `cargo build`, and the location of its artifact.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::artifact::ArtifactKind;

/// Returns the command that builds the package at `manifest`, with human-readable errors on standard error and JSON
/// messages on standard output (the Cargo Book, "External tools", JSON messages).
pub(super) fn command(manifest: &Path, target_dir: Option<&Path>) -> Command {
    let mut command = Command::new("cargo");
    command
        .args([
            "build",
            "--lib",
            "--message-format",
            "json-render-diagnostics",
            "--manifest-path",
        ])
        .arg(manifest);
    if let Some(target_dir) = target_dir {
        command.arg("--target-dir").arg(target_dir);
    }
    if let Some(dir) = manifest.parent() {
        // The directory in which cargo looks for `.cargo/config.toml` and rustup for `rust-toolchain.toml`.
        command.current_dir(dir);
    }
    command
}

/// Finds the library of the package at `manifest` in cargo's messages.
///
/// The messages include dependencies, which may also have a `cdylib`.
pub(super) fn artifact(messages: &str, manifest: &Path) -> Option<PathBuf> {
    let manifest = manifest.canonicalize().unwrap_or_else(|_| manifest.to_owned());
    let mut found = None;
    for line in messages.lines() {
        let Ok(message) = serde_json::from_str::<serde_json::Value>(line) else {
            continue;
        };
        let ours = message["manifest_path"].as_str().is_some_and(|path| {
            let path = Path::new(path);
            path == manifest || path.canonicalize().is_ok_and(|path| path == manifest)
        });
        if message["reason"] != "compiler-artifact" || !ours {
            continue;
        }
        let is_cdylib = message["target"]["crate_types"]
            .as_array()
            .is_some_and(|types| types.iter().any(|kind| kind == "cdylib" || kind == "dylib"));
        if !is_cdylib {
            continue;
        }
        let files = message["filenames"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(|file| file.as_str());
        let library = files.map(PathBuf::from).find(|file| {
            matches!(ArtifactKind::of(file), ArtifactKind::Native | ArtifactKind::Wasm) && file.is_file()
        });
        found = library.or(found);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_packages_own_library_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = dir.path().join("Cargo.toml");
        let library = dir.path().join("libours.so");
        std::fs::write(&manifest, "").unwrap();
        std::fs::write(&library, "").unwrap();
        let message = |manifest: &Path, kind: &str, file: &Path| {
            serde_json::json!({
                "reason": "compiler-artifact",
                "manifest_path": manifest,
                "target": { "crate_types": [kind] },
                "filenames": [dir.path().join("libours.rlib"), file],
            })
            .to_string()
        };
        let other = Path::new("/elsewhere/Cargo.toml");
        let messages = [
            message(&manifest, "cdylib", &library),
            message(other, "cdylib", &library),
            message(&manifest, "rlib", &library),
            "not json".into(),
            r#"{"reason":"build-finished","success":true}"#.into(),
        ];
        assert_eq!(artifact(&messages.join("\n"), &manifest), Some(library.clone()));
        assert_eq!(artifact(&messages[1..].join("\n"), &manifest), None);
        assert_eq!(artifact("", &manifest), None);
    }
}
