//! Compares the facts about a file with its manifest.

use std::collections::BTreeMap;

use dynload_caps::{Capabilities, ImportNeeds, Limits, imports};

use super::{
    Audit, BinaryFormat, ExternKind, Facts, Finding, ImportFact, NativeFacts, Undeclared, WasmFacts,
};
use crate::manifest::Manifest;
use crate::{Platform, Plugin};

pub(super) fn audit(hash: [u8; 32], facts: Facts, plugin: &Plugin, platform: Platform) -> Audit {
    let mut audit = Audit {
        hash,
        facts: Facts::Source,
        undeclared: Vec::new(),
        unused: Capabilities::NONE,
        findings: Vec::new(),
    };
    match &facts {
        Facts::Wasm(wasm) => against_manifest(&mut audit, wasm, plugin.manifest()),
        Facts::Native(native) => against_platform(&mut audit, native, platform),
        Facts::Source => {}
        Facts::Invalid { reason } => {
            audit.findings.push(Finding::Invalid {
                format: plugin.format(),
                reason: reason.clone(),
            });
        }
    }
    audit.facts = facts;
    audit
}

fn against_manifest(audit: &mut Audit, wasm: &WasmFacts, manifest: Option<&Manifest>) {
    let declared = manifest.map_or(Capabilities::NONE, |manifest| manifest.capabilities.all());
    let mut used = Capabilities::NONE;
    for import in &wasm.imports {
        let needs = import.needs();
        used |= needs.capabilities();
        let (module, name) = (import.module.clone(), import.name.clone());
        match imports::find(&module, &name) {
            Some(known) if needs != ImportNeeds::Unknown => {
                check_signature(audit, import, known.signature);
                let twice = audit
                    .undeclared
                    .iter()
                    .any(|one| one.module == module && one.name == name);
                if !needs.satisfied_by(declared) && !twice {
                    audit.undeclared.push(Undeclared {
                        module,
                        name,
                        needs,
                        when_denied: known.when_denied,
                    });
                }
            }
            _ => audit.findings.push(Finding::UnknownImport {
                module,
                name,
                kind: import.kind,
            }),
        }
    }
    audit.unused = declared & !used;

    let requested = manifest.and_then(|manifest| manifest.limits.max_memory_bytes);
    let limit = requested.unwrap_or(Limits::DEFAULT.max_memory_bytes);
    if wasm.initial_bytes > limit {
        audit.findings.push(Finding::MemoryOverLimit {
            initial: wasm.initial_bytes,
            limit,
        });
    }
    if let Some(manifest) = manifest {
        against_exports(audit, wasm, manifest);
    }
}

/// Compares the type of an import with that of the host function: an instance cannot be created if they differ.
fn check_signature(audit: &mut Audit, import: &ImportFact, provided: &'static str) {
    let Some(found) = &import.signature else { return };
    // A type that is too long to be displayed as a whole is not that of a host function.
    if found.to_string() != provided {
        audit.findings.push(Finding::WrongImport {
            module: import.module.clone(),
            name: import.name.clone(),
            found: found.clone(),
            provided,
        });
    }
}

fn against_exports(audit: &mut Audit, wasm: &WasmFacts, manifest: &Manifest) {
    let exported: BTreeMap<&str, _> = wasm
        .exports
        .iter()
        .map(|export| (export.name.as_str(), export))
        .collect();
    for (name, declared) in &manifest.exports {
        let (name, declared) = (name.clone(), declared.clone());
        match exported.get(name.as_str()) {
            None => audit.findings.push(Finding::MissingExport { name }),
            Some(export) => match &export.signature {
                Some(found) if found.same_signature(&declared) => {}
                found => audit.findings.push(Finding::WrongExport {
                    name,
                    declared,
                    found: found.clone(),
                }),
            },
        }
    }
    if manifest.exports.is_empty() {
        return;
    }
    for export in wasm
        .exports
        .iter()
        .filter(|export| export.kind == ExternKind::Function)
    {
        // Exports that toolchains add (`_start`, `_initialize`, `__wasm_call_ctors`) are not meant for the host.
        if !manifest.exports.contains_key(&export.name) && !export.name.starts_with('_') {
            audit.findings.push(Finding::UndeclaredExport {
                name: export.name.clone(),
            });
        }
    }
}

fn against_platform(audit: &mut Audit, native: &NativeFacts, platform: Platform) {
    let format = BinaryFormat::of_os(platform.os());
    if native.format != format || !native.architectures.iter().any(|arch| arch == platform.arch()) {
        let found = format!("{} {}", native.format, native.architectures.join("+"));
        audit.findings.push(Finding::WrongPlatform {
            found,
            expected: platform,
        });
    }
    if !native.shared_library {
        audit.findings.push(Finding::NotALibrary);
    }
}
