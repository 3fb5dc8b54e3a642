//! Plugins in Rust.

use dynload_native::descriptor::{DescriptorError, PanicMode};
use dynload_native::{Error, Flags, Module, Unload};

use crate::build::Workshop;
use crate::child;

const PLUGIN: &str = r#"
use dynload_native::descriptor::Host;

fn start(host: &Host) -> Result<(), String> {
    // Intended panics should not appear in the output of the tests.
    std::panic::set_hook(Box::new(|_| ()));
    if host.module_version == 3 { return Err("three is too many".into()) }
    if host.module_version == 4 { panic!("four is worse") }
    Ok(())
}

dynload_native::export_plugin! {
    name: "calculator",
    version: "1.2.0",
    init: start,
    shutdown: || panic!("not even this leaves the plugin"),
    exports: {
        fn divide(a: i64, b: i64) -> i64 { a / b } else { -1 }
        fn at(index: u32) -> u8 { return b"abc"[index as usize]; }
        fn nothing() { panic!() }
    }
}
"#;

#[test]
fn panics_stay_in_the_plugin() {
    let workshop = Workshop::new();
    let path = workshop.rust("libcalculator.so", PLUGIN, &[]);
    let module = unsafe { Module::load(&path, Flags::NOW) }.unwrap();
    let descriptor = module.descriptor().unwrap();
    assert_eq!((&*descriptor.name, &*descriptor.version), ("calculator", "1.2.0"));
    assert_eq!(descriptor.panic_mode, PanicMode::Unwind);
    let call = module.enter().unwrap();
    let divide = unsafe { call.symbol::<extern "C" fn(i64, i64) -> i64>("divide") }.unwrap();
    let at = unsafe { call.symbol::<extern "C" fn(u32) -> u8>("at") }.unwrap();
    let nothing = unsafe { call.symbol::<extern "C" fn()>("nothing") }.unwrap();
    assert_eq!((divide(7, 2), at(1)), (3, b'b'));
    assert_eq!(call.generation().take_panic(), None);
    assert_eq!(divide(7, 0), -1);
    assert_eq!(
        call.generation().take_panic().as_deref(),
        Some("attempt to divide by zero")
    );
    assert_eq!(call.generation().take_panic(), None);
    assert_eq!(at(9), 0);
    // Another thread's panic is its own.
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(call.generation().take_panic(), None));
    });
    assert!(call.generation().take_panic().unwrap().contains("the index is 9"));
    nothing();
    assert!(call.generation().take_panic().is_some());
    drop((divide, at, nothing, call));
    assert_eq!(unsafe { module.reload() }.unwrap(), 2);
    let error = unsafe { module.reload() }.unwrap_err();
    assert!(
        matches!(&error, Error::Init { code: 1, message: Some(text), .. } if text == "three is too many"),
        "{error:?}"
    );
    assert!(error.to_string().contains("three is too many"), "{error}");
    assert_eq!(module.version(), 2);
}

#[test]
fn a_plugin_that_would_abort_is_refused() {
    let workshop = Workshop::new();
    let path = workshop.rust("libabort.so", PLUGIN, &["-C", "panic=abort"]);
    let error = unsafe { Module::load(&path, Flags::NOW) }.unwrap_err();
    assert!(
        matches!(
            error,
            Error::Descriptor {
                source: DescriptorError::PanicAborts,
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn a_panic_in_init_fails_the_load() {
    let workshop = Workshop::new();
    let source = r#"
        fn start(_: &dynload_native::descriptor::Host) -> Result<(), String> {
            std::panic::set_hook(Box::new(|_| ()));
            panic!("no start")
        }
        dynload_native::export_plugin! { name: "p", version: "1", init: start }
    "#;
    let path = workshop.rust("libstart.so", source, &[]);
    let error = unsafe { Module::load(&path, Flags::NOW) }.unwrap_err();
    assert!(
        matches!(&error, Error::Init { code: -1, message: Some(text), .. } if text == "no start"),
        "{error:?}"
    );
}

const THREAD_LOCAL: &str = r#"
use std::cell::RefCell;

struct Noisy(Vec<u8>);

impl Drop for Noisy {
    fn drop(&mut self) {
        // Uses code and data of this library when it could already be unmapped.
        assert_eq!(self.0, b"thread-local");
        println!("destroyed {}", self.0.len());
    }
}

thread_local!(static VALUE: RefCell<Noisy> = RefCell::new(Noisy(b"thread-local".to_vec())));

dynload_native::export_plugin! {
    name: "thread-local",
    version: "1",
    exports: {
        fn touch() -> u64 { VALUE.with_borrow(|value| value.0.len() as u64) }
    }
}
"#;

/// The case that crashes with a bare `dlclose`: a thread with values of the library ends after the library was detached
/// or unloaded.
#[test]
fn thread_local_destructors_run_after_reload_and_unload() {
    let test = "rust_plugin::thread_local_destructors_run_after_reload_and_unload";
    let Some(path) = child::argument() else {
        let workshop = Workshop::new();
        let path = workshop.rust("libtls.so", THREAD_LOCAL, &[]);
        let output = child::succeeds(&mut child::command(test, path));
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert_eq!(stdout.matches("destroyed 12").count(), 10, "{stdout}");
        return;
    };
    let touch = |module: &Module| {
        let call = module.enter().unwrap();
        let touch = unsafe { call.symbol::<extern "C" fn() -> u64>("touch") }.unwrap();
        assert_eq!(touch(), 12);
    };
    for round in 0..10 {
        let module = unsafe { Module::load(&path, Flags::NOW) }.unwrap();
        let (touched, wait) = std::sync::mpsc::channel();
        let (end, may_end) = std::sync::mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let module = &module;
            let thread = scope.spawn(move || {
                touch(module);
                touched.send(()).unwrap();
                may_end.recv().unwrap();
            });
            wait.recv().unwrap();
            if round % 2 == 0 {
                unsafe { module.reload() }.unwrap();
            } else {
                // glibc keeps a library while it has thread-local destructors to run, and that is reported.
                assert_eq!(unsafe { module.unload() }.unwrap(), Unload::StillMapped);
            }
            end.send(()).unwrap();
            thread.join().unwrap();
        });
    }
}

#[test]
fn a_plugin_in_rust_receives_its_settings() {
    let workshop = Workshop::new();
    let path = workshop.rust(
        "libconfigured.so",
        r#"
        use std::sync::atomic::{AtomicI64, Ordering};

        static LIMIT: AtomicI64 = AtomicI64::new(1);

        fn configure(name: &str, value: &str) -> Result<(), String> {
            std::panic::set_hook(Box::new(|_| ()));
            match name {
                "limit" => {
                    let limit = value.parse().map_err(|_| format!("`{value}` is not a number"))?;
                    LIMIT.store(limit, Ordering::SeqCst);
                    Ok(())
                }
                _ => panic!("`{name}` is unknown"),
            }
        }

        dynload_native::export_plugin! {
            name: "configured",
            version: "1.0.0",
            configure: configure,
            exports: {
                fn limit() -> i64 { LIMIT.load(Ordering::SeqCst) }
            }
        }
        "#,
        &[],
    );
    let load = |settings: &[(&str, &str)]| {
        let options = dynload_native::Options::new().with_settings(settings.iter().copied());
        unsafe { options.load(&path) }
    };
    let limit = |module: Module| {
        let call = module.enter().unwrap();
        unsafe { call.symbol::<extern "C" fn() -> i64>("limit") }.unwrap()()
    };
    assert_eq!(limit(load(&[]).unwrap()), 1);
    assert_eq!(limit(load(&[("limit", "5")]).unwrap()), 5);
    for (setting, why) in [
        (("limit", "x"), "refused its setting `limit`: `x` is not a number"),
        (("more", "5"), "refused its setting `more`: `more` is unknown"),
    ] {
        let error = load(&[setting]).unwrap_err().to_string();
        assert!(error.ends_with(why), "{error}");
    }
}
