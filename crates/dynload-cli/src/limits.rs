//! The options that `run` and `watch` share: limits, capabilities and scopes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::builder::{PossibleValue, TypedValueParser};
use clap::{Arg, Args, Command, ValueEnum};
use dynload_caps::{
    Access, Capabilities, DirScope, EnvScope, GpuPattern, Limits, NetScope, ProgramScope, ScopeError, Scopes,
};
use dynload_diagnostics::printable;
use dynload_sandbox::{EngineConfig, ModuleLimit, ModuleLimits, ParseModuleLimitError, Sandbox};

use crate::exit::{Failure, code};
use crate::gpu;

/// Which modules are accepted.
#[derive(Args)]
pub(crate) struct ModuleOptions {
    #[arg(long, value_name = "NAME=N", value_parser = Named { parse: module_limit, names: module_limit_names }, hide_possible_values = true, allow_hyphen_values = true, help_heading = "Limits",
        help = "A limit of the module itself; `--help` lists the names. Repeatable", long_help = module_limits_help())]
    module_limit: Vec<(ModuleLimit, u64)>,
    /// Accepts 64-bit memories.
    #[arg(long, help_heading = "Limits")]
    memory64: bool,
    /// Gives a module that imports `env.memory` a memory of its own.
    #[arg(long, help_heading = "Limits")]
    imported_memory: bool,
}

#[derive(Args)]
pub(crate) struct SandboxOptions {
    /// The limits that the following options change.
    ///
    ///   default      64M of memory, 5s for each call, 1M of stack, 1000 frames
    ///   restrictive  16M, 1s, 256K, 500 frames
    ///   permissive   256M, 60s, 4M, 5000 frames
    ///
    /// None of them limits fuel.
    #[arg(long, value_enum, verbatim_doc_comment, value_name = "PRESET", default_value_t = Preset::Default, help_heading = "Limits")]
    limits: Preset,
    /// The bytes of all memories and tables; K, M and G are powers of 1024.
    #[arg(long, value_name = "SIZE", value_parser = size, allow_hyphen_values = true, help_heading = "Limits")]
    memory: Option<u64>,
    /// The wall-clock time of a call: 500ms, 5s, 2m, 1h, or none.
    #[arg(long, value_name = "DURATION", value_parser = duration, allow_hyphen_values = true, help_heading = "Limits")]
    time: Option<Duration>,
    /// The bytes of the frames that are alive at the same time.
    #[arg(long, value_name = "SIZE", value_parser = size, allow_hyphen_values = true, help_heading = "Limits")]
    stack: Option<u64>,
    /// The number of frames that are alive at the same time.
    #[arg(long, value_name = "N", value_parser = whole::<u64>, allow_hyphen_values = true, help_heading = "Limits")]
    depth: Option<u64>,
    /// The fuel of a call: about one for each operator; K, M and G are powers of 1024.
    #[arg(long, value_name = "N", value_parser = size, allow_hyphen_values = true, help_heading = "Limits")]
    fuel: Option<u64>,
    #[command(flatten)]
    pub(crate) module: ModuleOptions,

    /// The capabilities of the guest, joined by `,` or `|`: console, time, random, fs_read, fs_write, network, env,
    /// process, threading, gpu, or none. Upper and lower case are equal, and spaces around a name are ignored. Those from
    /// fs_read to gpu reach only what the options below name. Repeatable.
    #[arg(long, value_name = "CAPS", value_parser = Named { parse: str::parse::<Capabilities>, names: || Capabilities::all().names().collect() }, hide_possible_values = true, help_heading = "Grants")]
    grant: Vec<Capabilities>,
    /// A directory, with the name that the guest uses for it (default: HOST). For fs_read and fs_write. Repeatable.
    #[arg(long, value_name = "HOST[::GUEST]", value_parser = dir_scope, help_heading = "Grants")]
    dir: Vec<DirScope>,
    /// A directory in which the guest can change nothing. For fs_read. Repeatable.
    #[arg(long, value_name = "HOST[::GUEST]", value_parser = read_only_scope, help_heading = "Grants")]
    dir_ro: Vec<DirScope>,
    /// An environment variable; without a value, the one of this process, which must be set. For env. Repeatable.
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = env_scope, help_heading = "Grants")]
    env: Vec<EnvScope>,
    /// Hosts and ports: api.example.com:443, *.example.com:*, 192.0.2.7:8000-8100. For network. Repeatable.
    #[arg(long, value_name = "PATTERN", value_parser = str::parse::<NetScope>, help_heading = "Grants")]
    net: Vec<NetScope>,
    /// The absolute path of a program that the guest can run, which must exist. For process. Repeatable.
    #[arg(long, value_name = "PATH", value_parser = program_scope, help_heading = "Grants")]
    program: Vec<ProgramScope>,
    /// A value of the configuration that the guest reads with `vais.config_get`. Repeatable.
    #[arg(long, value_name = "NAME=VALUE", value_parser = setting, help_heading = "Grants")]
    config: Vec<(String, String)>,
    /// The number of workers that run at the same time. For threading.
    #[arg(long, value_name = "N", value_parser = whole::<u32>, allow_hyphen_values = true, default_value_t = 0, help_heading = "Grants")]
    workers: u32,
    /// The GPUs that the guest can use: `*` (all but drivers on the processor), cpu, integrated, discrete, virtual, other, each
    /// also with a name as in `discrete:Example 9000`, or `name:Example *`. For gpu. Repeatable.
    #[arg(long, value_name = "DEVICE", value_parser = str::parse::<GpuPattern>, help_heading = "Grants")]
    gpu: Vec<GpuPattern>,
    /// The program that runs shaders (default: `dynload-gpu-worker` beside this program).
    #[arg(long, value_name = "PATH", requires = "gpu", help_heading = "Grants")]
    gpu_worker: Option<PathBuf>,
    /// The bytes of all buffers of the guest on GPUs (default: 64M).
    #[arg(long, value_name = "SIZE", value_parser = size, allow_hyphen_values = true, requires = "gpu", help_heading = "Grants")]
    gpu_memory: Option<u64>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Preset {
    Default,
    Restrictive,
    Permissive,
}

impl ModuleOptions {
    /// Returns the configuration of the engine.
    pub(crate) fn engine_config(&self) -> EngineConfig {
        let limits = ModuleLimits::default();
        let limits = self
            .module_limit
            .iter()
            .fold(limits, |limits, (limit, most)| limits.with(*limit, *most));
        EngineConfig::default()
            .with_memory64(self.memory64)
            .with_imported_memory(self.imported_memory)
            .with_module_limits(limits)
    }
}

impl SandboxOptions {
    /// Returns the sandbox, after checking that every scope has its capability and that every directory exists.
    pub(crate) fn sandbox(&self) -> Result<Sandbox, Failure> {
        let capabilities: Capabilities = self.grant.iter().copied().collect();
        self.check_capabilities(capabilities)?;
        let mut scopes = Scopes::none();
        scopes.dirs = self.dir.iter().chain(&self.dir_ro).cloned().collect();
        scopes.env.clone_from(&self.env);
        scopes.net.clone_from(&self.net);
        scopes.programs.clone_from(&self.program);
        scopes.max_workers = self.workers;
        scopes.gpu.devices.clone_from(&self.gpu);
        scopes.gpu.max_memory_bytes = self.gpu_memory.unwrap_or(scopes.gpu.max_memory_bytes);
        scopes
            .validate()
            .map_err(|error| Failure::of(code::USAGE, &error))?;
        self.check_existence()?;
        let mut sandbox = Sandbox::new(self.limits())
            .with_capabilities(capabilities)
            .with_scopes(scopes)
            .with_plugin_config(self.config.iter().cloned());
        sandbox
            .check_directories()
            .map_err(|error| Failure::of(code::USAGE, &error))?;
        if !self.gpu.is_empty() {
            gpu::open(&mut sandbox, self.gpu_worker.as_deref())?;
        }
        Ok(sandbox)
    }

    fn limits(&self) -> Limits {
        let mut limits = match self.limits {
            Preset::Default => Limits::DEFAULT,
            Preset::Restrictive => Limits::RESTRICTIVE,
            Preset::Permissive => Limits::PERMISSIVE,
        };
        limits.max_memory_bytes = self.memory.unwrap_or(limits.max_memory_bytes);
        limits.max_time = self.time.unwrap_or(limits.max_time);
        limits.max_stack_bytes = self.stack.unwrap_or(limits.max_stack_bytes);
        limits.max_call_depth = self.depth.unwrap_or(limits.max_call_depth);
        limits.max_fuel = self.fuel.or(limits.max_fuel);
        limits
    }

    /// Checks that variables of this process are set, and that programs exist.
    fn check_existence(&self) -> Result<(), Failure> {
        let unset = |scope: &&EnvScope| scope.value.is_none() && std::env::var_os(&scope.name).is_none();
        if let Some(EnvScope { name, .. }) = self.env.iter().find(unset) {
            let name = printable(name);
            return Err(Failure::new(
                code::USAGE,
                format!(
                    "the variable `{name}` of `--env` is not set; pass a value with `--env {name}=VALUE`"
                ),
            ));
        }
        if let Some(missing) = self
            .program
            .iter()
            .find(|program| !Path::new(&program.path).is_file())
        {
            let missing = printable(&missing.path).path();
            return Err(Failure::new(
                code::USAGE,
                format!("the program `{missing}` of `--program` is not an existing file: check the path"),
            ));
        }
        Ok(())
    }

    /// Checks that each scope has its capability: without it, the scope has no effect, which is hardly intended.
    fn check_capabilities(&self, granted: Capabilities) -> Result<(), Failure> {
        let files = Capabilities::FS_READ | Capabilities::FS_WRITE;
        let scopes = [
            ("--dir", !self.dir.is_empty(), files),
            ("--dir-ro", !self.dir_ro.is_empty(), Capabilities::FS_READ),
            ("--env", !self.env.is_empty(), Capabilities::ENV),
            ("--net", !self.net.is_empty(), Capabilities::NETWORK),
            ("--program", !self.program.is_empty(), Capabilities::PROCESS),
            ("--workers", self.workers > 0, Capabilities::THREADING),
            ("--gpu", !self.gpu.is_empty(), Capabilities::GPU),
        ];
        for (option, is_used, needed) in scopes {
            if is_used && !granted.intersects(needed) {
                let names: Vec<&str> = needed.names().collect();
                return Err(Failure::new(
                    code::USAGE,
                    format!(
                        "`{option}` has no effect without the capability {}; add `--grant {}`",
                        names.join(" or "),
                        names.join(",")
                    ),
                ));
            }
        }
        Ok(())
    }
}

/// A parser of values that contain names, with which shells complete them.
#[derive(Clone)]
struct Named<P> {
    parse: P,
    names: fn() -> Vec<&'static str>,
}

impl<P: TypedValueParser> TypedValueParser for Named<P> {
    type Value = P::Value;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<P::Value, clap::Error> {
        self.parse.parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new((self.names)().into_iter().map(PossibleValue::new)))
    }
}

/// Parses a number without a suffix.
fn whole<N: TryFrom<u64>>(text: &str) -> Result<N, String> {
    let number: Option<u64> = text.parse().ok();
    number.and_then(|number| N::try_from(number).ok()).ok_or_else(|| {
        format!(
            "write a whole number from 0 to {}",
            u64::MAX >> (64 - 8 * size_of::<N>())
        )
    })
}

/// Parses a number of bytes.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err("write a whole number, such as 65536, 64K, 16M or 1G".to_owned()),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "write a whole number, such as 65536, 64K, 16M or 1G".to_owned())?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| format!("it is larger than {}", u64::MAX))
}

/// Parses a duration. `none` is longer than any call.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    if text == "none" {
        return Ok(Duration::MAX);
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: Option<u64> = digits.parse().ok();
    let duration = number.and_then(|number| match &text[digits.len()..] {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        _ => None,
    });
    duration
        .ok_or_else(|| "write a whole number with a unit, such as 500ms, 5s, 2m or 1h, or none".to_owned())
}

fn dir_scope(text: &str) -> Result<DirScope, ScopeError> {
    let (host, guest) = text.split_once("::").unwrap_or((text, text));
    DirScope::new(host, guest, Access::ReadWrite)
}

fn read_only_scope(text: &str) -> Result<DirScope, ScopeError> {
    let mut dir = dir_scope(text)?;
    dir.access = Access::ReadOnly;
    Ok(dir)
}

fn env_scope(text: &str) -> Result<EnvScope, ScopeError> {
    match text.split_once('=') {
        Some((name, value)) => EnvScope::fixed(name, value),
        None => EnvScope::host(text),
    }
}

fn setting(text: &str) -> Result<(String, String), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or("write NAME=VALUE, such as greeting=Hello")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn program_scope(text: &str) -> Result<ProgramScope, ScopeError> {
    ProgramScope::new(text)
}

fn module_limit(text: &str) -> Result<(ModuleLimit, u64), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=N, such as locals=20000")?;
    let limit = name
        .parse()
        .map_err(|error: ParseModuleLimitError| error.to_string())?;
    Ok((limit, size(value)?))
}

fn module_limit_names() -> Vec<&'static str> {
    ModuleLimit::ALL.iter().map(|limit| limit.name()).collect()
}

fn module_limits_help() -> String {
    let mut help = "A limit of the module itself. Repeatable. K, M and G are powers of 1024. The names, with their defaults:\n".to_owned();
    let defaults = ModuleLimits::default();
    for &limit in ModuleLimit::ALL {
        let (name, summary) = (limit.name(), limit.summary());
        help += &format!("\n  {name:<18}  {summary} ({})", defaults.get(limit));
    }
    help
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_suffixes() {
        assert_eq!(size("0"), Ok(0));
        assert_eq!(size("64K"), Ok(65_536));
        assert_eq!(size("16m"), Ok(16 << 20));
        assert_eq!(size("2G"), Ok(2 << 30));
        for wrong in ["", "K", "-1", "1.5M", "1T", "1 K", "17179869184G", "1KiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert_eq!(duration("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(duration("none"), Ok(Duration::MAX));
        for wrong in ["", "5", "s", "5 s", "-1s", "1.5s", "18446744073709551615h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
