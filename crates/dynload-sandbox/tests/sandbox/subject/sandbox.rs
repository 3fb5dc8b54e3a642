//! The sandbox that random programs run in: with the functions that they import, and with limits that never apply.

use dynload_sandbox::{Caller, Capabilities, EngineConfig, Limits, Sandbox, Translation, Validation, Value};

/// Limits that never apply: a program's usage is measured.
pub(crate) fn wide() -> Limits {
    Limits::DEFAULT
        .with_memory_bytes(1 << 30)
        .with_time(std::time::Duration::from_secs(600))
        .with_stack_bytes(1 << 30)
        .with_call_depth(1 << 20)
}

/// `mix` computes, `back` calls back.
pub(crate) fn sandbox(limits: Limits, slice: Option<u64>) -> Sandbox {
    let mut sandbox = Sandbox::new(limits);
    sandbox.func_wrap("env", "mix", Capabilities::NONE, |_, (a, b): (i32, i32)| {
        Ok(a.wrapping_mul(31).wrapping_add(b))
    });
    sandbox.func_wrap(
        "env",
        "back",
        Capabilities::NONE,
        |caller: &mut Caller<'_>, (a,): (i32,)| match caller.call("back", &[Value::I32(a)])?[..] {
            [Value::I32(result)] => Ok(result),
            _ => unreachable!("back returns an i32"),
        },
    );
    match slice {
        Some(slice) => sandbox.with_fuel_slice(slice),
        None => sandbox,
    }
}

/// With and without profiling, with each kind of translation, and with validation on first use.
pub(crate) fn configs() -> impl Iterator<Item = EngineConfig> {
    let translated = |translation| EngineConfig::default().with_translation(translation);
    let configs = [
        translated(Translation::OnFirstUse),
        translated(Translation::OnReportedFirstUse),
        translated(Translation::AtLoad),
        translated(Translation::OnFirstUse).with_validation(Validation::OnFirstUse),
    ];
    configs
        .into_iter()
        .flat_map(|config| [config, config.with_profile(true)])
}
