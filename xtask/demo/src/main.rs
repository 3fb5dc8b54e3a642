//! Plays the four examples of the specification on real plugins, and compares every answer with what the specification says.
//!
//! It uses the flat API as a C program does: nothing but the functions of the specification, structs of `i64`, and addresses of
//! texts. What it prints is the same on every run.

mod chapters;
mod plugin_files;
mod stage;
mod text;
mod wasm;

use std::process::ExitCode;

use stage::Stage;

fn main() -> ExitCode {
    match play() {
        Ok(0) => ExitCode::SUCCESS,
        Ok(differences) => {
            eprintln!("{differences} answers are not what they have to be");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("the demo cannot go on: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Plays all chapters; how many answers differed.
fn play() -> std::io::Result<usize> {
    let mut stage = Stage::new()?;
    chapters::native::play(&mut stage)?;
    chapters::sandbox::play(&mut stage)?;
    chapters::limits::play(&mut stage)?;
    chapters::reload::play(&mut stage)?;
    chapters::capabilities::play(&mut stage)?;
    chapters::discovery::play(&mut stage)?;
    Ok(stage.end())
}
