//! Parses the text of a `plugin.toml` into a [`Manifest`].

mod capabilities;
mod declared;
mod older;

use std::collections::BTreeMap;
use std::sync::Arc;

use semver::{Version, VersionReq};
use toml::de::{DeTable, DeValue};

use super::table::{Fields, Node, Reading, inner, short};
use super::{Dependency, Entries, Format, LimitRequest, Manifest, ManifestErrorKind, ManifestErrors};
use crate::{PlatformKey, PluginId};
use capabilities::capabilities;
use declared::{config, exports};

const TOP: &[&str] = &[
    "plugin",
    "capabilities",
    "limits",
    "dependencies",
    "exports",
    "config",
];
const PLUGIN: &[&str] = &[
    "id",
    "name",
    "version",
    "description",
    "authors",
    "license",
    "format",
    "entry",
    "host_version",
];
const LIMITS: &[&str] = &[
    "max_memory_bytes",
    "max_time_ms",
    "max_stack_bytes",
    "max_call_depth",
    "max_fuel",
];

/// Fields that are often written in the wrong table.
const IN_PLUGIN: &[(&str, &str)] = &[
    ("id", "plugin.id"),
    ("name", "plugin.name"),
    ("version", "plugin.version"),
    ("description", "plugin.description"),
    ("authors", "plugin.authors"),
    ("license", "plugin.license"),
    ("format", "plugin.format"),
    ("entry", "plugin.entry"),
    ("host_version", "plugin.host_version"),
];
const AT_TOP: &[(&str, &str)] = &[
    ("capabilities", "[capabilities]"),
    ("limits", "[limits]"),
    ("dependencies", "[dependencies]"),
    ("exports", "[exports]"),
    ("config", "[config]"),
];

pub(super) fn manifest(text: &str) -> Result<Manifest, ManifestErrors> {
    let reading = Reading::new(text);
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            let kind = ManifestErrorKind::Syntax {
                message: short(error.message()),
            };
            reading.error(error.span().unwrap_or(0..0), kind);
            return Err(ManifestErrors::new(reading.into_errors()));
        }
    };
    let name_is_id = older::report(&reading, table.get_ref());
    let top = Fields::new(&reading, String::new(), table.get_ref(), 0..0, TOP, IN_PLUGIN);
    let manifest = plugin(&top, name_is_id).map(|mut manifest| {
        manifest.capabilities = capabilities(&top);
        manifest.limits = limits(&top);
        manifest.dependencies = dependencies(&top, &manifest.id);
        manifest.exports = exports(&top);
        manifest.config = config(&top);
        manifest
    });
    let complete = manifest.is_some();
    let errors = {
        if !complete {
            // There is no manifest, but errors in these tables are reported too.
            capabilities(&top);
            limits(&top);
            exports(&top);
            config(&top);
        }
        reading.into_errors()
    };
    match manifest {
        Some(manifest) if errors.is_empty() => Ok(manifest),
        _ => Err(ManifestErrors::new(errors)),
    }
}

/// Returns the id of a manifest that may have errors elsewhere.
pub(super) fn id(text: &str) -> Option<PluginId> {
    let table = DeTable::parse(text).ok()?;
    let DeValue::Table(plugin) = table.get_ref().get("plugin")?.get_ref() else {
        return None;
    };
    plugin.get("id")?.get_ref().as_str()?.parse().ok()
}

fn plugin(top: &Fields<'_, '_, '_>, name_is_id: bool) -> Option<Manifest> {
    top.required("plugin")?;
    let table = top.table("plugin", PLUGIN, AT_TOP)?;
    let reading = table.reading;
    // The missing id has been reported with its remedy.
    let id = if name_is_id { None } else { table.required("id") };
    let id =
        id.and_then(|node| reading.parse(node, "plugin.id", str::parse::<PluginId>, ManifestErrorKind::Id));
    let version = table.required("version").and_then(|node| version(reading, node));
    let format = table
        .required("format")
        .and_then(|node| reading.word(node, "plugin.format", &Format::NAMES, &["wasm", "native", "vais"]));
    let entry = table.required("entry").and_then(|node| entry(reading, node));
    let name = table
        .get("name")
        .and_then(|node| reading.prose(node, "plugin.name", false).map(|name| (node, name)));
    if let Some((node, name)) = &name
        && name.trim().is_empty()
    {
        reading.error(
            node.span(),
            ManifestErrorKind::Empty {
                field: "plugin.name".to_owned(),
            },
        );
    }
    let description = table
        .get("description")
        .and_then(|node| reading.prose(node, "plugin.description", true));
    let license = table
        .get("license")
        .and_then(|node| reading.prose(node, "plugin.license", false));
    let authors = table.get("authors").map(|node| {
        let list = reading.array(node, "plugin.authors", "an array of strings");
        list.iter()
            .filter_map(|author| reading.prose(author, "plugin.authors", false))
            .collect()
    });
    let host_version = table
        .get("host_version")
        .and_then(|node| range(reading, node, "plugin.host_version"));

    let mut manifest = Manifest::new(id?, version?, format?, entry?);
    if let Some((_, name)) = name {
        manifest.name = name;
    }
    manifest.description = description.unwrap_or_default();
    manifest.authors = authors.unwrap_or_default();
    manifest.license = license;
    manifest.host_version = host_version;
    Some(manifest)
}

fn version(reading: &Reading<'_>, node: Node<'_, '_>) -> Option<Version> {
    let found = node.get_ref().as_str().map(short).unwrap_or_default();
    let field = "plugin.version".to_owned();
    reading.parse(node, "plugin.version", Version::parse, |error| {
        ManifestErrorKind::Version {
            field,
            found,
            source: Arc::new(error),
        }
    })
}

fn range(reading: &Reading<'_>, node: Node<'_, '_>, field: &str) -> Option<VersionReq> {
    let found = node.get_ref().as_str().map(short).unwrap_or_default();
    reading.parse(node, field, VersionReq::parse, |error| {
        ManifestErrorKind::Version {
            field: field.to_owned(),
            found,
            source: Arc::new(error),
        }
    })
}

fn entry(reading: &Reading<'_>, node: Node<'_, '_>) -> Option<Entries> {
    let path =
        |node: Node<'_, '_>, field: &str| reading.parse(node, field, str::parse, ManifestErrorKind::Entry);
    match node.get_ref() {
        DeValue::String(_) => path(node, "plugin.entry").map(Entries::any),
        DeValue::Table(table) => {
            let mut entries = BTreeMap::new();
            for (key, node) in table {
                match key.get_ref().parse::<PlatformKey>() {
                    Ok(platform) => {
                        let field = format!("plugin.entry.{platform}");
                        entries.extend(path(node, &field).map(|path| (platform, path)));
                    }
                    Err(error) => reading.error(key.span(), ManifestErrorKind::Platform(error)),
                }
            }
            if table.is_empty() {
                reading.error(
                    node.span(),
                    ManifestErrorKind::Empty {
                        field: "plugin.entry".to_owned(),
                    },
                );
            }
            Entries::per_platform(entries)
        }
        _ => {
            reading.wrong_type(
                node,
                "plugin.entry",
                "a path, or a table with one path for each platform",
            );
            None
        }
    }
}

fn limits(top: &Fields<'_, '_, '_>) -> LimitRequest {
    let Some(table) = top.table("limits", LIMITS, &[]) else {
        return LimitRequest::default();
    };
    let limit = |field: &str| {
        let node = table.get(field)?;
        let read = |digits: &str, radix| u64::from_str_radix(digits, radix).ok();
        table.reading.integer(
            node,
            &table.name(field),
            read,
            "a number from 0 to 18446744073709551615",
        )
    };
    LimitRequest {
        max_memory_bytes: limit("max_memory_bytes"),
        max_time_ms: limit("max_time_ms"),
        max_stack_bytes: limit("max_stack_bytes"),
        max_call_depth: limit("max_call_depth"),
        max_fuel: limit("max_fuel"),
    }
}

fn dependencies(top: &Fields<'_, '_, '_>, own: &PluginId) -> BTreeMap<PluginId, Dependency> {
    let reading = top.reading;
    let mut dependencies = BTreeMap::new();
    for (key, node) in top.entries("dependencies") {
        let id = match key.get_ref().parse::<PluginId>() {
            Ok(id) => id,
            Err(error) => {
                reading.error(key.span(), ManifestErrorKind::Id(error));
                continue;
            }
        };
        let name = format!("dependencies.{id}");
        if id == *own {
            let reason = "a plugin cannot depend on itself";
            reading.error(
                key.span(),
                ManifestErrorKind::Contradiction { field: name, reason },
            );
            continue;
        }
        let dependency = if node.get_ref().is_str() {
            range(reading, node, &name).map(|version| Dependency {
                version,
                optional: false,
            })
        } else {
            inner(reading, node, &name, &["version", "optional"], &[]).and_then(|table| {
                let version = table
                    .required("version")
                    .and_then(|node| range(reading, node, &table.name("version")));
                let optional = table
                    .get("optional")
                    .map_or(Some(false), |node| reading.boolean(node, &table.name("optional")));
                Some(Dependency {
                    version: version?,
                    optional: optional?,
                })
            })
        };
        dependencies.extend(dependency.map(|dependency| (id, dependency)));
    }
    dependencies
}
