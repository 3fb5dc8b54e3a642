//! A job: a process with everything that it starts. No process leaves it.

use std::{
    ffi::c_void,
    io,
    os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle, RawHandle},
    process::Child,
    ptr,
};

#[link(name = "kernel32", kind = "raw-dylib")]
unsafe extern "system" {
    fn CreateJobObjectW(attributes: *const c_void, name: *const u16) -> RawHandle;
    fn AssignProcessToJobObject(job: RawHandle, process: RawHandle) -> i32;
    fn TerminateJobObject(job: RawHandle, status: u32) -> i32;
}

#[link(name = "ntdll", kind = "raw-dylib")]
unsafe extern "system" {
    fn NtResumeProcess(process: RawHandle) -> i32;
}

#[derive(Debug)]
pub(crate) struct Job(OwnedHandle);

impl Job {
    /// Creates a job with this process, which must be suspended: it could start others before.
    pub(crate) fn of(child: &Child) -> io::Result<Job> {
        // SAFETY: Without attributes and a name, nothing is read.
        let job = unsafe { CreateJobObjectW(ptr::null(), ptr::null()) };
        if job.is_null() {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: It is a new handle, which nobody else closes.
        let job = unsafe { OwnedHandle::from_raw_handle(job) };
        // SAFETY: Both handles are open.
        if unsafe { AssignProcessToJobObject(job.as_raw_handle(), child.as_raw_handle()) } == 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(Job(job))
    }

    /// Kills every process of the job.
    pub(crate) fn kill(&self) -> io::Result<()> {
        // SAFETY: The handle is open.
        match unsafe { TerminateJobObject(self.0.as_raw_handle(), 1) } {
            0 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        }
    }
}

/// Lets a process run that was started suspended.
pub(crate) fn resume(child: &Child) -> io::Result<()> {
    // SAFETY: The handle is open.
    match unsafe { NtResumeProcess(child.as_raw_handle()) } {
        0.. => Ok(()),
        _ => Err(io::Error::other("the program could not be resumed")),
    }
}
