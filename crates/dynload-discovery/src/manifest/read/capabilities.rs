//! The table `capabilities`.

use dynload_caps::{
    Access, Capabilities, DirScope, EnvScope, GpuPattern, GpuScope, NetScope, ScopeError, Scopes,
};
use toml::de::DeValue;

use crate::manifest::capabilities::is_absolute_anywhere;
use crate::manifest::table::{Fields, Node, Reading, inner, short};
use crate::manifest::{CapabilityRequest, DirRequest, EnvRequest, ManifestErrorKind};

const CAPABILITIES: &[&str] = &[
    "needs",
    "optional",
    "directories",
    "environment",
    "hosts",
    "programs",
    "workers",
    "gpu",
];

const GPU: &[&str] = &[
    "devices",
    "max_memory_bytes",
    "max_invocations",
    "max_shader_bytes",
];

pub(super) fn capabilities(top: &Fields<'_, '_, '_>) -> CapabilityRequest {
    let mut request = CapabilityRequest::default();
    // The short form: names only.
    if let Some(node) = top.get("capabilities")
        && matches!(node.get_ref(), DeValue::Array(_) | DeValue::String(_))
    {
        request.needs = flags(top.reading, node, "capabilities");
        return request;
    }
    let Some(table) = top.table("capabilities", CAPABILITIES, &[("limits", "[limits]")]) else {
        return request;
    };
    let reading = table.reading;
    let set = |field: &str| {
        table.get(field).map_or(Capabilities::NONE, |node| {
            flags(reading, node, &table.name(field))
        })
    };
    (request.needs, request.optional) = (set("needs"), set("optional"));
    let list = |field: &str, expected| {
        table
            .get(field)
            .map_or(&[][..], |node| reading.array(node, &table.name(field), expected))
    };
    for node in list("directories", "an array of tables") {
        request.directories.extend(directory(reading, node));
    }
    let dirs = request.directories.iter();
    unique(
        &table,
        "directories",
        dirs.filter_map(|dir| DirScope::new("/", &*dir.guest, Access::ReadOnly).ok())
            .fold(Scopes::none(), Scopes::with_dir),
    );
    for node in list("environment", "an array of names or tables") {
        request.environment.extend(variable(reading, node));
    }
    let names = request.environment.iter();
    unique(
        &table,
        "environment",
        names
            .filter_map(|variable| EnvScope::host(&*variable.name).ok())
            .fold(Scopes::none(), Scopes::with_env),
    );
    for node in list("hosts", "an array of `host:port` strings") {
        let pattern = node.get_ref().as_str().map(short).unwrap_or_default();
        let scope = reading.parse(node, "capabilities.hosts", str::parse::<NetScope>, |error| {
            ManifestErrorKind::Host {
                pattern,
                source: error,
            }
        });
        request.hosts.extend(scope);
    }
    for node in list("programs", "an array of absolute paths") {
        let Some(path) = reading.str(node, "capabilities.programs") else {
            continue;
        };
        if is_absolute_anywhere(path) && !path.contains('\0') {
            request.programs.push(path.to_owned());
        } else {
            let (field, found) = ("capabilities.programs".to_owned(), short(path));
            reading.error(
                node.span(),
                ManifestErrorKind::HostPath {
                    field,
                    found,
                    reason: "it is not an absolute path",
                },
            );
        }
    }
    if let Some(node) = table.get("workers") {
        let read = |digits: &str, radix| u32::from_str_radix(digits, radix).ok();
        request.workers = reading
            .integer(
                node,
                "capabilities.workers",
                read,
                "a number from 0 to 4294967295",
            )
            .unwrap_or_default();
    }
    request.gpu = gpu(&table);
    request
}

fn gpu(capabilities: &Fields<'_, '_, '_>) -> GpuScope {
    let mut scope = GpuScope::default();
    let Some(table) = capabilities.table("gpu", GPU, &[]) else {
        return scope;
    };
    let reading = table.reading;
    if let Some(node) = table.required("devices") {
        let expected = "an array of patterns of devices";
        for node in reading.array(node, &table.name("devices"), expected) {
            let pattern = node.get_ref().as_str().map(short).unwrap_or_default();
            let parsed = reading.parse(node, &table.name("devices"), str::parse::<GpuPattern>, |error| {
                ManifestErrorKind::Gpu {
                    pattern,
                    source: error,
                }
            });
            scope.devices.extend(parsed);
        }
    }
    let limit = |field: &str, max: u64, expected| {
        let read = |digits: &str, radix| {
            u64::from_str_radix(digits, radix)
                .ok()
                .filter(|limit| *limit <= max)
        };
        reading.integer(table.get(field)?, &table.name(field), read, expected)
    };
    let any = "a number from 0 to 18446744073709551615";
    scope.max_memory_bytes = limit("max_memory_bytes", u64::MAX, any).unwrap_or(scope.max_memory_bytes);
    scope.max_invocations = limit("max_invocations", u64::MAX, any).unwrap_or(scope.max_invocations);
    let most = GpuScope::MAX_SHADER_BYTES;
    if let Some(bytes) = limit("max_shader_bytes", most.into(), "a number from 0 to 1048576") {
        scope.max_shader_bytes = u32::try_from(bytes).unwrap_or(most);
    }
    scope
}

/// Reports two directories with the same guest name, or the same variable twice: only one of the two could take effect.
fn unique(table: &Fields<'_, '_, '_>, field: &str, scopes: Scopes) {
    if let (Some(node), Err(error)) = (table.get(field), scopes.validate()) {
        table.reading.error(node.span(), ManifestErrorKind::Scope(error));
    }
}

fn flags(reading: &Reading<'_>, node: Node<'_, '_>, field: &str) -> Capabilities {
    let parse = |node: Node<'_, '_>| {
        reading
            .parse(
                node,
                field,
                str::parse::<Capabilities>,
                ManifestErrorKind::Capability,
            )
            .unwrap_or_default()
    };
    match node.get_ref() {
        DeValue::String(_) => parse(node),
        _ => reading
            .array(node, field, "an array of capability names")
            .iter()
            .map(parse)
            .collect(),
    }
}

fn directory(reading: &Reading<'_>, node: Node<'_, '_>) -> Option<DirRequest> {
    let name = "capabilities.directories";
    let table = inner(reading, node, name, &["host", "guest", "access"], &[])?;
    let host = table.required("host").and_then(|node| {
        let found = node.get_ref().as_str().map(short).unwrap_or_default();
        let field = table.name("host");
        reading.parse(node, &table.name("host"), str::parse, |reason| {
            ManifestErrorKind::HostPath { field, found, reason }
        })
    });
    let guest = table.required("guest").and_then(|node| {
        reading.str(node, &table.name("guest")).and_then(|guest| {
            // The host path is checked above; only the guest name matters here.
            match DirScope::new("/", guest, Access::ReadOnly) {
                Ok(_) => Some(guest.to_owned()),
                Err(error) => {
                    reading.error(node.span(), ManifestErrorKind::Scope(error));
                    None
                }
            }
        })
    });
    let known = [("read-only", Access::ReadOnly), ("read-write", Access::ReadWrite)];
    let access = table.get("access").map_or(Some(Access::ReadOnly), |node| {
        reading.word(node, &table.name("access"), &known, &["read-only", "read-write"])
    });
    Some(DirRequest {
        host: host?,
        guest: guest?,
        access: access?,
    })
}

fn variable(reading: &Reading<'_>, node: Node<'_, '_>) -> Option<EnvRequest> {
    let name = "capabilities.environment";
    let check = |scope: Result<EnvScope, ScopeError>| match scope {
        Ok(scope) => Some(EnvRequest {
            name: scope.name,
            value: scope.value,
        }),
        Err(error) => {
            reading.error(node.span(), ManifestErrorKind::Scope(error));
            None
        }
    };
    if let Some(name) = node.get_ref().as_str() {
        return check(EnvScope::host(name));
    }
    let table = inner(reading, node, name, &["name", "value"], &[])?;
    let name = table
        .required("name")
        .and_then(|node| reading.str(node, &table.name("name")))?;
    match table.get("value") {
        None => check(EnvScope::host(name)),
        Some(value) => check(EnvScope::fixed(name, reading.str(value, &table.name("value"))?)),
    }
}
