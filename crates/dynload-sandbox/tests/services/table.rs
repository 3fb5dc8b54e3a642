//! Every function of WASI preview 1: granted, denied, read-only, hostile pointers, lengths near 2^32, a closed
//! descriptor, a descriptor of the wrong kind.

use super::{
    guest::{errno::*, *},
    rows::*,
};
use dynload_caps::Access;
use dynload_sandbox::*;

#[test]
fn the_rows_cover_all_functions_but_two() {
    let rows = rows();
    for (module, name, _) in FUNCTIONS.iter().filter(|(module, ..)| module.starts_with("wasi")) {
        let has_links = cfg!(unix) || !matches!(*name, "path_readlink" | "path_symlink");
        let expected = has_links && !matches!(*name, "proc_exit" | "proc_raise");
        assert_eq!(
            rows.iter().any(|row| row.name == *name),
            expected,
            "{module}.{name}"
        );
    }
    let wasi = FUNCTIONS
        .iter()
        .filter(|(module, ..)| module.starts_with("wasi"))
        .count();
    assert_eq!(wasi, 46);
}

/// An audit compares with the table, without a sandbox.
#[test]
fn the_functions_have_the_types_of_the_table_of_imports() {
    let sandbox = Sandbox::new(Limits::DEFAULT);
    for import in dynload_caps::imports::all() {
        let (module, name) = (import.module, import.name);
        if module == dynload_caps::imports::EXTISM && !cfg!(feature = "extism") {
            continue;
        }
        // No function has this type, and the error says which one it has.
        let wat = format!("(module (import \"{module}\" \"{name}\" (func (param f32 f32 f32 f32 f32))))");
        let module = Module::new(&Engine::default(), wat::parse_str(wat).unwrap()).unwrap();
        let error = sandbox.instantiate(&module).unwrap_err();
        let ErrorKind::MissingImports(missing) = error.kind() else {
            panic!("{error}")
        };
        assert_eq!(missing[0].provided.as_deref(), Some(import.signature), "{name}");
    }
}

#[test]
fn granted() {
    for row in rows() {
        let mut world = World::new(Access::ReadWrite);
        assert_eq!(
            world.guest.call(row.name, &row.args),
            SUCCESS,
            "{} {:?}",
            row.name,
            row.args
        );
    }
}

#[test]
fn denied() {
    for row in rows() {
        let mut world = World::new(Access::ReadWrite);
        world.sandbox.revoke(ANY);
        let wanted = match row.denied {
            Denied::Errno => NOTCAPABLE,
            Denied::As(errno) => errno,
        };
        assert_eq!(
            world.guest.call(row.name, &row.args),
            wanted,
            "{} {:?}",
            row.name,
            row.args
        );
        // Granted again, it works immediately.
        world.sandbox.grant(ANY);
        assert_eq!(
            world.guest.call(row.name, &row.args),
            SUCCESS,
            "{} {:?}",
            row.name,
            row.args
        );
    }
}

/// Revoking every other capability changes nothing; revoking the required one denies.
#[test]
fn only_the_required_capability_counts() {
    for row in rows() {
        let needs = dynload_caps::imports::needs("wasi_snapshot_preview1", row.name);
        let mut world = World::new(Access::ReadWrite);
        world.sandbox.revoke(ANY);
        world.sandbox.grant(needs.capabilities());
        let wanted = match row.denied {
            // Asking requires no capability, and nothing is available.
            Denied::As(errno) => errno,
            Denied::Errno => SUCCESS,
        };
        assert_eq!(
            world.guest.call(row.name, &row.args),
            wanted,
            "{} {:?}",
            row.name,
            row.args
        );
        if row.denied == Denied::Errno {
            let mut world = World::new(Access::ReadWrite);
            world.sandbox.revoke(needs.capabilities());
            assert_eq!(
                world.guest.call(row.name, &row.args),
                NOTCAPABLE,
                "{} {:?}",
                row.name,
                row.args
            );
        }
    }
}

#[test]
fn read_only() {
    for row in rows() {
        let mut world = World::new(Access::ReadOnly);
        let before = std::fs::read(world.dir.path().join("file.txt")).unwrap();
        let wanted = if row.writes { NOTCAPABLE } else { SUCCESS };
        assert_eq!(
            world.guest.call(row.name, &row.args),
            wanted,
            "{} {:?}",
            row.name,
            row.args
        );
        assert_eq!(
            std::fs::read(world.dir.path().join("file.txt")).unwrap(),
            before,
            "{}",
            row.name
        );
        assert_eq!(
            std::fs::read_dir(world.dir.path()).unwrap().count(),
            ENTRIES,
            "{}",
            row.name
        );
    }
}

/// A read-write grant permits no writing without the capability FS_WRITE.
#[test]
fn read_write_without_the_capability() {
    for row in rows().into_iter().filter(|row| row.writes) {
        let mut world = World::new(Access::ReadWrite);
        world.sandbox.revoke(Capabilities::FS_WRITE);
        assert_eq!(
            world.guest.call(row.name, &row.args),
            NOTCAPABLE,
            "{} {:?}",
            row.name,
            row.args
        );
    }
}

#[test]
fn hostile_pointers() {
    for row in rows() {
        for &at in row.pointers {
            for hostile in [
                MEMORY - 1,
                MEMORY,
                MEMORY + 1,
                0x7fff_ffff,
                0x8000_0000,
                u32::MAX - 3,
                u32::MAX,
            ] {
                let mut world = World::new(Access::ReadWrite);
                let mut args = row.args.clone();
                args[at] = (hostile as i32).into();
                match world.guest.try_call(row.name, &args) {
                    Ok(errno) => panic!("{} {args:x?} returned {errno}", row.name),
                    Err(error) => assert!(is_out_of_bounds(&error), "{} {args:x?}: {error}", row.name),
                }
            }
        }
    }
}

/// Without the capability, pointers are not even read.
#[test]
fn hostile_pointers_without_the_capability() {
    for row in rows().into_iter().filter(|row| row.denied == Denied::Errno) {
        let mut world = World::new(Access::ReadWrite);
        world.sandbox.revoke(ANY);
        let mut args = row.args.clone();
        for &at in row.pointers {
            args[at] = -1;
        }
        match world.guest.try_call(row.name, &args) {
            Ok(errno) => assert_eq!(errno, NOTCAPABLE, "{} {args:x?}", row.name),
            // Which clocks and descriptors to wait for is known only after the subscriptions have been read.
            Err(error) => assert!(
                row.name == "poll_oneoff" && is_out_of_bounds(&error),
                "{}: {error}",
                row.name
            ),
        }
    }
}

#[test]
fn lengths_near_the_maximum() {
    for row in rows() {
        for &at in row.lengths {
            for hostile in [MEMORY, 0x7fff_ffff, 0x8000_0000, u32::MAX - 7, u32::MAX] {
                let mut world = World::new(Access::ReadWrite);
                let mut args = row.args.clone();
                args[at] = (hostile as i32).into();
                match world.guest.try_call(row.name, &args) {
                    Ok(errno) => assert!(
                        [INVAL, NAMETOOLONG].contains(&errno),
                        "{} {args:x?} returned {errno}",
                        row.name
                    ),
                    Err(error) => assert!(is_out_of_bounds(&error), "{} {args:x?}: {error}", row.name),
                }
            }
        }
    }
}

/// A list of buffers that are themselves hostile.
#[test]
fn buffers_near_the_maximum() {
    let reads = [
        "fd_read",
        "fd_pread",
        "fd_write",
        "fd_pwrite",
        "sock_recv",
        "sock_send",
    ];
    for row in rows().into_iter().filter(|row| reads.contains(&row.name)) {
        for (ptr, len) in [
            (DATA, u32::MAX),
            (MEMORY - 1, 2),
            (u32::MAX, 1),
            (u32::MAX, u32::MAX),
            (MEMORY, 1),
        ] {
            let mut world = World::new(Access::ReadWrite);
            world.guest.buffer(ptr, len);
            let error = world.guest.try_call(row.name, &row.args).unwrap_err();
            assert!(is_out_of_bounds(&error), "{} {ptr:x} {len:x}: {error}", row.name);
        }
    }
}

#[test]
fn a_closed_descriptor() {
    for row in rows() {
        let Some(at) = row.fd else { continue };
        for closed in [CLOSED, -1, i64::from(i32::MIN), i64::from(i32::MAX)] {
            let mut world = World::new(Access::ReadWrite);
            let mut args = row.args.clone();
            args[at] = closed;
            assert_eq!(world.guest.call(row.name, &args), BADF, "{} {args:?}", row.name);
        }
    }
}

#[test]
fn a_descriptor_of_the_wrong_kind() {
    for row in rows() {
        let Some(at) = row.fd else { continue };
        for (fd, wanted) in [CONSOLE, FILE, DIR, LISTENER].into_iter().zip(row.kinds) {
            let Some(wanted) = wanted else { continue };
            let mut world = World::new(Access::ReadWrite);
            let mut args = row.args.clone();
            args[at] = fd;
            assert_eq!(world.guest.call(row.name, &args), wanted, "{} {args:?}", row.name);
        }
    }
}

#[test]
fn flags_and_values_that_are_not_supported() {
    let calls: &[(&str, &[i64], i64)] = &[
        ("clock_time_get", &[2, 0, O], INVAL),
        ("clock_res_get", &[99, O], INVAL),
        ("fd_advise", &[FILE, 0, 0, 6], INVAL),
        ("fd_seek", &[FILE, 0, 3, O], INVAL),
        ("fd_seek", &[FILE, -1, 0, O], INVAL),
        ("fd_seek", &[FILE, i64::MIN, 1, O], INVAL),
        ("fd_fdstat_set_flags", &[FILE, 32], INVAL),
        ("fd_fdstat_set_flags", &[FILE, 16], INVAL),
        ("fd_fdstat_set_rights", &[FILE, -1, 0], NOTCAPABLE),
        ("fd_filestat_set_times", &[FILE, 0, 0, 3], INVAL),
        ("fd_filestat_set_times", &[FILE, 0, 0, 16], INVAL),
        (
            "path_open",
            &[DIR, 2, FILE_PATH[0], FILE_PATH[1], 0, 0, 0, 0, O],
            INVAL,
        ),
        (
            "path_open",
            &[DIR, 0, FILE_PATH[0], FILE_PATH[1], 16, 0, 0, 0, O],
            INVAL,
        ),
        (
            "path_open",
            &[DIR, 0, FILE_PATH[0], FILE_PATH[1], 0, 0, 0, 32, O],
            INVAL,
        ),
        (
            "path_link",
            &[DIR, 1, FILE_PATH[0], FILE_PATH[1], DIR, NEW_PATH[0], NEW_PATH[1]],
            INVAL,
        ),
        ("poll_oneoff", &[SUBSCRIPTION, EVENTS, 0, O], INVAL),
        ("sock_recv", &[STREAM, B, 1, 4, O, O2], INVAL),
        ("sock_send", &[STREAM, B, 1, 1, O], INVAL),
        ("sock_shutdown", &[STREAM, 0], INVAL),
        ("sock_shutdown", &[STREAM, 4], INVAL),
        ("proc_raise", &[9], NOTSUP),
        ("gpu_device_count", &[O], NOTCAPABLE),
        ("gpu_submit", &[0, 0, 0], NOTCAPABLE),
    ];
    for (name, args, wanted) in calls {
        let mut world = World::new(Access::ReadWrite);
        assert_eq!(world.guest.call(name, args), *wanted, "{name} {args:?}");
    }
}

/// No combination of flags and rights makes the host panic, or changes anything in a read-only directory.
#[test]
fn every_combination_of_open_flags() {
    for access in [Access::ReadWrite, Access::ReadOnly] {
        let mut world = World::new(access);
        for path in [FILE_PATH, NEW_PATH, EMPTY_DIR, LINK] {
            for n in 0..2 * 16 * 32 * 4_i64 {
                let (lookup, oflags, fdflags) = (n & 1, n >> 1 & 15, n >> 5 & 31);
                let rights = [0, READ_RIGHTS, 1 << 6, ALL_RIGHTS][(n >> 10) as usize];
                let args = [DIR, lookup, path[0], path[1], oflags, rights, 0, fdflags, O];
                let errno = world.guest.call("path_open", &args);
                if errno == SUCCESS {
                    let fd = world.guest.u32(OUT).into();
                    assert_eq!(world.guest.call("fd_close", &[fd]), SUCCESS);
                }
                if access == Access::ReadOnly && oflags & (CREAT | TRUNC) != 0 {
                    assert_ne!(errno, SUCCESS, "{args:?}");
                }
            }
        }
        if access == Access::ReadOnly {
            assert_eq!(
                std::fs::read(world.dir.path().join("file.txt")).unwrap(),
                b"sixteen bytes of"
            );
            assert_eq!(std::fs::read_dir(world.dir.path()).unwrap().count(), ENTRIES);
        }
    }
}

#[test]
fn exit_ends_the_call_with_its_code() {
    for code in [0, 1, 7, 125, 126, 255, -1] {
        let mut world = World::new(Access::ReadWrite);
        let error = world.guest.0.call("proc_exit", &[Value::I32(code)]).unwrap_err();
        assert_eq!(error.exit_code(), Some(code));
    }
}
