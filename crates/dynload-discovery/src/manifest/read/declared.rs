//! The declarations whose names the author chooses: exported functions and settings.

use std::collections::BTreeMap;

use toml::de::DeValue;

use crate::manifest::config::Line;
use crate::manifest::table::{Fields, Node, Reading, inner, short};
use crate::manifest::{ConfigField, ConfigType, ConfigValue, FunctionType, ManifestErrorKind, ValueType};

pub(super) fn exports(top: &Fields<'_, '_, '_>) -> BTreeMap<String, FunctionType> {
    let reading = top.reading;
    let mut exports = BTreeMap::new();
    for (key, node) in top.entries("exports") {
        let name = format!("exports.{}", short(key.get_ref()));
        let Some(table) = inner(reading, node, &name, &["params", "results", "description"], &[]) else {
            continue;
        };
        let types = |field: &str| {
            let list = table.get(field).map_or(&[][..], |node| {
                reading.array(node, &table.name(field), "an array of types")
            });
            let names = &["i32", "i64", "f32", "f64", "v128", "funcref", "externref"];
            list.iter()
                .filter_map(|node| reading.word(node, &table.name(field), &ValueType::NAMES, names))
                .collect::<Vec<_>>()
        };
        let mut function = FunctionType::new(types("params"), types("results"));
        if let Some(node) = table.get("description") {
            function.description = reading
                .prose(node, &table.name("description"), true)
                .unwrap_or_default();
        }
        exports.insert(key.get_ref().clone().into_owned(), function);
    }
    exports
}

pub(super) fn config(top: &Fields<'_, '_, '_>) -> BTreeMap<String, ConfigField> {
    let reading = top.reading;
    let mut config = BTreeMap::new();
    for (key, node) in top.entries("config") {
        let name = format!("config.{}", short(key.get_ref()));
        let known = ["type", "default", "required", "description"];
        let Some(table) = inner(reading, node, &name, &known, &[]) else {
            continue;
        };
        let names = &["boolean", "integer", "float", "string", "strings"];
        let Some(value_type) = table
            .required("type")
            .and_then(|node| reading.word(node, &table.name("type"), &ConfigType::NAMES, names))
        else {
            continue;
        };
        let mut field = ConfigField::new(value_type);
        field.line = Line(reading.line(key.span().start));
        field.default = table
            .get("default")
            .and_then(|node| value(reading, node, &table.name("default"), value_type));
        if let Some(node) = table.get("required") {
            field.required = reading.boolean(node, &table.name("required")).unwrap_or_default();
            if field.required && table.get("default").is_some() {
                let reason = "a setting with a default is never required: remove `default` or `required`";
                let field = table.name("required");
                reading.error(node.span(), ManifestErrorKind::Contradiction { field, reason });
            }
        }
        if let Some(node) = table.get("description") {
            field.description = reading
                .prose(node, &table.name("description"), true)
                .unwrap_or_default();
        }
        config.insert(key.get_ref().clone().into_owned(), field);
    }
    config
}

fn value(
    reading: &Reading<'_>,
    node: Node<'_, '_>,
    field: &str,
    value_type: ConfigType,
) -> Option<ConfigValue> {
    match value_type {
        ConfigType::Boolean => reading.boolean(node, field).map(ConfigValue::Boolean),
        ConfigType::String => reading
            .str(node, field)
            .map(|text| ConfigValue::String(text.to_owned())),
        ConfigType::Strings => {
            let list = reading.array(node, field, "an array of strings");
            let texts = list
                .iter()
                .map(|node| reading.str(node, field).map(str::to_owned));
            node.get_ref().as_array()?;
            texts.collect::<Option<_>>().map(ConfigValue::Strings)
        }
        ConfigType::Integer => {
            let read = |digits: &str, radix| i64::from_str_radix(digits, radix).ok();
            reading
                .integer(node, field, read, "a 64-bit integer")
                .map(ConfigValue::Integer)
        }
        ConfigType::Float => {
            let digits = match node.get_ref() {
                DeValue::Float(number) => number.as_str(),
                DeValue::Integer(number) if number.radix() == 10 => number.as_str(),
                _ => {
                    reading.wrong_type(node, field, "a number");
                    return None;
                }
            };
            let number = digits.parse::<f64>().ok().filter(|number| number.is_finite());
            if number.is_none() {
                let (field, found) = (field.to_owned(), short(digits));
                reading.error(
                    node.span(),
                    ManifestErrorKind::OutOfRange {
                        field,
                        found,
                        expected: "a finite number",
                    },
                );
            }
            number.map(ConfigValue::Float)
        }
    }
}
