//! Manifests: every field, every error with its line, hostile manifests, and the round trip.

use dynload_caps::{Access, Capabilities, GpuKind, GpuScope, ScopeError};
use dynload_discovery::{
    CapabilityRequest, ConfigField, ConfigType, ConfigValue, Dependency, DirRequest, Entries, EnvRequest,
    Format, FunctionType, HostDir, Manifest, ManifestErrorKind, ValueType,
};
use std::collections::BTreeSet;

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

const EVERYTHING: &str = include_str!("everything.toml");

/// The page for plugin authors shows a whole manifest.
#[test]
fn the_manifest_of_the_page_for_authors_is_valid() {
    let page = include_str!("../../../../docs/plugins.md");
    let (_, rest) = page.split_once("```toml\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let manifest = Manifest::parse(text).unwrap();
    assert_eq!((manifest.id.as_str(), manifest.config.len()), ("text", 1));
}

#[test]
fn every_field_is_parsed() {
    let manifest = Manifest::parse(EVERYTHING).unwrap();
    assert_eq!(manifest.id.as_str(), "org.example.thumbnails");
    assert_eq!(
        (manifest.name.as_str(), manifest.format),
        ("Thumbnails", Format::Wasm)
    );
    assert_eq!(manifest.host_version.as_ref().unwrap().to_string(), ">=0.1, <2");
    let requested = &manifest.capabilities;
    assert_eq!(
        requested.needs,
        Capabilities::CONSOLE | Capabilities::FS_READ | Capabilities::FS_WRITE
    );
    assert_eq!(requested.directories[1].host, HostDir::Home("Pictures".into()));
    assert_eq!(requested.directories[1].access, Access::ReadWrite);
    assert_eq!(
        requested.environment[1],
        EnvRequest {
            name: "TZ".into(),
            value: Some("UTC".into())
        }
    );
    assert_eq!(requested.hosts.len(), 3);
    assert_eq!(requested.workers, 4);
    assert!(requested.gpu.allows(GpuKind::Other, "Example 9000"));
    assert_eq!(
        (requested.gpu.devices.len(), requested.gpu.max_shader_bytes),
        (3, 16_384)
    );
    assert_eq!(requested.without_scope(), Capabilities::NONE);
    assert_eq!(manifest.limits.max_fuel, Some(1_000_000_000));
    assert!(manifest.dependencies["org.example.faces"].optional);
    assert_eq!(manifest.exports["thumbnail"].to_string(), "(i64, i32) -> (i64)");
    assert_eq!(manifest.config["scale"].default, Some(ConfigValue::Float(0.5)));
    assert!(manifest.config["account"].required);
    assert_eq!(Manifest::parse(&manifest.to_toml()).unwrap(), manifest);
}

/// The documentation contains the example that is tested here.
#[test]
fn the_documented_example_is_the_tested_one() {
    assert!(include_str!("../../MANIFEST.md").contains(EVERYTHING));
}

/// Returns the errors of a manifest that is valid except for `line`, as `line: text`.
#[track_caller]
fn errors(line: &str) -> Vec<String> {
    let text =
        format!("[plugin]\nid = \"a\"\nversion = \"1.0.0\"\nformat = \"wasm\"\nentry = \"a.wasm\"\n{line}\n");
    errors_of(&text)
}

#[track_caller]
fn errors_of(text: &str) -> Vec<String> {
    let errors = Manifest::parse(text).expect_err("is refused");
    errors.to_string().lines().map(str::to_owned).collect()
}

#[test]
fn errors_are_reported_with_their_lines() {
    for (line, expected) in [
        ("colour = 1", "line 6: unknown field `plugin.colour`: remove it"),
        (
            "licence = \"MIT\"",
            "line 6: unknown field `plugin.licence`: did you mean `plugin.license`?",
        ),
        (
            "capabilities = []",
            "line 6: unknown field `plugin.capabilities`: did you mean `[capabilities]`?",
        ),
        (
            "[capability]",
            "line 6: unknown field `capability`: did you mean `capabilities`?",
        ),
        (
            "[capabilities]\nneed = []",
            "line 7: unknown field `capabilities.need`: did you mean `capabilities.needs`?",
        ),
        ("name = 3", "line 6: `plugin.name` is an integer: write a string"),
        (
            "name = \" \"",
            "line 6: `plugin.name` is empty: give it a value or remove it",
        ),
        (
            "authors = \"me\"",
            "line 6: `plugin.authors` is a string: write an array of strings",
        ),
        (
            "name = \"a\\u001b[31m\"",
            "line 6: `plugin.name` contains the character U+001B, which is not allowed: remove it",
        ),
        (
            "name = \"a\\u202e\"",
            "line 6: `plugin.name` contains the character U+202E, which is not allowed: remove it",
        ),
        (
            "[capabilities]\nneeds = [\"console\",\n\"fs_raed\"]",
            "line 8: unknown capability \"fs_raed\": did you mean `fs_read`?",
        ),
        (
            "[capabilities]\nhosts = [\"example.org\"]",
            "line 7: `capabilities.hosts` has the invalid pattern \"example.org\": no port: write `host:443`, `host:8000-8100` or `host:*`",
        ),
        (
            "[capabilities.gpu]\ndevices = [\"gpu\"]",
            "line 7: `capabilities.gpu.devices` has the invalid pattern \"gpu\": unknown kind of GPU \"gpu\": write `*`, `cpu`, `integrated`, `discrete`, `virtual`, `other` or `name:NAME`",
        ),
        (
            "[capabilities.gpu]\ndevices = []\nmax_shader_bytes = 1_048_577",
            "line 8: `capabilities.gpu.max_shader_bytes` is 1048577: write a number from 0 to 1048576",
        ),
        (
            "[capabilities.gpu]\nmax_memory_bytes = 1",
            "line 6: field `capabilities.gpu.devices` is missing: add it",
        ),
        (
            "[capabilities]\nprograms = [\"git\"]",
            "line 7: `capabilities.programs` is \"git\": it is not an absolute path",
        ),
        (
            "[capabilities]\nenvironment = [\"A=B\"]",
            "line 7: environment variable \"A=B\": the name contains a `=` or a NUL character",
        ),
        (
            "[capabilities]\ndirectories = [{ host = \"data\", guest = \"/d\" }]",
            "line 7: `capabilities.directories.host` is \"data\": it is not `$PLUGIN`, `$HOME`, a path below one of them, or an absolute path",
        ),
        (
            "[capabilities]\ndirectories = [{ host = \"$HOME/../x\", guest = \"/d\" }]",
            "line 7: `capabilities.directories.host` is \"$HOME/../x\": it has a `..` component",
        ),
        (
            "[capabilities]\ndirectories = [{ host = \"/x\", guest = \"/d\", access = \"rw\" }]",
            "line 7: `capabilities.directories.access` is \"rw\": write one of read-only, read-write",
        ),
        (
            "[limits]\nmax_time_ms = -1",
            "line 7: `limits.max_time_ms` is -1: write a number from 0 to 18446744073709551615",
        ),
        (
            "[limits]\nmax_time_ms = \"1s\"",
            "line 7: `limits.max_time_ms` is a string: write a number from 0 to 18446744073709551615",
        ),
        (
            "[dependencies]\na = \"1\"",
            "line 7: `dependencies.a`: a plugin cannot depend on itself",
        ),
        (
            "[dependencies]\n\"../x\" = \"1\"",
            "line 7: bad plugin id \"../x\": start it with an ASCII letter or digit",
        ),
        (
            "[exports.run]\nparams = [\"int64\"]",
            "line 7: `exports.run.params` is \"int64\": write one of i32, i64, f32, f64, v128, funcref, externref",
        ),
        (
            "[config.x]\ntype = \"integer\"\ndefault = \"3\"",
            "line 8: `config.x.default` is a string: write a 64-bit integer",
        ),
        (
            "[config.x]\ntype = \"float\"\ndefault = inf",
            "line 8: `config.x.default` is inf: write a finite number",
        ),
        (
            "[config.x]\ntype = \"integer\"\ndefault = 1\nrequired = true",
            "line 9: `config.x.required`: a setting with a default is never required: remove `default` or `required`",
        ),
    ] {
        assert_eq!(errors(line), [expected], "{line}");
    }
}

#[test]
fn missing_and_invalid_required_fields_are_reported_together() {
    assert_eq!(errors_of(""), ["line 1: field `plugin` is missing: add it"]);
    assert_eq!(
        errors_of("\n[plugin]\n"),
        ["id", "version", "format", "entry"]
            .map(|field| format!("line 2: field `plugin.{field}` is missing: add it"))
    );
    let all = errors_of(
        "[plugin]\nid = \"ä\"\nversion = \"1.0\"\nformat = \"wsam\"\nentry = { linux-amd64 = \"x\" }",
    );
    assert_eq!(all.len(), 4, "{all:?}");
    assert!(
        all[1].starts_with("line 3: `plugin.version` is \"1.0\", which is not a semantic version"),
        "{}",
        all[1]
    );
    assert!(
        all[1].ends_with("unexpected end of input while parsing minor version number"),
        "{}",
        all[1]
    );
    assert_eq!(
        all[2],
        "line 4: `plugin.format` is \"wsam\": did you mean \"wasm\"?"
    );
    assert_eq!(
        all[3],
        "line 5: unknown platform \"linux-amd64\": did you mean `linux-x86_64`?"
    );
    // Errors in other tables are reported too, even without an id.
    assert_eq!(errors_of("[plugin]\n[limits]\nmax_tim_ms = 1").len(), 5);
}

#[test]
fn entry_paths_that_are_not_below_the_directory_are_refused() {
    for entry in [
        "",
        ".",
        "..",
        "../x.wasm",
        "lib/../../x.wasm",
        "/etc/passwd",
        "lib//x",
        "lib/",
        "./x",
        "C:/x",
        "C:x",
        "a\\b",
        "\\\\server\\share",
        "x\u{0}",
        "x\n",
        "file:///x",
    ] {
        let text = format!(
            "[plugin]\nid = \"a\"\nversion = \"1.0.0\"\nformat = \"wasm\"\nentry = {}\n",
            toml_string(entry)
        );
        let errors = Manifest::parse(&text).expect_err(entry).into_errors();
        assert!(
            matches!(errors[0].kind(), ManifestErrorKind::Entry(_)),
            "{entry:?}: {}",
            errors[0]
        );
        assert_eq!(errors[0].line(), 5);
    }
}

fn toml_string(text: &str) -> String {
    format!(
        "\"{}\"",
        text.replace('\\', "\\\\")
            .replace('\0', "\\u0000")
            .replace('\n', "\\n")
    )
}

#[test]
fn hostile_manifests_are_refused_in_bounded_time() {
    let deep = |open: &str, close: &str| format!("x = {}{}", open.repeat(50_000), close.repeat(50_000));
    let texts = [
        deep("[", "]"),
        deep("{ a = ", "}"),
        format!("[{}]", ["a"; 50_000].join(".")),
        format!("{} = 1", ["a"; 50_000].join(".")),
        "[[plugin]]\n".repeat(10_000),
        (0..20_000).map(|at| format!("unknown{at} = 1\n")).collect(),
        format!("[plugin]\nid = \"{}\"", "a".repeat(200_000)),
        format!("[plugin]\nversion = \"{}\"", "1.".repeat(100_000)),
        format!("[capabilities]\nneeds = [{}]", "\"consol\", ".repeat(15_000)),
        format!("[capabilities]\nhosts = [\"{}:1\"]", "a.".repeat(100_000)),
        "\"".repeat(200_000),
        "\u{feff}\u{202e}[plugin]".to_owned(),
        "[plugin]\nid = \"\u{430}bc\"".to_owned(),
    ];
    let start = std::time::Instant::now();
    for text in &texts {
        let errors = Manifest::parse(text).expect_err("is refused");
        assert!(errors.errors().len() <= 100);
        assert!(errors.to_string().len() < 200_000, "an error repeats its input");
    }
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
}

#[test]
fn capabilities_have_a_short_form() {
    let text = "capabilities = [\"console\", \"time\"]\n[plugin]\nid = \"a\"\nversion = \"1.0.0\"\nformat = \"wasm\"\nentry = \"a\"";
    let manifest = Manifest::parse(text).unwrap();
    assert_eq!(
        manifest.capabilities.needs,
        Capabilities::CONSOLE | Capabilities::TIME
    );
    let text = text.replace("[\"console\", \"time\"]", "\"console|time\"");
    assert_eq!(Manifest::parse(&text).unwrap(), manifest);
}

#[test]
fn the_most_specific_entry_is_used() {
    let text = "[plugin]\nid = \"a\"\nversion = \"1.0.0\"\nformat = \"native\"\n[plugin.entry]\nany = \"any\"\nlinux = \"l\"\nlinux-aarch64 = \"la\"\nwindows = \"w\"";
    let manifest = Manifest::parse(text).unwrap();
    for (platform, entry) in [
        ("linux-aarch64", "la"),
        ("linux-x86_64", "l"),
        ("windows-x86_64", "w"),
        ("macos-aarch64", "any"),
    ] {
        let found = manifest.entry.for_platform(platform.parse().unwrap()).unwrap();
        assert_eq!(found.as_str(), entry, "{platform}");
    }
}

fn text() -> impl Strategy<Value = String> {
    // Includes characters that need escaping, and none that a manifest refuses.
    "[a-zA-Z0-9 \"'\\\\#=\\[\\]{}.,éß中🦀]{0,20}"
}

fn key() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9_ .\"\\\\é-]{0,12}"
}

fn gpu() -> impl Strategy<Value = GpuScope> {
    let device = prop_oneof![Just("*"), Just("cpu"), Just("name:\"é\\*"), Just("virtual:a b")];
    let limits = (any::<u64>(), any::<u64>(), 0..=GpuScope::MAX_SHADER_BYTES);
    (prop::collection::vec(device, 0..3), limits).prop_map(|(devices, (memory, invocations, shader))| {
        GpuScope::new(devices.into_iter().map(|device| device.parse().unwrap()))
            .with_max_memory_bytes(memory)
            .with_max_invocations(invocations)
            .with_max_shader_bytes(shader)
    })
}

fn request() -> impl Strategy<Value = CapabilityRequest> {
    let host = prop_oneof![
        Just("$PLUGIN"),
        Just("$HOME/Music"),
        Just("/srv/data"),
        Just("C:\\Data"),
        Just("$PLUGIN/a/b"),
    ];
    let dir = (host, "/[a-z]{1,8}", any::<bool>()).prop_map(|(host, guest, write)| DirRequest {
        host: host.parse().unwrap(),
        guest,
        access: if write {
            Access::ReadWrite
        } else {
            Access::ReadOnly
        },
    });
    let variable =
        ("[A-Z_]{1,8}", prop::option::of(text())).prop_map(|(name, value)| EnvRequest { name, value });
    let net = prop_oneof![
        Just("a.example.org:443"),
        Just("*:*"),
        Just("[fd00::]/8:1-9"),
        Just("a.b@10.0.0.0/8:80")
    ];
    (
        (0u64..1024, 0u64..1024),
        prop::collection::vec(dir, 0..3),
        prop::collection::vec(variable, 0..3),
        prop::collection::vec(net, 0..3),
        prop::collection::vec(prop_oneof![Just("/bin/ls"), Just("C:\\x.exe")], 0..3),
        (any::<u32>(), gpu()),
    )
        .prop_map(
            |((needs, optional), directories, environment, hosts, programs, (workers, gpu))| {
                let mut request = CapabilityRequest::default();
                request.needs = Capabilities::from_raw(needs).unwrap();
                request.optional = Capabilities::from_raw(optional).unwrap();
                // A name that is listed twice is an error.
                let (mut guests, mut names) = (BTreeSet::new(), BTreeSet::new());
                request.directories = directories;
                request.directories.retain(|dir| guests.insert(dir.guest.clone()));
                request.environment = environment;
                request
                    .environment
                    .retain(|variable| names.insert(variable.name.clone()));
                request.hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
                request.programs = programs.iter().map(|path| (*path).to_owned()).collect();
                request.workers = workers;
                request.gpu = gpu;
                request
            },
        )
}

fn value() -> impl Strategy<Value = ConfigValue> {
    prop_oneof![
        any::<bool>().prop_map(ConfigValue::Boolean),
        any::<i64>().prop_map(ConfigValue::Integer),
        any::<f64>()
            .prop_filter("finite", |number| number.is_finite())
            .prop_map(ConfigValue::Float),
        text().prop_map(ConfigValue::String),
        prop::collection::vec(text(), 0..3).prop_map(ConfigValue::Strings),
    ]
}

fn setting() -> impl Strategy<Value = ConfigField> {
    let with_default = (value(), text()).prop_map(|(default, description)| {
        let mut field = ConfigField::new(default.value_type());
        field.default = Some(default);
        field.description = description;
        field
    });
    let without = any::<bool>().prop_map(|required| {
        let mut field = ConfigField::new(ConfigType::String);
        field.required = required;
        field
    });
    prop_oneof![with_default, without]
}

fn function() -> impl Strategy<Value = FunctionType> {
    let types = || {
        prop::collection::vec(
            prop::sample::select(
                &[
                    ValueType::I32,
                    ValueType::I64,
                    ValueType::F64,
                    ValueType::ExternRef,
                ][..],
            ),
            0..4,
        )
    };
    (types(), types(), text()).prop_map(|(params, results, description)| {
        let mut function = FunctionType::new(params, results);
        function.description = description;
        function
    })
}

fn any_manifest() -> impl Strategy<Value = Manifest> {
    let version = (
        0u64..99,
        0u64..99,
        any::<u64>(),
        prop_oneof![Just(""), Just("-rc.1"), Just("+b1")],
    )
        .prop_map(|(major, minor, patch, tail)| format!("{major}.{minor}.{patch}{tail}"));
    let entries = prop_oneof![
        Just(vec![("any", "a.wasm")]),
        Just(vec![("linux-x86_64", "lib/a.so"), ("windows", "a.dll")]),
        Just(vec![("macos", "a b/ü.dylib")]),
    ];
    let dependency = (
        prop_oneof![Just("*"), Just("^1.2"), Just(">=1, <3")],
        any::<bool>(),
    )
        .prop_map(|(range, optional)| Dependency {
            version: range.parse().unwrap(),
            optional,
        });
    let name = text().prop_map(|text| format!("n{text}"));
    let head = (
        "[a-zA-Z0-9][a-zA-Z0-9._-]{0,16}",
        version,
        name,
        text(),
        prop::option::of(text()),
        entries,
    );
    (
        head,
        prop::collection::vec(text(), 0..3),
        prop::option::of(prop_oneof![Just(">=0.1"), Just("=1.2.3-rc.1")]),
        request(),
        prop::option::of((any::<u64>(), any::<u64>())),
        prop::collection::btree_map("[b-z][a-z.]{0,8}", dependency, 0..3),
        prop::collection::btree_map(key(), function(), 0..3),
        prop::collection::btree_map(key(), setting(), 0..3),
    )
        .prop_map(
            |(
                (id, version, name, description, license, entries),
                authors,
                host,
                request,
                limits,
                dependencies,
                exports,
                config,
            )| {
                let entries = entries
                    .iter()
                    .map(|(key, path)| (key.parse().unwrap(), path.parse().unwrap()))
                    .collect();
                let entries = Entries::per_platform(entries).unwrap();
                let mut manifest = Manifest::new(
                    id.parse().unwrap(),
                    version.parse().unwrap(),
                    Format::Native,
                    entries,
                );
                manifest.name = name;
                manifest.description = description;
                manifest.license = license;
                manifest.authors = authors;
                manifest.host_version = host.map(|host| host.parse().unwrap());
                manifest.capabilities = request;
                if let Some((memory, fuel)) = limits {
                    manifest.limits.max_memory_bytes = Some(memory);
                    manifest.limits.max_fuel = Some(fuel);
                }
                manifest.dependencies = dependencies
                    .into_iter()
                    .map(|(id, dependency)| (format!("0{id}").parse().unwrap(), dependency))
                    .filter(|(other, _)| *other != manifest.id)
                    .collect();
                manifest.exports = exports;
                manifest.config = config;
                manifest
            },
        )
}

/// Returns a configuration with the same cases in every run, or many more and new ones if `DYNLOAD_PROVE` is set.
fn cases(short: u32, long: u32) -> ProptestConfig {
    let (cases, rng_seed) = match std::env::var_os("DYNLOAD_PROVE") {
        Some(_) => (long, RngSeed::Random),
        None => (short, RngSeed::Fixed(0x6479_6e6c_6f61_6401)),
    };
    ProptestConfig {
        cases,
        rng_seed,
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(300, 100_000))]

    #[test]
    fn a_written_manifest_parses_to_an_equal_one(manifest in any_manifest()) {
        let text = manifest.to_toml();
        let read = Manifest::parse(&text);
        prop_assert!(read.is_ok(), "{}\n{text}", read.unwrap_err());
        prop_assert_eq!(read.unwrap(), manifest, "{}", text);
    }

    /// A manifest with a part removed or replaced is parsed or refused, and errors have lines that exist.
    #[test]
    fn damaged_manifests_never_panic(start in 0usize..3_000, len in 0usize..40, new in "[\\[\\]{}=\"a-z0-9\\n.\u{0}é-]{0,12}") {
        let at = |mut at: usize| { at = at.min(EVERYTHING.len()); while !EVERYTHING.is_char_boundary(at) { at -= 1; } at };
        let (from, to) = (at(start), at(start + len));
        let text = format!("{}{new}{}", &EVERYTHING[..from], &EVERYTHING[to..]);
        if let Err(errors) = Manifest::parse(&text) {
            let lines = text.matches('\n').count() as u32 + 1;
            for error in errors.errors() {
                prop_assert!((1..=lines).contains(&error.line()), "{error} at {}", error.line());
            }
        }
    }
}

#[test]
fn a_guest_name_or_variable_listed_twice_is_an_error() {
    let top =
        "[plugin]\nid = \"p\"\nversion = \"1.0.0\"\nformat = \"wasm\"\nentry = \"p.wasm\"\n[capabilities]\n";
    let directories = |guest: &str| {
        format!(
            "{top}needs = [\"fs_read\"]\ndirectories = [{{ host = \"/a\", guest = \"/data\" }}, {{ host = \"/b\", guest = {guest:?} }}]"
        )
    };
    Manifest::parse(&directories("/other")).unwrap();
    let errors = Manifest::parse(&directories("/data/")).unwrap_err();
    assert!(errors.to_string().starts_with("line 8: "), "{errors}");
    assert!(matches!(
        errors.errors()[0].kind(),
        ManifestErrorKind::Scope(ScopeError::DuplicateGuest { .. })
    ));
    let text =
        format!("{top}needs = [\"env\"]\nenvironment = [\"HOME\", {{ name = \"HOME\", value = \"x\" }}]");
    let errors = Manifest::parse(&text).unwrap_err();
    assert!(matches!(
        errors.errors()[0].kind(),
        ManifestErrorKind::Scope(ScopeError::DuplicateEnv { .. })
    ));
}

#[test]
fn a_manifest_of_the_older_loader_says_what_to_change() {
    let text = r#"capabilities = ["console", "extended_memory"]

[plugin]
name = "resize"
version = "1.2.3"
format = "wasm"
entry = "resize.wasm"
min_vais_version = ">=0.0.1"
homepage = "https://example.org"

[[dependencies]]
name = "pixels"
version = ">=1.0.0"

[[exports]]
name = "resize"
returns = "i64"

[[exports]]
name = "reset"

[platform.linux]
entry = "linux/resize.wasm"
"#;
    let errors = Manifest::parse(text).unwrap_err();
    let lines: Vec<(u32, String)> = errors
        .errors()
        .iter()
        .map(|error| (error.line(), error.to_string()))
        .collect();
    let older = |line, field: &str, remedy: &str| {
        (
            line,
            format!("`{field}` is in the format of the older Vais loader: {remedy}"),
        )
    };
    let host = "write the versions of the host as `plugin.host_version`";
    assert_eq!(
        lines,
        [
            older(
                1,
                "extended_memory",
                "remove the capability, and write `max_memory_bytes` in a table `[limits]`"
            ),
            older(
                4,
                "plugin.name",
                "write it as `plugin.id`, which is required; `plugin.name` is for display"
            ),
            older(8, "plugin.min_vais_version", host),
            older(9, "plugin.homepage", "remove it"),
            older(
                11,
                "dependencies",
                "write `NAME = \"VERSION\"` in a table `[dependencies]`"
            ),
            older(
                15,
                "exports",
                "write a table `[exports.NAME]` for each function, with `params` and `results` as arrays of types"
            ),
            older(
                22,
                "platform",
                "write a table `[plugin.entry]` with one file for each platform, such as `linux = \"plugin.so\"`"
            ),
        ]
    );
}

#[test]
fn a_field_of_the_older_loader_hides_no_other_error() {
    let text = "[plugin]\nid = \"a\"\nname = \"A\"\nverson = \"1.0.0\"\nformat = \"wasm\"\nentry = \"../a.wasm\"\n\
                max_vais_version = \"1\"\n[capabilities]\noptional = [\"extended_memory\", \"colour\"]\n";
    let errors = Manifest::parse(text).unwrap_err();
    let lines: Vec<u32> = errors.errors().iter().map(|error| error.line()).collect();
    // Line 1: the version is missing. The name of a manifest with an id is not its id.
    assert_eq!(lines, [1, 4, 6, 7, 9, 9], "{errors}");
}

#[test]
fn at_most_a_hundred_errors_are_reported() {
    for (unknown, reported) in [(99, 99), (100, 100), (101, 100)] {
        let fields: String = (0..unknown).map(|at| format!("unknown{at} = 1\n")).collect();
        let text =
            format!("{fields}[plugin]\nid = \"a\"\nversion = \"1.0.0\"\nformat = \"wasm\"\nentry = \"a\"\n");
        assert_eq!(Manifest::parse(&text).unwrap_err().errors().len(), reported);
    }
}

#[test]
fn a_syntax_error_is_reported_alone() {
    let errors = Manifest::parse("unknown = 1\n[plugin]\nid = ?\nverson = 1\n").unwrap_err();
    let [error] = errors.errors() else {
        panic!("{errors}")
    };
    assert_eq!(error.line(), 3);
    assert!(matches!(error.kind(), ManifestErrorKind::Syntax { .. }));
}
