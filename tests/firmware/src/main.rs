//! Runs the same scenario of the sandbox on two microcontrollers, in a browser's engine and on this machine.
//!
//! [`scenario`] is the same everywhere, and so are the lines that it prints: fuel, stack, call depth and memory do not
//! depend on the machine. Lines that start with `#` do: they report the sizes. `cargo xtask targets` compares the former and
//! checks the latter against a budget.
#![cfg_attr(target_os = "none", no_std, no_main)]

extern crate alloc;

mod line;
mod scenario;

#[cfg(all(target_os = "none", target_arch = "arm"))]
#[path = "board/cortex_m.rs"]
mod board;
#[cfg(all(target_os = "none", target_arch = "riscv32"))]
#[path = "board/riscv.rs"]
mod board;
#[cfg(target_family = "wasm")]
#[path = "board/browser.rs"]
mod board;
#[cfg(not(any(target_os = "none", target_family = "wasm")))]
#[path = "board/host.rs"]
mod board;

#[cfg(target_os = "none")]
mod memory;

#[cfg(not(target_os = "none"))]
fn main() {
    if let Err(step) = scenario::run() {
        line::Line::new("failed: ").text(step).print();
        board::exit(1);
    }
}
