//! Runs the four examples of the specification on real plugins, and compares each result with the specification.
//!
//! It uses the flat API as a C program does: only the functions of the specification, structs of `i64`, and addresses
//! of strings. Its output is the same on every run. With the path of a GPU worker as its argument, it plays the chapter about
//! GPUs too.

mod chapters;
mod plugin_files;
mod stage;
mod text;
mod wasm;

use std::path::{PathBuf, absolute};
use std::process::ExitCode;

use stage::Stage;

fn main() -> ExitCode {
    match play() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(differences) => {
            eprintln!("{differences} results differ from the expected ones");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("the demo cannot continue: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Runs all chapters and returns the number of results that differed.
fn play() -> std::io::Result<usize> {
    let worker = std::env::args_os().nth(1).map(PathBuf::from);
    // The stage has a working directory of its own.
    let worker = worker.map(absolute).transpose()?;
    let mut stage = Stage::new()?;
    chapters::native::play(&mut stage)?;
    chapters::sandbox::play(&mut stage)?;
    chapters::limits::play(&mut stage)?;
    chapters::reload::play(&mut stage)?;
    chapters::capabilities::play(&mut stage)?;
    chapters::discovery::play(&mut stage)?;
    if let Some(worker) = worker {
        chapters::gpu::play(&mut stage, &worker)?;
    }
    Ok(stage.end())
}
