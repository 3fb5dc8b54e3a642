//! Copying a file that may be written to at the same time.

use std::ffi::OsString;
use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::SystemTime;

use super::{MAX_STAGED_BYTES, StageError};
use crate::hash::{ContentHash, ContentHasher};
use crate::open_regular::{file_kind, open_regular, open_to_read};

/// The number of times that a copy is tried when the file changes during the copy.
const ATTEMPTS: usize = 3;

/// The content that was copied.
pub(super) struct Copied {
    pub(super) hash: ContentHash,
    pub(super) size: u64,
}

/// The metadata that shows whether a file was written to.
#[derive(PartialEq)]
struct Stamp {
    size: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            size: metadata.len(),
            modified: metadata.modified().ok(),
        }
    }
}

/// Copies all of `source` as it was at one moment: unless the file's size and modification time are the same before and
/// after the copy, it is copied again.
pub(super) fn copy_whole(source: &Path, target: &Path) -> Result<Copied, StageError> {
    for _ in 0..ATTEMPTS {
        let mut from = open_to_read(source).map_err(StageError::Read)?;
        let before = from.metadata().map_err(StageError::Read)?;
        if !before.is_file() {
            return Err(StageError::NotAFile {
                kind: file_kind(&before),
            });
        }
        if before.len() > MAX_STAGED_BYTES {
            return Err(StageError::TooLarge { size: before.len() });
        }
        let before = Stamp::of(&before);
        let copied = copy_bytes(&mut from, target)?;
        // Renaming another file to this path does not change the open file: the copy is complete, if not the newest.
        let unchanged = from.metadata().is_ok_and(|now| Stamp::of(&now) == before);
        if copied.size == before.size && unchanged {
            return Ok(copied);
        }
        fs::remove_file(target).map_err(|source| StageError::Write {
            path: target.to_owned(),
            source,
        })?;
    }
    Err(StageError::Changing)
}

fn copy_bytes(from: &mut File, target: &Path) -> Result<Copied, StageError> {
    let write = |source| StageError::Write {
        path: target.to_owned(),
        source,
    };
    // The file is new: no link is followed, and no file that another process has open is written to.
    let mut to = OpenOptions::new();
    to.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut to, 0o600);
    let mut to = to.open(target).map_err(write)?;
    let mut buffer = vec![0; 256 << 10];
    let mut hasher = ContentHasher::default();
    let mut size = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(StageError::Read(error)),
        };
        size += read as u64;
        if size > MAX_STAGED_BYTES {
            return Err(StageError::TooLarge { size });
        }
        hasher.update(&buffer[..read]);
        to.write_all(&buffer[..read]).map_err(write)?;
    }
    Ok(Copied {
        hash: hasher.finish(),
        size,
    })
}

/// Copies the debug information beside `source` to where debuggers look for it beside the copy.
///
/// It is in `libx.so.debug`, `libx.debug` and the same in `.debug/` (gdb, "Debugging Information in Separate Files"),
/// `libx.so.dwp` and `libx.dwp` (split DWARF), `libx.pdb` (Windows), `libx.dylib.dSYM` (macOS).
///
/// A plugin also runs without it: a file that cannot be copied is left out.
pub(super) fn copy_debug_information(source: &Path, target: &Path) {
    let (Some(directory), Some(name)) = (source.parent(), source.file_name()) else {
        return;
    };
    let with = |name: &std::ffi::OsStr, extension: &str| {
        let mut name = OsString::from(name);
        name.push(extension);
        name
    };
    let mut names: Vec<OsString> = ["debug", "dwp"]
        .map(|extension| with(name, &format!(".{extension}")))
        .into();
    if let Some(stem) = source.file_stem() {
        names.extend([".debug", ".dwp", ".pdb"].map(|extension| with(stem, extension)));
    }
    for name in &names {
        copy_if_file(&directory.join(name), &target.join(name));
        let (from, to) = (directory.join(".debug"), target.join(".debug"));
        if from.join(name).is_file() && fs::create_dir_all(&to).is_ok() {
            copy_if_file(&from.join(name), &to.join(name));
        }
    }
    // A bundle: Contents/Info.plist and Contents/Resources/DWARF/<name>.
    let bundle = with(name, ".dSYM");
    let inside = Path::new("Contents").join("Resources").join("DWARF");
    let (from, to) = (directory.join(&bundle), target.join(&bundle));
    if from.join(&inside).join(name).is_file() && fs::create_dir_all(to.join(&inside)).is_ok() {
        let plist = Path::new("Contents").join("Info.plist");
        copy_if_file(&from.join(&plist), &to.join(&plist));
        copy_if_file(&from.join(&inside).join(name), &to.join(&inside).join(name));
    }
}

fn copy_if_file(from: &Path, to: &Path) {
    if let Ok((mut file, size)) = open_regular(from)
        && size <= MAX_STAGED_BYTES
        && copy_bytes(&mut file, to).is_err()
    {
        let _ = fs::remove_file(to);
    }
}

/// Creates a hard link to a file, or copies it. An existing file is kept.
#[cfg(not(unix))]
pub(super) fn link_or_copy(target: &Path, link: &Path) -> io::Result<()> {
    fs::hard_link(target, link).or_else(|_| {
        let (from, size) = open_regular(target)?;
        let mut to = File::create_new(link)?;
        io::copy(&mut from.take(size), &mut to).map(drop)
    })
}
