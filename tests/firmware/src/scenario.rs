//! What is tried on every machine.

use alloc::{sync::Arc, vec::Vec};
use core::time::Duration;

use dynload_sandbox::{
    Capabilities, Clock, Console, ConsoleOutput, Engine, EngineConfig, Error, ErrorKind, HostFunctions,
    Instance, Limit, Limits, Module, ModuleLimits, Sandbox, SeededEntropy, Value,
};

use crate::{board, line::Line};

/// The step that failed, or what succeeded.
type Outcome<T> = Result<T, &'static str>;

/// One of the two builds of `plugin.wat`.
struct Plugin {
    name: &'static str,
    #[cfg(feature = "rewriter")]
    wasm: &'static [u8],
    #[cfg(not(feature = "rewriter"))]
    prepared: &'static [u8],
    /// The initial size of its memory, in bytes.
    memory: u64,
    /// Whether there is room for two of its memories, which a growth needs.
    has_room: bool,
}

const PLUGINS: [Plugin; 2] = [
    Plugin {
        name: "4 KiB",
        #[cfg(feature = "rewriter")]
        wasm: include_bytes!(concat!(env!("OUT_DIR"), "/small.wasm")),
        #[cfg(not(feature = "rewriter"))]
        prepared: include_bytes!(concat!(env!("OUT_DIR"), "/small.prepared")),
        memory: 4 << 10,
        has_room: true,
    },
    Plugin {
        name: "64 KiB",
        #[cfg(feature = "rewriter")]
        wasm: include_bytes!(concat!(env!("OUT_DIR"), "/page.wasm")),
        #[cfg(not(feature = "rewriter"))]
        prepared: include_bytes!(concat!(env!("OUT_DIR"), "/page.prepared")),
        memory: 64 << 10,
        has_room: false,
    },
];

/// Limits that no call below reaches, also on a slow emulator.
const AMPLE: Limits = Limits::RESTRICTIVE
    .with_memory_bytes(72 << 10)
    .with_time(Duration::from_secs(600))
    .with_fuel(1_000_000)
    .with_stack_bytes(2_048)
    .with_call_depth(64);

/// The memory that loading a module may take, in bytes: more than both plugins need.
const LOAD_BYTES: u64 = 24 << 10;

/// Runs everything. Returns the step that failed.
pub(crate) fn run() -> Outcome<()> {
    PLUGINS.iter().try_for_each(Plugin::run)
}

impl Plugin {
    fn run(&self) -> Outcome<()> {
        Line::new("plugin with a memory of ").text(self.name).print();
        self.is_refused_without_room()?;
        let module = self.load(LOAD_BYTES).ok_or("load")?;
        #[cfg(target_os = "none")]
        let loaded = crate::memory::peak() as u64;
        self.calls(&module)?;
        self.stops(&module)?;
        #[cfg(target_os = "none")]
        Line::new("# heap beyond a memory of ")
            .text(self.name)
            .text(": ")
            .number(loaded.max(crate::memory::peak() as u64 - self.memory))
            .print();
        self.has_time_limit(&module)?;
        #[cfg(target_os = "none")]
        self.runs_out_of_memory(&module)?;
        Ok(())
    }

    fn load(&self, bytes: u64) -> Option<Module> {
        let limits = ModuleLimits::default().with_load_bytes(bytes);
        // The peaks of stack and depth belong to the meter.
        let config = EngineConfig::default()
            .with_profile(true)
            .with_module_limits(limits);
        #[cfg(feature = "rewriter")]
        return Module::new(&Engine::new(config), self.wasm).ok();
        #[cfg(not(feature = "rewriter"))]
        return Module::from_prepared(&Engine::new(config), self.prepared).ok();
    }

    fn is_refused_without_room(&self) -> Outcome<()> {
        match self.load(8 << 10) {
            None => Line::new("load within 8 KiB: refused").print(),
            Some(_) => return Err("a module that needs too much memory is refused"),
        }
        Ok(())
    }

    /// Calls the plugin, which has no right to print until it is granted.
    fn calls(&self, module: &Module) -> Outcome<()> {
        let sandbox = sandbox(AMPLE);
        let mut plugin = instantiate(&sandbox, module)?;
        call(&mut plugin, "average(10)", &[10]).ok();
        call(&mut plugin, "hello()", &[]).ok();
        sandbox.grant(Capabilities::CONSOLE);
        plugin.reset().map_err(|_| "reset")?;
        call(&mut plugin, "hello()", &[]).map_err(|_| "hello")?;
        match call(&mut plugin, "average(10)", &[10]).as_deref() {
            Ok([Value::I32(22)]) => {}
            _ => return Err("average"),
        }
        if self.has_room {
            call(&mut plugin, "grow(4096)", &[4096]).map_err(|_| "grow")?;
        }
        Ok(())
    }

    /// Exceeds each limit by one. Afterwards the plugin works again.
    fn stops(&self, module: &Module) -> Outcome<()> {
        let mut plugin = instantiate(&sandbox(AMPLE), module)?;
        call(&mut plugin, "nest(20)", &[20]).map_err(|_| "nest")?;
        let used = plugin.usage();
        drop(plugin);
        let stack = used.peak_stack_bytes.ok_or("profile")?;
        let depth = used.peak_call_depth.ok_or("profile")?;
        let cases = [
            (AMPLE.with_fuel(used.fuel), None),
            (AMPLE.with_fuel(used.fuel - 1), Some(Limit::Fuel)),
            (AMPLE.with_stack_bytes(stack), None),
            (AMPLE.with_stack_bytes(stack - 1), Some(Limit::Stack)),
            (AMPLE.with_call_depth(depth), None),
            (AMPLE.with_call_depth(depth - 1), Some(Limit::CallDepth)),
        ];
        for (limits, expected) in cases {
            let sandbox = sandbox(limits);
            let mut plugin = instantiate(&sandbox, module)?;
            let result = call(&mut plugin, "nest(20)", &[20]);
            if result.err().and_then(|error| error.limit()) != expected {
                return Err("a limit that is exact");
            }
            if expected.is_some() {
                plugin.reset().map_err(|_| "reset")?;
                call(&mut plugin, "nest(19)", &[19]).map_err(|_| "a call after a limit stopped another")?;
            }
        }
        let limits = AMPLE.with_memory_bytes(self.memory - 1);
        let refused = sandbox(limits).instantiate(module);
        if refused.err().and_then(|error| error.limit()) != Some(Limit::Memory) {
            return Err("a memory that is too large");
        }
        let limits = AMPLE.with_memory_bytes(self.memory);
        let mut plugin = instantiate(&sandbox(limits), module)?;
        match call(&mut plugin, "grow(1)", &[1]).as_deref() {
            Ok([Value::I32(-1)]) => Ok(()),
            _ => Err("a growth that is too large"),
        }
    }

    fn has_time_limit(&self, module: &Module) -> Outcome<()> {
        let limits = AMPLE.with_time(Duration::from_millis(20)).without_fuel_limit();
        let result = instantiate(&sandbox(limits), module)?.call("spin", &[]);
        if result.err().and_then(|error| error.limit()) != Some(Limit::Time) {
            return Err("a call without an end");
        }
        Line::new("spin(): stopped by the limit of time").print();
        Ok(())
    }

    /// Needs more memory than the heap has: that is an error of the call, and the plugin works afterwards.
    #[cfg(target_os = "none")]
    fn runs_out_of_memory(&self, module: &Module) -> Outcome<()> {
        let sandbox = sandbox(AMPLE.with_memory_bytes(1 << 30));
        let mut plugin = instantiate(&sandbox, module)?;
        let pages = if self.has_room { 1 << 20 } else { 16 };
        match plugin.call("grow", &[Value::I32(pages)]).as_deref() {
            Ok([Value::I32(-1)]) => Line::new("# a growth beyond the heap: -1").print(),
            _ => return Err("a growth beyond the heap"),
        }
        // It has one memory at a time, even where there is no room for two.
        plugin.reset().map_err(|_| "a reset in a full heap")?;
        match plugin.call("average", &[Value::I32(10)]).as_deref() {
            Ok([Value::I32(22)]) => Ok(()),
            _ => Err("a call after the heap was exhausted"),
        }
    }
}

/// The clock of the board.
struct Timer;

impl Clock for Timer {
    fn monotonic(&self) -> Duration {
        board::now()
    }
}

/// Returns a sandbox with a sensor and a serial line.
fn sandbox(limits: Limits) -> Sandbox {
    let mut functions = HostFunctions::new();
    functions.func_wrap("board", "read_sensor", Capabilities::NONE, |_, (n,): (i32,)| {
        Ok(20 + n.wrapping_mul(7).wrapping_rem(5))
    });
    let console = Console::new(ConsoleOutput::callback(|_, bytes| {
        board::write(bytes);
        Ok(())
    }));
    Sandbox::with_clock_and_entropy(limits, Arc::new(Timer), Arc::new(SeededEntropy(1)))
        .with_console(console)
        .with_host_functions(functions)
}

fn instantiate(sandbox: &Sandbox, module: &Module) -> Outcome<Instance> {
    sandbox.instantiate(module).map_err(|_| "instantiate")
}

/// Calls the export that `what` begins with, and prints what it returned and used.
fn call(plugin: &mut Instance, what: &str, args: &[i32]) -> Result<Vec<Value>, Error> {
    let args: Vec<Value> = args.iter().copied().map(Value::I32).collect();
    let (export, _) = what.split_once('(').unwrap_or((what, ""));
    let result = plugin.call(export, &args);
    let line = Line::new(what).text(": ");
    let line = match &result {
        Ok(values) => match values.first() {
            Some(Value::I32(-1)) => line.text("-1"),
            Some(Value::I32(value)) => line.number(u64::from(value.unsigned_abs())),
            _ => line.text("done"),
        },
        Err(error) => match (error.limit(), error.kind()) {
            (Some(limit), _) => line.text("stopped by the limit of ").text(name(limit)),
            (None, ErrorKind::CapabilityDenied { .. }) => line.text("denied"),
            _ => line.text("another error"),
        },
    };
    let usage = plugin.usage();
    line.text(", fuel ")
        .number(usage.fuel)
        .text(", stack ")
        .number(usage.peak_stack_bytes.unwrap_or_default())
        .text(", depth ")
        .number(usage.peak_call_depth.unwrap_or_default())
        .text(", memory ")
        .number(usage.memory_bytes)
        .print();
    result
}

fn name(limit: Limit) -> &'static str {
    match limit {
        Limit::Fuel => "fuel",
        Limit::Memory => "memory",
        Limit::Time => "time",
        Limit::Stack => "stack",
        Limit::CallDepth => "call depth",
        _ => "another resource",
    }
}
