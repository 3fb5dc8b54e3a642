//! What a shader's text says of a kernel.

use dynload_sandbox::gpu::{
    BindingInfo, BindingKind, KernelInfo, MAX_STORAGE_BINDING_BYTES, MAX_STORAGE_BINDINGS,
    MAX_UNIFORM_BINDING_BYTES, MAX_UNIFORM_BINDINGS, MAX_WORKGROUP_SIZE,
};
use wgpu::naga::{
    AddressSpace, EntryPoint, GlobalVariable, Module, ShaderStage, StorageAccess,
    front::wgsl,
    valid::{Capabilities, FunctionInfo, ValidationFlags, Validator},
};

/// The maximum number of a binding, plus one: `maxBindingsPerBindGroup` in WebGPU.
const BINDINGS: u32 = 1000;

/// The maximum size of a workgroup in the third dimension: `maxComputeWorkgroupSizeZ` in WebGPU.
const MAX_WORKGROUP_DEPTH: u32 = 64;

/// The maximum size of the `workgroup` variables of a kernel in bytes: `maxComputeWorkgroupStorageSize` in WebGPU.
const MAX_WORKGROUP_BYTES: u64 = 16 << 10;

/// Parses and validates a shader, and describes one of its entry points.
///
/// # Errors
///
/// The message for the author of the shader.
pub(super) fn parse(source: &str, entry_point: &str) -> Result<(Module, KernelInfo), String> {
    let module = wgsl::parse_str(source).map_err(|error| error.emit_to_string(source))?;
    // Only what every device has.
    let mut validator = Validator::new(ValidationFlags::all(), Capabilities::empty());
    let info = validator
        .validate(&module)
        .map_err(|error| error.emit_to_string(source))?;
    if let Some((_, first)) = module.overrides.iter().next() {
        let name = first.name.as_deref().unwrap_or_default();
        return Err(format!("`override {name}` cannot be set: use `const`"));
    }
    let found = module
        .entry_points
        .iter()
        .position(|entry| entry.stage == ShaderStage::Compute && entry.name == entry_point);
    let Some(index) = found else {
        return Err(no_entry_point(&module, entry_point));
    };
    let entry = &module.entry_points[index];
    let workgroup_size = workgroup_size(entry)?;
    let bindings = bindings(&module, info.get_entry_point(index))?;
    let info = KernelInfo {
        workgroup_size,
        bindings,
    };
    Ok((module, info))
}

fn no_entry_point(module: &Module, wanted: &str) -> String {
    let names: Vec<String> = module
        .entry_points
        .iter()
        .filter(|entry| entry.stage == ShaderStage::Compute)
        .map(|entry| format!("`{}`", entry.name))
        .collect();
    match &names[..] {
        [] => format!("there is no function `{wanted}` with the attribute `@compute`, and no other one"),
        names => format!(
            "there is no function `{wanted}` with the attribute `@compute`; there is {}",
            names.join(", ")
        ),
    }
}

fn workgroup_size(entry: &EntryPoint) -> Result<[u32; 3], String> {
    let size = entry.workgroup_size;
    let most = [MAX_WORKGROUP_SIZE, MAX_WORKGROUP_SIZE, MAX_WORKGROUP_DEPTH];
    let fits = size
        .iter()
        .zip(most)
        .all(|(size, most)| (1..=most).contains(size));
    let product = size.iter().map(|size| u64::from(*size)).product::<u64>();
    if !fits || product > u64::from(MAX_WORKGROUP_SIZE) {
        let [x, y, z] = size;
        return Err(format!(
            "`@workgroup_size({x}, {y}, {z})` has {product} invocations: at most {MAX_WORKGROUP_SIZE} are possible, and \
             {MAX_WORKGROUP_DEPTH} in the third dimension"
        ));
    }
    Ok(size)
}

/// Returns the resources that an entry point uses.
fn bindings(module: &Module, entry: &FunctionInfo) -> Result<Vec<BindingInfo>, String> {
    let mut bindings = Vec::new();
    let mut workgroup_bytes = 0;
    for (handle, variable) in module.global_variables.iter() {
        if entry[handle].is_empty() {
            continue;
        }
        let size = module.types[variable.ty].inner.try_size(module.to_ctx());
        let size = size.map_or(u64::MAX, u64::from);
        let kind = match variable.space {
            AddressSpace::Function | AddressSpace::Private => continue,
            AddressSpace::WorkGroup => {
                workgroup_bytes = size.saturating_add(workgroup_bytes);
                continue;
            }
            AddressSpace::Uniform => BindingKind::Uniform,
            AddressSpace::Storage { access } if access == StorageAccess::LOAD => BindingKind::ReadOnlyStorage,
            AddressSpace::Storage { .. } => BindingKind::Storage,
            AddressSpace::Handle => {
                return Err(format!(
                    "{} is a texture or a sampler: use buffers, `var<storage>` and `var<uniform>`",
                    named(variable)
                ));
            }
            _ => {
                return Err(format!(
                    "{} is in an address space that kernels do not have",
                    named(variable)
                ));
            }
        };
        bindings.push(binding(variable, kind, size)?);
    }
    if workgroup_bytes > MAX_WORKGROUP_BYTES {
        return Err(format!(
            "the variables in `var<workgroup>` have {workgroup_bytes} bytes: at most {MAX_WORKGROUP_BYTES} are possible"
        ));
    }
    bindings.sort_by_key(|info| info.binding);
    let uniforms = bindings
        .iter()
        .filter(|info| info.kind == BindingKind::Uniform)
        .count();
    for (what, count, most) in [
        ("uniform", uniforms, MAX_UNIFORM_BINDINGS),
        ("storage", bindings.len() - uniforms, MAX_STORAGE_BINDINGS),
    ] {
        if count > most as usize {
            return Err(format!(
                "the kernel uses {count} variables in `var<{what}>`: at most {most} are possible"
            ));
        }
    }
    Ok(bindings)
}

fn binding(variable: &GlobalVariable, kind: BindingKind, min_size: u64) -> Result<BindingInfo, String> {
    let Some(at) = variable.binding else {
        return Err(format!("{} has no `@group(0) @binding(…)`", named(variable)));
    };
    if at.group != 0 {
        return Err(format!(
            "{} is in `@group({})`: use `@group(0)`",
            named(variable),
            at.group
        ));
    }
    if at.binding >= BINDINGS {
        return Err(format!(
            "{} has `@binding({})`: the highest one is {}",
            named(variable),
            at.binding,
            BINDINGS - 1
        ));
    }
    let most = match kind {
        BindingKind::Uniform => MAX_UNIFORM_BINDING_BYTES,
        BindingKind::ReadOnlyStorage | BindingKind::Storage => MAX_STORAGE_BINDING_BYTES,
    };
    if min_size > most {
        return Err(format!(
            "{} has at least {min_size} bytes: at most {most} are possible",
            named(variable)
        ));
    }
    Ok(BindingInfo {
        binding: at.binding,
        kind,
        min_size,
    })
}

fn named(variable: &GlobalVariable) -> String {
    format!("the variable `{}`", variable.name.as_deref().unwrap_or_default())
}
