//! `dynload new`: writes the directory of a new plugin.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use dynload_diagnostics::printable;
use dynload_discovery::semver::Version;
use dynload_discovery::{Entries, EntryPath, Format, FunctionType, Manifest, PluginId, ValueType};

use crate::exit::{Failure, code, print};

/// Creates the directory of a WebAssembly plugin: a manifest, a source with one exported function, and a README with the
/// build command. The function turns a text into a text; in WAT, two numbers into one, and the plugin is not built.
#[derive(Args)]
#[command(after_help = "Exit codes:
  0    the directory was created
  1    it could not be created, or is not empty
  2    the arguments are wrong

Examples:
  dynload new greeter --lang rust
  dynload new org.example.adder --lang wat --dir plugins/adder")]
pub(crate) struct Options {
    /// The id of the plugin: a letter or digit, then letters, digits, `.`, `_`, `-`.
    #[arg(value_parser = id)]
    name: PluginId,
    /// The language of the source.
    #[arg(long, value_enum)]
    lang: Language,
    /// The directory to create; it must not exist or be empty. Default: NAME.
    #[arg(long)]
    dir: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Language {
    C,
    Rust,
    Wat,
}

/// The sources.
struct Template {
    /// Each with its path and its text.
    files: &'static [(&'static str, &'static str)],
    /// The file that is loaded.
    entry: &'static str,
    /// `None` if a source is the entry.
    build: Option<Build>,
    example: Example,
}

/// The exported function, and a call of it.
struct Example {
    export: &'static str,
    params: &'static [ValueType],
    results: &'static [ValueType],
    /// The options of `dynload run`.
    options: &'static str,
    args: &'static str,
}

impl Example {
    const TEXT: Example = Example {
        export: "shout",
        params: &[ValueType::I32],
        results: &[ValueType::I32],
        options: "--invoke shout --text",
        args: "hello",
    };
    const NUMBERS: Example = Example {
        export: "add",
        params: &[ValueType::I64, ValueType::I64],
        results: &[ValueType::I64],
        options: "--invoke add",
        args: "40 2",
    };

    /// Returns the command that runs it.
    fn command(&self, entry: &str) -> String {
        format!("dynload run {} {entry} {}", self.options, self.args)
    }
}

/// How a source is built.
struct Build {
    command: &'static str,
    /// What the command requires.
    requires: &'static str,
}

impl Language {
    fn template(self) -> Template {
        match self {
            Language::C => Template {
                files: &[
                    ("plugin.c", include_str!("new/plugin.c")),
                    ("dynload_guest.h", include_str!("new/dynload_guest.h")),
                ],
                entry: "plugin.wasm",
                build: Some(Build {
                    command: "clang --target=wasm32 -O2 -mbulk-memory -ffreestanding -nostdlib -Wl,--no-entry -o plugin.wasm plugin.c",
                    requires: "clang and lld",
                }),
                example: Example::TEXT,
            },
            Language::Rust => Template {
                files: &[
                    ("Cargo.toml", include_str!("new/Cargo.toml.in")),
                    ("src/lib.rs", include_str!("new/lib.rs")),
                ],
                entry: "target/wasm32-unknown-unknown/release/plugin.wasm",
                build: Some(Build {
                    command: "cargo build --release --target wasm32-unknown-unknown",
                    requires: "the target: `rustup target add wasm32-unknown-unknown`",
                }),
                example: Example::TEXT,
            },
            Language::Wat => Template {
                files: &[("plugin.wat", include_str!("new/plugin.wat"))],
                entry: "plugin.wat",
                build: None,
                example: Example::NUMBERS,
            },
        }
    }
}

impl Template {
    /// Returns the sources, each with its path.
    fn sources(&self) -> impl Iterator<Item = (&'static str, String)> {
        let command = self.build.as_ref().map_or("", |build| build.command);
        self.files.iter().map(move |(path, text)| {
            let text = text.replace("{build}", command);
            (*path, text.replace("{version}", env!("CARGO_PKG_VERSION")))
        })
    }
}

fn id(text: &str) -> Result<PluginId, String> {
    text.parse()
        .map_err(|error: dynload_discovery::InvalidId| error.to_string())
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let dir = options
        .dir
        .clone()
        .unwrap_or_else(|| PathBuf::from(options.name.as_str()));
    let template = options.lang.template();
    let shown = printable(dir.display()).path().to_string();
    prepare(&dir).map_err(|error| {
        let failure = Failure::of(code::FAILED, &error).about(format_args!("cannot create `{shown}`"));
        match error.kind() {
            ErrorKind::DirectoryNotEmpty => failure.with_remedy("choose another directory with `--dir`"),
            _ => failure,
        }
    })?;
    let described = [
        (Manifest::FILE_NAME, manifest(&options.name, &template)?),
        ("README.md", readme(&options.name, &template)),
    ];
    for (name, text) in template.sources().chain(described) {
        create(&dir.join(name), &text).map_err(|error| {
            Failure::of(code::FAILED, &error).about(format_args!("cannot create `{shown}/{name}`"))
        })?;
    }
    let build = template.build.as_ref();
    let build = build.map_or(String::new(), |build| {
        format!("build it there: {}\n", build.command)
    });
    let run = template.example.command(&format!("{shown}/{}", template.entry));
    print(&format!("created {shown}\n{build}run it: {run}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// Creates the directory, or checks that it is empty.
fn prepare(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    if fs::read_dir(dir)?.next().is_some() {
        return Err(io::Error::new(
            ErrorKind::DirectoryNotEmpty,
            "the directory is not empty",
        ));
    }
    Ok(())
}

/// Creates a file, and its directory. An existing file is never replaced, and no symbolic link is followed.
fn create(path: &Path, text: &str) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)?;
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// Returns the manifest, which parses because it is written from a parsed form.
fn manifest(name: &PluginId, template: &Template) -> Result<String, Failure> {
    let internal = |error: &dyn std::error::Error| Failure::of(code::FAILED, error);
    let entry: EntryPath = template
        .entry
        .parse()
        .map_err(|error: dynload_discovery::EntryPathError| internal(&error))?;
    let mut manifest = Manifest::new(
        name.clone(),
        Version::new(0, 1, 0),
        Format::Wasm,
        Entries::any(entry),
    );
    let Example {
        export,
        params,
        results,
        ..
    } = template.example;
    let signature = FunctionType::new(params.to_vec(), results.to_vec());
    manifest.exports = BTreeMap::from([(export.to_owned(), signature)]);
    let built = match &template.build {
        Some(build) => format!("# The entry is built with: {}\n", build.command),
        None => String::new(),
    };
    Ok(built + &manifest.to_toml())
}

fn readme(name: &PluginId, template: &Template) -> String {
    let built = match &template.build {
        Some(Build { command, requires }) => {
            format!("Build it (this requires {requires}):\n\n```sh\n{command}\n```\n\n")
        }
        None => "`dynload` loads it as it is. A program that does not accept the text format needs `plugin.wasm` as the entry, \
                 which `wat2wasm plugin.wat -o plugin.wasm` creates.\n\n"
            .to_owned(),
    };
    let run = template.example.command(template.entry);
    format!(
        "# {name}\n\n{built}Call its function, and compare it with its manifest:\n\n```sh\n\
         {run}\ndynload audit --only --path .\n```\n"
    )
}
