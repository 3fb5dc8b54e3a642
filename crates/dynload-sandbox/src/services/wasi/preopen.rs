//! Preopens: the directories that are open when a guest starts.

use super::Errno;
use crate::{
    host::Caller,
    services::{
        Grants, ServiceError,
        answer::Answer,
        descriptor::{Descriptor, Kind, OpenDir, Table, Use},
    },
};
use std::string::String;

/// Returns a table with the console and every directory of the scopes, from 3 up.
pub(in crate::services) fn preopen(grants: &Grants) -> Result<Table, ServiceError> {
    let mut table = Table::new();
    let guard = grants.guard()?;
    for grant in grants.iter() {
        let full = |_| {
            grant.refused(std::io::Error::other(
                "more directories than available descriptors",
            ))
        };
        let (dir, scope) = (grant.dir()?, &grant.scope);
        // The same directory may also have been granted with less access.
        let unknown = |_| grant.refused(std::io::Error::other("its parent directories are not accessible"));
        let access = guard.access(&dir, scope.access).map_err(unknown)?;
        table
            .add(Descriptor::preopened(dir, &scope.guest, access))
            .map_err(full)?;
    }
    Ok(table)
}

pub(super) fn get(caller: &mut Caller<'_>, fd: u32, out: u32) -> Answer {
    let len = with_name(caller, fd, |name| name.len() as u32)?;
    // `prestat`: the tag of a directory, padding, and the length of its name.
    let mut prestat = [0; 8];
    prestat[4..].copy_from_slice(&len.to_le_bytes());
    Ok(caller.memory_or_empty().write(out, &prestat)?)
}

pub(super) fn name(caller: &mut Caller<'_>, fd: u32, ptr: u32, len: u32) -> Answer {
    let name = with_name(caller, fd, |name| String::from(name))?;
    if (len as usize) < name.len() {
        return Err(Errno::Nametoolong.into());
    }
    caller.charge_bytes(name.len() as u64)?;
    Ok(caller.memory_or_empty().write(ptr, name.as_bytes())?)
}

/// Calls `then` with the guest's name of a preopen. Any other descriptor returns BADF, as a closed one does, at which
/// C libraries end their search for preopens. Without a capability for files there are no preopens.
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
        _ => Err(Errno::Badf.into()),
    }
}
