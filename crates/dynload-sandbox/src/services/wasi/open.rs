//! `path_open`: the required rights, and opening files and directories.

use super::{Errno, Filetype, flags, path, path::GuestPath, rights};
use crate::{
    host::Caller,
    services::{
        answer::Answer,
        descriptor::{Descriptor, Kind, OpenDir, OpenFile, Use},
        guard::Guard,
        guest::write_u32,
        system::files,
    },
};
use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::fs::{Dir, OpenOptions};
use dynload_caps::Access;
use std::path::Path;

/// A request to `path_open`, with all flags validated.
#[derive(Debug, Clone, Copy)]
struct Request {
    follow: bool,
    oflags: u32,
    fdflags: u16,
    base: u64,
    inheriting: u64,
}

impl Request {
    fn has(&self, oflag: u32) -> bool {
        self.oflags & oflag != 0
    }

    /// Returns whether the call could change anything, or open a descriptor that could. The only place that decides
    /// this, from all flags and rights.
    fn needs_write(&self) -> bool {
        // Rights over file data have no meaning on a directory, and guests request all rights that they can inherit.
        let writes_data = !self.has(flags::DIRECTORY) && self.base & rights::FD_WRITE != 0;
        self.has(flags::CREAT) || self.has(flags::TRUNC) || self.fdflags & flags::APPEND != 0 || writes_data
    }

    /// Returns the rights of the directory that the flags require, by the descriptions of the rights in the WASI
    /// documents. Either of `fd_sync` and `fd_datasync` includes `dsync`; `base` are the rights of the directory.
    fn required(&self, base: u64) -> u64 {
        let mut rights = rights::PATH_OPEN;
        if self.has(flags::CREAT) {
            rights |= rights::PATH_CREATE_FILE;
        }
        if self.has(flags::TRUNC) {
            rights |= rights::PATH_FILESTAT_SET_SIZE;
        }
        if self.fdflags & (flags::SYNC | flags::RSYNC) != 0 {
            rights |= rights::FD_SYNC;
        }
        if self.fdflags & flags::DSYNC != 0 && base & rights::FD_SYNC == 0 {
            rights |= rights::FD_DATASYNC;
        }
        rights
    }

    /// Returns whether the call can reveal anything to the guest beyond its success.
    fn needs_read(&self) -> bool {
        self.base & (rights::FD_READ | rights::FD_READDIR) != 0 || !self.needs_write()
    }
}

#[allow(
    clippy::too_many_arguments,
    reason = "the parameters are those of the WASI function"
)]
pub(super) fn path_open(
    caller: &mut Caller<'_>,
    fd: u32,
    lookup: u32,
    ptr: u32,
    len: u32,
    oflags: u32,
    base: u64,
    inheriting: u64,
    fdflags: u32,
    out: u32,
) -> Answer {
    let request = Request {
        follow: flags::known(lookup, flags::SYMLINK_FOLLOW)? != 0,
        oflags: flags::known(oflags, 15)?,
        fdflags: flags::fdflags(fdflags)?,
        base: base & rights::ALL,
        inheriting: inheriting & rights::ALL,
    };
    check(caller, fd, &request)?;
    let path = GuestPath::read(caller, ptr, len)?;
    // The output pointer is checked first: a descriptor must not be created if its number cannot be returned.
    caller.memory_or_empty().slice(out, 4)?;
    caller.state().services.table().room()?;
    check(caller, fd, &request)?;
    let granted = caller.capabilities();
    let services = &caller.state().services;
    let open = services.directory(granted, fd, Use::Look, rights::PATH_OPEN)?;
    let (kind, access) = open_at(services.guard(), open, &path, &request)?;
    let kept = if matches!(kind, Kind::Dir(_)) {
        rights::DIRECTORY
    } else {
        rights::FILE
    };
    let kept = if access == Access::ReadOnly {
        kept & !rights::CHANGES
    } else if request.base & rights::FD_WRITE == 0 {
        // The size of a file changes only through a descriptor that is open for writing (ftruncate(2)). Go requests the
        // right to that even to read a file.
        kept & !rights::WRITES_DATA
    } else {
        kept
    };
    let descriptor = Descriptor {
        kind,
        base: request.base & kept,
        inheriting: request.inheriting,
        flags: request.fdflags,
    };
    let fd = caller.state().services.table().add(descriptor)?;
    write_u32(caller, out, fd)
}

/// Checks that the directory allows this request.
fn check(caller: &mut Caller<'_>, fd: u32, request: &Request) -> Result<(), Errno> {
    let granted = caller.capabilities();
    let services = &caller.state().services;
    let may_inherit = {
        services.directory(granted, fd, Use::Look, rights::PATH_OPEN)?;
        let required = request.required(services.open().table.get(fd)?.base);
        services.directory(granted, fd, Use::Look, required)?;
        if request.needs_write() {
            services.directory(granted, fd, Use::Write, 0)?;
        }
        if request.needs_read() {
            services.directory(granted, fd, Use::Read, 0)?;
        }
        services.open().table.get(fd)?.inheriting
    };
    if (request.base | request.inheriting) & !may_inherit != 0 {
        return Err(Errno::Notcapable);
    }
    Ok(())
}

fn open_at(guard: &Guard, open: &OpenDir, path: &GuestPath, request: &Request) -> Answer<(Kind, Access)> {
    if request.has(flags::DIRECTORY) {
        if request.has(flags::CREAT | flags::EXCL | flags::TRUNC) {
            return Err(Errno::Inval.into());
        }
        let path = path.lookup();
        let dir = if files::WALKS {
            path::resolve_and(open, &path, request.follow, |dir, name| {
                Ok(dir.open_dir_nofollow(name)?)
            })?
        } else if request.follow {
            open.dir.open_dir(&*path)?
        } else {
            open.dir.open_dir_nofollow(&*path)?
        };
        // A directory is never open for writing (open(2)).
        if request.base & rights::FD_WRITE != 0 {
            return Err(Errno::Isdir.into());
        }
        return directory(guard, open, dir);
    }
    // Only directories have paths with a trailing slash, and this creates a file (open(2)).
    if path.names_directory() && request.has(flags::CREAT) {
        files::open_dir(&open.dir, path.parent())?;
        return Err(Errno::Isdir.into());
    }
    let path = &*path.lookup();
    if !guard.is_needed() && !files::WALKS {
        return file(
            guard,
            open,
            (&open.dir, Path::new(path)),
            request.follow,
            request,
            open.access,
        );
    }
    // With CREAT and EXCL, a link is not followed: the file must be new.
    let follow = request.follow && !(request.has(flags::CREAT) && request.has(flags::EXCL));
    path::resolve_and(open, path, follow, |dir, name| {
        let access = guard.access(dir, open.access)?;
        if access == Access::ReadOnly && request.needs_write() {
            return Err(Errno::Notcapable.into());
        }
        file(guard, open, (dir, name), false, request, access)
    })
}

/// Returns the descriptor kind of a directory that was opened through another.
fn directory(guard: &Guard, open: &OpenDir, dir: Dir) -> Answer<(Kind, Access)> {
    let access = guard.access(&dir, open.access)?;
    let kind = Kind::Dir(OpenDir {
        dir,
        access,
        preopen: None,
        listing: None,
    });
    Ok((kind, access))
}

/// Opens a file in a directory whose effective access is `access`. The file may turn out to be a directory.
fn file(
    guard: &Guard,
    open: &OpenDir,
    (dir, path): (&Dir, &Path),
    follow: bool,
    request: &Request,
    access: Access,
) -> Answer<(Kind, Access)> {
    // Creating or truncating a file requires opening it for writing, whatever rights the guest requests on the
    // descriptor.
    let write =
        request.has(flags::CREAT) || request.has(flags::TRUNC) || request.base & rights::FD_WRITE != 0;
    let mut options = OpenOptions::new();
    options
        .read(!write || request.base & rights::FD_READ != 0)
        .write(write);
    options.truncate(request.has(flags::TRUNC));
    if request.has(flags::CREAT) {
        let exclusive = request.has(flags::EXCL);
        options.create(!exclusive).create_new(exclusive);
    }
    options.follow(if follow {
        FollowSymlinks::Yes
    } else {
        FollowSymlinks::No
    });
    options.sync(request.fdflags & (flags::DSYNC | flags::RSYNC | flags::SYNC) != 0);
    let appends = request.fdflags & flags::APPEND != 0;
    let file = files::open(dir, path, &mut options, write, appends)?;
    let filetype = Filetype::from(file.metadata()?.file_type());
    if filetype == Filetype::Directory {
        return directory(guard, open, Dir::from_std_file(file.into_std()));
    }
    let kind = Kind::File(OpenFile {
        file,
        filetype,
        access,
    });
    Ok((kind, access))
}
