//! Modules that import their memory.

use dynload_caps::{Capabilities, Limits};
use dynload_sandbox::{
    Engine, EngineConfig, ErrorKind, Limit, Module, ModuleLimit, ModuleLimits, Sandbox, Stream, Value,
};

fn accepting() -> Engine {
    Engine::new(EngineConfig::default().with_imported_memory(true))
}

fn compile(engine: &Engine, text: &str) -> Module {
    Module::new(engine, wat::parse_str(text).unwrap()).unwrap()
}

/// A guest that reads, writes, grows and fills its memory, after the host functions `import`s and with the memory in this form.
fn guest(memory: &str) -> String {
    format!(
        r#"(module
            (import "vais" "println" (func $println (param i32 i32)))
            {memory}
            (import "vais" "now_ms" (func (result i64)))
            (data (i32.const 16) "hello")
            (func (export "greet") (call $println (i32.const 16) (i32.const 5)))
            (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
            (func (export "sum") (result i64) (local $at i32) (local $sum i64)
                (memory.fill (i32.const 64) (i32.const 3) (i32.const 4096))
                (loop $next
                    (local.set $sum (i64.add (local.get $sum) (i64.load8_u (local.get $at))))
                    (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 5000))))
                (local.get $sum)))"#
    )
}

const IMPORTED: &str = r#"(import "env" "memory" (memory 1 4))"#;

#[test]
fn an_imported_memory_is_missing_unless_the_host_wants_it() {
    let module = compile(&Engine::default(), &guest(IMPORTED));
    let refused = Sandbox::new(Limits::DEFAULT).instantiate(&module).unwrap_err();
    assert!(
        refused.to_string().contains(
            "`env.memory` memory: define it in the guest (without `--import-memory`), or turn on the host's setting `imported_memory`"
        ),
        "{refused}"
    );
}

#[test]
fn a_module_that_imports_its_memory_runs_as_one_that_defines_it() {
    // Definitions follow imports, so the last import of the guest is that of the clock.
    let defined = guest("").replace("(data", "(memory (export \"memory\") 1 4) (data");
    let [imported, defined] = [guest(IMPORTED), defined].map(|text| {
        let sandbox = Sandbox::new(Limits::DEFAULT).with_capabilities(Capabilities::CONSOLE);
        let mut instance = sandbox.instantiate(&compile(&accepting(), &text)).unwrap();
        let mut seen = Vec::new();
        for (name, args) in [
            ("greet", vec![]),
            ("sum", vec![]),
            ("grow", vec![Value::I32(3)]),
            ("grow", vec![Value::I32(1)]),
            ("sum", vec![]),
        ] {
            let results = instance.call(name, &args).unwrap();
            let usage = instance.usage();
            seen.push((results, usage.fuel, usage.memory_bytes, usage.peak_memory_bytes));
        }
        (seen, instance.take_output(Stream::Out))
    });
    assert_eq!(imported, defined);
    assert_eq!(imported.1, b"hello\n");
}

#[test]
fn each_instance_has_its_own_memory_which_the_host_can_access() {
    let module = compile(
        &accepting(),
        r#"(module (import "env" "memory" (memory 1))
            (func (export "set") (i32.store8 (i32.const 0) (i32.const 7))))"#,
    );
    let sandbox = Sandbox::new(Limits::DEFAULT);
    let mut first = sandbox.instantiate(&module).unwrap();
    let mut second = sandbox.instantiate(&module).unwrap();
    first.call("set", &[]).unwrap();
    assert_eq!(first.memory().unwrap().slice(0, 1).unwrap(), [7]);
    assert_eq!(second.memory().unwrap().slice(0, 1).unwrap(), [0]);
    assert!(module.imports().next().is_none());
    assert!(module.exports().all(|export| export.name == "set"));
    first.reset().unwrap();
    assert_eq!(first.memory().unwrap().slice(0, 1).unwrap(), [0]);
}

#[test]
fn the_memory_is_limited() {
    let module = compile(&accepting(), &guest(IMPORTED));
    let page = 1 << 16;
    let tight = Sandbox::new(Limits::DEFAULT.with_memory_bytes(page));
    tight.instantiate(&module).unwrap();
    let error = Sandbox::new(Limits::DEFAULT.with_memory_bytes(page - 1))
        .instantiate(&module)
        .unwrap_err();
    assert_eq!(error.limit(), Some(Limit::Memory));

    let one = ModuleLimits::default().with(ModuleLimit::Memories, 1);
    let engine = |limits| {
        Engine::new(
            EngineConfig::default()
                .with_imported_memory(true)
                .with_module_limits(limits),
        )
    };
    let two = wat::parse_str(r#"(module (import "env" "memory" (memory 1)) (memory 1))"#).unwrap();
    assert!(Module::new(&engine(one), &two).is_err());
    let both = ModuleLimits::default().with(ModuleLimit::Memories, 2);
    let mut instance = Sandbox::new(Limits::DEFAULT)
        .instantiate(&Module::new(&engine(both), &two).unwrap())
        .unwrap();
    assert_eq!(instance.memory().unwrap().size(), page as usize);
}

#[test]
fn another_name_or_several_imports_are_missing_as_before() {
    for imports in [
        r#"(import "env" "mem" (memory 1))"#,
        r#"(import "env" "memory" (memory 1)) (import "env" "memory" (memory 1))"#,
        r#"(import "a" "b" (memory 1)) (import "env" "memory" (memory 1))"#,
        r#"(import "env" "memory" (memory 1)) (import "a" "b" (memory 1))"#,
        r#"(import "env" "memory" (table 1 funcref))"#,
        r#"(import "env" "memory" (func))"#,
    ] {
        let module = compile(&accepting(), &format!("(module {imports})"));
        let error = Sandbox::new(Limits::DEFAULT).instantiate(&module).unwrap_err();
        assert!(
            matches!(error.kind(), ErrorKind::MissingImports(_)),
            "{imports}: {error}"
        );
        // The advice is about memories.
        let advised = error.to_string().contains("which provides a single memory");
        assert_eq!(
            advised,
            imports.contains(r#""memory" (memory"#),
            "{imports}: {error}"
        );
    }
}
