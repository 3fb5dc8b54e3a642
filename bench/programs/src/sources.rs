//! The location of the sources.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::build::BuildError;

/// Cargo's metadata of this workspace.
pub(crate) struct Workspace {
    /// The folder of each package.
    packages: BTreeMap<String, PathBuf>,
    /// The target directory.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Runs `cargo metadata`, which fetches missing sources.
    pub(crate) fn ask() -> Result<Workspace, BuildError> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args([
                "metadata",
                "--format-version=1",
                "--features",
                "dynload-bench-programs/sources",
            ])
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
            .output()
            .map_err(|cause| BuildError::Start("cargo", cause))?;
        if !output.status.success() {
            return Err(BuildError::Refused(
                String::from_utf8_lossy(&output.stderr).into_owned(),
            ));
        }
        let metadata: serde_json::Value =
            serde_json::from_slice(&output.stdout).map_err(BuildError::Metadata)?;
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let mut packages = BTreeMap::new();
        for package in metadata["packages"].as_array().into_iter().flatten() {
            let mut folder = PathBuf::from(text(&package["manifest_path"]));
            folder.pop();
            packages.insert(text(&package["name"]), folder);
        }
        Ok(Workspace {
            packages,
            target: text(&metadata["target_directory"]).into(),
        })
    }

    pub(crate) fn package(&self, name: &str) -> Result<&Path, BuildError> {
        self.packages
            .get(name)
            .map(PathBuf::as_path)
            .ok_or_else(|| BuildError::NoPackage(name.to_owned()))
    }
}
