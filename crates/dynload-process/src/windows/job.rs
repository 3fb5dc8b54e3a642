//! A job object: what a program starts belongs to it, and ends with it.

use std::{
    ffi::c_void,
    io,
    os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle},
    process::Child,
    ptr,
};
use windows_sys::Win32::System::JobObjects::{
    AssignProcessToJobObject, CreateJobObjectW, JOB_OBJECT_LIMIT, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE,
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION, JobObjectExtendedLimitInformation, SetInformationJobObject,
    TerminateJobObject,
};

/// The exit code of processes that are killed, as that of `taskkill`.
const KILLED: u32 = 1;

/// Kills its processes when it is dropped, also because the host ends.
#[derive(Debug)]
pub(super) struct Job(OwnedHandle);

impl Job {
    pub(super) fn new() -> io::Result<Job> {
        // SAFETY: both pointers may be null: default security, and no name.
        let handle = unsafe { CreateJobObjectW(ptr::null(), ptr::null()) };
        if handle.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the handle was just created, and nothing else closes it.
        let job = Job(unsafe { OwnedHandle::from_raw_handle(handle) });
        job.limit(JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE)?;
        Ok(job)
    }

    /// Adds a process. Those that it starts from now on belong to the job too.
    pub(super) fn add(&self, child: &Child) -> io::Result<()> {
        // SAFETY: `self` and `child` own the handles, and live until the call returns.
        check(unsafe { AssignProcessToJobObject(self.0.as_raw_handle(), child.as_raw_handle()) })
    }

    pub(super) fn kill(&self) {
        // An error means that there is nothing left to kill.
        // SAFETY: `self` owns the handle, and lives until the call returns.
        let _ = check(unsafe { TerminateJobObject(self.0.as_raw_handle(), KILLED) });
    }

    /// Lets its processes run on when it is dropped.
    pub(super) fn release(&self) {
        let _ = self.limit(0);
    }

    fn limit(&self, flags: JOB_OBJECT_LIMIT) -> io::Result<()> {
        let mut limits = JOBOBJECT_EXTENDED_LIMIT_INFORMATION::default();
        limits.BasicLimitInformation.LimitFlags = flags;
        // SAFETY: `self` owns the handle. The structure is the one of this class of information, has this size, and lives until
        // the call returns.
        check(unsafe {
            SetInformationJobObject(
                self.0.as_raw_handle(),
                JobObjectExtendedLimitInformation,
                ptr::from_ref(&limits).cast::<c_void>(),
                size_of_val(&limits) as u32,
            )
        })
    }
}

/// Returns the error of a call that returned FALSE.
fn check(result: i32) -> io::Result<()> {
    if result == 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
