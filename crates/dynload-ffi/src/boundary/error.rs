//! The last error of each thread, and the guard through which every exported function goes.

use std::cell::RefCell;
use std::error::Error as StdError;
use std::ffi::{CStr, CString};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

use dynload_diagnostics::printable;
use dynload_hotreload::{ReloadError, StartError};
use dynload_sandbox::{ErrorKind, Limit, ModuleError};

/// What kind of failure an error is; `get_load_error_code` gives it as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i64)]
#[non_exhaustive]
pub enum ErrorCode {
    /// No error.
    Ok = 0,
    /// An argument that makes no sense: null, negative, not UTF-8, out of range, of no known form.
    InvalidArgument = 1,
    /// A handle that is not, or not any more, one of this kind.
    InvalidHandle = 2,
    /// A file or directory that cannot be read.
    Io = 3,
    /// A native library that cannot be loaded, reloaded or unloaded.
    Load = 4,
    /// No symbol, export or import of that name.
    NotFound = 5,
    /// Bytes that are no WebAssembly module, or one with features that are off.
    InvalidModule = 6,
    /// Imports that nobody provides.
    MissingImport = 7,
    /// A function of another type than the call.
    Signature = 8,
    /// The guest trapped.
    Trap = 9,
    /// More memory than the sandbox allows.
    MemoryLimit = 10,
    /// More time than the sandbox allows.
    TimeLimit = 11,
    /// More stack than the sandbox allows.
    StackLimit = 12,
    /// More nested calls than the sandbox allows.
    DepthLimit = 13,
    /// More fuel than the sandbox allows.
    FuelLimit = 14,
    /// A capability that is not granted.
    CapabilityDenied = 15,
    /// The call was interrupted.
    Interrupted = 16,
    /// The guest ended itself.
    Exited = 17,
    /// An earlier call ended half-way: reset the instance.
    Poisoned = 18,
    /// In use in a way that does not allow this now, for instance from its own callback.
    Busy = 19,
    /// A function of the host failed.
    HostFunction = 20,
    /// A source that cannot be built, or watched.
    Build = 21,
    /// A fault of this library.
    Internal = 22,
}

/// A failure on its way to the thread's last error.
#[derive(Clone, Debug)]
pub(crate) struct Error {
    code: ErrorCode,
    message: String,
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// The most bytes of an error's text, but for what a compiler wrote.
const MOST: usize = 16_000;
/// The most bytes of the text of a build that failed.
const MOST_OF_BUILD: usize = 160 * 1024;

impl Error {
    /// In one line, whatever names are in it.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Error {
        Error {
            code,
            message: printable(message.into()).up_to(MOST).to_string(),
        }
    }

    /// With what a compiler wrote, in its lines.
    fn of_build(code: ErrorCode, message: String) -> Error {
        Error {
            code,
            message: printable(message).up_to(MOST_OF_BUILD).with_lines().to_string(),
        }
    }

    /// With the whole chain of causes, which C has no other way to see.
    pub(crate) fn from_chain(code: ErrorCode, error: &dyn StdError) -> Error {
        Error::new(code, chain(error))
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn code(&self) -> ErrorCode {
        self.code
    }

    pub(crate) fn into_message(self) -> String {
        self.message
    }
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl From<dynload_native::Error> for Error {
    fn from(error: dynload_native::Error) -> Error {
        let code = match &error {
            dynload_native::Error::Flags(_) | dynload_native::Error::Name { .. } => {
                ErrorCode::InvalidArgument
            }
            dynload_native::Error::Symbol { .. } | dynload_native::Error::NullSymbol { .. } => {
                ErrorCode::NotFound
            }
            dynload_native::Error::Stage { .. } => ErrorCode::Io,
            dynload_native::Error::NotLoaded { .. } => ErrorCode::InvalidHandle,
            dynload_native::Error::Reentered { .. } => ErrorCode::Busy,
            _ => ErrorCode::Load,
        };
        Error::from_chain(code, &error)
    }
}

impl From<ModuleError> for Error {
    fn from(error: ModuleError) -> Error {
        Error::from_chain(ErrorCode::InvalidModule, &error)
    }
}

impl From<dynload_sandbox::Error> for Error {
    fn from(error: dynload_sandbox::Error) -> Error {
        Error::from_chain(kind_code(error.kind()), &error)
    }
}

/// The code of a stopped call. What a nested call ended with is what the outer call ended with.
pub(crate) fn kind_code(kind: &ErrorKind) -> ErrorCode {
    match kind {
        ErrorKind::LimitExceeded { limit, .. } => match limit {
            Limit::Memory => ErrorCode::MemoryLimit,
            Limit::Time => ErrorCode::TimeLimit,
            Limit::Stack => ErrorCode::StackLimit,
            Limit::CallDepth | Limit::Reentry => ErrorCode::DepthLimit,
            _ => ErrorCode::FuelLimit,
        },
        ErrorKind::Trap(_) => ErrorCode::Trap,
        ErrorKind::Interrupted => ErrorCode::Interrupted,
        ErrorKind::CapabilityDenied { .. } => ErrorCode::CapabilityDenied,
        ErrorKind::Exit(_) => ErrorCode::Exited,
        ErrorKind::NoSuchExport { .. } => ErrorCode::NotFound,
        ErrorKind::SignatureMismatch { .. } => ErrorCode::Signature,
        ErrorKind::Poisoned(_) => ErrorCode::Poisoned,
        ErrorKind::MissingImports(_) => ErrorCode::MissingImport,
        ErrorKind::Host(_) => ErrorCode::HostFunction,
        _ => ErrorCode::Internal,
    }
}

impl From<StartError> for Error {
    fn from(error: StartError) -> Error {
        let code = match error {
            StartError::Path { .. } => ErrorCode::InvalidArgument,
            StartError::Stopped => ErrorCode::Interrupted,
            _ => ErrorCode::Build,
        };
        Error::from_chain(code, &error)
    }
}

impl From<&ReloadError> for Error {
    fn from(error: &ReloadError) -> Error {
        let code = match error {
            ReloadError::Source { .. } | ReloadError::Staging { .. } | ReloadError::OutputDir { .. } => {
                ErrorCode::Io
            }
            ReloadError::Load(_) | ReloadError::Restore(_) => ErrorCode::Load,
            _ => ErrorCode::Build,
        };
        // With what the compiler wrote.
        Error::of_build(code, error.report())
    }
}

impl From<dynload_caps::ScopeError> for Error {
    fn from(error: dynload_caps::ScopeError) -> Error {
        Error::from_chain(ErrorCode::InvalidArgument, &error)
    }
}

#[cfg(unix)]
impl From<dynload_sandbox::ServiceError> for Error {
    fn from(error: dynload_sandbox::ServiceError) -> Error {
        Error::from_chain(ErrorCode::Io, &error)
    }
}

impl From<dynload_caps::ParseNetError> for Error {
    fn from(error: dynload_caps::ParseNetError) -> Error {
        Error::from_chain(ErrorCode::InvalidArgument, &error)
    }
}

impl From<dynload_caps::UnknownCapability> for Error {
    fn from(error: dynload_caps::UnknownCapability) -> Error {
        Error::from_chain(ErrorCode::InvalidArgument, &error)
    }
}

struct Last {
    code: ErrorCode,
    text: CString,
}

thread_local! {
    /// Not dropped with the other things of a thread: its last handlers, and those of the process, call functions too.
    static LAST: ManuallyDrop<RefCell<Option<Last>>> = const { ManuallyDrop::new(RefCell::new(None)) };
    static FREES_LAST: FreesLast = const { FreesLast };
}

/// Frees the error of a thread that ends.
struct FreesLast;

impl Drop for FreesLast {
    fn drop(&mut self) {
        set_last(None);
    }
}

fn set_last(last: Option<Last>) {
    LAST.with(|slot| {
        let Ok(mut slot) = slot.try_borrow_mut() else {
            return;
        };
        *slot = last;
    });
}

fn fail(error: Error) {
    let Error { code, message } = error;
    // No NUL is printable.
    let text = CString::new(message).unwrap_or_default();
    // One that is set by the very last handlers is not freed: the thread is as good as gone.
    let _ = FREES_LAST.try_with(|_| ());
    set_last(Some(Last { code, text }));
}

/// Gives `f` the last error of this thread: its code and its text.
pub(crate) fn with_last<R>(f: impl FnOnce(ErrorCode, Option<&CStr>) -> R) -> R {
    LAST.with(|last| match &*last.borrow() {
        Some(Last { code, text }) => f(*code, Some(text)),
        None => f(ErrorCode::Ok, None),
    })
}

/// Runs the body of an exported function that can fail. Success clears this thread's error; failure, a panic included, sets
/// it and makes the function return `failed`.
pub(crate) fn guard<T>(failed: T, body: impl FnOnce() -> Result<T>) -> T {
    guard_with(|_| failed, body)
}

/// As [`guard`], for functions whose failure value depends on what happened.
pub(crate) fn guard_with<T>(failed: impl FnOnce(ErrorCode) -> T, body: impl FnOnce() -> Result<T>) -> T {
    let error = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(value)) => {
            set_last(None);
            return value;
        }
        Ok(Err(error)) => error,
        Err(panic) => Error::new(ErrorCode::Internal, panic_message(&*panic)),
    };
    let value = failed(error.code);
    fail(error);
    value
}

/// As [`guard_with`], for functions that can give a value and an error together: those that did what they could.
pub(crate) fn guard_partial<T>(
    failed: impl FnOnce(ErrorCode) -> T,
    body: impl FnOnce() -> Result<(T, Option<Error>)>,
) -> T {
    let mut partly = None;
    let value = guard_with(failed, || {
        let (value, error) = body()?;
        partly = error;
        Ok(value)
    });
    if let Some(error) = partly {
        fail(error);
    }
    value
}

/// Runs the body of an exported function that only looks and cannot fail. This thread's error stays as it is, so that
/// `module_is_loaded` can stand between a failure and the question why.
pub(crate) fn guard_query<T>(failed: T, body: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => value,
        Err(panic) => {
            fail(Error::new(ErrorCode::Internal, panic_message(&*panic)));
            failed
        }
    }
}

/// Runs the body of an exported function that a signal handler may call. Nothing of the thread is touched, its error least of all.
pub(crate) fn guard_signal<T>(failed: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(failed)
}

pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    format!("a fault of the library, please report it: {message}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last() -> (ErrorCode, String) {
        with_last(|code, text| {
            (
                code,
                text.map(|text| text.to_string_lossy().into_owned())
                    .unwrap_or_default(),
            )
        })
    }

    #[test]
    fn failure_sets_success_clears_queries_leave() {
        let value = guard(7, || Err(Error::new(ErrorCode::Io, "no\0such file")));
        assert_eq!(
            (value, last()),
            (7, (ErrorCode::Io, r"no\u{0}such file".to_owned()))
        );
        assert_eq!(guard_query(0, || 3), 3);
        assert_eq!(last().0, ErrorCode::Io);
        assert_eq!(guard(7, || Ok(1)), 1);
        assert_eq!(last(), (ErrorCode::Ok, String::new()));
    }

    #[test]
    fn a_panic_is_an_error() {
        assert_eq!(guard(-1, || -> Result<i32> { panic!("at {}", 7) }), -1);
        let (code, text) = last();
        assert_eq!(code, ErrorCode::Internal);
        assert!(text.ends_with("at 7"), "{text}");
        assert_eq!(guard_query(-2, || -> i32 { panic!("again") }), -2);
        assert!(last().1.ends_with("again"));
    }

    #[test]
    fn each_thread_has_its_own() {
        guard((), || Err(Error::new(ErrorCode::Load, "mine")));
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(last().0, ErrorCode::Ok));
        });
        assert_eq!(last().0, ErrorCode::Load);
    }
}
