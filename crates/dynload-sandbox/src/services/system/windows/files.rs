//! Files on Windows.
//!
//! Named pipes and devices cannot be opened through a directory, so no operation waits.

use crate::services::{
    readiness::Ready,
    wasi::{Errno, Filetype, MAX_LINKS, NewTime},
};
use cap_fs_ext::{DirExt, SystemTimeSpec};
use cap_std::{
    fs::{Dir, DirEntry, File, FileExt, FileType, Metadata, OpenOptions},
    time::SystemTime,
};
use rustix::event::PollFlags;
use std::{
    fs::FileTimes,
    io::{self, Seek, SeekFrom},
    path::{Component, Path, PathBuf, Prefix},
    string::String,
    time::{self, Duration},
    vec::Vec,
};

/// Codes of `GetLastError`.
const ACCESS_DENIED: i32 = 5;
const DIRECTORY_NOT_SUPPORTED: i32 = 336;
const STOPPED_ON_SYMLINK: i32 = 681;
const CANT_RESOLVE_FILENAME: i32 = 1921;

/// UTF-16 code units of a name.
const MAX_NAME: usize = 255;

/// Returns how many handles a process may have.
pub(in crate::services) fn descriptor_limit() -> u64 {
    1 << 24
}

/// The size of files is not limited.
pub(in crate::services) fn size_limit() -> Option<u64> {
    None
}

/// The error of a file that would become too large.
pub(in crate::services) fn too_large() -> io::Error {
    io::ErrorKind::FileTooLarge.into()
}

/// Refuses network shares, mapped to a drive or not: `cap-std` takes their paths for relative ones.
pub(in crate::services) fn check_grant(host: &Path) -> io::Result<()> {
    let path = std::fs::canonicalize(host)?;
    let Some(Component::Prefix(prefix)) = path.components().next() else {
        return Ok(());
    };
    if matches!(prefix.kind(), Prefix::UNC(..) | Prefix::VerbatimUNC(..)) {
        let message = "a directory on a network share cannot be granted: use one on a drive of this machine";
        return Err(io::Error::new(io::ErrorKind::Unsupported, message));
    }
    Ok(())
}

/// Renames a file or directory. A directory replaces no file, and a file no directory, as POSIX requires.
pub(in crate::services) fn rename(from: &Dir, name: &Path, to: &Dir, new: &Path) -> io::Result<()> {
    if let Ok(replaced) = to.symlink_metadata(new) {
        let is_dir = from.symlink_metadata(name)?.is_dir();
        if is_dir && !replaced.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        if !is_dir && replaced.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
    }
    from.rename(name, to, new)
}

/// Checks that the system gives a path no other meaning than WASI does. Refused are names with `\`, `:` (drives and streams),
/// wildcards and control characters, names that end with a dot or a space, which the system drops, and [the names of
/// devices].
///
/// [the names of devices]: https://learn.microsoft.com/en-us/windows/win32/fileio/naming-a-file#naming-conventions
pub(in crate::services) fn check_path(path: &str) -> Result<(), Errno> {
    let is_other = |c: char| c.is_control() || r#"\:*?"<>|"#.contains(c);
    let is_valid =
        |name: &str| matches!(name, "" | "." | "..") || !(name.ends_with(['.', ' ']) || is_device(name));
    if path.contains(is_other) || !path.split('/').all(is_valid) {
        return Err(Errno::Inval);
    }
    if path.split('/').any(|name| name.encode_utf16().count() > MAX_NAME) {
        return Err(Errno::Nametoolong);
    }
    Ok(())
}

/// Returns whether a name is that of a device, whatever its extension.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end();
    let upper = stem.to_uppercase();
    let numbered = |prefix| {
        upper.strip_prefix(prefix).is_some_and(|rest: &str| {
            rest.chars().count() == 1 && rest.contains(|c| "0123456789¹²³".contains(c))
        })
    };
    matches!(&*upper, "CON" | "PRN" | "AUX" | "NUL" | "CONIN$" | "CONOUT$")
        || numbered("COM")
        || numbered("LPT")
}

/// Returns the target of a symlink as a path of WASI: with slashes.
pub(in crate::services) fn link_target(target: PathBuf) -> io::Result<PathBuf> {
    let text = target.to_str().ok_or(io::ErrorKind::InvalidData)?;
    Ok(text.replace('\\', "/").into())
}

/// Whether [`open_dir`] must find the directory of every name: `cap-std` is given no path.
pub(in crate::services) const WALKS: bool = true;

/// Opens a directory, one component at a time.
///
/// `cap-std` takes `C:` in `x/C:/y`, which may be the target of a symlink, for a drive, and forgets what is before `..`.
pub(in crate::services) fn open_dir(start: &Dir, path: &Path) -> io::Result<Dir> {
    let mut left = components(path)?;
    let mut way: Vec<Dir> = Vec::new();
    let mut links = 0;
    while let Some(name) = left.pop() {
        let here = way.last().unwrap_or(start);
        if name == ".." {
            way.pop().ok_or(io::ErrorKind::PermissionDenied)?;
            continue;
        }
        match here.open_dir_nofollow(&name) {
            Ok(dir) => way.push(dir),
            Err(error) if error.raw_os_error() == Some(STOPPED_ON_SYMLINK) => {
                links += 1;
                if links > MAX_LINKS {
                    return Err(io::Error::from_raw_os_error(CANT_RESOLVE_FILENAME));
                }
                left.extend(components(&link_target(here.read_link_contents(&name)?)?)?);
            }
            Err(error) => return Err(error),
        }
    }
    match way.pop() {
        Some(dir) => Ok(dir),
        None => start.open_dir("."),
    }
}

/// Returns the components of a path, the last one first. A path that does not start where it is leads out.
fn components(path: &Path) -> io::Result<Vec<String>> {
    let text = path.to_str().ok_or(io::ErrorKind::InvalidData)?;
    if text.is_empty() {
        return Err(io::ErrorKind::NotFound.into());
    }
    if text.starts_with('/') || check_path(text).is_err() {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let names = text.split('/').filter(|name| !matches!(*name, "" | "."));
    Ok(names.rev().map(String::from).collect())
}

/// Refuses to create a symlink: the system requires a privilege, and symlinks to directories are of another type.
pub(in crate::services) fn symlink(_dir: &Dir, _target: &str, _name: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Splits a path into the path of the directory that contains the last component, and that component. The last component of
/// a path that ends with `.`, `..` or a slash is `.`.
pub(in crate::services) fn split(path: &Path) -> (&Path, &Path) {
    // Paths of guests and of `link_target` are valid UTF-8, and have slashes only.
    let text = path.to_str().unwrap_or(".");
    let (parent, name) = text
        .rfind('/')
        .map_or((".", text), |at| (&text[..=at], &text[at + 1..]));
    match name {
        "" | "." | ".." => (path, Path::new(".")),
        name => (Path::new(parent), Path::new(name)),
    }
}

/// Removes a name of something other than a directory.
pub(in crate::services) fn remove_file(dir: &Dir, name: &Path) -> io::Result<()> {
    let done = dir.remove_file(name);
    match &done {
        Err(error) if error.raw_os_error() == Some(ACCESS_DENIED) => {}
        _ => return done,
    }
    match dir.symlink_metadata(name) {
        // C libraries remove it as a directory then.
        Ok(found) if found.is_dir() => Err(io::Error::from_raw_os_error(DIRECTORY_NOT_SUPPORTED)),
        _ => done,
    }
}

/// Opens a file, which may turn out to be a directory.
pub(in crate::services) fn open(
    dir: &Dir,
    path: &Path,
    options: &mut OpenOptions,
    writes: bool,
    _appends: bool,
) -> io::Result<File> {
    let opened = dir.open_with(path, options);
    // The errors of a directory. A file that is opened as one, with the option of `cap-fs-ext` for that, could be neither
    // renamed nor removed meanwhile.
    let may_be_directory = opened.as_ref().is_err_and(|error| {
        matches!(
            error.raw_os_error(),
            Some(ACCESS_DENIED | DIRECTORY_NOT_SUPPORTED)
        )
    });
    if !may_be_directory {
        return opened;
    }
    match dir.open_dir_nofollow(path) {
        Ok(_) if writes => Err(io::Error::from_raw_os_error(DIRECTORY_NOT_SUPPORTED)),
        Ok(found) => Ok(File::from_std(found.into_std_file())),
        Err(_) => opened,
    }
}

/// Returns true: files never block.
pub(in crate::services) fn is_ready(
    _file: &File,
    _events: PollFlags,
    _timeout: Duration,
) -> Result<bool, Errno> {
    Ok(true)
}

/// Returns how to determine whether something other than a regular file is ready.
pub(in crate::services) fn ready(_file: &File) -> Ready<'_> {
    Ready::Now(1)
}

/// Returns false: there are no named pipes.
pub(in crate::services) fn has_hung_up(_file: &File) -> Result<bool, Errno> {
    Ok(false)
}

/// The system has no such state: [`write`] is told each time.
pub(in crate::services) fn set_append(_file: &File, _on: bool) -> io::Result<()> {
    Ok(())
}

/// Writes at the position of the file; at its end if it `appends`.
pub(in crate::services) fn write(mut file: &File, bytes: &[u8], appends: bool) -> io::Result<usize> {
    // `FILE_WRITE_TO_END_OF_FILE` of `NtWriteFile`: no other write comes in between.
    const END: u64 = u64::MAX;
    if appends {
        let done = file.seek_write(bytes, END)?;
        file.seek(SeekFrom::End(0))?;
        return Ok(done);
    }
    io::Write::write(&mut file, bytes)
}

/// Reads at an offset. The position stays.
pub(in crate::services) fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    at_offset(file, at, || file.seek_read(bytes, at))
}

/// Writes at an offset. The position stays.
pub(in crate::services) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<usize> {
    at_offset(file, at, || file.seek_write(bytes, at))
}

/// Restores the position after an operation at an offset, which sets it. No other thread uses the file.
fn at_offset(mut file: &File, at: u64, act: impl FnOnce() -> io::Result<usize>) -> io::Result<usize> {
    // Larger numbers have a meaning of their own.
    if i64::try_from(at).is_err() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let position = file.stream_position()?;
    let done = act();
    file.seek(SeekFrom::Start(position))?;
    done
}

/// Writes the file to disk.
pub(in crate::services) fn synchronize(file: &File, data_only: bool) -> io::Result<()> {
    let done = if data_only {
        file.sync_data()
    } else {
        file.sync_all()
    };
    match done {
        // It is open for reading: it has nothing to be written.
        Err(error) if error.raw_os_error() == Some(ACCESS_DENIED) => Ok(()),
        done => done,
    }
}

/// The system has no such call.
pub(in crate::services) fn synchronize_directory(_dir: &Dir, _data_only: bool) -> io::Result<()> {
    Ok(())
}

/// Bytes that are allocated at once: all, so that nothing is allocated if the disk has no room for them.
pub(in crate::services) const ALLOCATION: u64 = u64::MAX;

/// The system is not asked: see [`ALLOCATION`].
pub(in crate::services) fn space(_file: &File) -> io::Result<Option<(u64, u64)>> {
    Ok(None)
}

/// Whether a write behind the end of a file writes the zeros before it, however many they are, in the same call.
pub(in crate::services) const FILLS: bool = true;

/// Allocates a range of the file, which grows to its end.
pub(in crate::services) fn allocate(file: &File, offset: u64, len: u64) -> io::Result<()> {
    let end = offset.saturating_add(len);
    if end > file.metadata()?.len() {
        file.set_len(end)?;
    }
    Ok(())
}

/// Ignores the advice, which is allowed, because the system has no such call.
pub(in crate::services) fn advise(_file: &File, _offset: u64, _len: u64, _advice: u32) -> io::Result<()> {
    Ok(())
}

/// Returns the times of access, modification and creation, in nanoseconds since 1970: a time of change cannot be asked for.
pub(in crate::services) fn times(metadata: &Metadata) -> [u64; 3] {
    [metadata.accessed(), metadata.modified(), metadata.created()].map(|found| {
        found
            .ok()
            .and_then(|found| found.into_std().duration_since(time::UNIX_EPOCH).ok())
            .map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    })
}

/// Returns 0, with which C libraries ask for the index when it is needed: each file would have to be opened, by its path.
pub(in crate::services) fn inode(_entry: &DirEntry) -> u64 {
    0
}

/// Returns the type of something other than a directory, a regular file or a symlink.
pub(in crate::services) fn special(_ty: FileType) -> Filetype {
    Filetype::Unknown
}

/// Sets the times of access and modification.
pub(in crate::services) fn set_times(file: &File, [access, modification]: [NewTime; 2]) -> io::Result<()> {
    let mut times = FileTimes::new();
    if let Some(time) = system_time(access)? {
        times = times.set_accessed(time);
    }
    if let Some(time) = system_time(modification)? {
        times = times.set_modified(time);
    }
    file.try_clone()?.into_std().set_times(times)
}

/// Sets the times of the file with that name, or of the symlink.
pub(in crate::services) fn set_times_at(
    dir: &Dir,
    name: &Path,
    [access, modification]: [NewTime; 2],
) -> io::Result<()> {
    let spec = |time| -> io::Result<_> {
        let time = system_time(time)?;
        Ok(time.map(|time| SystemTimeSpec::Absolute(SystemTime::from_std(time))))
    };
    dir.set_symlink_times(name, spec(access)?, spec(modification)?)
}

fn system_time(time: NewTime) -> io::Result<Option<time::SystemTime>> {
    Ok(match time {
        NewTime::Keep => None,
        NewTime::Now => Some(time::SystemTime::now()),
        NewTime::At(since) => {
            let time = time::UNIX_EPOCH.checked_add(since);
            Some(time.ok_or(io::ErrorKind::InvalidInput)?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Regression: the target of a symlink could lead to a drive from within.
    #[test]
    fn components_lead_to_no_drive() {
        for path in [
            "C:",
            "C:/x",
            "./C:/x",
            "x/C:/y",
            "x/C:",
            "x/C:y",
            "/",
            "/x",
            "//server/share",
            "x/NUL",
            "x:y",
            "x./y",
        ] {
            let target = link_target(path.replace('/', "\\").into()).unwrap();
            let error = components(&target).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::PermissionDenied, "{path}");
        }
        let found = components(Path::new("./a/../b//c/")).unwrap();
        assert_eq!(found, ["c", "b", "..", "a"]);
    }
}
