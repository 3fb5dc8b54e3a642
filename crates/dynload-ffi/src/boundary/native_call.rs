//! Calls of native functions by address, for languages that cannot call a number.

use std::ffi::c_void;

use crate::boundary::callback::contained;
use crate::boundary::error::{Error, ErrorCode, Result};
use crate::boundary::text;

/// Calls the function at `address` with the `nargs` arguments at `args`.
///
/// # Errors
///
/// If the address is 0, there are more arguments than 8, or there cannot be as many at `args`.
///
/// # Safety
///
/// The address is 0, or that of a C function with `nargs` parameters and a result, all of type `int64_t`. If `nargs` is 1 to 8,
/// `args` is 0 or the address of that many integers.
pub(crate) unsafe fn call(address: i64, args: i64, nargs: i64) -> Result<i64> {
    /// Calls the function with the arguments that the pattern names.
    macro_rules! call {
        ($address:expr, $($arg:ident: $ty:ty),*) => {{
            // SAFETY: the address is not 0, and the caller promises that the function has this type.
            let function = unsafe {
                std::mem::transmute::<*const c_void, unsafe extern "C-unwind" fn($($ty),*) -> i64>($address)
            };
            // SAFETY: the caller's promise.
            Ok(contained("a function that `vais_call` called", || unsafe { function($($arg),*) }))
        }};
    }

    if address == 0 {
        return Err(Error::new(
            ErrorCode::InvalidArgument,
            "the address of the function is null: check the result of get_function",
        ));
    }
    let function = address as *const c_void;
    let nargs = text::length(nargs, "number of arguments")?;
    if nargs > 8 {
        return Err(Error::new(
            ErrorCode::InvalidArgument,
            format!("{nargs} arguments: at most 8 can be passed"),
        ));
    }
    // SAFETY: the caller's promise. It is a copy, because the function may change the array.
    let args = unsafe { text::slice::<i64>(args, nargs, "array of arguments") }?.to_vec();
    match args[..] {
        [] => call!(function,),
        [a] => call!(function, a: i64),
        [a, b] => call!(function, a: i64, b: i64),
        [a, b, c] => call!(function, a: i64, b: i64, c: i64),
        [a, b, c, d] => call!(function, a: i64, b: i64, c: i64, d: i64),
        [a, b, c, d, e] => call!(function, a: i64, b: i64, c: i64, d: i64, e: i64),
        [a, b, c, d, e, f] => call!(function, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64),
        [a, b, c, d, e, f, g] => call!(function, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, g: i64),
        [a, b, c, d, e, f, g, h] => {
            call!(function, a: i64, b: i64, c: i64, d: i64, e: i64, f: i64, g: i64, h: i64)
        }
        _ => unreachable!("there are at most 8"),
    }
}
