//! Patterns of GPUs, and their intersection.

use dynload_caps::{GpuKind, GpuPattern, GpuScope, Grant, ParseGpuPatternError, ScopeError, Scopes};
use proptest::prelude::*;

const KINDS: [GpuKind; 5] = [
    GpuKind::Cpu,
    GpuKind::Integrated,
    GpuKind::Discrete,
    GpuKind::Virtual,
    GpuKind::Other,
];

fn pattern(text: &str) -> GpuPattern {
    text.parse().unwrap()
}

#[test]
fn a_device_of_kind_cpu_is_open_only_where_it_is_named() {
    for (text, opens) in [
        ("*", false),
        ("*:llvmpipe", false),
        ("cpu", true),
        ("cpu:llvm*", true),
        ("name:llvmpipe", true),
        ("name:*", true),
        ("name:llvm", false),
        ("discrete", false),
    ] {
        assert_eq!(pattern(text).matches(GpuKind::Cpu, "llvmpipe"), opens, "{text}");
    }
    for kind in KINDS {
        assert!(!GpuScope::default().allows(kind, "a"));
        assert_eq!(pattern("*").matches(kind, "a"), kind != GpuKind::Cpu);
    }
}

#[test]
fn words_that_are_no_pattern_are_refused() {
    for text in ["", "gpu", "CPU", "discret", " cpu", "**"] {
        let error = text.parse::<GpuPattern>().unwrap_err();
        assert_eq!(error, ParseGpuPatternError::UnknownKind(text.into()));
    }
    for text in ["name", "name:", "cpu:", "*:"] {
        assert_eq!(
            text.parse::<GpuPattern>(),
            Err(ParseGpuPatternError::NoName),
            "{text}"
        );
    }
    let scopes = Scopes::none().with_gpu(GpuScope::default().with_max_shader_bytes((1 << 20) + 1));
    assert!(matches!(
        scopes.validate(),
        Err(ScopeError::ShaderBytes { found: 1_048_577, .. })
    ));
}

#[test]
fn limits_are_the_lesser_ones_and_nothing_has_none() {
    let host = GpuScope::new([pattern("*")])
        .with_max_memory_bytes(100)
        .with_max_invocations(7)
        .with_max_shader_bytes(50);
    let plugin = GpuScope::new([pattern("discrete"), pattern("cpu")])
        .with_max_memory_bytes(99)
        .with_max_invocations(8)
        .with_max_shader_bytes(60);
    let scopes = |gpu: &GpuScope| Scopes::none().with_gpu(gpu.clone());
    let both = scopes(&host).intersection(&scopes(&plugin)).gpu;
    let expected = GpuScope::new([pattern("discrete")])
        .with_max_memory_bytes(99)
        .with_max_invocations(7)
        .with_max_shader_bytes(50);
    assert_eq!(both, expected);
    let cpu = GpuScope::new([pattern("cpu")]).with_max_memory_bytes(3);
    assert_eq!(scopes(&host).intersection(&scopes(&cpu)), Scopes::none());
    let grant = |gpu| Grant::none().with_scopes(scopes(gpu));
    assert_eq!(grant(&host).intersection(&Grant::none()), Grant::none());
}

#[cfg(feature = "serde")]
#[test]
fn json_of_a_gpu_scope_round_trips() {
    let scope = GpuScope::new([pattern("name:Example 1*"), pattern("*")]).with_max_invocations(9);
    let text = serde_json::to_string(&Scopes::none().with_gpu(scope.clone())).unwrap();
    assert!(
        text.contains(r#""gpu":{"devices":["name:Example 1*","*"],"max_memory_bytes":67108864"#),
        "{text}"
    );
    assert_eq!(serde_json::from_str::<Scopes>(&text).unwrap().gpu, scope);
    let short: Scopes = serde_json::from_str(r#"{"gpu":{"devices":["cpu"]}}"#).unwrap();
    assert_eq!(short.gpu, GpuScope::new([pattern("cpu")]));
    assert!(serde_json::from_str::<Scopes>(r#"{"gpu":{"devices":["gpu"]}}"#).is_err());
}

fn patterns() -> impl Strategy<Value = GpuPattern> {
    let kind = prop::sample::select(vec!["*", "name", "cpu", "discrete", "integrated"]);
    let name = prop::sample::select(vec!["*", "a", "a*", "ab", "ab*", "abc", "b*", ":a", "*a"]);
    (kind, name).prop_map(|(kind, name)| pattern(&format!("{kind}:{name}")))
}

proptest! {
    #[test]
    fn an_intersection_matches_what_both_match(one in patterns(), two in patterns(), name in "[ab:*]{0,3}c?") {
        let both = one.intersection(&two);
        for kind in KINDS {
            let expected = one.matches(kind, &name) && two.matches(kind, &name);
            let found = both.as_ref().is_some_and(|both| both.matches(kind, &name));
            prop_assert_eq!(found, expected, "{} and {}: {} {}", one, two, kind, name);
        }
        prop_assert_eq!(two.intersection(&one), both);
        prop_assert_eq!(pattern(&one.to_string()), one);
    }
}
