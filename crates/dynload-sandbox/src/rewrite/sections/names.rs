//! The names of functions, for error messages.

use alloc::{borrow::ToOwned, string::String};
use wasmparser::{ExternalKind, KnownCustom, Name, Parser, Payload};

/// Returns the name of a function in the [name section], otherwise the name of one of its exports.
///
/// [name section]: https://webassembly.github.io/spec/core/appendix/custom.html#name-section
pub(super) fn function(wasm: &[u8], index: u32) -> Option<String> {
    let mut exported = None;
    for payload in Parser::new(0).parse_all(wasm).map_while(Result::ok) {
        match payload {
            Payload::ExportSection(section) => {
                exported = section.into_iter().flatten().find_map(|export| {
                    (export.kind == ExternalKind::Func && export.index == index).then_some(export.name)
                });
            }
            Payload::CustomSection(section) => {
                let KnownCustom::Name(subsections) = section.as_known() else {
                    continue;
                };
                let functions = subsections
                    .into_iter()
                    .flatten()
                    .find_map(|subsection| match subsection {
                        Name::Function(names) => Some(names),
                        _ => None,
                    });
                let mut names = functions.into_iter().flatten().flatten();
                if let Some(naming) = names.find(|naming| naming.index == index) {
                    return Some(naming.name.to_owned());
                }
            }
            _ => {}
        }
    }
    exported.map(ToOwned::to_owned)
}
