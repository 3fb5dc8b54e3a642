//! Exports that turn bytes into bytes, and the configuration.
#![allow(unsafe_code)]

use crate::imports;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt::Display;

/// A type of an argument of [`export_bytes!`](crate::export_bytes).
pub trait Argument<'a>: Sized {
    /// Converts the bytes of the argument.
    ///
    /// # Errors
    ///
    /// Returns the text of the error that the host receives.
    fn from_bytes(bytes: &'a [u8]) -> Result<Self, String>;
}

impl<'a> Argument<'a> for &'a [u8] {
    fn from_bytes(bytes: &'a [u8]) -> Result<&'a [u8], String> {
        Ok(bytes)
    }
}

/// The call fails if the argument is not UTF-8.
impl<'a> Argument<'a> for &'a str {
    fn from_bytes(bytes: &'a [u8]) -> Result<&'a str, String> {
        core::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            alloc::format!("the argument is not UTF-8 (from byte {at})")
        })
    }
}

/// Returns a value of the plugin's configuration, or `None` if it is not set.
///
/// # Examples
///
/// ```no_run
/// let greeting = dynload_guest::config_get("greeting").unwrap_or_else(|| "Hello".to_owned());
/// ```
#[must_use]
pub fn config_get(name: &str) -> Option<String> {
    let get = |room: &mut Vec<u8>| {
        // SAFETY: the host reads the name and writes at most as many bytes as the vector has capacity.
        unsafe { imports::config_get(name.as_ptr(), name.len(), room.as_mut_ptr(), room.capacity()) }
    };
    let mut value = Vec::new();
    let len = usize::try_from(get(&mut value)).ok()?;
    value.reserve_exact(len);
    get(&mut value);
    // SAFETY: the configuration of an instance does not change, so the host has written the `len` bytes of the value.
    unsafe { value.set_len(len) };
    // The host's values are UTF-8.
    String::from_utf8(value).ok()
}

/// The arguments of the running call.
#[doc(hidden)]
#[derive(Debug)]
pub struct __Arguments<const N: usize> {
    bytes: Vec<u8>,
    lengths: [usize; N],
}

impl<const N: usize> __Arguments<N> {
    /// Reads the arguments.
    ///
    /// # Safety
    ///
    /// The host passed these lengths to the export that it is calling with bytes.
    #[must_use]
    pub unsafe fn read(lengths: [usize; N]) -> __Arguments<N> {
        let total = lengths.iter().sum();
        let mut bytes = Vec::<u8>::with_capacity(total);
        // SAFETY: by the contract, the host writes `total` bytes, and the vector has room for them.
        unsafe {
            imports::read_args(bytes.as_mut_ptr());
            bytes.set_len(total);
        }
        __Arguments { bytes, lengths }
    }

    /// Returns each argument.
    #[must_use]
    pub fn split(&self) -> [&[u8]; N] {
        let mut rest = &self.bytes[..];
        self.lengths.map(|len| {
            let (argument, after) = rest.split_at(len);
            rest = after;
            argument
        })
    }
}

/// Sets the result of the call, and returns its status. The outer error is that of an argument.
#[doc(hidden)]
pub fn __finish<T: AsRef<[u8]>, E: Display>(result: Result<Result<T, E>, String>) -> i32 {
    let set_result = |bytes: &[u8]| {
        // SAFETY: the host reads the bytes, which are initialized memory.
        unsafe { imports::set_result(bytes.as_ptr(), bytes.len()) }
    };
    let error = match result {
        Ok(Ok(result)) => {
            set_result(result.as_ref());
            return 0;
        }
        Ok(Err(error)) => error.to_string(),
        Err(error) => error,
    };
    set_result(error.as_bytes());
    1
}

/// Exports a function that the host calls with bytes.
///
/// The name is that of the export. Each argument is a `&[u8]`, or a `&str`, and then the call fails if it is not UTF-8.
/// The result is a `Result<T, E>`, where `T` has bytes ([`AsRef<[u8]>`](AsRef): `Vec<u8>`, `String`, `&[u8]`, `&str`), and
/// `E` is [`Display`]: its text is the host's error.
///
/// # Examples
///
/// ```
/// use dynload_guest::export_bytes;
///
/// export_bytes!(reverse, |bytes: &[u8]| -> Result<Vec<u8>, String> {
///     Ok(bytes.iter().rev().copied().collect())
/// });
///
/// // Several arguments, and a named function, which can have tests.
/// fn power(base: &str, exponent: &str) -> Result<String, Box<dyn std::error::Error>> {
///     let power = base.parse::<i64>()?.checked_pow(exponent.parse()?);
///     Ok(power.ok_or("the power exceeds 64 bits")?.to_string())
/// }
/// export_bytes!(power, |base: &str, exponent: &str| -> Result<String, Box<dyn std::error::Error>> {
///     power(base, exponent)
/// });
/// assert_eq!(power("2", "10").unwrap(), "1024");
/// ```
#[macro_export]
macro_rules! export_bytes {
    ($name:ident, || $($rest:tt)*) => {
        $crate::export_bytes!($name, | | $($rest)*);
    };
    ($name:ident, |$($argument:ident: $type:ty),* $(,)?| -> $result:ty $body:block) => {
        const _: () = {
            fn function($($argument: $type),*) -> $result $body

            // Elsewhere, it could replace a function of the C library with the same name.
            #[cfg_attr(target_family = "wasm", unsafe(export_name = stringify!($name)))]
            #[allow(dead_code)]
            extern "C" fn export($($argument: usize),*) -> i32 {
                // SAFETY: only the host can call it.
                let arguments = unsafe { $crate::__Arguments::read([$($argument),*]) };
                let [$($argument),*] = arguments.split();
                $crate::__finish((|| Ok(function($($crate::Argument::from_bytes($argument)?),*)))())
            }
        };
    };
}
