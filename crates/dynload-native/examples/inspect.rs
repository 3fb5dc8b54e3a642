//! Prints the headers of libraries, without loading them: `cargo run --example inspect -- FILE...`

use std::error::Error;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use dynload_native::inspect::inspect;

fn show(out: &mut impl Write, file: PathBuf) -> io::Result<bool> {
    match inspect(&file) {
        Ok(info) => {
            writeln!(
                out,
                "{}: {} for {}",
                file.display(),
                info.format,
                info.architecture
            )?;
            if let Some(name) = info.name {
                writeln!(out, "  name   {name}")?;
            }
            for needed in info.needed {
                writeln!(out, "  needs  {needed}")?;
            }
            for path in info.run_paths {
                writeln!(out, "  from   {path}")?;
            }
            Ok(true)
        }
        Err(error) => {
            writeln!(out, "{}: {error}", file.display())?;
            if let Some(cause) = error.source() {
                writeln!(out, "  caused by: {cause}")?;
            }
            Ok(false)
        }
    }
}

fn main() -> io::Result<ExitCode> {
    let mut out = io::stdout().lock();
    let mut all_good = true;
    for file in std::env::args_os().skip(1) {
        all_good &= show(&mut out, file.into())?;
    }
    Ok(if all_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
