//! The directories that a guest finds open when it starts.

use super::Errno;
use crate::{
    host::Caller,
    services::{
        ServiceError,
        answer::Answer,
        descriptor::{Descriptor, Kind, OpenDir, Table, Use},
    },
};
use cap_std::{ambient_authority, fs::Dir};
use dynload_caps::DirScope;
use std::string::String;

/// A table with the console and every directory of the scopes, from 3 on.
pub(in crate::services) fn preopen(dirs: &[DirScope]) -> Result<Table, ServiceError> {
    let mut table = Table::new();
    for scope in dirs {
        let refused = |cause| ServiceError::Directory {
            host: scope.host.clone(),
            guest: scope.guest.clone(),
            cause,
        };
        // The one place where the scopes turn into authority over files.
        let dir = Dir::open_ambient_dir(&scope.host, ambient_authority()).map_err(refused)?;
        let full = |_| {
            refused(std::io::Error::other(
                "there are more directories than descriptors",
            ))
        };
        table
            .add(Descriptor::preopened(dir, &scope.guest, scope.access))
            .map_err(full)?;
    }
    Ok(table)
}

pub(super) fn get(caller: &mut Caller<'_>, fd: u32, out: u32) -> Answer {
    let len = with_name(caller, fd, |name| name.len() as u32)?;
    // `prestat`: the tag of a directory, padding, and the length of its name.
    let mut prestat = [0; 8];
    prestat[4..].copy_from_slice(&len.to_le_bytes());
    Ok(caller.memory().write(out, &prestat)?)
}

pub(super) fn name(caller: &mut Caller<'_>, fd: u32, ptr: u32, len: u32) -> Answer {
    let name = with_name(caller, fd, |name| String::from(name))?;
    if (len as usize) < name.len() {
        return Err(Errno::Nametoolong.into());
    }
    caller.charge_bytes(name.len() as u64)?;
    Ok(caller.memory().write(ptr, name.as_bytes())?)
}

/// Without a capability for files there are no such directories, so the answer is that of a descriptor that is closed.
fn with_name<T>(caller: &mut Caller<'_>, fd: u32, then: impl FnOnce(&str) -> T) -> Answer<T> {
    let granted = caller.capabilities();
    let descriptor = caller.state().services.table().get(fd)?;
    match &descriptor.kind {
        Kind::Dir(OpenDir {
            preopen: Some(name), ..
        }) => {
            descriptor.check(granted, Use::Look, 0).map_err(|_| Errno::Badf)?;
            Ok(then(name))
        }
        Kind::Dir(_) | Kind::File(_) => Err(Errno::Notsup.into()),
        _ => Err(Errno::Badf.into()),
    }
}
