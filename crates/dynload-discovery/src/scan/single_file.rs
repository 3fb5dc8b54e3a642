//! Plugins that are a single file without a manifest.

use std::fs::{self, Metadata, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Found;
use super::candidates::{Candidate, unversioned};
use super::permissions::{self, replaceable};
use crate::audit::is_wat;
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
    found.id = Some(id.clone());
    // The real path of the file. A link directly in a search directory may lead anywhere: its creator controls the directory.
    let real = if candidate.link {
        fs::canonicalize(path)
    } else {
        Ok(candidate.real.clone())
    };
    let looked = real.and_then(|real| examine(&real, format).map(|seen| (real, seen)));
    let (real, metadata) = match looked {
        Ok((real, Ok(metadata))) => (real, metadata),
        Ok((_, Err(kind))) => {
            found.problems.push(Problem::error(path, kind));
            return found;
        }
        Err(error) => {
            found.problems.push(Problem::io(path, error));
            return found;
        }
    };
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

/// Returns the metadata of a regular file that starts like code of this format, or what is wrong with it.
///
/// Never blocks. A device is not opened, because that can have an effect.
fn examine(real: &Path, format: Format) -> io::Result<Result<Metadata, ProblemKind>> {
    if !fs::symlink_metadata(real)?.is_file() {
        return Ok(Err(ProblemKind::NotAFile));
    }
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    {
        // Another file may have taken its place: a named pipe, for instance.
        use rustix::fs::OFlags;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
        std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, flags.bits() as i32);
    }
    let file = options.open(real)?;
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(Err(ProblemKind::NotAFile));
    }
    let mut start = Vec::new();
    file.take(64).read_to_end(&mut start)?;
    Ok(if starts_like(format, &start) {
        Ok(metadata)
    } else {
        Err(ProblemKind::NotOfFormat { format })
    })
}

/// Returns whether a file with this start can be code of this format.
fn starts_like(format: Format, start: &[u8]) -> bool {
    /// ELF, PE, and Mach-O: of 32 and 64 bits, in both byte orders, and for several architectures.
    const NATIVE: [&[u8]; 8] = [
        b"\x7fELF",
        b"MZ",
        b"\xfe\xed\xfa\xce",
        b"\xfe\xed\xfa\xcf",
        b"\xce\xfa\xed\xfe",
        b"\xcf\xfa\xed\xfe",
        b"\xca\xfe\xba\xbe",
        b"\xca\xfe\xba\xbf",
    ];
    match format {
        Format::Wasm => start.starts_with(b"\0asm") || (cfg!(feature = "wat") && is_wat(start)),
        Format::Native => NATIVE.iter().any(|magic| start.starts_with(magic)),
        Format::Vais => true,
    }
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
