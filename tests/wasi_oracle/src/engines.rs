//! The two implementations, behind one interface.

pub(crate) mod dynload;
pub(crate) mod wasmtime;

/// The guest's name of the directory.
const GUEST_DIRECTORY: &str = "/data";
const ARGUMENTS: &[&str] = &["guest", "two words", "", "größe"];
const ENVIRONMENT: &[(&str, &str)] = &[("NAME", "value"), ("EMPTY", ""), ("WITH", "a=b")];
const INPUT: &[u8] = b"the standard input of the guest";

/// How a call ended, before its results are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The function returned this errno.
    Returned(u16),
    Trapped,
    Exited(i32),
}

/// An instance of the guest.
pub(crate) trait Engine {
    fn call(&mut self, function: &str, args: &[i64]) -> Ending;
    fn write(&mut self, at: u32, bytes: &[u8]);
    fn read(&mut self, at: u32, len: u32) -> Vec<u8>;
    /// Returns everything written to standard output and to standard error.
    fn output(&mut self) -> [Vec<u8>; 2];
}
