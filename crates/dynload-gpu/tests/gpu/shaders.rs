//! Shaders that are not accepted, and what their authors are told.

use crate::subject::{Answer, Marked, Subject};
use dynload_sandbox::gpu::{BindingKind, Command, MAX_MESSAGE_BYTES};

/// Compiles a shader with the entry point `main`, which must be refused.
fn refused(subject: &mut Subject, source: &str) -> String {
    match subject.kernel(0, source) {
        Answer::Invalid(message) => message,
        other => panic!("{source}: {other:?}"),
    }
}

#[test]
fn the_message_says_what_is_wrong() {
    let Some(gpu) = Marked::start("messages") else {
        return;
    };
    let mut subject = gpu.open();
    let kernel = |declarations: &str, body: &str| {
        format!("{declarations}\n@compute @workgroup_size(1)\nfn main() {{\n{body}\n}}\n")
    };
    for (source, expected) in [
        ("fn main( {".to_owned(), "wgsl:1:"),
        (kernel("", "let x: i32 = 1.5;"), "wgsl:4:"),
        (kernel("", "unknown();"), "unknown"),
        (
            "fn helper() {}".to_owned(),
            "no function `main` with the attribute `@compute`",
        ),
        (
            "@compute @workgroup_size(1) fn other() {}".to_owned(),
            "there is `other`",
        ),
        (
            "@fragment fn main() -> @location(0) vec4<f32> { return vec4<f32>(); }".to_owned(),
            "no function `main`",
        ),
        (
            "@compute @workgroup_size(257) fn main() {}".to_owned(),
            "`@workgroup_size(257, 1, 1)` has 257 invocations: at most 256",
        ),
        (
            "@compute @workgroup_size(16, 17) fn main() {}".to_owned(),
            "272 invocations",
        ),
        (
            "@compute @workgroup_size(1, 1, 65) fn main() {}".to_owned(),
            "64 in the third dimension",
        ),
        (
            "override size: u32 = 4; @compute @workgroup_size(size) fn main() {}".to_owned(),
            "`override size` cannot be set: use `const`",
        ),
        (
            kernel("@group(1) @binding(0) var<storage> a: array<u32>;", "_ = a[0];"),
            "`a` is in `@group(1)`: use `@group(0)`",
        ),
        (
            kernel(
                "@group(0) @binding(1000) var<storage> a: array<u32>;",
                "_ = a[0];",
            ),
            "the highest one is 999",
        ),
        (
            kernel(
                "@group(0) @binding(0) var a: texture_2d<f32>;",
                "_ = textureDimensions(a);",
            ),
            "`a` is a texture or a sampler",
        ),
        (
            kernel("var<workgroup> a: array<u32, 4097>;", "a[0] = 1u;"),
            "16388 bytes: at most 16384",
        ),
        (
            kernel(
                "@group(0) @binding(0) var<uniform> a: array<vec4<u32>, 4097>;",
                "_ = a[0];",
            ),
            "`a` has at least 65552 bytes: at most 65536",
        ),
        (kernel("enable f16;", "let a: f16 = 1.0h;"), "f16"),
        (kernel("", "let a: f64 = 1.0lf;"), "wgsl:4:"),
    ] {
        let message = refused(&mut subject, &source);
        assert!(message.contains(expected), "{source}\n{message}");
    }
    // None of them has harmed the session.
    assert!(matches!(subject.kernel(0, &kernel("", "")), Answer::Kernel(_)));
}

#[test]
fn too_many_resources_are_refused() {
    let Some(gpu) = Marked::start("resources") else {
        return;
    };
    let mut subject = gpu.open();
    let kernel = |space: &str, count: u32| {
        let mut source = String::new();
        let mut body = String::new();
        for n in 0..count {
            source += &format!("@group(0) @binding({n}) var<{space}> a{n}: vec4<u32>;\n");
            body += &format!("_ = a{n}.x;\n");
        }
        source + "@compute @workgroup_size(1) fn main() {" + &body + "}"
    };
    for (space, most) in [("storage", 8), ("uniform", 12)] {
        assert!(
            matches!(subject.kernel(0, &kernel(space, most)), Answer::Kernel(info) if info.bindings.len() == most as usize)
        );
        let message = refused(&mut subject, &kernel(space, most + 1));
        assert!(
            message.contains(&format!("`var<{space}>`: at most {most}")),
            "{message}"
        );
    }
}

#[test]
fn only_what_the_entry_point_uses_is_bound() {
    const SOURCE: &str = "
        @group(0) @binding(9) var<storage, read_write> nine: array<vec3<f32>>;
        @group(0) @binding(3) var<storage> three: u32;
        @group(0) @binding(5) var<storage, read_write> five: atomic<u32>;
        @group(0) @binding(1) var<uniform> one: mat4x4<f32>;
        @group(1) @binding(3) var unused: texture_2d<f32>;

        fn helper() -> f32 { return one[0].x; }

        @compute @workgroup_size(2, 3, 4)
        fn main() { nine[three].x = helper(); }

        @compute @workgroup_size(1)
        fn other() { atomicAdd(&five, 1u); }
    ";
    let Some(gpu) = Marked::start("used") else { return };
    let mut subject = gpu.open();
    let mut compiled = |entry_point: &str| {
        subject.send(&Command::CreateKernel {
            kernel: 0,
            source: SOURCE,
            entry_point,
        });
        match subject.answer() {
            Ok(Answer::Kernel(info)) => info,
            other => panic!("{other:?}"),
        }
    };
    let info = compiled("main");
    assert_eq!(info.workgroup_size, [2, 3, 4]);
    let bindings: Vec<_> = info
        .bindings
        .iter()
        .map(|b| (b.binding, b.kind, b.min_size))
        .collect();
    assert_eq!(
        bindings,
        [
            (1, BindingKind::Uniform, 64),
            (3, BindingKind::ReadOnlyStorage, 4),
            (9, BindingKind::Storage, 16)
        ]
    );
    let info = compiled("other");
    assert_eq!(info.workgroup_size, [1, 1, 1]);
    assert_eq!(info.bindings.len(), 1);
    assert_eq!(
        (info.bindings[0].binding, info.bindings[0].kind),
        (5, BindingKind::Storage)
    );
}

#[test]
fn a_long_message_is_cut_between_characters() {
    let Some(gpu) = Marked::start("long message") else {
        return;
    };
    let mut subject = gpu.open();
    let message = refused(&mut subject, &format!("const {} = ;", "é".repeat(10_000)));
    let length = message.len();
    assert!(
        (MAX_MESSAGE_BYTES as usize - 4..=MAX_MESSAGE_BYTES as usize).contains(&length),
        "{length}"
    );
}
