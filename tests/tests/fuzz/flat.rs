//! The functions with structs.

use dynload_ffi::abi::*;
use dynload_ffi::flat::*;

use crate::callbacks::{callback, console};
use crate::primitives::{prepared, started};
use crate::world::{Dice, Drawn, Kind, World};

/// The number of calls below that may be made from a callback: those that start no expensive work.
const LIGHT: usize = 54;
const ALL: usize = 69;

/// Calls a random flat function with random arguments and returns its result. `inside` is true within a callback.
pub(crate) fn call(world: &World, dice: &mut Dice, inside: bool) -> i64 {
    let Drawn {
        numbers: (a, b),
        sandbox,
        instance,
        reloader,
        plugins,
        file,
        export,
        path: file_path,
        texts: (text, other),
        rarely,
    } = Drawn::new(world, dice);
    let s = WasmSandbox {
        handle: sandbox,
        capabilities: a,
    };
    let inst = WasmInstance {
        handle: instance,
        sandbox: b,
    };
    let r = HotReloader {
        handle: reloader,
        version: a,
        running: 1,
    };
    let list = PluginList {
        handle: plugins,
        count: b,
    };
    let userdata = std::ptr::from_ref(world) as i64;
    let mut buffer = [0_i64; 8];
    let room = buffer.as_mut_ptr() as i64;
    let small = dice.one_of(&[0, 1, 2, 8, -1]);
    // SAFETY: texts and buffers are alive and as long as claimed, or null, or have lengths that are rejected; callbacks have
    // the right types; the native plugin is harmless, and only its constructors run.
    unsafe {
        match dice.below(if inside { LIGHT } else { ALL }) {
            0 => sandbox_grant(s, a & 1023).handle,
            1 => sandbox_grant(s, a).handle,
            2 => sandbox_revoke(s, a).handle,
            3 => sandbox_set_fuel(s, 20_000),
            4 => sandbox_set_fuel(s, a.clamp(-2, 20_000)),
            5 => {
                sandbox_set_profile(s, small)
                    ^ sandbox_set_memory64(s, small)
                    ^ sandbox_set_imported_memory(s, small)
                    ^ sandbox_set_config(s, text, text)
                    ^ sandbox_set_module_limit(s, text, a)
            }
            6 => sandbox_allow_dir(s, text, other, small),
            7 => sandbox_allow_env(s, text, other),
            8 => sandbox_allow_net(s, text),
            9 => sandbox_allow_program(s, text),
            10 => {
                sandbox_allow_workers(s, a)
                    ^ sandbox_set_gpu_limits(s, a, b)
                    ^ sandbox_allow_gpu(s, 0, text, a)
            }
            11 => sandbox_set_args(s, [text, other].as_ptr() as i64, dice.one_of(&[0, 1, 2, -1])),
            12 => sandbox_set_console(s, dice.one_of(&[console as *const () as i64]), userdata),
            13 => sandbox_host_function(
                s,
                text,
                other,
                world.text(dice),
                callback as *const () as i64,
                userdata,
                a & 1023,
            ),
            14 => wasm_call(inst, export),
            15 | 16 => wasm_call1(inst, export, a),
            17 | 18 => wasm_call2(inst, export, a, b),
            19 => {
                let result = wasm_call_bytes(inst, export, room, small * 8);
                wasm_call_n(inst, export, room, small, room, dice.one_of(&[0, 1, 2, 8, -1]))
                    ^ wasm_call_bytes_n(inst, export, room, room, dice.one_of(&[0, -1]))
                    ^ wasm_bytes_size(result)
                    ^ wasm_bytes_free(result)
            }
            20 => wasm_is_valid(inst),
            21 => wasm_fuel_used(inst),
            22 => {
                wasm_peak_memory(inst) ^ wasm_peak_stack(inst) ^ wasm_peak_depth(inst) ^ wasm_gpu_memory(inst)
            }
            23 => wasm_memory_read(inst, a, room, small * 8),
            24 => wasm_memory_write(inst, a, room, small * 8),
            25 => wasm_interrupt(inst),
            26 | 27 => wasm_reset(inst),
            28 => get_load_error_copy(room, small * 8),
            29 => i64::from(get_load_error() != 0),
            30 => hot_reloader_check(r),
            31 => hot_reloader_version(r),
            32 => hot_reloader_module(r).handle,
            33 => hot_reloader_get_function(r, text),
            34 => hot_reloader_wasm(r).handle,
            35 => {
                plugin_id(list, small)
                    ^ plugin_name(list, small)
                    ^ plugin_version(list, small)
                    ^ plugin_path(list, small)
            }
            36 => {
                plugin_format(list, small)
                    ^ plugin_capabilities(list, small)
                    ^ plugin_problem(list, small)
                    ^ plugin_set_config(list, small, text, other)
                    ^ wasm_bytes_free(plugin_admit(list, small, s))
                    ^ unload_module(plugin_load_module(list, small))
            }
            37 => {
                // Nothing is loaded: that would take too long here.
                let plugins = plugins_new(text, small);
                plugin_problem_count(list)
                    ^ plugins_set_config(plugins, text, text, text)
                    ^ plugins_set_limits(plugins, default_limits())
                    ^ plugins_refresh(list.handle)
                    ^ plugins_call_bytes(s.handle, text, text, room, small * 8)
                    ^ plugins_call_bytes_n(s.handle, text, text, room, room, dice.one_of(&[0, -1]))
                    ^ plugins_next_event(inst.handle)
                    ^ plugins_watch(r.handle, small)
                    ^ plugins_close(plugins)
            }
            38 => get_function(world.module(dice), text) ^ get_function_in_scope(world.module(dice), text),
            39 => module_version(world.module(dice)) ^ module_is_loaded(world.module(dice)),
            40 => {
                has_capability(a, b)
                    ^ add_capability(a, b)
                    ^ remove_capability(a, b)
                    ^ has_dangerous_capabilities(a)
            }
            41 => sandbox_revoke(s, a & 1023).handle,
            42 if rarely => wasm_instance_destroy(inst),
            43 => get_wasm_size(file),
            44 => is_plugin_library(text),
            45 => {
                let (bytes, len) = world.bytes(dice);
                wasm_required_capabilities(bytes, len)
            }
            46 => {
                let (bytes, len) = world.bytes(dice);
                world.keep(Kind::Instance, sandbox_load(s, bytes, len).handle)
            }
            47 if rarely => free_wasm_file(file) ^ plugin_list_destroy(list),
            48 => {
                let limits = ResourceLimits {
                    max_memory_bytes: a,
                    max_time_ms: 20,
                    max_stack_bytes: 1 << 20,
                    max_call_depth: b,
                };
                world.keep(Kind::Sandbox, sandbox_with_limits(limits).handle)
            }
            49 | 50 => {
                let made = match dice.below(3) {
                    0 => sandbox_restrictive().handle,
                    _ => {
                        sandbox_with_limits(ResourceLimits {
                            max_time_ms: 20,
                            ..default_limits()
                        })
                        .handle
                    }
                };
                prepared(world, made);
                let quiet = WasmSandbox {
                    handle: made,
                    capabilities: 0,
                };
                let (bytes, len) = world.bytes(dice);
                world.keep(Kind::Instance, sandbox_load(quiet, bytes, len).handle);
                world.keep(Kind::Sandbox, made)
            }
            51 => world.keep(Kind::File, load_wasm_file(file_path)),
            52 => module_is_loaded(module_handle_new()) ^ i64::from(get_library_extension() != 0),
            53 => world.keep(Kind::Instance, hot_reloader_wasm(r).handle),
            54 => world.keep(Kind::List, discover_plugins_in(text).handle),
            55 => {
                let module = if dice.below(2) == 0 {
                    load_module(file_path)
                } else {
                    load_module_lazy(file_path)
                };
                world.keep_module(module);
                module.handle
            }
            56 if rarely && world.may_reload() => {
                let module = reload_module(world.module(dice));
                world.keep_module(module);
                module.handle
            }
            57 if rarely => unload_module(world.module(dice)),
            58 if rarely && world.may_reload() => {
                let made = hot_reloader_with_config(HotReloadConfig {
                    source_path: file_path,
                    output_dir: 0,
                    debounce_ms: 1,
                    verbose: 0,
                })
                .handle;
                world.keep(Kind::Reloader, made)
            }
            59 => hot_reloader_start(r).handle,
            60 => hot_reloader_stop(r).handle,
            61 => hot_reloader_sandbox(r).handle,
            62 if rarely => hot_reloader_destroy(r),
            63 => world.keep(Kind::Sandbox, prepared(world, sandbox_new().handle)),
            64 => {
                let limits = dice.one_of(&[permissive_limits(), restrictive_limits(), default_limits()]);
                world.keep(Kind::Sandbox, prepared(world, sandbox_with_limits(limits).handle))
            }
            65 if rarely && world.may_reload() => {
                let mut config = hot_reload_config(file_path);
                config.debounce_ms = a;
                world.keep(
                    Kind::Reloader,
                    started(world, hot_reloader_with_config(config).handle),
                )
            }
            66 if rarely && world.may_reload() => {
                world.keep(Kind::Reloader, started(world, hot_reloader_new(file_path).handle))
            }
            67 => world.keep(Kind::List, discover_plugins().handle),
            68 if rarely => sandbox_destroy(s),
            _ => wasm_call1(inst, export, a),
        }
    }
}
