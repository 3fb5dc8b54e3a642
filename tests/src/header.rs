//! Generates `dynload.h` from the source of `dynload-ffi`: its documentation, its signatures, its constants.
//!
//! It does not use cbindgen: the flat functions get their C names elsewhere, so cbindgen does not see them, and it could write
//! neither the helpers that accept `const char *` nor the order by topic.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

/// The chapters of the flat functions: file, title.
const FLAT: &[(&str, &str)] = &[
    ("errors", "Errors"),
    ("modules", "Native modules"),
    ("capabilities", "Capabilities"),
    ("limits", "Limits"),
    ("sandbox", "Sandboxes"),
    ("wasm", "Wasm plugins"),
    ("wasm_bytes", "Wasm plugins with bytes and texts"),
    ("files", "Files"),
    ("reload", "Hot reload"),
    ("plugin_host", "Plugin systems"),
    ("plugins", "Discovery"),
];

/// A documented item of the source: its documentation and the text of its declaration, up to `{` or `;`.
struct Item {
    docs: Vec<String>,
    declaration: String,
    /// The lines between the braces of a struct or enum.
    body: Vec<String>,
}

/// An `extern "C"` function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// Its documentation, without the fences of examples.
    pub docs: Vec<String>,
    /// Its parameters: names and Rust types.
    pub params: Vec<(String, String)>,
    /// The Rust type of its result.
    pub result: String,
}

/// Generates the header from the source below `root`, the root of the workspace.
///
/// # Errors
///
/// The I/O error if the source cannot be read.
pub fn generate(root: &Path) -> io::Result<String> {
    let src = root.join("crates/dynload-ffi/src");
    let mut out = String::from(include_str!("header/start.h"));
    let abi = items(&fs::read_to_string(src.join("boundary/abi.rs"))?);
    constants(&mut out, &abi);
    error_codes(
        &mut out,
        &items(&fs::read_to_string(src.join("boundary/error.rs"))?),
    );
    out.push_str(include_str!("header/capabilities.h"));
    out.push_str(include_str!("header/callbacks.h"));
    out.push_str("\n#ifndef DYNLOAD_ONLY_PRIMITIVES\n\n/* ---- Structs ---- */\n");
    for item in &abi {
        if let Some(name) = item.declaration.strip_prefix("pub struct ") {
            structure(&mut out, name, item);
        }
    }
    for (file, title) in FLAT {
        let _ = write!(out, "\n/* ---- {title} ---- */\n");
        functions(&mut out, &flat_functions(root, file)?);
    }
    out.push_str(include_str!("header/helpers.h"));
    out.push_str("\n#endif /* DYNLOAD_ONLY_PRIMITIVES */\n");
    out.push_str(include_str!("header/primitives.h"));
    for chapter in primitives(root)? {
        out.push('\n');
        functions(&mut out, &chapter);
    }
    out.push_str(include_str!("header/end.h"));
    Ok(out)
}

/// Returns the functions of one file of `flat`.
///
/// # Errors
///
/// The I/O error if the source cannot be read.
pub fn flat_functions(root: &Path, file: &str) -> io::Result<Vec<Function>> {
    read_functions(
        &root
            .join("crates/dynload-ffi/src/flat")
            .join(format!("{file}.rs")),
    )
}

/// Returns all flat functions.
///
/// # Errors
///
/// The I/O error if the source cannot be read.
pub fn all_flat(root: &Path) -> io::Result<Vec<Function>> {
    let mut all = Vec::new();
    for (file, _) in FLAT {
        all.extend(flat_functions(root, file)?);
    }
    Ok(all)
}

/// Returns all primitives.
///
/// # Errors
///
/// The I/O error if the source cannot be read.
pub fn all_primitives(root: &Path) -> io::Result<Vec<Function>> {
    Ok(primitives(root)?.into_iter().flatten().collect())
}

/// Returns the primitives, table by table.
fn primitives(root: &Path) -> io::Result<Vec<Vec<Function>>> {
    let source = fs::read_to_string(root.join("crates/dynload-ffi/src/primitives.rs"))?;
    let tables = source.split("\nprimitives! {\n").skip(1);
    let chapter = |table: &str| {
        let end = table.find("\n}\n").unwrap_or(table.len());
        let table: String = table[..end]
            .lines()
            .map(|line| format!("{}\n", line.strip_prefix("    ").unwrap_or(line)))
            .collect();
        items(&table).into_iter().filter_map(function).collect()
    };
    Ok(tables.map(chapter).collect())
}

fn read_functions(path: &Path) -> io::Result<Vec<Function>> {
    Ok(items(&fs::read_to_string(path)?)
        .into_iter()
        .filter_map(function)
        .collect())
}

/// Returns the documented public items of a source file.
fn items(source: &str) -> Vec<Item> {
    let mut found = Vec::new();
    let mut docs = Vec::new();
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        if let Some(doc) = line.strip_prefix("///") {
            docs.push(doc.strip_prefix(' ').unwrap_or(doc).to_owned());
        } else if line.starts_with("pub ") {
            let mut declaration = line.trim_end().to_owned();
            while !declaration.ends_with(['{', ';']) {
                let Some(next) = lines.next() else { break };
                if !declaration.ends_with('(') {
                    declaration.push(' ');
                }
                declaration.push_str(next.trim());
            }
            let mut body = Vec::new();
            if declaration.starts_with("pub struct") || declaration.starts_with("pub enum") {
                body.extend(
                    lines
                        .by_ref()
                        .take_while(|line| *line != "}")
                        .map(|line| line.trim().to_owned()),
                );
            }
            let docs = std::mem::take(&mut docs);
            found.push(Item {
                docs,
                declaration,
                body,
            });
        } else if !line.starts_with("#[") {
            docs.clear();
        }
    }
    found
}

fn function(item: Item) -> Option<Function> {
    let declaration = item.declaration.strip_prefix("pub ")?;
    let declaration = declaration.strip_prefix("unsafe ").unwrap_or(declaration);
    let (name, rest) = declaration.strip_prefix("extern \"C\" fn ")?.split_once('(')?;
    let (params, result) = rest.split_once(')')?;
    let params = params.split(',').map(str::trim).filter(|param| !param.is_empty());
    let params = params
        .filter_map(|param| param.split_once(": "))
        .map(|(name, ty)| (name.to_owned(), ty.to_owned()));
    let result = result.trim().strip_prefix("->")?;
    // Up to the body, or to the value of a primitive.
    let result = result.split(['{', '=']).next()?.trim();
    let fence = |line: &String| line.starts_with("```");
    Some(Function {
        name: name.to_owned(),
        params: params.collect(),
        result: result.to_owned(),
        docs: indented(&item.docs, fence),
    })
}

/// Returns the documentation with examples indented instead of fenced.
fn indented(docs: &[String], fence: impl Fn(&String) -> bool) -> Vec<String> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in docs {
        if fence(line) {
            inside = !inside;
        } else if inside {
            lines.push(format!("    {line}"));
        } else {
            lines.push(line.replace('`', ""));
        }
    }
    lines
}

/// Returns the examples in the documentation of a function.
#[must_use]
pub fn examples(function: &Function) -> Vec<String> {
    let mut examples = Vec::new();
    let mut current = String::new();
    for line in &function.docs {
        match line.strip_prefix("    ") {
            Some(code) => {
                current.push_str(code);
                current.push('\n');
            }
            None if !current.is_empty() => examples.push(std::mem::take(&mut current)),
            None => {}
        }
    }
    if !current.is_empty() {
        examples.push(current);
    }
    examples
}

fn comment(out: &mut String, docs: &[String], indent: &str) {
    for line in docs {
        let line = format!("{indent}/// {line}");
        out.push_str(line.trim_end());
        out.push('\n');
    }
}

fn c_type(ty: &str) -> &str {
    if ty == "i64" { "int64_t" } else { ty }
}

fn functions(out: &mut String, functions: &[Function]) {
    for function in functions {
        out.push('\n');
        comment(out, &function.docs, "");
        let params: Vec<String> = function
            .params
            .iter()
            .map(|(name, ty)| format!("{} {name}", c_type(ty)))
            .collect();
        let params = if params.is_empty() {
            "void".to_owned()
        } else {
            params.join(", ")
        };
        let _ = writeln!(
            out,
            "DYNLOAD_API {} {}({params});",
            c_type(&function.result),
            function.name
        );
    }
}

fn structure(out: &mut String, name: &str, item: &Item) {
    let name = name.trim_end_matches('{').trim();
    out.push('\n');
    let plain: Vec<String> = item.docs.iter().map(|line| line.replace('`', "")).collect();
    comment(out, &plain, "");
    let _ = writeln!(out, "typedef struct {name} {{");
    for line in &item.body {
        if let Some(doc) = line.strip_prefix("/// ") {
            let _ = writeln!(out, "    /// {}", doc.replace('`', ""));
        } else if let Some((field, _)) = line.strip_prefix("pub ").and_then(|field| field.split_once(": ")) {
            let _ = writeln!(out, "    int64_t {field};");
        }
    }
    let _ = writeln!(out, "}} {name};");
}

/// Writes the constants `DYNLOAD_RTLD_*`.
fn constants(out: &mut String, abi: &[Item]) {
    for item in abi {
        let Some((name, value)) = item
            .declaration
            .strip_prefix("pub const ")
            .and_then(|text| text.split_once(": i64 = "))
        else {
            continue;
        };
        out.push('\n');
        let plain: Vec<String> = item.docs.iter().map(|line| line.replace('`', "")).collect();
        comment(out, &plain, "");
        let _ = writeln!(
            out,
            "#define DYNLOAD_{name} INT64_C({})",
            value.trim_end_matches(';')
        );
    }
}

/// Writes the constants `DYNLOAD_OK` and `DYNLOAD_ERROR_*`.
fn error_codes(out: &mut String, errors: &[Item]) {
    let Some(codes) = errors
        .iter()
        .find(|item| item.declaration.starts_with("pub enum ErrorCode"))
    else {
        return;
    };
    out.push_str("\n/* The values of get_load_error_code(). More may be added. */\n");
    let mut doc = "";
    for line in &codes.body {
        if let Some(text) = line.strip_prefix("/// ") {
            doc = text;
        } else if let Some((name, value)) = line.trim_end_matches(',').split_once(" = ") {
            let mut constant = String::new();
            for (at, c) in name.chars().enumerate() {
                if c.is_uppercase() && at > 0 {
                    constant.push('_');
                }
                constant.push(c.to_ascii_uppercase());
            }
            let prefix = if value == "0" {
                "DYNLOAD_"
            } else {
                "DYNLOAD_ERROR_"
            };
            let _ = writeln!(
                out,
                "/// {}\n#define {prefix}{constant} INT64_C({value})",
                doc.replace('`', "")
            );
        }
    }
}
