//! Looking up symbols.

use std::ffi::CString;
use std::hint::black_box;

use dynload_ffi::flat::{get_function, load_module, unload_module};
use dynload_native::{Flags, Library};

use super::Found;
use crate::race::Race;
use crate::{Effort, Outcome};

const TIMES: u32 = 20_000;
const BUDGET: f64 = 1.3;
const DLSYM: &str = "dlsym";
const MATHEMATICS: &str = "libm.so.6";

type Cos = extern "C" fn(f64) -> f64;

pub(super) fn measure(effort: Effort) -> Outcome<Found> {
    // SAFETY: loading the C math library has no side effects, and most programs have loaded it already.
    let library = unsafe { Library::open_by_name(MATHEMATICS, Flags::NOW) }?;
    // SAFETY: as above.
    let theirs = unsafe { libloading::Library::new(MATHEMATICS) }?;
    let path = CString::new(library_path()?)?;
    // SAFETY: the path is a NUL-terminated string that outlives the call; for the library, as above.
    let module = unsafe { load_module(path.as_ptr() as i64) };
    if module.loaded == 0 {
        return Err(format!("`load_module` cannot load {path:?}").into());
    }
    let handle = library.raw_handle();
    let rows = Race::new("looking up a symbol")
        .side("dynload-ffi, `get_function`", TIMES, || {
            for _ in 0..TIMES {
                // SAFETY: the name is a static NUL-terminated string.
                black_box(unsafe { get_function(black_box(module), black_box(c"cos").as_ptr() as i64) });
            }
        })
        .budget(BUDGET)
        .side("dynload-native, `address`", TIMES, || {
            for _ in 0..TIMES {
                black_box(library.address(black_box(c"cos"))).ok();
            }
        })
        .budget(BUDGET)
        .side("dynload-native, `symbol`", TIMES, || {
            for _ in 0..TIMES {
                // SAFETY: `cos` has this type.
                black_box(unsafe { library.symbol::<Cos>(black_box("cos")) }).ok();
            }
        })
        .side("libloading", TIMES, || {
            for _ in 0..TIMES {
                // SAFETY: `cos` has this type.
                black_box(unsafe { theirs.get::<Cos>(black_box(b"cos\0")) }).ok();
            }
        })
        .side(DLSYM, TIMES, || {
            for _ in 0..TIMES {
                // SAFETY: the handle is open, and the name ends with a NUL.
                black_box(unsafe { libc::dlsym(black_box(handle), black_box(c"cos").as_ptr()) });
            }
        })
        .run(effort.of(31, 7), DLSYM);
    // SAFETY: nothing from the module is used after this.
    unsafe { unload_module(module) };
    Ok(Found { rows, curves: vec![] })
}

/// Returns the path that the dynamic linker loaded the library from (proc(5), `maps`).
fn library_path() -> Outcome<String> {
    let maps = std::fs::read_to_string("/proc/self/maps")?;
    let path = maps
        .lines()
        .filter_map(|line| line.split_ascii_whitespace().nth(5));
    let found = path.into_iter().find(|path| path.ends_with(MATHEMATICS));
    Ok(found.ok_or("the C math library is not mapped")?.to_owned())
}
