//! Writes a [`Manifest`] as the text of a `plugin.toml`.

use std::fmt::Write;

use dynload_caps::{Capabilities, GpuScope};

use super::{ConfigValue, Manifest, ValueType};
use crate::PlatformKey;

pub(super) fn manifest(manifest: &Manifest) -> String {
    let mut out = String::from("[plugin]\n");
    field(&mut out, "id", &string(manifest.id.as_str()));
    if manifest.name != manifest.id.as_str() {
        field(&mut out, "name", &string(&manifest.name));
    }
    field(&mut out, "version", &string(&manifest.version.to_string()));
    if !manifest.description.is_empty() {
        field(&mut out, "description", &string(&manifest.description));
    }
    if !manifest.authors.is_empty() {
        field(
            &mut out,
            "authors",
            &array(manifest.authors.iter().map(|author| string(author))),
        );
    }
    if let Some(license) = &manifest.license {
        field(&mut out, "license", &string(license));
    }
    field(&mut out, "format", &string(manifest.format.name()));
    if let Some(range) = &manifest.host_version {
        field(&mut out, "host_version", &string(&range.to_string()));
    }
    let entries: Vec<_> = manifest.entry.iter().collect();
    match entries.as_slice() {
        [(PlatformKey::Any, path)] => field(&mut out, "entry", &string(path.as_str())),
        many => {
            let pairs = many
                .iter()
                .map(|(key, path)| (key.to_string(), string(path.as_str())));
            field(&mut out, "entry", &inline(pairs));
        }
    }
    capabilities(&mut out, manifest);
    limits(&mut out, manifest);
    if !manifest.dependencies.is_empty() {
        out.push_str("\n[dependencies]\n");
        for (id, dependency) in &manifest.dependencies {
            let version = string(&dependency.version.to_string());
            let value = if dependency.optional {
                inline([
                    ("version".to_owned(), version),
                    ("optional".to_owned(), "true".to_owned()),
                ])
            } else {
                version
            };
            field(&mut out, &string(id.as_str()), &value);
        }
    }
    for (name, function) in &manifest.exports {
        head(&mut out, "exports", name);
        let types = |types: &[ValueType]| array(types.iter().map(|one| string(&one.to_string())));
        field(&mut out, "params", &types(&function.params));
        field(&mut out, "results", &types(&function.results));
        if !function.description.is_empty() {
            field(&mut out, "description", &string(&function.description));
        }
    }
    for (name, setting) in &manifest.config {
        head(&mut out, "config", name);
        field(&mut out, "type", &string(setting.value_type.name()));
        if let Some(default) = &setting.default {
            field(&mut out, "default", &value(default));
        }
        if setting.required {
            field(&mut out, "required", "true");
        }
        if !setting.description.is_empty() {
            field(&mut out, "description", &string(&setting.description));
        }
    }
    out
}

fn capabilities(out: &mut String, manifest: &Manifest) {
    let request = &manifest.capabilities;
    if *request == super::CapabilityRequest::default() {
        return;
    }
    out.push_str("\n[capabilities]\n");
    for (name, set) in [("needs", request.needs), ("optional", request.optional)] {
        if set != Capabilities::NONE {
            field(out, name, &array(set.names().map(string)));
        }
    }
    if !request.directories.is_empty() {
        let tables = request.directories.iter().map(|dir| {
            inline([
                ("host".to_owned(), string(&dir.host.to_string())),
                ("guest".to_owned(), string(&dir.guest)),
                ("access".to_owned(), string(&dir.access.to_string())),
            ])
        });
        field(out, "directories", &array(tables));
    }
    if !request.environment.is_empty() {
        let names = request.environment.iter().map(|variable| match &variable.value {
            None => string(&variable.name),
            Some(value) => inline([
                ("name".to_owned(), string(&variable.name)),
                ("value".to_owned(), string(value)),
            ]),
        });
        field(out, "environment", &array(names));
    }
    if !request.hosts.is_empty() {
        field(
            out,
            "hosts",
            &array(request.hosts.iter().map(|host| string(&host.to_string()))),
        );
    }
    if !request.programs.is_empty() {
        field(
            out,
            "programs",
            &array(request.programs.iter().map(|program| string(program))),
        );
    }
    if request.workers > 0 {
        field(out, "workers", &request.workers.to_string());
    }
    let gpu = &request.gpu;
    if *gpu != GpuScope::default() {
        out.push_str("\n[capabilities.gpu]\n");
        field(
            out,
            "devices",
            &array(gpu.devices.iter().map(|device| string(&device.to_string()))),
        );
        field(out, "max_memory_bytes", &gpu.max_memory_bytes.to_string());
        field(out, "max_invocations", &gpu.max_invocations.to_string());
        field(out, "max_shader_bytes", &gpu.max_shader_bytes.to_string());
    }
}

fn limits(out: &mut String, manifest: &Manifest) {
    let limits = &manifest.limits;
    let fields = [
        ("max_memory_bytes", limits.max_memory_bytes),
        ("max_time_ms", limits.max_time_ms),
        ("max_stack_bytes", limits.max_stack_bytes),
        ("max_call_depth", limits.max_call_depth),
        ("max_fuel", limits.max_fuel),
    ];
    if fields.iter().any(|(_, limit)| limit.is_some()) {
        out.push_str("\n[limits]\n");
    }
    for (name, limit) in fields {
        if let Some(limit) = limit {
            field(out, name, &limit.to_string());
        }
    }
}

fn head(out: &mut String, table: &str, name: &str) {
    out.push_str("\n[");
    out.push_str(table);
    out.push('.');
    out.push_str(&string(name));
    out.push_str("]\n");
}

fn field(out: &mut String, name: &str, value: &str) {
    out.push_str(name);
    out.push_str(" = ");
    out.push_str(value);
    out.push('\n');
}

fn array(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}

fn inline(pairs: impl IntoIterator<Item = (String, String)>) -> String {
    let pairs: Vec<String> = pairs
        .into_iter()
        .map(|(key, value)| format!("{key} = {value}"))
        .collect();
    format!("{{ {} }}", pairs.join(", "))
}

fn value(value: &ConfigValue) -> String {
    match value {
        ConfigValue::Boolean(flag) => flag.to_string(),
        ConfigValue::Integer(number) => number.to_string(),
        // `{:?}` always writes a point or an exponent, so that the value stays a float.
        ConfigValue::Float(number) => format!("{number:?}"),
        ConfigValue::String(text) => string(text),
        ConfigValue::Strings(texts) => array(texts.iter().map(|text| string(text))),
    }
}

/// Returns a basic string of TOML 1.0, with control characters, quotes and backslashes escaped.
fn string(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => {
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
