//! Audits: the contents of a file, compared with its manifest.

use crate::support::{Plugins, manifest};
use dynload_caps::imports::WhenDenied;
use dynload_caps::{Access, Capabilities, DirScope, Grant, Limits};
use dynload_discovery::{Audit, ExternKind, Facts, Finding, Policy};
use std::time::Duration;

/// Returns the audit of a module with this manifest, which is the same without a cache, with a new one, and from the cache.
#[track_caller]
fn audit(wat: &str, more: &str) -> Audit {
    let plugins = Plugins::new();
    plugins.plugin("p", "p", "1.0.0", more);
    plugins.write("p/plugin.wasm", wat::parse_str(wat).unwrap());
    let scanner = plugins.scanner();
    let found = scanner.scan();
    let plugin = found.get("p").unwrap_or_else(|| panic!("{:?}", found.problems));
    let audit = scanner.audit(plugin).unwrap();
    for _ in 0..2 {
        let scanner = plugins.cached();
        assert_eq!(scanner.audit(plugin).unwrap(), audit);
        assert_eq!(scanner.audit(plugin).unwrap(), audit);
    }
    audit
}

fn findings(audit: &Audit) -> Vec<String> {
    audit.findings.iter().map(ToString::to_string).collect()
}

const HELLO: &str = r#"(module
    (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))
    (import "wasi_snapshot_preview1" "environ_get" (func (param i32 i32) (result i32)))
    (import "vais" "random" (func (result i64)))
    (memory (export "memory") 2)
    (table 4 funcref)
    (func (export "run") (param i64) (result i64) local.get 0)
    (func (export "_start")))"#;

#[test]
fn undeclared_and_unused_capabilities_are_found() {
    let found = audit(
        HELLO,
        "[capabilities]\nneeds = [\"time\"]\noptional = [\"network\", \"random\"]",
    );
    let undeclared: Vec<String> = found.undeclared.iter().map(ToString::to_string).collect();
    // `fd_write` is open to a plugin with sockets, so only the environment is undeclared.
    assert_eq!(
        undeclared,
        ["import wasi_snapshot_preview1.environ_get needs env, which is not declared"]
    );
    assert_eq!(found.undeclared[0].when_denied, WhenDenied::EmptyResult);
    assert_eq!(found.unused, Capabilities::TIME);

    let found = audit(HELLO, "");
    assert_eq!(found.undeclared.len(), 3);
    assert!(
        found.undeclared[0]
            .to_string()
            .ends_with("fd_write needs one of console|fs_write|network, but none is declared")
    );
    assert!(
        found
            .undeclared_capabilities()
            .has(Capabilities::ENV | Capabilities::RANDOM | Capabilities::CONSOLE)
    );
    let Facts::Wasm(facts) = &found.facts else {
        panic!("{:?}", found.facts)
    };
    assert_eq!(facts.required(), Capabilities::ENV | Capabilities::RANDOM);
    assert_eq!(facts.initial_bytes, 2 * 65_536 + 4 * 8);

    let found = audit(
        HELLO,
        "[capabilities]\nneeds = [\"console\", \"env\", \"random\"]",
    );
    assert!(found.is_clean(), "{found:?}");
}

#[test]
fn imports_without_a_provider_are_found() {
    let found = audit(
        r#"(module (import "env" "system" (func (param i32))) (import "vais" "print" (global i32))
            (import "env" "memory" (memory 1)))"#,
        "",
    );
    assert_eq!(
        findings(&found),
        [
            "import env.system (function) has no provider",
            "import vais.print (global) has no provider",
            "import env.memory (memory) has no provider",
        ]
    );
    assert!(matches!(
        found.findings[2],
        Finding::UnknownImport {
            kind: ExternKind::Memory,
            ..
        }
    ));
}

#[test]
fn the_types_of_imports_are_compared_with_those_of_the_host_functions() {
    let wat = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func (param i32)))
        (import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32))))"#;
    let found = audit(wat, "[capabilities]\nneeds = [\"console\", \"random\"]");
    assert_eq!(
        findings(&found),
        [
            "import wasi_snapshot_preview1.fd_write has type (i32) -> (), but the host function has type (i32, i32, i32, i32) -> (i32)"
        ]
    );
    // A type of which messages show only a part.
    let long = format!(
        "(module (import \"vais\" \"random\" (func (result {}))))",
        "i64 ".repeat(30)
    );
    assert_eq!(audit(&long, "").findings.len(), 1);
}

#[test]
fn exports_are_compared_with_the_declared_ones() {
    let wat = r#"(module (memory (export "mem") 0) (func (export "same") (param i32) (result i64) i64.const 1)
        (func (export "other") (result i64) i64.const 1) (func (export "more")) (func (export "_initialize")))"#;
    let found = audit(
        wat,
        "[exports.same]\nparams=[\"i32\"]\nresults=[\"i64\"]\n[exports.other]\nparams=[\"i64\"]\n[exports.gone]\n[exports.mem]",
    );
    assert_eq!(
        findings(&found),
        [
            "function \"gone\" is declared but not exported",
            "\"mem\" is declared as a function but is not one",
            "function \"other\" is declared as (i64) -> () but has type () -> (i64)",
            "function \"more\" is exported but not declared",
        ]
    );
    assert!(audit(wat, "").is_clean());
}

#[test]
fn initial_memory_is_compared_with_the_limit() {
    let wat = "(module (memory 16) (memory 16) (table 131072 funcref))";
    let bytes = 32 * 65_536 + 131_072 * 8;
    assert!(audit(wat, &format!("[limits]\nmax_memory_bytes = {bytes}")).is_clean());
    let found = audit(wat, &format!("[limits]\nmax_memory_bytes = {}", bytes - 1));
    assert_eq!(
        findings(&found),
        [format!(
            "starts with {bytes} bytes of memory and tables, over its limit of {}",
            bytes - 1
        )]
    );
    let small = "(module (memory 4096 (pagesize 1)))";
    assert!(audit(small, "[limits]\nmax_memory_bytes = 4096").is_clean());
    assert!(!audit(small, "[limits]\nmax_memory_bytes = 4095").is_clean());
    let huge = audit("(module (memory 65536) (memory i64 281474976710656))", "");
    assert!(
        matches!(
            huge.findings[..],
            [Finding::MemoryOverLimit {
                initial: u64::MAX,
                ..
            }]
        ),
        "{huge:?}"
    );
}

#[test]
fn files_that_are_not_modules_are_invalid() {
    let good = wat::parse_str(HELLO).unwrap();
    let component = wat::parse_str("(component)").unwrap();
    let mut bodies: Vec<Vec<u8>> = (0..good.len()).map(|at| good[..at].to_vec()).collect();
    bodies.extend([component.clone(), b"MZ".to_vec(), vec![0; 4096]]);
    let plugins = Plugins::new();
    for (at, body) in bodies.iter().enumerate() {
        plugins.write(&format!("m{at}.wasm"), body);
    }
    let scanner = plugins.scanner();
    let found = scanner.scan();
    let mut invalid = 0;
    for plugin in &found.plugins {
        // Some prefixes end between two sections, and are valid modules.
        match scanner.audit(plugin).unwrap().facts {
            Facts::Wasm(_) => {}
            Facts::Invalid { .. } => invalid += 1,
            other => panic!("{other:?}"),
        }
    }
    assert!(invalid > bodies.len() - 12, "{invalid} of {}", bodies.len());
    let component = scanner
        .audit(found.get(&format!("m{}", bodies.len() - 3)).unwrap())
        .unwrap();
    assert!(
        findings(&component)[0].contains("it is a component"),
        "{:?}",
        component.findings
    );
}

#[cfg(target_os = "linux")]
#[test]
fn native_files_are_audited_by_their_headers() {
    use std::process::Command;
    let plugins = Plugins::new();
    let source = plugins.write(
        "../x.c",
        "#include <math.h>\ndouble f(double x) { return sin(x); }\nint main(void) { return 0; }",
    );
    let cc = |arguments: &[&str], out: &str| {
        let out = plugins.write(out, "");
        let status = Command::new("cc")
            .args(arguments)
            .arg("-o")
            .arg(out)
            .arg(&source)
            .arg("-lm")
            .status();
        assert!(status.unwrap().success());
    };
    cc(&["-shared", "-fPIC", "-Wl,--no-as-needed"], "liblib.so");
    cc(&["-fPIE", "-pie"], "pie.so");
    cc(&["-c"], "object.so");
    let native = |id: &str| manifest(id, "1.0.0", "p.so", "").replace("\"wasm\"", "\"native\"");
    plugins.write("text/plugin.toml", native("text"));
    plugins.write("text/p.so", "INPUT(libreal.so)");
    let lib = std::fs::read(plugins.root().join("liblib.so")).unwrap();
    plugins.write("half.so", &lib[..lib.len() / 2]);
    let mut other = lib.clone();
    other[18] = 0xf3; // EM_RISCV
    plugins.write("riscv.so", &other);
    let scanner = plugins.scanner();
    let found = scanner.scan();
    let audit = |id: &str| scanner.audit(found.get(id).unwrap()).unwrap();
    let Facts::Native(facts) = audit("lib").facts else {
        panic!()
    };
    assert!(facts.shared_library);
    assert!(
        facts.needed.iter().any(|name| name.starts_with("libm.so")),
        "{:?}",
        facts.needed
    );
    assert_eq!(facts.architectures, [std::env::consts::ARCH]);
    assert!(audit("lib").is_clean());
    assert_eq!(audit("pie").findings, [Finding::NotALibrary]);
    assert_eq!(audit("object").findings, [Finding::NotALibrary]);
    assert!(findings(&audit("text"))[0].starts_with("not a native plugin: "));
    assert!(findings(&audit("riscv"))[0].starts_with("built for ELF riscv64, but this platform is linux-"));
    // An audit of a damaged file returns a result.
    plugins.write("damaged/plugin.toml", native("damaged"));
    for at in 0..lib.len().min(2048) {
        let mut damaged = lib.clone();
        damaged[at] ^= 0xff;
        damaged.truncate(lib.len() - at);
        plugins.write("damaged/p.so", &damaged);
        let scanner = plugins.scanner();
        let found = scanner.scan();
        scanner.audit(found.get("damaged").unwrap()).unwrap();
    }
}

#[test]
fn an_entry_in_the_text_format_is_audited_only_with_the_feature() {
    let plugins = Plugins::new();
    plugins.write("text/plugin.toml", manifest("text", "1.0.0", "p.wat", ""));
    plugins.write(
        "text/p.wat",
        r#"(module (import "vais" "random" (func (result i64))))"#,
    );
    let scanner = plugins.scanner();
    let found = scanner.scan();
    let audit = scanner.audit(found.get("text").unwrap()).unwrap();
    if cfg!(feature = "wat") {
        assert_eq!(audit.undeclared_capabilities(), Capabilities::RANDOM);
        plugins.write("text/p.wat", "(module\n  (func (i32.cnst 1)))");
        let found = scanner.scan();
        let audit = scanner.audit(found.get("text").unwrap()).unwrap();
        let finding = &findings(&audit)[0];
        assert!(
            finding.contains("unknown operator") && finding.ends_with(" at 2:10"),
            "{finding}"
        );
    } else {
        assert_eq!(
            findings(&audit),
            [
                "not a wasm plugin: it is a module in the text format, which this program does not accept: translate it with `wat2wasm`"
            ]
        );
    }
}

/// The types of imports and exports cost nothing, so their number is what a hostile package can choose.
#[test]
fn imports_and_exports_are_audited_up_to_a_number_and_a_size() {
    let plugins = Plugins::new();
    let audit = |text: String| {
        plugins.write("lone.wasm", wat::parse_str(text).unwrap());
        let scanner = plugins.scanner();
        let found = scanner.scan();
        scanner.audit(found.get("lone").unwrap()).unwrap()
    };
    let imports = |count: usize, name: &str| {
        format!(
            "(module {})",
            format!("(import \"m\" \"{name}\" (func))").repeat(count)
        )
    };
    let exports = |count: usize| {
        let exports: String = (0..count)
            .map(|at| format!("(export \"{at}\" (func 0))"))
            .collect();
        format!("(module (func) {exports})")
    };
    assert!(matches!(audit(imports(50_000, "n")).facts, Facts::Wasm(_)));
    assert!(matches!(audit(exports(50_000)).facts, Facts::Wasm(_)));
    for (module, what) in [
        (imports(50_001, "n"), "its 50001 imports take "),
        (exports(50_001), "its 50001 exports take "),
        (imports(50, &"n".repeat(90_000)), "its 50 imports take 450"),
    ] {
        let findings = findings(&audit(module));
        assert_eq!(findings.len(), 1);
        assert!(findings[0].contains(what), "{findings:?}");
    }
}

#[test]
fn a_plugin_is_granted_what_it_requests_and_the_host_allows() {
    let plugins = Plugins::new();
    plugins.plugin("p", "p", "1.0.0", r#"
[capabilities]
needs = ["console"]
optional = ["fs_read", "network", "process"]
directories = [{ host = "$PLUGIN/assets", guest = "/assets", access = "read-write" }, { host = "/etc", guest = "/etc" },
    { host = "$PLUGIN/link", guest = "/link" }]
hosts = ["*.example.org:443"]
[limits]
max_time_ms = 100
max_memory_bytes = 999999999999"#);
    plugins.write("p/assets/x", "");
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc", plugins.root().join("p/link")).unwrap();
    let scanner = plugins.scanner();
    let found = scanner.scan();
    let plugin = found.get("p").unwrap();

    let denied = plugin
        .admit(&Policy::new(Grant::none(), Limits::DEFAULT))
        .unwrap_err();
    assert_eq!(denied.missing, Capabilities::CONSOLE);

    let mut grant = Grant::none().with_capabilities(Capabilities::all());
    grant.scopes.net.push("api.example.org:*".parse().unwrap());
    let policy = Policy::new(grant, Limits::DEFAULT).with_own_directory(Access::ReadOnly);
    let admitted = plugin.admit(&policy).unwrap();
    assert_eq!(
        admitted.grant.capabilities.to_string(),
        "console|fs_read|network|process"
    );
    let assets = plugins
        .root()
        .join("p/assets")
        .into_os_string()
        .into_string()
        .unwrap();
    // Its own directory, but not the target of a link in it, and not a directory that the host does not allow.
    assert_eq!(
        admitted.grant.scopes.dirs,
        [DirScope::new(assets, "/assets", Access::ReadOnly)
            .unwrap()
            .without_links()]
    );
    assert_eq!(
        admitted.grant.scopes.net,
        ["api.example.org:443".parse().unwrap()]
    );
    assert_eq!(
        admitted.limits,
        Limits::DEFAULT.with_time(Duration::from_millis(100))
    );

    plugins.write("lone.wasm", crate::support::EMPTY_MODULE);
    let found = plugins.scanner().scan();
    assert_eq!(
        found.get("lone").unwrap().admit(&policy).unwrap().grant,
        Grant::none()
    );
}

#[test]
fn import_names_cannot_control_the_terminal() {
    let found = audit(r#"(module (import "\1b[2J" "\0a\07" (func)))"#, "");
    assert_eq!(
        findings(&found),
        [r"import \u{1b}[2J.\u{a}\u{7} (function) has no provider"]
    );
}

#[test]
fn a_file_of_another_kind_is_reported_in_the_words_of_this_crate() {
    let plugins = Plugins::new();
    let toml = "[plugin]\nid = \"p\"\nversion = \"1.0.0\"\nformat = \"native\"\nentry = \"p.so\"\n";
    plugins.write("p/plugin.toml", toml);
    for contents in ["", "no library, but text"] {
        plugins.write("p/p.so", contents);
        let scanner = plugins.scanner();
        let found = scanner.scan();
        let audit = scanner.audit(found.get("p").unwrap()).unwrap();
        assert_eq!(
            findings(&audit),
            ["not a native plugin: it is not an ELF, Mach-O or PE file"]
        );
    }
}
