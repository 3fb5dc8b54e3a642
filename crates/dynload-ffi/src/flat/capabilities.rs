//! Operations on sets of capabilities.

use dynload_sandbox::Capabilities;

use crate::boundary::error::{guard_query, guard_with};
use crate::objects::sandbox::{bits, capabilities};

/// The capabilities that can do harm: FS_WRITE, NETWORK, PROCESS, ENV.
const DANGEROUS: i64 = {
    let set = Capabilities::FS_WRITE
        .union(Capabilities::NETWORK)
        .union(Capabilities::PROCESS)
        .union(Capabilities::ENV);
    set.bits() as i64
};

/// Returns 1 if every bit of `required` is in `caps`, 0 if not. CAP_NONE is always included, a bit that is not a
/// capability never is. Leaves the error as it is.
pub extern "C" fn has_capability(caps: i64, required: i64) -> i64 {
    guard_query(0, || {
        let known = required & !bits(Capabilities::all()) == 0;
        (known && caps & required == required).into()
    })
}

/// Returns `caps` with the bits of `cap` added. If a bit is not a capability, that is an error, and `caps` is
/// returned unchanged.
pub extern "C" fn add_capability(caps: i64, cap: i64) -> i64 {
    guard_with(
        |_| caps,
        || {
            capabilities(cap)?;
            Ok(caps | cap)
        },
    )
}

/// Returns `caps` without the bits of `cap`. Leaves the error as it is.
pub extern "C" fn remove_capability(caps: i64, cap: i64) -> i64 {
    guard_query(caps, || caps & !cap)
}

/// Returns 1 if FS_WRITE, NETWORK, PROCESS or ENV is in `caps`, 0 if not. Leaves the error as it is.
///
/// ```c
/// int64_t caps = add_capability(CAP_CONSOLE, CAP_TIME);
/// printf("%d\n", (int)has_dangerous_capabilities(caps));
/// printf("%d\n", (int)has_dangerous_capabilities(add_capability(caps, CAP_ENV)));
/// ```
pub extern "C" fn has_dangerous_capabilities(caps: i64) -> i64 {
    guard_query(1, || (caps & DANGEROUS != 0).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_follow_the_specification() {
        assert_eq!(has_capability(1 | 2, 2), 1);
        assert_eq!(has_capability(1 | 2, 2 | 4), 0);
        assert_eq!(has_capability(0, 0), 1);
        assert_eq!(has_capability(-1, 1024), 0, "no such capability");
        assert_eq!(add_capability(1, 2), 3);
        assert_eq!(add_capability(1, 1024), 1);
        assert_eq!(remove_capability(3, 2), 1);
        assert_eq!(remove_capability(3, -1), 0);
        for dangerous in [16, 32, 64, 128] {
            assert_eq!(has_dangerous_capabilities(dangerous | 1), 1);
        }
        for harmless in [0, 1, 2, 4, 8, 256, 512] {
            assert_eq!(has_dangerous_capabilities(harmless), 0);
        }
    }
}
