//! Files on Unix.

use crate::services::{
    readiness::{self, Ready},
    wasi::{Errno, Filetype, NewTime},
};
use cap_std::fs::{
    Dir, DirEntry, File, FileExt, FileType, FileTypeExt, Metadata, MetadataExt, OpenOptions, OpenOptionsExt,
};
use rustix::{
    event::{PollFd, PollFlags},
    fd::AsFd,
    fs::{AtFlags, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, fcntl_getfl, fcntl_setfl},
    process::{Resource, getrlimit},
};
use std::{
    ffi::OsStr,
    io::{self, Write},
    os::unix::{ffi::OsStrExt, fs::DirEntryExt},
    path::{Path, PathBuf},
    time::Duration,
};

/// Returns how many descriptors the process may have (`RLIMIT_NOFILE`).
pub(in crate::services) fn descriptor_limit() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Returns the maximum size of a file in bytes, if the process has one (`RLIMIT_FSIZE`).
pub(in crate::services) fn size_limit() -> Option<u64> {
    getrlimit(Resource::Fsize).current
}

/// The error of a file that would become too large.
pub(in crate::services) fn too_large() -> io::Error {
    rustix::io::Errno::FBIG.into()
}

/// Checks that directories of this path can be granted: all can.
pub(in crate::services) fn check_grant(_host: &Path) -> io::Result<()> {
    Ok(())
}

/// Renames a file or directory.
pub(in crate::services) fn rename(from: &Dir, name: &Path, to: &Dir, new: &Path) -> io::Result<()> {
    from.rename(name, to, new)
}

/// Checks that the system gives a path no other meaning than WASI does.
pub(in crate::services) fn check_path(_path: &str) -> Result<(), Errno> {
    Ok(())
}

/// Returns the target of a symlink as a path of WASI.
pub(in crate::services) fn link_target(target: PathBuf) -> io::Result<PathBuf> {
    Ok(target)
}

/// Creates a symlink.
pub(in crate::services) fn symlink(dir: &Dir, target: &str, name: &Path) -> io::Result<()> {
    dir.symlink(target, name)
}

/// Splits a path into the path of the directory that contains the last component, and that component. The last component of
/// a path that ends with `.`, `..` or a slash is `.`.
pub(in crate::services) fn split(path: &Path) -> (&Path, &Path) {
    let bytes = path.as_os_str().as_bytes();
    let start = bytes
        .iter()
        .rposition(|byte| *byte == b'/')
        .map_or(0, |at| at + 1);
    let part = |bytes| Path::new(OsStr::from_bytes(bytes));
    match &bytes[start..] {
        b"" | b"." | b".." => (path, part(b".")),
        name if start == 0 => (part(b"."), part(name)),
        name => (part(&bytes[..start]), part(name)),
    }
}

/// Whether [`open_dir`] must find the directory of every name.
pub(in crate::services) const WALKS: bool = false;

/// Opens a directory.
pub(in crate::services) fn open_dir(start: &Dir, path: &Path) -> io::Result<Dir> {
    start.open_dir(path)
}

/// Removes a name of something other than a directory.
pub(in crate::services) fn remove_file(dir: &Dir, name: &Path) -> io::Result<()> {
    dir.remove_file(name)
}

/// Opens a file, which may turn out to be a directory.
///
/// The host itself must not block on the other end of a named pipe, nor acquire a controlling terminal.
pub(in crate::services) fn open(
    dir: &Dir,
    path: &Path,
    options: &mut OpenOptions,
    _writes: bool,
    appends: bool,
) -> io::Result<File> {
    let mut flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    flags.set(OFlags::APPEND, appends);
    dir.open_with(path, options.custom_flags(flags.bits() as i32))
}

/// Returns whether the file is ready within `timeout`. Named pipes and devices may block.
pub(in crate::services) fn is_ready(
    file: &File,
    events: PollFlags,
    timeout: Duration,
) -> Result<bool, Errno> {
    readiness::is_ready(file, events, timeout)
}

/// Returns how to determine whether something other than a regular file is ready.
pub(in crate::services) fn ready(file: &File) -> Ready<'_> {
    Ready::Ask(file.as_fd())
}

/// Returns whether a named pipe has no readers left.
pub(in crate::services) fn has_hung_up(file: &File) -> Result<bool, Errno> {
    let mut fds = [PollFd::new(file, PollFlags::OUT)];
    readiness::wait(&mut fds, Duration::ZERO)?;
    Ok(fds[0].revents().contains(PollFlags::ERR))
}

/// Sets whether [`write`] appends.
pub(in crate::services) fn set_append(file: &File, on: bool) -> io::Result<()> {
    let mut flags = fcntl_getfl(file)?;
    flags.set(OFlags::APPEND, on);
    Ok(fcntl_setfl(file, flags)?)
}

/// Writes at the position of the file; at its end if it `appends`.
pub(in crate::services) fn write(mut file: &File, bytes: &[u8], _appends: bool) -> io::Result<usize> {
    file.write(bytes)
}

/// Reads at an offset. The position stays.
pub(in crate::services) fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<usize> {
    file.read_at(bytes, at)
}

/// Writes at an offset. The position stays.
pub(in crate::services) fn write_at(file: &File, bytes: &[u8], at: u64) -> io::Result<usize> {
    file.write_at(bytes, at)
}

/// Writes the file or directory to disk; of a file, `data_only` omits the times.
pub(in crate::services) fn synchronize(file: &File, data_only: bool) -> io::Result<()> {
    if data_only {
        file.sync_data()
    } else {
        file.sync_all()
    }
}

/// Writes a directory to disk.
pub(in crate::services) fn synchronize_directory(dir: &Dir, data_only: bool) -> io::Result<()> {
    // The descriptor can only be used to resolve paths (`O_PATH` on Linux), so the directory is reopened.
    synchronize(&dir.open(".")?, data_only)
}

/// Returns the bytes that the file occupies, and those that are free, if the file system says how large it is.
pub(in crate::services) fn space(file: &File) -> io::Result<Option<(u64, u64)>> {
    // The unit of `st_blocks` (stat(3type)).
    const BLOCK: u64 = 512;
    let allocated = file.metadata()?.blocks().saturating_mul(BLOCK);
    let system = rustix::fs::fstatvfs(file)?;
    let free = system.f_bavail.saturating_mul(system.f_frsize);
    Ok((system.f_blocks > 0).then_some((allocated, free)))
}

/// Bytes that are allocated between two checks of the deadline.
pub(in crate::services) const ALLOCATION: u64 = 1 << 26;

/// Whether a write behind the end of a file writes the zeros before it, however many they are, in the same call. File systems
/// leave a hole instead.
pub(in crate::services) const FILLS: bool = false;

/// Allocates a range of the file, which grows to its end.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(in crate::services) fn allocate(file: &File, offset: u64, len: u64) -> io::Result<()> {
    let flags = rustix::fs::FallocateFlags::empty();
    Ok(rustix::fs::fallocate(file, flags, offset, len)?)
}

/// The system has no such call.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub(in crate::services) fn allocate(_file: &File, _offset: u64, _len: u64) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Tells the system how a range of the file will be used: the number of an `advice` of WASI.
#[cfg(any(target_os = "linux", target_os = "android", target_os = "freebsd"))]
pub(in crate::services) fn advise(file: &File, offset: u64, len: u64, advice: u32) -> io::Result<()> {
    use rustix::fs::Advice;
    let all = [
        Advice::Normal,
        Advice::Sequential,
        Advice::Random,
        Advice::WillNeed,
        Advice::DontNeed,
        Advice::NoReuse,
    ];
    let Some(advice) = all.get(advice as usize) else {
        return Ok(());
    };
    let len = std::num::NonZeroU64::new(len);
    Ok(rustix::fs::fadvise(file, offset, len, *advice)?)
}

/// Ignores the advice, which is allowed, because the system has no such call.
#[cfg(not(any(target_os = "linux", target_os = "android", target_os = "freebsd")))]
pub(in crate::services) fn advise(_file: &File, _offset: u64, _len: u64, _advice: u32) -> io::Result<()> {
    Ok(())
}

/// Returns the times of access, modification and change, in nanoseconds since 1970.
pub(in crate::services) fn times(metadata: &Metadata) -> [u64; 3] {
    let time = |seconds: i64, nanoseconds: i64| {
        let seconds = u64::try_from(seconds).unwrap_or(0);
        seconds
            .saturating_mul(1_000_000_000)
            .saturating_add(nanoseconds as u64)
    };
    [
        time(metadata.atime(), metadata.atime_nsec()),
        time(metadata.mtime(), metadata.mtime_nsec()),
        time(metadata.ctime(), metadata.ctime_nsec()),
    ]
}

/// Returns the inode of an entry.
pub(in crate::services) fn inode(entry: &DirEntry) -> u64 {
    entry.ino()
}

/// Returns the type of something other than a directory, a regular file or a symlink.
pub(in crate::services) fn special(ty: FileType) -> Filetype {
    if ty.is_block_device() {
        Filetype::BlockDevice
    } else if ty.is_char_device() {
        Filetype::CharacterDevice
    } else if ty.is_socket() {
        Filetype::SocketStream
    } else {
        Filetype::Unknown
    }
}

/// Sets the times of access and modification.
pub(in crate::services) fn set_times(file: &File, times: [NewTime; 2]) -> io::Result<()> {
    Ok(rustix::fs::futimens(file, &timestamps(times))?)
}

/// Sets the times of the file with that name, or of the symlink.
pub(in crate::services) fn set_times_at(dir: &Dir, name: &Path, times: [NewTime; 2]) -> io::Result<()> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    Ok(rustix::fs::utimensat(dir, name, &timestamps(times), flags)?)
}

fn timestamps([access, modification]: [NewTime; 2]) -> Timestamps {
    Timestamps {
        last_access: timespec(access),
        last_modification: timespec(modification),
    }
}

fn timespec(time: NewTime) -> Timespec {
    let (tv_sec, tv_nsec) = match time {
        NewTime::Keep => (0, UTIME_OMIT),
        NewTime::Now => (0, UTIME_NOW),
        // 2^64 nanoseconds are fewer than 2^35 seconds.
        NewTime::At(time) => (time.as_secs() as i64, time.subsec_nanos().into()),
    };
    Timespec { tv_sec, tv_nsec }
}
