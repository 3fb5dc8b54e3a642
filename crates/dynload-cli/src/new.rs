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
/// build command. A plugin in WAT is not built.
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

/// A source file.
struct Template {
    file: &'static str,
    text: &'static str,
    /// `None` if the source is the entry.
    build: Option<Build>,
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
                file: "plugin.c",
                text: include_str!("new/plugin.c"),
                build: Some(Build {
                    command: "clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry -o plugin.wasm plugin.c",
                    requires: "clang and lld",
                }),
            },
            Language::Rust => Template {
                file: "plugin.rs",
                text: include_str!("new/plugin.rs"),
                build: Some(Build {
                    command: "rustc --target wasm32-unknown-unknown --crate-type cdylib --edition 2021 -O -o plugin.wasm plugin.rs",
                    requires: "the target: `rustup target add wasm32-unknown-unknown`",
                }),
            },
            Language::Wat => Template {
                file: "plugin.wat",
                text: include_str!("new/plugin.wat"),
                build: None,
            },
        }
    }
}

impl Template {
    /// Returns the file that is loaded.
    fn entry(&self) -> &'static str {
        match self.build {
            Some(_) => "plugin.wasm",
            None => self.file,
        }
    }

    fn source(&self) -> String {
        let command = self.build.as_ref().map_or("", |build| build.command);
        self.text.replace("{build}", command)
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
    let files = [
        (Manifest::FILE_NAME, manifest(&options.name, &template)?),
        (template.file, template.source()),
        ("README.md", readme(&options.name, &template)),
    ];
    for (name, text) in files {
        create(&dir.join(name), &text).map_err(|error| {
            Failure::of(code::FAILED, &error).about(format_args!("cannot create `{shown}/{name}`"))
        })?;
    }
    let next = match &template.build {
        Some(build) => format!("build it there: {}", build.command),
        None => format!(
            "run it: dynload run --invoke add {shown}/{} 40 2",
            template.entry()
        ),
    };
    print(&format!("created {shown}\n{next}\n"))?;
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

/// Creates a file. An existing file is never replaced, and no symbolic link is followed.
fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())
}

/// Returns the manifest, which parses because it is written from a parsed form.
fn manifest(name: &PluginId, template: &Template) -> Result<String, Failure> {
    let internal = |error: &dyn std::error::Error| Failure::of(code::FAILED, error);
    let entry: EntryPath = template
        .entry()
        .parse()
        .map_err(|error: dynload_discovery::EntryPathError| internal(&error))?;
    let mut manifest = Manifest::new(
        name.clone(),
        Version::new(0, 1, 0),
        Format::Wasm,
        Entries::any(entry),
    );
    let add = FunctionType::new([ValueType::I64, ValueType::I64], [ValueType::I64]);
    manifest.exports = BTreeMap::from([("add".to_owned(), add)]);
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
    let entry = template.entry();
    format!(
        "# {name}\n\n{built}Call its function, and compare it with its manifest:\n\n```sh\n\
         dynload run --invoke add {entry} 40 2\ndynload audit --only --path .\n```\n"
    )
}
