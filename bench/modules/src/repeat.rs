//! Large modules, which contain the functions of a real module many times.

use std::fmt;

use wasm_encoder::reencode::{Error as ReencodeError, Reencode};
use wasm_encoder::{CodeSection, FunctionSection, Module, RawSection};
use wasmparser::{Parser, Payload};

/// Why a module cannot be repeated.
#[derive(Debug)]
#[non_exhaustive]
pub enum RepeatError {
    /// The module is not valid.
    Parse(wasmparser::BinaryReaderError),
    /// The module has imports, whose indices would shift with each copy.
    Imports,
    /// The module has an operator that cannot be re-encoded.
    Encode(ReencodeError),
}

impl fmt::Display for RepeatError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse(_) => f.write_str("the module is not valid"),
            Self::Imports => f.write_str("the module has imports: use one without"),
            Self::Encode(_) => f.write_str("the code of the module cannot be re-encoded"),
        }
    }
}

impl std::error::Error for RepeatError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Parse(cause) => Some(cause),
            Self::Encode(cause) => Some(cause),
            Self::Imports => None,
        }
    }
}

impl From<wasmparser::BinaryReaderError> for RepeatError {
    fn from(cause: wasmparser::BinaryReaderError) -> Self {
        Self::Parse(cause)
    }
}

impl From<ReencodeError> for RepeatError {
    fn from(cause: ReencodeError) -> Self {
        Self::Encode(cause)
    }
}

/// Redirects calls to the copy that contains them.
struct Shift {
    by: u32,
}

impl Reencode for Shift {
    type Error = std::convert::Infallible;

    fn function_index(&mut self, function: u32) -> Result<u32, ReencodeError> {
        Ok(function + self.by)
    }
}

/// Returns a module with `copies` copies of every function of `wasm`. Each copy calls only itself; all else exists once.
///
/// So a module of any size has the operators of a real program, in functions of that program's size.
///
/// # Errors
///
/// If `wasm` is not valid or has imports.
pub fn repeated(wasm: &[u8], copies: u32) -> Result<Vec<u8>, RepeatError> {
    let mut types: Vec<u32> = Vec::new();
    let mut bodies = Vec::new();
    let mut module = Module::new();
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload?;
        match &payload {
            Payload::ImportSection(_) => return Err(RepeatError::Imports),
            Payload::FunctionSection(section) => {
                types = section.clone().into_iter().collect::<Result<_, _>>()?;
                let mut functions = FunctionSection::new();
                for _ in 0..copies {
                    types.iter().for_each(|ty| {
                        functions.function(*ty);
                    });
                }
                module.section(&functions);
            }
            Payload::CodeSectionStart { .. } => {}
            Payload::CodeSectionEntry(body) => {
                bodies.push(body.clone());
                if bodies.len() == types.len() {
                    module.section(&code(&bodies, copies)?);
                }
            }
            // Engines ignore names and the like.
            Payload::CustomSection(_) => {}
            other => {
                if let Some((id, range)) = other.as_section() {
                    let data = &wasm[range.start as usize..range.end as usize];
                    module.section(&RawSection { id, data });
                }
            }
        }
    }
    Ok(module.finish())
}

fn code(bodies: &[wasmparser::FunctionBody<'_>], copies: u32) -> Result<CodeSection, RepeatError> {
    let mut section = CodeSection::new();
    for copy in 0..copies {
        let mut shift = Shift {
            by: copy * bodies.len() as u32,
        };
        for body in bodies {
            shift.parse_function_body(&mut section, body.clone())?;
        }
    }
    Ok(section)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_valid_and_as_large_as_requested() {
        let json = crate::guest("json").unwrap();
        let many = repeated(&json, 30).unwrap();
        wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all())
            .validate_all(&many)
            .unwrap();
        assert!(many.len() > json.len() * 20, "{} of {}", many.len(), json.len());
    }

    #[test]
    fn a_module_with_imports_is_refused() {
        let wasm = crate::assemble(crate::HOST_CALLS);
        assert!(matches!(repeated(&wasm, 2), Err(RepeatError::Imports)));
    }
}
