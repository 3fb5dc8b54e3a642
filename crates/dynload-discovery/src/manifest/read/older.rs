//! Manifests in the format of the older Vais loader, whose file has the same name.
//!
//! They are not read: they request capabilities without scopes, and types in words of another language. Each of their fields is
//! an error that says what to write instead, in place of the error that the field would otherwise be.

use toml::de::{DeTable, DeValue};

use crate::manifest::table::{Node, Reading};

/// The fields of `[plugin]` that only the older format has, and what to write.
const PLUGIN: &[(&str, &str)] = &[
    (
        "min_vais_version",
        "write the versions of the host as `plugin.host_version`",
    ),
    (
        "max_vais_version",
        "write the versions of the host as `plugin.host_version`",
    ),
    ("homepage", "remove it"),
    ("repository", "remove it"),
];

/// Reports what belongs to the older format. Returns whether `plugin.name` stands for the id.
pub(super) fn report(reading: &Reading<'_>, top: &DeTable<'_>) -> bool {
    for (field, remedy) in [
        (
            "exports",
            "write a table `[exports.NAME]` for each function, with `params` and `results` as arrays of types",
        ),
        (
            "dependencies",
            "write `NAME = \"VERSION\"` in a table `[dependencies]`",
        ),
    ] {
        if let Some((key, node)) = top.get_key_value(field)
            && let DeValue::Array(array) = node.get_ref()
            && array.iter().any(|one| one.get_ref().is_table())
        {
            reading.older(&[key.span(), node.span()], field, remedy);
        }
    }
    if let Some((key, node)) = top.get_key_value("platform")
        && node.get_ref().is_table()
    {
        let remedy =
            "write a table `[plugin.entry]` with one file for each platform, such as `linux = \"plugin.so\"`";
        reading.older(&[key.span()], "platform", remedy);
    }
    capabilities(reading, top);
    let Some(DeValue::Table(plugin)) = top.get("plugin").map(|node| node.get_ref()) else {
        return false;
    };
    for (field, remedy) in PLUGIN {
        if let Some((key, _)) = plugin.get_key_value(*field) {
            reading.older(&[key.span()], &format!("plugin.{field}"), remedy);
        }
    }
    let name_is_id =
        !plugin.contains_key("id") && plugin.get("name").is_some_and(|name| name.get_ref().is_str());
    if let (true, Some((key, _))) = (name_is_id, plugin.get_key_value("name")) {
        let remedy = "write it as `plugin.id`, which is required; `plugin.name` is for display";
        reading.older(&[key.span()], "plugin.name", remedy);
    }
    name_is_id
}

/// Reports the names of capabilities that only the older format has.
fn capabilities(reading: &Reading<'_>, top: &DeTable<'_>) {
    let lists: Vec<Node<'_, '_>> = match top.get("capabilities") {
        Some(node) => match node.get_ref() {
            DeValue::Table(table) => ["needs", "optional"]
                .iter()
                .filter_map(|list| table.get(*list))
                .collect(),
            _ => vec![node],
        },
        None => return,
    };
    let names = lists
        .iter()
        .filter_map(|list| list.get_ref().as_array())
        .flatten();
    for name in names.filter(|name| name.get_ref().as_str() == Some("extended_memory")) {
        let remedy = "remove the capability, and write `max_memory_bytes` in a table `[limits]`";
        reading.older(&[name.span()], "extended_memory", remedy);
    }
}
