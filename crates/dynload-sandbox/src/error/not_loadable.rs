//! Explains why bytes are not a loadable module: another kind of file, or a disabled feature, and what to do about it.

use super::ModuleError;

/// Replaces a validator's message by the cause, where that is known.
pub(crate) fn explained(error: ModuleError, bytes: &[u8]) -> ModuleError {
    let ModuleError::Invalid { message, .. } = &error else {
        return error;
    };
    if let Some(found) = file_kind(bytes) {
        return ModuleError::NotAModule { found };
    }
    match disabled_feature(message) {
        Some(feature) => ModuleError::Unsupported { feature },
        None => error,
    }
}

/// Returns the kind of a file, by its first bytes, or `None` for a core module or an unknown kind.
fn file_kind(bytes: &[u8]) -> Option<&'static str> {
    let starts = |with: &[u8]| bytes.starts_with(with);
    // In a component, the version is followed by a layer of 1.
    // (https://github.com/WebAssembly/component-model/blob/main/design/mvp/Binary.md)
    if starts(b"\0asm") {
        return (bytes.get(6..8) == Some(&[1, 0])).then_some(
            "a component; compile for a core module (the target `wasm32-wasip1`), or extract the core module from the component",
        );
    }
    if starts(b"\0dynprep") {
        return Some("a prepared module; load it with `Module::from_prepared` if you trust its metering");
    }
    if bytes.is_empty() {
        return Some("an empty file");
    }
    if starts(b"\x7fELF") || starts(b"MZ") || starts(b"\xcf\xfa\xed\xfe") || starts(b"\xca\xfe\xba\xbe") {
        return Some("native code; load such a library with dynload-native");
    }
    if starts(b"!<arch>") {
        return Some("an archive of object files; link it with wasm-ld");
    }
    let text = core::str::from_utf8(bytes).ok().map(str::trim_start);
    if text.is_some_and(|text| text.starts_with("(module") || text.starts_with(";;")) {
        return Some("the text format; translate it to the binary format first (wat2wasm)");
    }
    if b"\0asm".starts_with(bytes) {
        return None;
    }
    Some("a file of another kind: it does not start with the bytes `\\0asm`; compile its source to Wasm")
}

/// Returns the feature that is disabled according to a validator's message, and how to do without it.
fn disabled_feature(message: &str) -> Option<&'static str> {
    const WORDS: [&str; 6] = [
        "not enabled",
        "SIMD",
        "disabled",
        "must be enabled",
        "without the gc feature",
        "references required",
    ];
    if !WORDS.iter().any(|word| message.contains(word)) {
        return None;
    }
    const FEATURES: [(&str, &str); 8] = [
        (
            "SIMD",
            if cfg!(target_endian = "little") {
                "128-bit vectors; compile it without them (`-mno-simd128`, for Rust `-C target-feature=-simd128`), or build \
                 dynload-sandbox with its feature `simd`"
            } else {
                "128-bit vectors, which big-endian machines do not support; compile it without them (`-mno-simd128`, for Rust \
                 `-C target-feature=-simd128`)"
            },
        ),
        (
            "exceptions",
            "exceptions; compile it without them (`-fno-exceptions`, for Emscripten `-sDISABLE_EXCEPTION_CATCHING=1`)",
        ),
        (
            "threads",
            "threads; compile it without them, or start workers with the import `dynload.thread_spawn`",
        ),
        ("gc", "garbage-collected types; compile it to linear memory"),
        (
            "heap types",
            "garbage-collected types; compile it to linear memory",
        ),
        (
            "function references",
            "typed function references; compile it without them",
        ),
        ("wide arithmetic", "wide arithmetic; compile it without it"),
        (
            "64-bit tables",
            "a 64-bit table; compile it for wasm32, or set `EngineConfig::memory64`",
        ),
    ];
    let found = FEATURES.iter().find(|(word, _)| message.contains(word));
    found.map(|(_, feature)| *feature)
}
