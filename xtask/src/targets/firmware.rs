//! The program in `tests/firmware`: it runs on this machine, on two emulated microcontrollers and in a JavaScript engine, and
//! must print the same lines everywhere.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::cargo::{cargo, output, root, run, target_dir};
use crate::failure::{During, Failure};

/// What a board needs, and what it may need at most.
pub(super) struct Board {
    pub(super) triple: &'static str,
    /// The emulator; the image is its last argument.
    emulator: &'static [&'static str],
    flash: u64,
    /// The same for the image that loads only prepared modules. The goal of 400 KiB is not reached: the interpreter, which
    /// still parses, validates and translates modules, is the largest part.
    prepared_flash: u64,
    /// The heap that is in use beyond the memory of a plugin of one page, including while it is loaded.
    heap: u64,
    stack: u64,
}

/// One of the two builds of the program.
#[derive(Clone, Copy)]
enum Image {
    /// It loads modules in the binary format.
    Rewriting,
    /// It loads modules that were prepared when it was built.
    Prepared,
}

/// The goals of the project. wasm3, which does not meter, documents 64 KiB of flash and 10 KiB of RAM.
const KIB: u64 = 1 << 10;

pub(super) const CORTEX_M: Board = Board {
    triple: "thumbv7em-none-eabihf",
    emulator: &[
        "qemu-system-arm",
        "-M",
        "mps2-an386",
        "-nographic",
        "-semihosting-config",
        "enable=on,target=native",
        "-kernel",
    ],
    flash: 700 * KIB,
    prepared_flash: 520 * KIB,
    heap: 32 * KIB,
    stack: 12 * KIB,
};

pub(super) const RISCV: Board = Board {
    triple: "riscv32imac-unknown-none-elf",
    emulator: &[
        "qemu-system-riscv32",
        "-machine",
        "virt",
        "-nographic",
        "-bios",
        "none",
        "-kernel",
    ],
    flash: 700 * KIB,
    prepared_flash: 620 * KIB,
    heap: 32 * KIB,
    stack: 12 * KIB,
};

/// The target of a browser.
pub(super) const BROWSER: &str = "wasm32-unknown-unknown";

impl Board {
    /// Builds and runs both images, compares their lines with those of this machine, and checks their sizes.
    pub(super) fn check(&self) -> Result<String, Failure> {
        let rewriting = self.check_image(Image::Rewriting, self.flash)?;
        let prepared = self.check_image(Image::Prepared, self.prepared_flash)?;
        Ok(format!(
            "same meter; {rewriting}; with prepared modules only: {prepared}"
        ))
    }

    fn check_image(&self, image: Image, flash_budget: u64) -> Result<String, Failure> {
        let image = build(Some(self.triple), image)?;
        let flash = loaded_bytes(&std::fs::read(&image).during(image.display())?)
            .ok_or_else(|| Failure::new(format!("{} is not a 32-bit ELF file", image.display())))?;
        // An image that does not end would run for ever.
        let mut emulator = Command::new("timeout");
        emulator.arg("120").args(self.emulator).arg(&image);
        let text = output(&mut emulator)?;
        let (own, shared): (Vec<&str>, Vec<&str>) = text.lines().partition(|line| line.starts_with('#'));
        compare(self.triple, &shared)?;
        let size = |name: &str| {
            let line = own.iter().find_map(|line| line.strip_prefix(name));
            line.and_then(|number| number.parse::<u64>().ok())
                .ok_or_else(|| Failure::new(format!("{} did not print `{name}`", self.triple)))
        };
        let sizes = [
            ("flash", flash, flash_budget),
            (
                "heap beyond a page",
                size("# heap beyond a memory of 64 KiB: ")?,
                self.heap,
            ),
            ("native stack", size("# native stack ")?, self.stack),
        ];
        let mut words = Vec::new();
        for (name, bytes, budget) in sizes {
            words.push(format!("{name} {bytes} of {budget}"));
            if bytes > budget {
                return Err(Failure::new(format!(
                    "{}: {name}: {bytes} bytes, over the budget of {budget}",
                    self.triple
                )));
            }
        }
        Ok(words.join(", "))
    }
}

/// Builds the program for a browser, runs it, and compares its lines with those of this machine.
pub(super) fn browser() -> Result<String, Failure> {
    let program = build(Some(BROWSER), Image::Rewriting)?;
    let script = root().join("tests/firmware/browser.mjs");
    let text = output(
        Command::new("timeout")
            .args(["120", "node"])
            .arg(script)
            .arg(program),
    )?;
    compare(BROWSER, &text.lines().collect::<Vec<_>>())?;
    Ok("same meter".to_owned())
}

/// Checks that the program printed what it prints on this machine.
fn compare(target: &str, found: &[&str]) -> Result<(), Failure> {
    let expected = output(&mut Command::new(build(None, Image::Rewriting)?))?;
    let expected: Vec<&str> = expected.lines().collect();
    let longest = expected.len().max(found.len());
    let different = (0..longest).find(|line| expected.get(*line) != found.get(*line));
    match different {
        None => Ok(()),
        Some(line) => Err(Failure::new(format!(
            "{target} prints another line {} than this machine:\n    {}\n    {}",
            line + 1,
            found.get(line).unwrap_or(&"(nothing)"),
            expected.get(line).unwrap_or(&"(nothing)")
        ))),
    }
}

/// Builds the program for a target, or for this machine, and returns its path.
fn build(triple: Option<&str>, image: Image) -> Result<PathBuf, Failure> {
    let (directory, features) = match image {
        Image::Rewriting => ("xtask/firmware", "rewriter"),
        Image::Prepared => ("xtask/firmware-prepared", ""),
    };
    let mut target = target_dir()?.join(directory);
    let mut command = cargo([
        "build",
        "--release",
        "--no-default-features",
        "--features",
        features,
        "--target-dir",
    ]);
    command.arg(&target).current_dir(root().join("tests/firmware"));
    if let Some(triple) = triple {
        command.args(["--target", triple]);
        target.push(triple);
    }
    run(&mut command)?;
    let extension = if triple == Some(BROWSER) { "wasm" } else { "" };
    Ok(target.join("release/dynload-firmware").with_extension(extension))
}

/// Checks the format of the program and its warnings on this machine.
pub(super) fn lint() -> Result<(), Failure> {
    let directory: &Path = &root().join("tests/firmware");
    run(cargo(["fmt", "--check"]).current_dir(directory))?;
    run(cargo(["clippy", "--release", "--target-dir"])
        .arg(target_dir()?.join("xtask/firmware"))
        .args(["--", "-D", "warnings"])
        .current_dir(directory))
}

/// Returns the bytes of a little-endian 32-bit ELF file that are loaded: the file sizes of its PT_LOAD segments.
fn loaded_bytes(elf: &[u8]) -> Option<u64> {
    const PT_LOAD: u32 = 1;
    let word = |at: usize| Some(u32::from_le_bytes(elf.get(at..at + 4)?.try_into().ok()?));
    let half = |at: usize| Some(u16::from_le_bytes(elf.get(at..at + 2)?.try_into().ok()?));
    if elf.get(..6)? != b"\x7fELF\x01\x01" {
        return None;
    }
    let table = word(28)? as usize;
    let (size, count) = (usize::from(half(42)?), usize::from(half(44)?));
    let mut bytes = 0;
    for n in 0..count {
        let header = table + n * size;
        if word(header)? == PT_LOAD {
            bytes += u64::from(word(header + 16)?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loaded_bytes_are_those_of_the_load_segments() {
        let mut elf = vec![0; 52 + 2 * 32];
        elf[..6].copy_from_slice(b"\x7fELF\x01\x01");
        elf[28] = 52;
        elf[42] = 32;
        elf[44] = 2;
        (elf[52], elf[52 + 16]) = (1, 100);
        (elf[84], elf[84 + 16]) = (4, 7);
        assert_eq!(loaded_bytes(&elf), Some(100));
        assert_eq!(loaded_bytes(&elf[..86]), None);
        assert_eq!(loaded_bytes(b"\x7fELF\x02\x01"), None);
    }
}
