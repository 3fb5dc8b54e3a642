//! Prints the headers of libraries, without loading them: `cargo run --example inspect -- FILE...`. The command `dynload`
//! of `dynload-cli` does this too.

use std::process::ExitCode;

use dynload_native::inspect::inspect;

fn main() -> ExitCode {
    let mut code = ExitCode::SUCCESS;
    for file in std::env::args_os().skip(1) {
        print!("{}: ", file.display());
        match inspect(&file) {
            Ok(info) => {
                println!("{} for {}", info.format, info.architecture);
                info.needed.iter().for_each(|name| println!("  needs  {name}"));
                info.run_paths.iter().for_each(|path| println!("  from   {path}"));
            }
            Err(error) => {
                println!("{error:?}");
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}
