//! Plugins that are a single file without a manifest.

use std::fs;
use std::path::{Path, PathBuf};

use super::Found;
use super::candidates::{Candidate, unversioned};
use super::permissions::{self, replaceable};
use crate::cache::Fingerprint;
use crate::manifest::Format;
use crate::plugin::Entry;
use crate::{Incompatibility, Platform, Plugin, PluginId, Problem, ProblemKind, Severity};

pub(super) fn look(
    candidate: &Candidate,
    format: Format,
    platform: Platform,
    refuse_writable: bool,
) -> Found {
    let mut found = Found::default();
    let path = candidate.path();
    let id: PluginId = match id_text(path, format).parse() {
        Ok(id) => id,
        Err(error) => {
            found
                .problems
                .push(Problem::error(path, ProblemKind::FileName(error)));
            return found;
        }
    };
    // The real path of the file. A link directly in a search directory may lead anywhere: its creator controls the directory.
    let real = if candidate.link {
        fs::canonicalize(path)
    } else {
        Ok(candidate.real.clone())
    };
    let looked = real.and_then(|real| fs::symlink_metadata(&real).map(|metadata| (real, metadata)));
    let (real, metadata) = match looked {
        Ok(looked) => looked,
        Err(error) => {
            found.problems.push(Problem::io(path, error));
            return found;
        }
    };
    if !metadata.is_file() {
        // It was a regular file a moment ago.
        found.problems.push(Problem::error(path, ProblemKind::Changing));
        return found;
    }
    let (Some(dir), Some(name)) = (real.parent(), real.file_name()) else {
        return found;
    };
    let mut refused = false;
    let mut check = |path: &Path, kind| {
        refused |= permissions::report(path, kind, refuse_writable, &mut found.problems);
    };
    check(path, permissions::writable(&metadata));
    if candidate.link {
        check(dir, replaceable(dir));
    }
    if refused {
        return found;
    }
    let here = native_here(path, platform);
    let incompatible = if format == Format::Native && !here {
        let available = vec![system_of(path).to_owned()];
        vec![Incompatibility::Platform {
            id: id.clone(),
            platform,
            available,
        }]
    } else {
        Vec::new()
    };
    for one in &incompatible {
        found.problems.push(Problem::new(
            path,
            Severity::Warning,
            ProblemKind::Incompatible(one.clone()),
        ));
    }
    found.plugin = Some(Plugin {
        id,
        format,
        dir: dir.to_owned(),
        found_at: Some(path.to_owned()),
        version: None,
        manifest: None,
        entry: Some(Entry {
            path: PathBuf::from(name),
            file: Fingerprint::of(&metadata),
        }),
        source: candidate.source,
        rank: candidate.rank,
        incompatible,
    });
    found
}

/// Returns the id of a lone file: its name without the extension, and for a Unix library without the prefix `lib`.
fn id_text(path: &Path, format: Format) -> String {
    let name = path
        .file_name()
        .map(|name| name.to_string_lossy())
        .unwrap_or_default();
    let lower = name.to_ascii_lowercase();
    // The lower-case name has the same length, because only ASCII letters change.
    let end = match format {
        Format::Native => unversioned(&lower).map(str::len),
        _ => None,
    };
    let end = end.or_else(|| lower.rfind('.')).unwrap_or(name.len());
    let stem = &name[..end];
    match stem.strip_prefix("lib") {
        Some(rest) if format == Format::Native && !rest.is_empty() && !lower.ends_with(".dll") => {
            rest.to_owned()
        }
        _ => stem.to_owned(),
    }
}

fn system_of(path: &Path) -> &'static str {
    match path
        .extension()
        .and_then(|extension| extension.to_str())
        .map(str::to_ascii_lowercase)
        .as_deref()
    {
        Some("dll") => "windows",
        Some("dylib") => "macos",
        _ => "linux",
    }
}

/// Returns whether `platform` uses the extension; `.so` is used everywhere but on Windows.
fn native_here(path: &Path, platform: Platform) -> bool {
    match system_of(path) {
        "windows" => platform.os() == "windows",
        "macos" => matches!(platform.os(), "macos" | "ios"),
        _ => platform.os() != "windows",
    }
}
