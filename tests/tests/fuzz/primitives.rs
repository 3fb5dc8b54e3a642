//! The functions that use only `i64`.

use dynload_ffi::primitives::*;

use crate::callbacks::{callback, console};
use crate::world::{Dice, Drawn, Kind, World};

/// The number of calls below that may be made from a callback: those that start no expensive work.
const LIGHT: usize = 62;
const ALL: usize = 76;

/// Calls a random primitive with random arguments and returns its result. `inside` is true within a callback.
pub(crate) fn call(world: &World, dice: &mut Dice, inside: bool) -> i64 {
    let Drawn {
        numbers: (a, b),
        sandbox: s,
        instance: inst,
        reloader: r,
        plugins: list,
        file,
        export,
        path: file_path,
        texts: (text, other),
        rarely,
    } = Drawn::new(world, dice);
    let third = world.text(dice);
    let dynload_ffi::abi::ModuleHandle {
        handle: module,
        path: module_path,
        ..
    } = world.module(dice);
    let (bytes, len) = world.bytes(dice);
    let userdata = std::ptr::from_ref(world) as i64;
    let mut buffer = [0_i64; 8];
    let room = buffer.as_mut_ptr() as i64;
    let small = dice.one_of(&[0, 1, 2, 8, -1]);
    // SAFETY: texts and buffers are alive and as long as claimed, or null, or have lengths that are rejected; callbacks have
    // the right types; the native plugin is harmless, and only its constructors run.
    unsafe {
        match dice.below(if inside { LIGHT } else { ALL }) {
            0 => {
                vais_module_symbol(module, module_path, text)
                    ^ vais_module_symbol_in_scope(module, module_path, text)
            }
            // No function has this address, or so many arguments.
            1 => {
                vais_module_path(module)
                    ^ vais_call(0, room, small)
                    ^ vais_call(a, room, -1)
                    ^ vais_call(a, 0, 9)
            }
            2 => vais_module_version(module),
            3 => vais_load_error(),
            4 => vais_load_error_code(),
            5 => vais_load_error_copy(room, small * 8),
            6 => vais_get_library_extension(),
            7 => vais_is_plugin_library(text),
            8 => vais_wasm_file_size(file),
            9 if rarely => vais_wasm_file_free(file),
            10 => vais_get_user_plugin_dir(),
            11 => vais_get_system_plugin_dir(),
            12 => {
                // Nothing is loaded: that would take too long here.
                let plugins = vais_plugins_new(text, small);
                vais_plugin_count(list)
                    ^ vais_plugins_set_config(plugins, text, text, text)
                    ^ vais_plugins_set_limits(plugins, small, small, small, small)
                    ^ vais_plugins_refresh(list)
                    ^ vais_plugins_watch(r, small)
                    ^ vais_plugins_call_bytes(s, text, text, room, small * 8)
                    ^ vais_plugins_next_event(inst)
                    ^ vais_plugins_close(plugins)
            }
            13 => vais_plugin_id(list, small),
            14 => vais_plugin_name(list, small),
            15 => vais_plugin_version(list, small),
            16 => vais_plugin_path(list, a),
            17 => vais_plugin_format(list, small),
            18 => vais_plugin_capabilities(list, small),
            19 => vais_plugin_problem_count(list),
            20 => {
                vais_plugin_problem(list, small)
                    ^ vais_plugin_set_config(list, small, text, other)
                    ^ vais_wasm_bytes_free(vais_plugin_admit(list, small, s))
                    ^ {
                        let loaded = vais_plugin_load_module(list, small);
                        vais_module_unload(loaded, vais_module_path(loaded))
                    }
            }
            21 if rarely => vais_plugin_list_destroy(list),
            22 => vais_hot_reload_check(r),
            23 => vais_hot_reload_get_version(r),
            24 => vais_hot_reload_is_running(r),
            25 => vais_hot_reload_module(r),
            26 => vais_hot_reload_get_function(r, text),
            27 => world.keep(Kind::Instance, vais_hot_reload_wasm(r)),
            28 => vais_hot_reload_sandbox(r),
            29 if rarely => vais_wasm_sandbox_destroy(s),
            30 => vais_wasm_grant_capability(s, a & 1023),
            31 => vais_wasm_grant_capability(s, a),
            32 => vais_wasm_revoke_capability(s, a),
            33 => vais_wasm_capabilities(s),
            34 | 35 => world.keep(Kind::Instance, vais_wasm_load(s, bytes, len)),
            36 => vais_wasm_set_fuel(s, a.clamp(-2, 20_000)),
            37 => vais_wasm_set_fuel(s, 20_000),
            38 => {
                vais_wasm_set_profile(s, small)
                    ^ vais_wasm_set_memory64(s, small)
                    ^ vais_wasm_set_imported_memory(s, small)
                    ^ vais_wasm_set_config(s, text, text)
                    ^ vais_wasm_set_module_limit(s, text, a)
            }
            39 => vais_wasm_allow_dir(s, text, other, small),
            40 => vais_wasm_allow_env(s, text, other),
            41 => vais_wasm_allow_net(s, text),
            42 => vais_wasm_allow_program(s, text),
            43 => {
                vais_wasm_allow_workers(s, a)
                    ^ vais_wasm_set_gpu_limits(s, a, b)
                    ^ vais_wasm_allow_gpu(s, 0, text, a)
            }
            44 => vais_wasm_set_args(s, [text, other].as_ptr() as i64, dice.one_of(&[0, 1, 2, -1])),
            45 => vais_wasm_set_console(s, console as *const () as i64, userdata),
            46 => vais_wasm_host_function(
                s,
                text,
                other,
                third,
                callback as *const () as i64,
                userdata,
                a & 1023,
            ),
            47 => vais_wasm_call_i64(inst, export),
            48 | 49 => vais_wasm_call_i64_i64(inst, export, a),
            50 | 51 => vais_wasm_call_i64_i64_i64(inst, export, a, b),
            52 => {
                let result = vais_wasm_call_bytes(inst, export, room, small * 8);
                vais_wasm_call_n(inst, export, room, small, room, dice.one_of(&[0, 1, 2, 8, -1]))
                    ^ vais_wasm_call_bytes_n(inst, export, room, room, dice.one_of(&[0, -1]))
                    ^ vais_wasm_bytes_size(result)
                    ^ vais_wasm_bytes_free(result)
            }
            53 => vais_wasm_is_valid(inst),
            54 => vais_wasm_fuel_used(inst),
            55 => {
                vais_wasm_peak_memory(inst)
                    ^ vais_wasm_peak_stack(inst)
                    ^ vais_wasm_peak_depth(inst)
                    ^ vais_wasm_gpu_memory(inst)
            }
            56 => vais_wasm_memory_read(inst, a, room, small * 8),
            57 => vais_wasm_memory_write(inst, a, room, small * 8),
            58 => vais_wasm_interrupt(inst),
            59 => vais_wasm_reset(inst),
            60 if rarely => vais_wasm_instance_destroy(inst) ^ vais_wasm_instance_sandbox(inst),
            61 => vais_wasm_required_capabilities(bytes, len),
            62 | 63 => world.keep(Kind::Sandbox, prepared(world, vais_wasm_sandbox_create())),
            64 => world.keep(
                Kind::Sandbox,
                prepared(world, vais_wasm_sandbox_create_restrictive()),
            ),
            65 => world.keep(
                Kind::Sandbox,
                prepared(
                    world,
                    vais_wasm_sandbox_create_with_limits(a, 20, dice.one_of(&[b, 1 << 20]), b),
                ),
            ),
            66 => world.keep(Kind::File, vais_wasm_file_load(file_path)),
            67 => world.keep(Kind::List, vais_discover_plugins()),
            68 => {
                // As in the flat functions: only handles of other kinds.
                let outcome = vais_plugins_set_config(small, text, text, text)
                    ^ vais_plugins_set_limits(small, a, b, a, b)
                    ^ vais_plugins_refresh(inst)
                    ^ vais_plugins_call_bytes(inst, text, text, room, small * 8)
                    ^ vais_plugins_call_bytes_n(inst, text, text, room, room, dice.one_of(&[0, -1]))
                    ^ vais_plugins_next_event(inst)
                    ^ vais_plugins_watch(inst, small)
                    ^ vais_plugins_close(vais_plugins_new(text, a))
                    ^ vais_plugins_close(small);
                world.keep(Kind::List, vais_discover_plugins_in(text)) ^ outcome
            }
            69 => {
                let loaded = vais_module_load(file_path, dice.one_of(&[1, 2, 2, 257, a]));
                world.keep_module_handle(loaded);
                loaded
            }
            70 if rarely && world.may_reload() => {
                let loaded = vais_module_reload(module, module_path);
                world.keep_module_handle(loaded);
                loaded
            }
            71 if rarely => vais_module_unload(module, module_path),
            72 if rarely && world.may_reload() => {
                world.keep(Kind::Reloader, started(world, vais_hot_reload_create(file_path)))
            }
            73 if rarely && world.may_reload() => world.keep(
                Kind::Reloader,
                started(world, vais_hot_reload_create_with_config(file_path, other, a, 0)),
            ),
            74 => vais_hot_reload_start(r) ^ vais_hot_reload_stop(r),
            75 if rarely => vais_hot_reload_destroy(r),
            _ => vais_wasm_call_i64_i64(inst, export, a),
        }
    }
}

/// Sets this program's host function and console in a new sandbox, and so little fuel that no call takes long. Returns the
/// sandbox.
pub(crate) fn prepared(world: &World, sandbox: i64) -> i64 {
    let userdata = std::ptr::from_ref(world) as i64;
    let names = [c"env", c"twice", c"(i64) -> (i64)"].map(|text| text.as_ptr() as i64);
    // SAFETY: the texts live forever, the world outlives the threads, and the callbacks have the right types.
    unsafe {
        vais_wasm_set_console(sandbox, console as *const () as i64, userdata);
        vais_wasm_set_fuel(sandbox, 20_000);
        vais_wasm_host_function(
            sandbox,
            names[0],
            names[1],
            names[2],
            callback as *const () as i64,
            userdata,
            0,
        );
    }
    sandbox
}

/// Starts a new reloader and keeps its instance like one that was loaded directly. Returns the reloader.
pub(crate) fn started(world: &World, reloader: i64) -> i64 {
    prepared(world, vais_hot_reload_sandbox(reloader));
    vais_hot_reload_start(reloader);
    world.keep(Kind::Instance, vais_hot_reload_wasm(reloader));
    reloader
}
