//! `dynload prepare`: writes the prepared form of a module, which loads faster.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use dynload_diagnostics::printable;
use dynload_sandbox::{Engine, Module};

use crate::exit::{Failure, code, write};
use crate::limits::ModuleOptions;
use crate::load;

/// The extension of a file whose name is not chosen.
const EXTENSION: &str = "prepared";

/// Writes the prepared form of a module, which `dynload run --prepared` and `Module::from_prepared` load in less than half of
/// the time.
///
/// The module is in the binary or the text format. It is checked as `dynload run` checks it, and the code that meters it
/// becomes part of it. So a prepared module is trusted to count its fuel, stack and calls: if others can change the file, no
/// limit is sure to hold. Another version of the library may refuse the file; then prepare the module again.
#[derive(Args)]
#[command(after_help = "Exit codes:
  1      the file could not be written
  2      the arguments are wrong
  126    the file is not a loadable module
  127    the file does not exist

Examples:
  dynload prepare plugin.wasm
  dynload prepare plugin.wasm -o /var/lib/host/plugin.prepared
  dynload run --prepared --invoke add plugin.prepared 40 2")]
pub(crate) struct Options {
    /// The module.
    #[arg(value_name = "MODULE")]
    module: PathBuf,
    /// The file to write, or `-` for the standard output. By default it has the name of the module with the extension
    /// `prepared`, in the current directory. An existing file is replaced.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Measures the peaks of stack and call depth, which `dynload run --usage` prints. Costs about a tenth of a call.
    #[arg(long)]
    profile: bool,
    #[command(flatten)]
    limits: ModuleOptions,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let engine = Engine::new(options.limits.engine_config().with_profile(options.profile));
    let prepared = load::module(&options.module, |wasm| Module::prepare(&engine, wasm))?;
    let output = match &options.output {
        Some(output) if output.as_os_str() == "-" => {
            write(prepared.as_bytes())?;
            return Ok(ExitCode::SUCCESS);
        }
        Some(output) => output.clone(),
        None => default_output(&options.module)?,
    };
    let shown = printable(output.display()).path().to_string();
    if is_same_file(&options.module, &output) {
        let message = format!(
            "`{shown}` is the module itself, which would be lost: choose another file with `--output`"
        );
        return Err(Failure::new(code::USAGE, message));
    }
    replace(&output, prepared.as_bytes())
        .map_err(|error| Failure::of(code::FAILED, &error).about(format_args!("cannot write `{shown}`")))?;
    Ok(ExitCode::SUCCESS)
}

/// Returns the name of the module with another extension, in the current directory.
fn default_output(module: &Path) -> Result<PathBuf, Failure> {
    let name = module.file_name().ok_or_else(|| {
        let message = "the module has no file name: choose the file to write with `--output`";
        Failure::new(code::USAGE, message)
    })?;
    Ok(Path::new(name).with_extension(EXTENSION))
}

fn is_same_file(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        // There is nothing to lose.
        _ => false,
    }
}

/// Replaces a file as a whole: a reader finds the old contents or the new ones.
fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    // A device or a pipe is written to and not replaced.
    if fs::metadata(path).is_ok_and(|metadata| !metadata.is_file()) {
        return fs::write(path, contents);
    }
    let mut name = path
        .file_name()
        .ok_or(io::ErrorKind::InvalidFilename)?
        .to_os_string();
    name.push(format!(".{}", std::process::id()));
    let new = path.with_file_name(name);
    let written = File::create_new(&new)
        .and_then(|mut file| file.write_all(contents).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        // A file that someone else created is not removed.
        let is_own = !written
            .as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::AlreadyExists);
        if is_own {
            let _ = fs::remove_file(&new);
        }
    }
    written
}
