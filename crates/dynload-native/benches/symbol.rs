//! Compares `Library::address` and `Library::symbol` with a bare `dlsym`: `cargo bench -p dynload-native --bench symbol`
//!
//! Each round measures all of them one after the other. The output is the median of the ratios of each round, which a
//! busy machine disturbs less than times.

use std::ffi::{c_char, c_void};
use std::hint::black_box;
use std::time::Instant;

use dynload_native::{Flags, Library};

unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
}

const CALLS: u32 = 20_000;
const ROUNDS: usize = 51;
/// The highest cost that the design allows for a lookup by name, relative to `dlsym`.
const BUDGET: f64 = 1.3;

fn nanoseconds(mut f: impl FnMut()) -> f64 {
    let start = Instant::now();
    for _ in 0..CALLS {
        f();
    }
    start.elapsed().as_nanos() as f64 / f64::from(CALLS)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    // SAFETY: loading the C math library has no side effects, and most programs have it loaded already.
    let library = unsafe { Library::open_by_name("libm.so.6", Flags::NOW) }.expect("libm.so.6 is installed");
    let handle = library.raw_handle();
    let (mut raw, mut by_str, mut by_c_str, mut typed) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        let base = nanoseconds(|| {
            // SAFETY: the handle is open, and the name ends with a NUL.
            black_box(unsafe { dlsym(black_box(handle), black_box(c"cos").as_ptr()) });
        });
        raw.push(base);
        by_str.push(
            nanoseconds(|| {
                black_box(library.address(black_box("cos"))).ok();
            }) / base,
        );
        by_c_str.push(
            nanoseconds(|| {
                black_box(library.address(black_box(c"cos"))).ok();
            }) / base,
        );
        typed.push(
            nanoseconds(|| {
                // SAFETY: `cos` has this type.
                let symbol = unsafe { library.symbol::<extern "C" fn(f64) -> f64>(black_box("cos")) };
                black_box(&symbol);
            }) / base,
        );
    }
    println!("dlsym               {:8.1} ns", median(raw));
    let mut over = false;
    for (name, ratios) in [
        ("address(&str)", by_str),
        ("address(&CStr)", by_c_str),
        ("symbol::<T>(&str)", typed),
    ] {
        let ratio = median(ratios);
        over |= name.starts_with("address") && ratio > BUDGET;
        println!("{name:<20}{ratio:8.2} x dlsym");
    }
    if over {
        eprintln!("a lookup costs more than {BUDGET} x dlsym");
        std::process::exit(1);
    }
}
