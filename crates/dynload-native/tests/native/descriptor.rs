//! Plugins in C with a descriptor.

use dynload_native::descriptor::{DescriptorError, Host, PanicMode, PluginDescriptor, TARGET};
use dynload_native::{Error, Flags, Module, Options, Step};

use crate::build::Workshop;

fn plugin(fields: &str) -> String {
    format!(
        r#"
        #include "dynload_plugin.h"
        #include <stdio.h>
        static int constructed = 0;
        __attribute__((constructor)) static void construct(void) {{ constructed = 1; FILE *f = fopen(MARK, "a"); fputs("constructor\n", f); fclose(f); }}
        int32_t start(const struct dynload_host *host);
        void stop(void) {{ FILE *f = fopen(MARK, "a"); fputs("shutdown\n", f); fclose(f); }}
        DYNLOAD_EXPORT const struct dynload_plugin dynload_plugin_descriptor = {{ {fields} }};
        int32_t start(const struct dynload_host *host) {{
            FILE *f = fopen(MARK, "a");
            fprintf(f, "init %d %u %u %d\n", constructed, host->abi_version, host->struct_size, (int)host->module_version);
            fclose(f);
            return RESULT;
        }}
        "#
    )
}

const GOOD: &str =
    r#"1, sizeof(struct dynload_plugin), 0, 0, "greeter", "1.2.0", DYNLOAD_TARGET, start, stop"#;

struct Built {
    workshop: Workshop,
    path: std::path::PathBuf,
}

impl Built {
    fn new(fields: &str, result: i32) -> Built {
        let workshop = Workshop::new();
        let mark = format!("-DMARK=\"{}\"", workshop.path("mark").display());
        let path = workshop.c(
            "libp.so",
            &plugin(fields),
            &[].into_iter()
                .chain([mark.as_str(), &format!("-DRESULT={result}")])
                .collect::<Vec<_>>(),
        );
        Built { workshop, path }
    }

    fn marks(&self) -> String {
        std::fs::read_to_string(self.workshop.path("mark")).unwrap_or_default()
    }
}

#[test]
fn a_compatible_plugin_is_started_and_shut_down_once() {
    let built = Built::new(GOOD, 0);
    let module = unsafe { Module::load(&built.path, Flags::NOW) }.unwrap();
    let descriptor = module.descriptor().unwrap();
    assert_eq!((&*descriptor.name, &*descriptor.version), ("greeter", "1.2.0"));
    assert_eq!(
        (&*descriptor.target, descriptor.panic_mode),
        (TARGET, PanicMode::None)
    );
    let init = format!("init 1 1 {}", size_of::<Host>());
    let first = format!("constructor\n{init} 1\n");
    assert_eq!(built.marks(), first);
    assert_eq!(unsafe { module.reload() }.unwrap(), 2);
    let second = format!("{first}constructor\n{init} 2\nshutdown\n");
    assert_eq!(built.marks(), second);
    drop(module);
    assert_eq!(built.marks(), second + "shutdown\n");
}

#[test]
fn an_incompatible_plugin_is_refused_before_any_of_its_code_runs() {
    for (fields, expected) in [
        (
            r#"2, sizeof(struct dynload_plugin), 0, 0, "n", "1", DYNLOAD_TARGET, start, stop"#,
            DescriptorError::AbiVersion {
                found: 2,
                expected: 1,
            },
        ),
        (
            r#"0"#,
            DescriptorError::AbiVersion {
                found: 0,
                expected: 1,
            },
        ),
        (
            r#"1, 16, 0, 0, "n", "1", DYNLOAD_TARGET, start, stop"#,
            DescriptorError::Size {
                found: 16,
                expected: PluginDescriptor::SIZE as u32,
            },
        ),
        (
            r#"1, sizeof(struct dynload_plugin), 3, 0, "n", "1", DYNLOAD_TARGET, start, stop"#,
            DescriptorError::PanicMode { found: 3 },
        ),
        (
            r#"1, sizeof(struct dynload_plugin), 2, 0, "n", "1", DYNLOAD_TARGET, start, stop"#,
            DescriptorError::PanicAborts,
        ),
        (
            r#"1, sizeof(struct dynload_plugin), 0, 0, "n", "1", "pdp11-unix-v7", start, stop"#,
            DescriptorError::Target {
                found: "pdp11-unix-v7".into(),
                expected: TARGET,
            },
        ),
        (
            r#"1, sizeof(struct dynload_plugin), 0, 0, "\xff", "1", DYNLOAD_TARGET, start, stop"#,
            DescriptorError::Text { field: "name" },
        ),
        (
            r#"1, sizeof(struct dynload_plugin), 0, 0, "n", "12345678901234567890123456789012", DYNLOAD_TARGET, start, stop"#,
            DescriptorError::Text { field: "version" },
        ),
    ] {
        let built = Built::new(fields, 0);
        match unsafe { Module::load(&built.path, Flags::NOW) } {
            Err(Error::Descriptor { source, .. }) => assert_eq!(source, expected),
            other => panic!("{fields}: {other:?}"),
        }
        assert_eq!(built.marks(), "", "{fields}: code of the plugin has run");
    }
}

#[test]
fn a_descriptor_that_is_not_a_struct_is_refused() {
    let workshop = Workshop::new();
    for (name, source) in [
        (
            "libshort.so",
            "const unsigned dynload_plugin_descriptor[2] = { 1, 176 };",
        ),
        ("libtiny.so", "const char dynload_plugin_descriptor = 1;"),
        ("libzero.so", "char dynload_plugin_descriptor[1024];"),
    ] {
        let path = workshop.c(name, source, &[]);
        let error = unsafe { Module::load(&path, Flags::NOW) }.unwrap_err();
        assert!(
            matches!(
                error,
                Error::Descriptor {
                    source: DescriptorError::NoData,
                    ..
                }
            ),
            "{name}: {error:?}"
        );
    }
}

#[test]
fn an_init_that_refuses_is_an_error_and_the_old_version_stays() {
    let built = Built::new(GOOD, 7);
    let error = unsafe { Module::load(&built.path, Flags::NOW) }.unwrap_err();
    assert!(matches!(error, Error::Init { code: 7, .. }), "{error:?}");
    assert_eq!(error.step(), Step::Init);
    // It never started, so it is not shut down.
    assert!(!built.marks().contains("shutdown"), "{}", built.marks());

    let good = Built::new(GOOD, 0);
    let module = unsafe { Module::load(&good.path, Flags::NOW) }.unwrap();
    crate::build::rename_over(&built.path, &good.path);
    let error = unsafe { module.reload() }.unwrap_err();
    assert_eq!(error.step(), Step::Init);
    assert_eq!((module.version(), module.is_loaded()), (1, true));
    assert!(!good.marks().contains("shutdown"));
}

#[test]
fn a_host_may_require_a_descriptor_and_allow_aborts() {
    let workshop = Workshop::new();
    let plain = workshop.answering("libplain.so", 1);
    assert!(
        unsafe { Module::load(&plain, Flags::NOW) }
            .unwrap()
            .descriptor()
            .is_none()
    );
    let error = unsafe { Options::new().require_descriptor(true).load(&plain) }.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Descriptor {
                source: DescriptorError::Missing,
                ..
            }
        ),
        "{error:?}"
    );
    let aborts = r#"1, sizeof(struct dynload_plugin), 2, 0, "n", "1", "", start, 0"#;
    let built = Built::new(aborts, 0);
    let module = unsafe { Options::new().allow_panic_abort(true).load(&built.path) }.unwrap();
    assert_eq!(module.descriptor().unwrap().panic_mode, PanicMode::Abort);
    assert_eq!(module.descriptor().unwrap().target, "");
}

/// The layouts of the C and the Rust structs are identical.
#[test]
fn the_header_has_the_same_layout() {
    use std::mem::offset_of;
    let workshop = Workshop::new();
    let source = r#"
        #include "dynload_plugin.h"
        #define AT(field) offsetof(struct dynload_plugin, field)
        DYNLOAD_EXPORT const size_t layout[] = {
            AT(abi_version), AT(struct_size), AT(panic_mode), AT(reserved), AT(name), AT(version), AT(target),
            AT(init), AT(shutdown), sizeof(struct dynload_plugin),
            offsetof(struct dynload_host, module_version), sizeof(struct dynload_host),
        };
        DYNLOAD_EXPORT const char target[] = DYNLOAD_TARGET;
        DYNLOAD_PLUGIN("layout", "1", NULL, NULL);
    "#;
    let check = |path: &std::path::Path| {
        let module = unsafe { Module::load(path, Flags::NOW) }.unwrap();
        let call = module.enter().unwrap();
        let layout = *unsafe { call.symbol::<*const [usize; 12]>("layout") }.unwrap();
        let expected = [
            offset_of!(PluginDescriptor, abi_version),
            offset_of!(PluginDescriptor, struct_size),
            offset_of!(PluginDescriptor, panic_mode),
            offset_of!(PluginDescriptor, reserved),
            offset_of!(PluginDescriptor, name),
            offset_of!(PluginDescriptor, version),
            offset_of!(PluginDescriptor, target),
            offset_of!(PluginDescriptor, init),
            offset_of!(PluginDescriptor, shutdown),
            PluginDescriptor::SIZE,
            offset_of!(Host, module_version),
            size_of::<Host>(),
        ];
        assert_eq!(unsafe { *layout }, expected);
        assert_eq!(module.descriptor().unwrap().name, "layout");
        assert_eq!(module.descriptor().unwrap().target, TARGET);
    };
    check(&workshop.c(
        "liblayout.so",
        source,
        &["-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror"],
    ));
    // The same in C++.
    let path = workshop.path("liblayoutpp.so");
    let file = workshop.write("layout.cc", source);
    let built = std::process::Command::new("c++")
        .args([
            "-shared",
            "-fPIC",
            "-std=c++11",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-I",
        ])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/include"))
        .arg(file)
        .arg("-o")
        .arg(&path)
        .output()
        .unwrap();
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    check(&path);
}

const CONFIGURED: &str = r#"
    #include "dynload_plugin.h"
    #include <stdio.h>
    #include <string.h>
    static char log[256];
    int32_t dynload_plugin_configure(const char *name, size_t name_length, const char *value, size_t value_length) {
        if (name[name_length] != 0 || value[value_length] != 0) return -1;
        snprintf(log + strlen(log), sizeof log - strlen(log), "%s=%s(%zu) ", name, value, value_length);
        return strcmp(value, "no") == 0 ? 7 : 0;
    }
    static int32_t start(const struct dynload_host *host) { (void)host; strcat(log, "init"); return 0; }
    DYNLOAD_EXPORT const char *configured(void) { return log; }
"#;

fn configured(module: &Module) -> String {
    let call = module.enter().unwrap();
    let log = unsafe { call.symbol::<extern "C" fn() -> *const std::ffi::c_char>("configured") }.unwrap();
    unsafe { std::ffi::CStr::from_ptr(log()) }
        .to_str()
        .unwrap()
        .to_owned()
}

#[test]
fn a_plugin_receives_its_settings_before_its_init_at_each_load() {
    let workshop = Workshop::new();
    let with_descriptor = format!("{CONFIGURED} DYNLOAD_PLUGIN(\"configured\", \"1\", start, NULL);");
    let without = format!("{CONFIGURED} int32_t (*unused)(const struct dynload_host *) = start;");
    for (name, source, init) in [
        ("libwith.so", &with_descriptor, "init"),
        ("libwithout.so", &without, ""),
    ] {
        let path = workshop.c(name, source, &[]);
        // A value may contain a NUL: its length counts.
        let settings = [("greeting", "Guten Tag"), ("empty", ""), ("nul", "a\0b")];
        let options = Options::new().with_settings(settings);
        let module = unsafe { options.load(&path) }.unwrap();
        let expected = format!("greeting=Guten Tag(9) empty=(0) nul=a(3) {init}");
        assert_eq!(configured(&module), expected);
        assert_eq!(unsafe { module.reload() }.unwrap(), 2);
        assert_eq!(configured(&module), expected);
        // Without settings it is not called.
        let module = unsafe { Module::load(&path, Flags::NOW) }.unwrap();
        assert_eq!(configured(&module), init);
    }
}

#[test]
fn settings_that_a_plugin_does_not_take_are_errors() {
    let workshop = Workshop::new();
    let path = workshop.c(
        "libconfigured.so",
        &format!("{CONFIGURED} DYNLOAD_PLUGIN(\"configured\", \"1\", start, NULL);"),
        &[],
    );
    let options = Options::new().with_settings([("a", "yes"), ("b", "no"), ("c", "never")]);
    let error = unsafe { options.load(&path) }.unwrap_err();
    assert_eq!(error.step(), Step::Configure);
    assert!(
        error
            .to_string()
            .ends_with("refused its setting `b`: its dynload_plugin_configure returned 7"),
        "{error}"
    );
    let path = workshop.answering("libanswer.so", 42);
    let error = unsafe { Options::new().with_settings([("a", "b")]).load(&path) }.unwrap_err();
    assert!(matches!(error, Error::NotConfigurable { .. }), "{error}");
    assert_eq!(error.step(), Step::Configure);
    // No settings need no function.
    unsafe { Options::new().with_settings([("", ""); 0]).load(&path) }.unwrap();
}

/// The example of `docs/plugins.md`.
#[test]
fn the_plugin_of_the_documentation_greets() {
    let workshop = Workshop::new();
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/plugins/native.c");
    let path = workshop.c(
        "text.so",
        &std::fs::read_to_string(source).unwrap(),
        &["-Wall", "-Wextra", "-Werror"],
    );
    for (settings, text) in [
        (&[][..], "Hello, Anna!"),
        (&[("greeting", "Good morning")], "Good morning, Anna!"),
    ] {
        let module = unsafe { Options::new().with_settings(settings.iter().copied()).load(&path) }.unwrap();
        let call = module.enter().unwrap();
        type Greet = extern "C" fn(*const std::ffi::c_char, *mut u8, usize) -> i32;
        let greet = unsafe { call.symbol::<Greet>("greet") }.unwrap();
        let mut to = [0; 64];
        let length = greet(c"Anna".as_ptr(), to.as_mut_ptr(), to.len());
        assert_eq!(&to[..length as usize], text.as_bytes());
    }
}
