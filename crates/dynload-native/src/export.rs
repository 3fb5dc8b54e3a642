//! The plugin side: the macro that turns a Rust library into a plugin, and the code that catches its panics.

use std::any::Any;
use std::cell::RefCell;
use std::ffi::c_char;
use std::fmt::Display;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::descriptor::Host;

/// The most bytes of a panic's message that are kept.
const MESSAGE: usize = 512;

struct Message {
    length: usize,
    bytes: [u8; MESSAGE],
}

thread_local! {
    // An array, not a `String`: a thread-local value without a destructor does not keep a library from being unloaded.
    static LAST_PANIC: RefCell<Message> = const { RefCell::new(Message { length: 0, bytes: [0; MESSAGE] }) };
}

fn record(message: &str) {
    // A character that does not fit completely is left out.
    let mut length = message.len().min(MESSAGE);
    while !message.is_char_boundary(length) {
        length -= 1;
    }
    LAST_PANIC.with_borrow_mut(|last| {
        last.bytes[..length].copy_from_slice(&message.as_bytes()[..length]);
        last.length = length;
    });
}

fn record_panic(payload: Box<dyn Any + Send>) {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    record(
        text.filter(|text| !text.is_empty())
            .unwrap_or("a panic without a message"),
    );
    // The payload may be of any type, and its destructor may panic too.
    if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        std::mem::forget(again);
    }
}

/// Runs `body` in a plugin and returns its result, or the result of `or` when `body` panics.
///
/// The panic is caught, and its message is kept for the host.
///
/// [`export_plugin!`](crate::export_plugin) puts this around every function that it exports. Call it in functions that
/// are exported by hand, for example because they are `unsafe`. A panic that leaves an `extern "C"` function ends the
/// process, so `or` must not panic.
///
/// A library that was built with `panic = "abort"` ends the process at the panic.
///
/// # Examples
///
/// ```
/// #[unsafe(no_mangle)]
/// extern "C" fn divide(a: i64, b: i64) -> i64 {
///     dynload_native::catch_panic(|| i64::MIN, || a / b)
/// }
///
/// assert_eq!(divide(7, 2), 3);
/// assert_eq!(divide(7, 0), i64::MIN);
/// ```
pub fn catch_panic<R>(or: impl FnOnce() -> R, body: impl FnOnce() -> R) -> R {
    // State that the body leaves inconsistent is the plugin's own concern, as it is after a thread panics.
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => result,
        Err(payload) => {
            record_panic(payload);
            or()
        }
    }
}

/// The body of the `init` that [`export_plugin!`](crate::export_plugin) writes.
#[doc(hidden)]
pub fn run_init<E: Display>(host: &Host, init: impl FnOnce(&Host) -> Result<(), E>) -> i32 {
    catch_panic(
        || -1,
        || match init(host) {
            Ok(()) => 0,
            Err(error) => {
                record(&error.to_string());
                1
            }
        },
    )
}

/// The body of the `dynload_plugin_configure` that [`export_plugin!`](crate::export_plugin) writes.
///
/// # Safety
///
/// The name and the value are readable for their lengths.
#[doc(hidden)]
pub unsafe fn run_configure<E: Display>(
    (name, name_length): (*const c_char, usize),
    (value, value_length): (*const c_char, usize),
    configure: impl FnOnce(&str, &str) -> Result<(), E>,
) -> i32 {
    // SAFETY: the caller's promise; neither is null, since each is followed by a NUL.
    let (name, value) = unsafe {
        (
            std::slice::from_raw_parts(name.cast::<u8>(), name_length),
            std::slice::from_raw_parts(value.cast::<u8>(), value_length),
        )
    };
    catch_panic(
        || -1,
        || {
            let (Ok(name), Ok(value)) = (std::str::from_utf8(name), std::str::from_utf8(value)) else {
                record("it is not UTF-8");
                return 1;
            };
            match configure(name, value) {
                Ok(()) => 0,
                Err(error) => {
                    record(&error.to_string());
                    1
                }
            }
        },
    )
}

/// Reads a host's struct, which may be shorter or longer than this crate's: the host may be of another version.
///
/// # Safety
///
/// `host` points to a struct of `struct_size` bytes.
#[doc(hidden)]
pub unsafe fn read_host(host: *const Host) -> Host {
    let mut copy = Host {
        abi_version: 0,
        struct_size: 0,
        module_version: 0,
    };
    // SAFETY: the first version of the struct has this field, and no later one moves it.
    let size = unsafe { std::ptr::addr_of!((*host).struct_size).read() } as usize;
    // SAFETY: the caller promises `size` bytes, `copy` is a `Host`, and any bytes are a valid one.
    unsafe {
        let to = std::ptr::from_mut(&mut copy).cast::<u8>();
        std::ptr::copy_nonoverlapping(host.cast::<u8>(), to, size.min(size_of::<Host>()));
    }
    copy
}

/// The body of the `dynload_plugin_take_panic` that [`export_plugin!`](crate::export_plugin) writes.
///
/// # Safety
///
/// `buffer` is null or has room for `size` bytes.
#[doc(hidden)]
pub unsafe fn take_panic(buffer: *mut c_char, size: usize) -> usize {
    LAST_PANIC.with_borrow_mut(|last| {
        if !buffer.is_null() {
            let length = last.length.min(size);
            // SAFETY: the caller promises room for `size` bytes; the message is not inside the buffer.
            unsafe { std::ptr::copy_nonoverlapping(last.bytes.as_ptr(), buffer.cast::<u8>(), length) };
        }
        std::mem::take(&mut last.length)
    })
}

/// Turns a Rust library (`crate-type = ["cdylib"]`) into a plugin: emits its
/// [descriptor](crate::descriptor), and exports functions that catch panics.
///
/// # Examples
///
/// ```
/// use dynload_native::descriptor::Host;
///
/// fn start(host: &Host) -> Result<(), String> {
///     if host.module_version > 1000 { Err("enough reloads".into()) } else { Ok(()) }
/// }
///
/// fn set(name: &str, value: &str) -> Result<(), String> {
///     match name {
///         "digits" => value.parse::<u8>().map(drop).map_err(|error| error.to_string()),
///         _ => Ok(()),
///     }
/// }
///
/// dynload_native::export_plugin! {
///     name: "calculator",
///     version: "1.2.0",
///     configure: set,
///     init: start,
///     shutdown: || (),
///     exports: {
///         /// A panic makes this return -1.
///         fn divide(a: i64, b: i64) -> i64 { a / b } else { -1 }
///
///         /// Without an `else`, it returns the type's default value.
///         fn at(index: u32) -> i64 { [1, 2, 3][index as usize] }
///     }
/// }
///
/// assert_eq!(divide(1, 0), -1);
/// assert_eq!(at(9), 0);
/// ```
///
/// All but `name` and `version` may be left out; the order is as above. `name` (at most 63 bytes) and `version`
/// (at most 31) are constants such as `env!("CARGO_PKG_NAME")`. `configure` is called before `init`, once for each setting,
/// with its name and its value. `init` is called with a [`Host`]. Both return a `Result<(), E>` with any `E: Display`;
/// on an error the plugin is not loaded. `shutdown` takes and returns nothing. Functions are exported as `extern "C"`
/// under their own names and can use only types that C has: the host may have been built by another compiler, which lays
/// out Rust's types differently.
///
/// The plugin does not need the code that loads: depend on this crate with `default-features = false`.
#[macro_export]
macro_rules! export_plugin {
    (
        name: $name:expr,
        version: $version:expr
        $(, configure: $configure:expr)?
        $(, init: $init:expr)?
        $(, shutdown: $shutdown:expr)?
        $(, exports: {
            $(
                $(#[$meta:meta])*
                fn $function:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block
                $(else $or:block)?
            )*
        })?
        $(,)?
    ) => {
        const _: () = {
            const PANIC_MODE: $crate::descriptor::PanicMode = if cfg!(panic = "abort") {
                $crate::descriptor::PanicMode::Abort
            } else {
                $crate::descriptor::PanicMode::Unwind
            };
            #[allow(unused_mut, unused_assignments)]
            const INIT: Option<$crate::descriptor::Init> = {
                let mut entry: Option<$crate::descriptor::Init> = None;
                $(
                    unsafe extern "C" fn init(host: *const $crate::descriptor::Host) -> i32 {
                        // SAFETY: a host calls this with its own `Host`, which is alive during the call.
                        let host = unsafe { $crate::read_host(host) };
                        $crate::run_init(&host, $init)
                    }
                    entry = Some(init);
                )?
                entry
            };
            #[allow(unused_mut, unused_assignments)]
            const SHUTDOWN: Option<$crate::descriptor::Shutdown> = {
                let mut entry: Option<$crate::descriptor::Shutdown> = None;
                $(
                    unsafe extern "C" fn shutdown() {
                        $crate::catch_panic(|| (), || ($shutdown)())
                    }
                    entry = Some(shutdown);
                )?
                entry
            };

            #[unsafe(no_mangle)]
            #[allow(non_upper_case_globals)]
            static dynload_plugin_descriptor: $crate::descriptor::PluginDescriptor =
                $crate::descriptor::PluginDescriptor::new($name, $version, PANIC_MODE, INIT, SHUTDOWN);

            $(
                #[unsafe(no_mangle)]
                unsafe extern "C" fn dynload_plugin_configure(
                    name: *const ::std::ffi::c_char,
                    name_length: usize,
                    value: *const ::std::ffi::c_char,
                    value_length: usize,
                ) -> i32 {
                    // SAFETY: a host calls this with texts of these lengths.
                    unsafe { $crate::run_configure((name, name_length), (value, value_length), $configure) }
                }
            )?

            #[unsafe(no_mangle)]
            unsafe extern "C" fn dynload_plugin_take_panic(
                buffer: *mut ::std::ffi::c_char,
                size: usize,
            ) -> usize {
                // SAFETY: a host calls this with a buffer of this size.
                unsafe { $crate::take_panic(buffer, size) }
            }
        };

        $($(
            $(#[$meta])*
            #[unsafe(no_mangle)]
            #[deny(improper_ctypes_definitions)]
            pub extern "C" fn $function($($argument: $type),*) $(-> $result)? {
                $crate::catch_panic(
                    || $crate::export_plugin!(@or $($or)?),
                    || $(-> $result)? { $body },
                )
            }
        )*)?
    };
    (@or) => { ::std::default::Default::default() };
    (@or $or:block) => { $or };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken() -> Option<String> {
        let mut buffer = [0u8; MESSAGE];
        // SAFETY: the buffer has this size.
        let length = unsafe { take_panic(buffer.as_mut_ptr().cast(), buffer.len()) };
        (length > 0).then(|| String::from_utf8(buffer[..length].to_vec()).unwrap())
    }

    #[test]
    fn a_panic_is_caught_and_its_message_is_returned_once() {
        assert_eq!(catch_panic(|| -1, || 7), 7);
        assert_eq!(taken(), None);
        assert_eq!(catch_panic(|| -1, || panic!("no {}", "luck")), -1);
        assert_eq!(taken().as_deref(), Some("no luck"));
        assert_eq!(taken(), None);
    }

    #[test]
    fn a_message_is_truncated_between_characters() {
        let long = "é".repeat(MESSAGE);
        catch_panic(|| (), || panic!("x{long}"));
        let taken = taken().unwrap();
        assert_eq!(taken.len(), MESSAGE - 1);
        assert!(taken.ends_with('é'));
    }

    #[test]
    fn a_payload_that_panics_when_dropped_is_caught() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("again");
            }
        }
        assert_eq!(catch_panic(|| 1, || std::panic::panic_any(Bomb)), 1);
        assert_eq!(taken().as_deref(), Some("a panic without a message"));
    }
}
