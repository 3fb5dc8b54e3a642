//! C functions that Wasm plugins call.

use std::fmt;

use dynload_diagnostics::printable;
use dynload_sandbox::{
    Caller, Capabilities, Console, ConsoleOutput, Signature, Stop, Stream, ValType, Value,
};
use std::sync::Arc;

use crate::boundary::abi::{ConsoleFunction, HostFunction};
use crate::boundary::callback::contained;
use crate::boundary::error::{Error, ErrorCode, Result};
use crate::boundary::guest;
use crate::objects::instance::{from_value, to_value};
use crate::objects::sandbox;

/// Parses a function type: `(i32, i64) -> (f64)`, `i32 i64 -> f64`, `() -> ()`, `(i32)`.
pub(crate) fn parse_signature(text: &str) -> Result<Signature> {
    let wrong = |part: &str| {
        let (part, text) = (printable(part), printable(text));
        Error::new(
            ErrorCode::InvalidArgument,
            format!(
                "`{part}` in the signature `{text}` is not one of i32, i64, f32, f64: write it like `(i32, i64) -> (i64)`"
            ),
        )
    };
    let list = |side: &str| -> Result<Vec<ValType>> {
        let side = side.trim();
        let inner = match (side.strip_prefix('('), side.strip_suffix(')')) {
            (Some(_), Some(_)) if side.len() >= 2 => &side[1..side.len() - 1],
            (None, None) => side,
            _ => return Err(wrong(side)),
        };
        let words = inner
            .split(|c: char| c == ',' || c.is_whitespace())
            .filter(|word| !word.is_empty());
        words
            .map(|word| match word {
                "i32" => Ok(ValType::I32),
                "i64" => Ok(ValType::I64),
                "f32" => Ok(ValType::F32),
                "f64" => Ok(ValType::F64),
                other => Err(wrong(other)),
            })
            .collect()
    };
    let (params, results) = text.split_once("->").unwrap_or((text, ""));
    Ok(Signature {
        params: list(params)?,
        results: list(results)?,
    })
}

/// A host function returned a status other than 0, or an invalid result.
#[derive(Debug)]
struct HostFunctionFailed {
    function: Arc<str>,
    problem: Problem,
}

#[derive(Debug)]
enum Problem {
    Status(i64),
    Result(i64, ValType),
}

impl fmt::Display for HostFunctionFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let function = printable(&self.function);
        match self.problem {
            Problem::Status(status) => write!(f, "the host function `{function}` returned {status}"),
            Problem::Result(bits, ty) => write!(
                f,
                "the host function `{function}` returned the result {bits}, which is not a valid {ty}"
            ),
        }
    }
}

impl std::error::Error for HostFunctionFailed {}

/// Adds a C function as an import for the modules that are loaded later.
///
/// # Safety
///
/// `callback` may be called with `userdata` from any thread for as long as the sandbox and its instances live.
pub(crate) unsafe fn offer(
    handle: i64,
    module: &str,
    name: &str,
    signature: Signature,
    callback: HostFunction,
    userdata: i64,
    capability: Capabilities,
) -> Result<()> {
    let function: Arc<str> = format!("{module}.{name}").into();
    let result_types = signature.results.clone();
    let body = move |caller: &mut Caller<'_>, args: &[Value], results: &mut [Value]| {
        let failed = |problem| {
            Stop::host(HostFunctionFailed {
                function: function.clone(),
                problem,
            })
        };
        let args: Vec<i64> = args.iter().copied().map(from_value).collect();
        let mut given = vec![0_i64; results.len()];
        let status = guest::run_host_function(caller, |instance| {
            // SAFETY: the caller of `offer` promised that it may be called; the arrays have the lengths that are passed,
            // which fit into an i64 because they are those of slices.
            contained("a host function", || unsafe {
                callback(
                    userdata,
                    instance,
                    args.as_ptr(),
                    args.len() as i64,
                    given.as_mut_ptr(),
                    given.len() as i64,
                )
            })
        });
        if status != 0 {
            return Err(failed(Problem::Status(status)));
        }
        for ((result, bits), ty) in results.iter_mut().zip(given).zip(&result_types) {
            *result = to_value(*ty, bits, false).ok_or_else(|| failed(Problem::Result(bits, *ty)))?;
        }
        Ok(())
    };
    sandbox::change(handle, |sandbox| {
        sandbox
            .func_new(module, name, capability, signature, body)
            .map_err(|error| Error::new(ErrorCode::InvalidArgument, error.to_string()))
    })
}

/// Returns a console that passes all output to a C function.
///
/// # Safety
///
/// As for [`offer`].
pub(crate) unsafe fn console(callback: ConsoleFunction, userdata: i64) -> Console {
    let output = ConsoleOutput::callback(move |stream, bytes| {
        let stream = match stream {
            Stream::Out => 1,
            Stream::Err => 2,
        };
        // SAFETY: the caller of `console` promised that it may be called; the bytes outlive the call.
        contained("the console", || unsafe {
            callback(userdata, stream, bytes.as_ptr(), bytes.len() as i64)
        });
        // The callback has no result.
        Ok(())
    });
    // The callback decides what to do with the output, and how much output is too much.
    Console::new(output).with_limit(u64::MAX)
}

/// Returns the function at an address.
///
/// # Safety
///
/// `F` is a function pointer type, and the address is 0 or the address of such a function.
pub(crate) unsafe fn function<F: Copy>(address: i64) -> Result<F> {
    const { assert!(size_of::<F>() == size_of::<usize>()) };
    if address == 0 {
        return Err(Error::new(ErrorCode::InvalidArgument, "the callback is null"));
    }
    let address = address as usize;
    // SAFETY: the caller's promise; the sizes are the same, and it is not null.
    Ok(unsafe { std::mem::transmute_copy::<usize, F>(&address) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valid_signatures_are_parsed_and_others_are_errors() {
        let written = |text: &str| parse_signature(text).unwrap().to_string();
        for (text, expected) in [
            ("(i32, i64) -> (f64)", "(i32, i64) -> (f64)"),
            ("i32 i64 -> f64", "(i32, i64) -> (f64)"),
            ("()->()", "() -> ()"),
            ("", "() -> ()"),
            ("(f32)", "(f32) -> ()"),
            ("-> i32", "() -> (i32)"),
            ("( i32 ,i32 )->(i32,i32)", "(i32, i32) -> (i32, i32)"),
        ] {
            assert_eq!(written(text), expected, "{text}");
        }
        for wrong in [
            "i33",
            "(i32",
            "i32)",
            "(",
            "i32 -> i32 -> i32",
            "v128",
            "externref",
            ")(",
        ] {
            assert!(parse_signature(wrong).is_err(), "{wrong}");
        }
    }
}
