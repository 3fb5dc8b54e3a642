//! Discovered plugins, as texts for C.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};

use dynload_caps::{Grant, Limits};
use dynload_discovery::{
    CacheLocation, ConfigProblem, ConfigValue, Format, Manifest, Plugin, Policy, Scanner, SearchPath,
    system_plugin_dir, user_plugin_dir,
};
use dynload_native::Options;

use crate::boundary::abi::PluginList;
use crate::boundary::error::{Error, ErrorCode, Result};
use crate::boundary::handle::{Kind, Table};
use crate::boundary::sync::unpoisoned;
use crate::boundary::text::{address, c_string, intern};
use crate::objects::sandbox::{self, Admitted, bits};

/// The result of one scan.
pub(crate) struct PluginListEntry {
    plugins: Vec<PluginTexts>,
    problems: Vec<CString>,
}

impl Kind for PluginListEntry {
    const NAME: &'static str = "plugin list";
    const TAG: u8 = 4;
}

static LISTS: LazyLock<Table<PluginListEntry>> = LazyLock::new(Table::new);

struct PluginTexts {
    plugin: Plugin,
    /// The host's values for its settings.
    config: Mutex<BTreeMap<String, String>>,
    id: CString,
    name: CString,
    version: CString,
    path: Option<CString>,
    format: CString,
    capabilities: i64,
}

/// A text about a plugin.
#[derive(Clone, Copy)]
pub(crate) enum Field {
    Id,
    Name,
    Version,
    Path,
    Format,
}

impl From<Plugin> for PluginTexts {
    fn from(plugin: Plugin) -> PluginTexts {
        let requested = plugin.manifest().map(|manifest| manifest.capabilities.all());
        PluginTexts {
            id: c_string(plugin.id().as_str().as_bytes()),
            name: c_string(plugin.name().as_bytes()),
            version: c_string(
                plugin
                    .version()
                    .map(ToString::to_string)
                    .unwrap_or_default()
                    .as_bytes(),
            ),
            path: plugin
                .entry_path()
                .map(|path| c_string(path.as_os_str().as_encoded_bytes())),
            format: c_string(plugin.format().name().as_bytes()),
            capabilities: requested.map_or(0, bits),
            config: Mutex::default(),
            plugin,
        }
    }
}

/// Looks for plugins in one directory, or in the standard directories.
pub(crate) fn discover(dir: Option<&Path>) -> Result<PluginList> {
    let path = match dir {
        Some(dir) => SearchPath::empty().with_dir(dir),
        None => SearchPath::standard(),
    };
    // Plugins are not audited here, so no cache is read.
    let found = Scanner::new(path).with_cache(CacheLocation::None).scan();
    let problems = found.problems.iter().map(ToString::to_string);
    let duplicates = found
        .duplicates
        .iter()
        .map(|duplicate| format!("note: {duplicate}"));
    let dependencies = found
        .resolve_all()
        .problems
        .into_iter()
        .map(|problem| format!("warning: {problem}"));
    let problems = problems.chain(duplicates).chain(dependencies);
    let problems = problems.map(|problem| c_string(problem.as_bytes())).collect();
    let plugins: Vec<_> = found.plugins.into_iter().map(PluginTexts::from).collect();
    let count = plugins.len() as i64;
    let handle = LISTS.insert(Arc::new(PluginListEntry { plugins, problems }))?;
    Ok(PluginList { handle, count })
}

fn nth<'a, T>(list: &'a [T], index: i64, what: &str) -> Result<&'a T> {
    usize::try_from(index)
        .ok()
        .and_then(|index| list.get(index))
        .ok_or_else(|| {
            let message = format!(
                "there is no {what} {index}: the list has {}, counted from 0",
                list.len()
            );
            Error::new(ErrorCode::InvalidArgument, message)
        })
}

/// Returns a text about a plugin; it lives as long as the list.
pub(crate) fn field(list: i64, index: i64, field: Field) -> Result<i64> {
    let list = LISTS.get(list)?;
    let plugin = nth(&list.plugins, index, "plugin")?;
    let text = match field {
        Field::Id => &plugin.id,
        Field::Name => &plugin.name,
        Field::Version => &plugin.version,
        Field::Format => &plugin.format,
        Field::Path => plugin.path.as_ref().ok_or_else(|| {
            let message = format!("plugin {:?} has no file for this platform", plugin.id);
            Error::new(ErrorCode::NotFound, message)
        })?,
    };
    Ok(address(text))
}

/// Returns the capabilities that a plugin requests.
pub(crate) fn capabilities(list: i64, index: i64) -> Result<i64> {
    Ok(nth(&LISTS.get(list)?.plugins, index, "plugin")?.capabilities)
}

/// Returns the number of plugins.
pub(crate) fn count(list: i64) -> Result<i64> {
    Ok(LISTS.get(list)?.plugins.len() as i64)
}

/// Returns the number of problems.
pub(crate) fn problem_count(list: i64) -> Result<i64> {
    Ok(LISTS.get(list)?.problems.len() as i64)
}

/// Returns a problem; the text lives as long as the list.
pub(crate) fn problem(list: i64, index: i64) -> Result<i64> {
    Ok(address(nth(&LISTS.get(list)?.problems, index, "problem")?))
}

impl PluginTexts {
    /// Returns the settings: the host's values, `others` where it has none, and the defaults of the manifest.
    fn settings(&self, others: &BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
        let Some(manifest) = self.plugin.manifest() else {
            return Ok(others.clone());
        };
        let own = unpoisoned(self.config.lock()).clone();
        let texts = others.iter().chain(&own);
        let values = texts.map(|(name, text)| (name.clone(), value(manifest, name, text)));
        let settings = manifest.configure(&values.collect())?;
        Ok(settings
            .into_iter()
            .map(|(name, value)| (name, value.to_string()))
            .collect())
    }
}

/// Returns a text as the type that the manifest declares; as a text it is an error that names both types.
fn value(manifest: &Manifest, name: &str, text: &str) -> ConfigValue {
    let declared = manifest.config.get(name);
    let value = declared.and_then(|field| field.value_type.parse(text));
    value.unwrap_or_else(|| ConfigValue::String(text.to_owned()))
}

/// Sets a setting of a plugin, or removes the host's value.
pub(crate) fn set_config(list: i64, index: i64, name: &str, text: Option<&str>) -> Result<i64> {
    let list = LISTS.get(list)?;
    let plugin = nth(&list.plugins, index, "plugin")?;
    let Some(manifest) = plugin.plugin.manifest() else {
        let message = format!(
            "plugin {} has no manifest, and so no settings",
            plugin.plugin.id()
        );
        return Err(Error::new(ErrorCode::InvalidArgument, message));
    };
    let value = value(manifest, name, text.unwrap_or_default());
    if let Err(problems) = manifest.configure(&BTreeMap::from([(name.to_owned(), value)])) {
        let wrong = problems.problems().iter().find(|problem| match problem {
            ConfigProblem::Unknown { .. } => true,
            // Without a value there is no type.
            ConfigProblem::WrongType { name: found, .. } => found == name && text.is_some(),
            _ => false,
        });
        if let Some(problem) = wrong {
            return Err(Error::new(ErrorCode::InvalidArgument, problem.to_string()));
        }
    }
    let mut config = unpoisoned(plugin.config.lock());
    match text {
        Some(text) => config.insert(name.to_owned(), text.to_owned()),
        None => config.remove(name),
    };
    Ok(1)
}

/// Reduces a sandbox to what a plugin requests. Returns a line for each thing that it does not get.
pub(crate) fn admit(list: i64, index: i64, sandbox: i64) -> Result<String> {
    let list = LISTS.get(list)?;
    let plugin = nth(&list.plugins, index, "plugin")?;
    if plugin.plugin.format() != Format::Wasm {
        let message = format!(
            "plugin {} is native code, which no sandbox contains: load it with plugin_load_module",
            plugin.plugin.id()
        );
        return Err(Error::new(ErrorCode::InvalidArgument, message));
    }
    let mut reductions = Vec::new();
    sandbox::admit(sandbox, |grant: Grant, limits: Limits, config| {
        let admission = plugin.plugin.admit(&Policy::new(grant, limits))?;
        reductions = admission.reductions;
        Ok(Admitted {
            grant: admission.grant,
            limits: admission.limits,
            config: plugin.settings(config)?,
        })
    })?;
    let lines: Vec<String> = reductions.iter().map(ToString::to_string).collect();
    Ok(lines.join("\n"))
}

/// Returns what a native plugin is loaded from: its file, and options with its settings.
pub(crate) fn native(list: i64, index: i64) -> Result<(PathBuf, Options)> {
    let list = LISTS.get(list)?;
    let texts = nth(&list.plugins, index, "plugin")?;
    let (plugin, id) = (&texts.plugin, texts.plugin.id());
    if plugin.format() != Format::Native {
        let format = plugin.format().name();
        let message = format!("plugin {id} is not a native library: its format is {format}");
        return Err(Error::new(ErrorCode::InvalidArgument, message));
    }
    let path = plugin.entry_path().ok_or_else(|| {
        let message = format!("plugin {id} has no file for this platform");
        Error::new(ErrorCode::NotFound, message)
    })?;
    let settings = texts.settings(&BTreeMap::new())?;
    Ok((path, Options::new().with_settings(settings)))
}

/// Frees a list and its texts.
pub(crate) fn destroy(list: i64) -> Result<()> {
    LISTS.remove(list).map(drop)
}

/// Converts a directory for C, with a separator at its end, as in the specification.
fn directory(path: Option<std::path::PathBuf>, what: &str) -> Result<i64> {
    let path = path.ok_or_else(|| Error::new(ErrorCode::NotFound, what))?;
    let mut bytes = path.into_os_string().into_encoded_bytes();
    bytes.push(std::path::MAIN_SEPARATOR as u8);
    Ok(intern(&bytes))
}

/// Returns the user's plugin directory.
pub(crate) fn user_dir() -> Result<i64> {
    directory(
        user_plugin_dir(),
        "there is no home directory, so the user has no plugin directory",
    )
}

/// Returns the system's plugin directory.
pub(crate) fn system_dir() -> Result<i64> {
    directory(
        system_plugin_dir(),
        "there is no system plugin directory: the variable `ProgramData` is not set",
    )
}
