//! The last error of each thread, and the guard around the body of every exported function.

use std::cell::RefCell;
use std::error::Error as StdError;
use std::ffi::{CStr, CString};
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

use dynload_diagnostics::printable;
use dynload_hotreload::{ReloadError, StartError};
use dynload_sandbox::{ErrorKind, Limit, ModuleError};

/// The kind of an error; `get_load_error_code` returns it as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i64)]
#[non_exhaustive]
pub enum ErrorCode {
    /// No error.
    Ok = 0,
    /// An argument is invalid: null, negative, not UTF-8, out of range, or malformed.
    InvalidArgument = 1,
    /// A handle is not, or is no longer, a handle of this kind.
    InvalidHandle = 2,
    /// A file or directory cannot be read.
    Io = 3,
    /// A native library cannot be loaded, reloaded or unloaded.
    Load = 4,
    /// There is no symbol, export or import of that name.
    NotFound = 5,
    /// The bytes are not a WebAssembly module, or the module uses a disabled feature.
    InvalidModule = 6,
    /// The module has unresolved imports.
    MissingImport = 7,
    /// The type of the function does not match the call.
    Signature = 8,
    /// The guest trapped.
    Trap = 9,
    /// The guest exceeded the memory limit of the sandbox.
    MemoryLimit = 10,
    /// The guest exceeded the time limit of the sandbox.
    TimeLimit = 11,
    /// The guest exceeded the stack limit of the sandbox.
    StackLimit = 12,
    /// The guest exceeded the call-depth limit of the sandbox.
    DepthLimit = 13,
    /// The guest exceeded the fuel limit of the sandbox.
    FuelLimit = 14,
    /// A required capability is not granted.
    CapabilityDenied = 15,
    /// The call was interrupted.
    Interrupted = 16,
    /// The guest exited by its own request.
    Exited = 17,
    /// The instance is poisoned by an aborted call: reset it.
    Poisoned = 18,
    /// The object is in use and this call must not wait for it, for instance because it comes from a callback.
    Busy = 19,
    /// A host function failed.
    HostFunction = 20,
    /// A source cannot be built or watched.
    Build = 21,
    /// An internal error of this library.
    Internal = 22,
    /// A plugin that was called with bytes returned an error, or a result that is neither bytes nor an error.
    Plugin = 23,
}

/// A failure that becomes the thread's last error.
#[derive(Clone, Debug)]
pub(crate) struct Error {
    code: ErrorCode,
    message: String,
}

pub(crate) type Result<T> = std::result::Result<T, Error>;

/// The maximum length of an error text in bytes, except one with compiler output.
const MOST: usize = 16_000;
/// The maximum length of a build error's text in bytes.
const MOST_OF_BUILD: usize = 160 * 1024;

impl Error {
    /// Creates an error whose text is one line, whatever names it contains.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Error {
        Error {
            code,
            message: printable(message.into()).up_to(MOST).to_string(),
        }
    }

    /// Creates an error that keeps the lines of a compiler's output.
    fn of_build(code: ErrorCode, message: String) -> Error {
        Error {
            code,
            message: printable(message).up_to(MOST_OF_BUILD).with_lines().to_string(),
        }
    }

    /// Creates an error whose text contains the whole chain of causes: C has no other way to see them.
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

/// Returns an error and its causes in one line.
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
        let mut message = chain(&error);
        if let ModuleError::TooLarge {
            limit: Some(limit), ..
        } = &error
        {
            message.push_str(&format!(
                ", in C: sandbox_set_module_limit with the name \"{limit}\""
            ));
        }
        Error::new(ErrorCode::InvalidModule, message)
    }
}

impl From<dynload_sandbox::Error> for Error {
    fn from(error: dynload_sandbox::Error) -> Error {
        Error::from_chain(kind_code(error.kind()), &error)
    }
}

/// Returns the code of a stopped call. The kind of a nested call's failure is the kind of the outer call's failure.
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
        ErrorKind::Failed(_) | ErrorKind::InvalidResult(_) => ErrorCode::Plugin,
        _ => ErrorCode::Internal,
    }
}

impl From<dynload_plugins::CallError> for Error {
    fn from(error: dynload_plugins::CallError) -> Error {
        use dynload_plugins::{CallError, PoolError};
        let code = match &error {
            CallError::NotLoaded { .. } => ErrorCode::NotFound,
            CallError::Native { .. } => ErrorCode::Signature,
            CallError::Pool {
                source: PoolError::Instance(error),
                ..
            }
            | CallError::Call { source: error, .. } => kind_code(error.kind()),
            _ => ErrorCode::Busy,
        };
        Error::from_chain(code, &error)
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
        // The text includes the compiler output.
        Error::of_build(code, error.report())
    }
}

impl From<dynload_caps::ScopeError> for Error {
    fn from(error: dynload_caps::ScopeError) -> Error {
        Error::from_chain(ErrorCode::InvalidArgument, &error)
    }
}

impl From<dynload_sandbox::ServiceError> for Error {
    fn from(error: dynload_sandbox::ServiceError) -> Error {
        Error::from_chain(ErrorCode::Io, &error)
    }
}

#[cfg(unix)]
impl From<dynload_gpu::StartError> for Error {
    fn from(error: dynload_gpu::StartError) -> Error {
        let code = match error {
            dynload_gpu::StartError::NotAbsolute { .. } => ErrorCode::InvalidArgument,
            _ => ErrorCode::Io,
        };
        Error::from_chain(code, &error)
    }
}

impl From<dynload_caps::ParseGpuPatternError> for Error {
    fn from(error: dynload_caps::ParseGpuPatternError) -> Error {
        Error::from_chain(ErrorCode::InvalidArgument, &error)
    }
}

impl From<dynload_discovery::Denied> for Error {
    fn from(error: dynload_discovery::Denied) -> Error {
        Error::from_chain(ErrorCode::CapabilityDenied, &error)
    }
}

impl From<dynload_discovery::ConfigProblems> for Error {
    fn from(error: dynload_discovery::ConfigProblems) -> Error {
        Error::from_chain(ErrorCode::InvalidArgument, &error)
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
    /// Not dropped with the thread's other thread-locals: the last destructors of a thread, and the exit handlers of
    /// the process, call functions too.
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
    // A NUL is not printable, so the message contains none.
    let text = CString::new(message).unwrap_or_default();
    // An error that is set by the very last destructors of a thread is not freed: the thread is about to end anyway.
    let _ = FREES_LAST.try_with(|_| ());
    set_last(Some(Last { code, text }));
}

/// Passes the last error of this thread to `f`: its code and its text.
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

/// As [`guard`], for functions that free or destroy something: success leaves this thread's error as it was, so that a program
/// can clean up before it asks why another function failed.
pub(crate) fn guard_release<T>(failed: T, body: impl FnOnce() -> Result<T>) -> T {
    let before = LAST.with(|slot| slot.try_borrow_mut().ok().and_then(|mut slot| slot.take()));
    let mut released = false;
    let value = guard(failed, || {
        let value = body()?;
        released = true;
        Ok(value)
    });
    if released {
        set_last(before);
    }
    value
}

/// As [`guard_with`], for functions that can return a value and set an error in the same call: those that succeeded
/// in part.
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

/// Runs the body of an exported function that is a query and cannot fail. This thread's error is unchanged, so that a
/// program can call `module_is_loaded` between a failure and `get_load_error`.
pub(crate) fn guard_query<T>(failed: T, body: impl FnOnce() -> T) -> T {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => value,
        Err(panic) => {
            fail(Error::new(ErrorCode::Internal, panic_message(&*panic)));
            failed
        }
    }
}

/// Runs the body of an exported function that a signal handler may call. Nothing of the thread is changed, in
/// particular not its error.
pub(crate) fn guard_signal<T>(failed: T, body: impl FnOnce() -> T) -> T {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or(failed)
}

pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let message = panic
        .downcast_ref::<&str>()
        .map(|text| (*text).to_owned())
        .or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned());
    format!("internal error of the library; report it: {message}")
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
    fn failure_sets_the_error_success_clears_it_and_queries_keep_it() {
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
    fn a_successful_release_keeps_the_error_and_a_failed_one_sets_it() {
        guard((), || Err(Error::new(ErrorCode::Io, "first")));
        // What runs inside may succeed or fail itself.
        assert_eq!(guard_release(0, || Ok(guard(0, || Ok(1)))), 1);
        assert_eq!(last(), (ErrorCode::Io, "first".to_owned()));
        assert_eq!(guard_release(0, || Err(Error::new(ErrorCode::Load, "second"))), 0);
        assert_eq!(last(), (ErrorCode::Load, "second".to_owned()));
        guard((), || Ok(()));
        assert_eq!(guard_release(0, || Ok(1)), 1);
        assert_eq!(last().0, ErrorCode::Ok);
    }

    #[test]
    fn a_panic_becomes_an_error() {
        assert_eq!(guard(-1, || -> Result<i32> { panic!("at {}", 7) }), -1);
        let (code, text) = last();
        assert_eq!(code, ErrorCode::Internal);
        assert!(text.ends_with("at 7"), "{text}");
        assert_eq!(guard_query(-2, || -> i32 { panic!("again") }), -2);
        assert!(last().1.ends_with("again"));
    }

    #[test]
    fn each_thread_has_its_own_error() {
        guard((), || Err(Error::new(ErrorCode::Load, "mine")));
        std::thread::scope(|scope| {
            scope.spawn(|| assert_eq!(last().0, ErrorCode::Ok));
        });
        assert_eq!(last().0, ErrorCode::Load);
    }
}
