//! Guests for tests: one that re-exports every import, and C programs.

use dynload_caps::{Access, DirScope};
use dynload_sandbox::*;
use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Mutex,
};

/// Creates a symlink. On Windows this requires a privilege: tests that need one are ignored there.
#[cfg(unix)]
pub(crate) use std::os::unix::fs::symlink;
#[cfg(windows)]
pub(crate) use std::os::windows::fs::symlink_file as symlink;

/// Every function of WASI preview 1 and of `dynload`, with its parameters: `i` for i32, `I` for i64.
pub(crate) const FUNCTIONS: &[(&str, &str, &str)] = &[
    ("wasi_snapshot_preview1", "args_get", "ii"),
    ("wasi_snapshot_preview1", "args_sizes_get", "ii"),
    ("wasi_snapshot_preview1", "clock_res_get", "ii"),
    ("wasi_snapshot_preview1", "clock_time_get", "iIi"),
    ("wasi_snapshot_preview1", "environ_get", "ii"),
    ("wasi_snapshot_preview1", "environ_sizes_get", "ii"),
    ("wasi_snapshot_preview1", "fd_advise", "iIIi"),
    ("wasi_snapshot_preview1", "fd_allocate", "iII"),
    ("wasi_snapshot_preview1", "fd_close", "i"),
    ("wasi_snapshot_preview1", "fd_datasync", "i"),
    ("wasi_snapshot_preview1", "fd_fdstat_get", "ii"),
    ("wasi_snapshot_preview1", "fd_fdstat_set_flags", "ii"),
    ("wasi_snapshot_preview1", "fd_fdstat_set_rights", "iII"),
    ("wasi_snapshot_preview1", "fd_filestat_get", "ii"),
    ("wasi_snapshot_preview1", "fd_filestat_set_size", "iI"),
    ("wasi_snapshot_preview1", "fd_filestat_set_times", "iIIi"),
    ("wasi_snapshot_preview1", "fd_pread", "iiiIi"),
    ("wasi_snapshot_preview1", "fd_prestat_dir_name", "iii"),
    ("wasi_snapshot_preview1", "fd_prestat_get", "ii"),
    ("wasi_snapshot_preview1", "fd_pwrite", "iiiIi"),
    ("wasi_snapshot_preview1", "fd_read", "iiii"),
    ("wasi_snapshot_preview1", "fd_readdir", "iiiIi"),
    ("wasi_snapshot_preview1", "fd_renumber", "ii"),
    ("wasi_snapshot_preview1", "fd_seek", "iIii"),
    ("wasi_snapshot_preview1", "fd_sync", "i"),
    ("wasi_snapshot_preview1", "fd_tell", "ii"),
    ("wasi_snapshot_preview1", "fd_write", "iiii"),
    ("wasi_snapshot_preview1", "path_create_directory", "iii"),
    ("wasi_snapshot_preview1", "path_filestat_get", "iiiii"),
    ("wasi_snapshot_preview1", "path_filestat_set_times", "iiiiIIi"),
    ("wasi_snapshot_preview1", "path_link", "iiiiiii"),
    ("wasi_snapshot_preview1", "path_open", "iiiiiIIii"),
    ("wasi_snapshot_preview1", "path_readlink", "iiiiii"),
    ("wasi_snapshot_preview1", "path_remove_directory", "iii"),
    ("wasi_snapshot_preview1", "path_rename", "iiiiii"),
    ("wasi_snapshot_preview1", "path_symlink", "iiiii"),
    ("wasi_snapshot_preview1", "path_unlink_file", "iii"),
    ("wasi_snapshot_preview1", "poll_oneoff", "iiii"),
    ("wasi_snapshot_preview1", "proc_exit", "i"),
    ("wasi_snapshot_preview1", "proc_raise", "i"),
    ("wasi_snapshot_preview1", "random_get", "ii"),
    ("wasi_snapshot_preview1", "sched_yield", ""),
    ("wasi_snapshot_preview1", "sock_accept", "iii"),
    ("wasi_snapshot_preview1", "sock_recv", "iiiiii"),
    ("wasi_snapshot_preview1", "sock_send", "iiiii"),
    ("wasi_snapshot_preview1", "sock_shutdown", "ii"),
    ("dynload", "gpu_buffer", "iIii"),
    ("dynload", "gpu_device_count", "i"),
    ("dynload", "gpu_device_info", "ii"),
    ("dynload", "gpu_free", "i"),
    ("dynload", "gpu_kernel", "ii"),
    ("dynload", "gpu_read", "iIii"),
    ("dynload", "gpu_submit", "iii"),
    ("dynload", "gpu_wait", "i"),
    ("dynload", "gpu_write", "iIii"),
    ("dynload", "process_run", "i"),
    ("dynload", "tcp_connect", "iiii"),
    ("dynload", "tcp_listen", "iiii"),
    ("dynload", "thread_join", "ii"),
    ("dynload", "thread_spawn", "iiIi"),
    ("dynload", "udp_bind", "iiiiiii"),
];

/// The size of the guest's memory, in pages and in bytes.
pub(crate) const PAGES: u32 = 4;
pub(crate) const MEMORY: u32 = PAGES << 16;

/// Where the tests put their data in it.
pub(crate) const PATH: u32 = 1024;
pub(crate) const OTHER_PATH: u32 = 6144;
pub(crate) const BUFFERS: u32 = 12_000;
pub(crate) const DATA: u32 = 16_384;
pub(crate) const OUT: u32 = 65_536;
pub(crate) const OUT2: u32 = 65_600;

/// Errnos, as in the WASI documents.
pub(crate) mod errno {
    pub(crate) const SUCCESS: i64 = 0;
    pub(crate) const TOO_BIG: i64 = 1;
    pub(crate) const AGAIN: i64 = 6;
    pub(crate) const BADF: i64 = 8;
    pub(crate) const BUSY: i64 = 10;
    pub(crate) const CANCELED: i64 = 11;
    pub(crate) const CONNREFUSED: i64 = 14;
    pub(crate) const EXIST: i64 = 20;
    pub(crate) const INVAL: i64 = 28;
    pub(crate) const ISDIR: i64 = 31;
    pub(crate) const LOOP: i64 = 32;
    pub(crate) const MFILE: i64 = 33;
    pub(crate) const NAMETOOLONG: i64 = 37;
    #[cfg(unix)]
    pub(crate) const NFILE: i64 = 41;
    pub(crate) const ILSEQ: i64 = 25;
    pub(crate) const NODEV: i64 = 43;
    pub(crate) const NOENT: i64 = 44;
    pub(crate) const NOMEM: i64 = 48;
    pub(crate) const NOSPC: i64 = 51;
    pub(crate) const NOSYS: i64 = 52;
    pub(crate) const NOTDIR: i64 = 54;
    pub(crate) const NOTSOCK: i64 = 57;
    pub(crate) const NOTSUP: i64 = 58;
    pub(crate) const PERM: i64 = 63;
    pub(crate) const SPIPE: i64 = 70;
    pub(crate) const SRCH: i64 = 71;
    pub(crate) const NOTCAPABLE: i64 = 76;
}

/// Rights and flags, as in the WASI documents.
pub(crate) const ALL_RIGHTS: i64 = (1 << 30) - 1;
pub(crate) const READ_RIGHTS: i64 = 1 << 1 | 1 << 2 | 1 << 5 | 1 << 14 | 1 << 21 | 1 << 27;
pub(crate) const CREAT: i64 = 1;
pub(crate) const DIRECTORY: i64 = 2;
pub(crate) const TRUNC: i64 = 8;

/// The guest that re-exports every import.
pub(crate) fn wat(body: &str) -> String {
    let mut imports = String::new();
    let mut exports = String::new();
    for (module, name, params) in FUNCTIONS {
        let types: String = params
            .chars()
            .map(|c| if c == 'i' { " i32" } else { " i64" })
            .collect();
        let gets: String = (0..params.len()).map(|n| format!(" (local.get {n})")).collect();
        let result = if *name == "proc_exit" { "" } else { " (result i32)" };
        imports += &format!("(import \"{module}\" \"{name}\" (func ${name} (param{types}){result}))\n");
        exports += &format!("(func (export \"{name}\") (param{types}){result} (call ${name}{gets}))\n");
    }
    format!("(module {imports} (memory (export \"memory\") {PAGES}) {exports} {body})")
}

/// Compiles that guest, with more functions.
pub(crate) fn module(body: &str) -> Module {
    Module::new(&Engine::default(), wat::parse_str(wat(body)).unwrap()).unwrap()
}

/// A sandbox that sees `dir` as `/data`.
pub(crate) fn sandbox(dir: &Path, access: Access, capabilities: Capabilities) -> Sandbox {
    let mut scopes = Scopes::none();
    scopes
        .dirs
        .push(DirScope::new(dir.to_str().unwrap(), "/data", access).unwrap());
    Sandbox::new(Limits::PERMISSIVE)
        .with_capabilities(capabilities)
        .with_scopes(scopes)
}

/// A sandbox that sees several directories, from descriptor 3 on, as `/0`, `/1` and so on.
pub(crate) fn sandbox_of(dirs: &[(&Path, Access)], capabilities: Capabilities) -> Sandbox {
    let mut scopes = Scopes::none();
    for (n, (dir, access)) in dirs.iter().enumerate() {
        let scope = DirScope::new(dir.to_str().unwrap(), format!("/{n}"), *access);
        scopes.dirs.push(scope.unwrap());
    }
    Sandbox::new(Limits::PERMISSIVE)
        .with_capabilities(capabilities)
        .with_scopes(scopes)
}

/// An instance of that guest, with shorthands to call it.
pub(crate) struct Guest(pub(crate) Instance);

impl Guest {
    pub(crate) fn new(sandbox: &Sandbox) -> Guest {
        static MODULE: Mutex<Option<Module>> = Mutex::new(None);
        let module = MODULE.lock().unwrap().get_or_insert_with(|| module("")).clone();
        Guest(sandbox.instantiate(&module).unwrap())
    }

    /// Returns the errno of a call that must not end the guest.
    #[track_caller]
    pub(crate) fn call(&mut self, name: &str, args: &[i64]) -> i64 {
        match self.try_call(name, args) {
            Ok(errno) => errno,
            Err(error) => panic!("{name} {args:x?}: {error}"),
        }
    }

    pub(crate) fn try_call(&mut self, name: &str, args: &[i64]) -> Result<i64, Error> {
        self.0.call_i64(name, args)
    }

    pub(crate) fn put(&mut self, at: u32, bytes: &[u8]) {
        self.0.memory().unwrap().write(at, bytes).unwrap();
    }

    pub(crate) fn bytes(&mut self, at: u32, len: u32) -> Vec<u8> {
        self.0.memory().unwrap().slice(at, len).unwrap().to_vec()
    }

    pub(crate) fn u32(&mut self, at: u32) -> u32 {
        u32::from_le_bytes(self.0.memory().unwrap().read(at).unwrap())
    }

    pub(crate) fn u64(&mut self, at: u32) -> u64 {
        u64::from_le_bytes(self.0.memory().unwrap().read(at).unwrap())
    }

    /// Writes a path to its location in memory, and returns its pointer and length.
    pub(crate) fn path(&mut self, path: &str) -> [i64; 2] {
        self.put(PATH, path.as_bytes());
        [PATH.into(), path.len() as i64]
    }

    /// Writes another path.
    pub(crate) fn other_path(&mut self, path: &str) -> [i64; 2] {
        self.put(OTHER_PATH, path.as_bytes());
        [OTHER_PATH.into(), path.len() as i64]
    }

    /// Writes a list of one buffer, and returns its address and the number of buffers.
    pub(crate) fn buffer(&mut self, ptr: u32, len: u32) -> [i64; 2] {
        self.put(BUFFERS, &ptr.to_le_bytes());
        self.put(BUFFERS + 4, &len.to_le_bytes());
        [BUFFERS.into(), 1]
    }

    /// `path_open` below descriptor 3, following links.
    pub(crate) fn open(&mut self, path: &str, oflags: i64, rights: i64) -> Result<i64, i64> {
        self.open_with(path, 1, oflags, rights, 0)
    }

    pub(crate) fn open_with(
        &mut self,
        path: &str,
        lookup: i64,
        oflags: i64,
        rights: i64,
        fdflags: i64,
    ) -> Result<i64, i64> {
        self.open_at(3, path, lookup, oflags, rights, fdflags)
    }

    pub(crate) fn open_at(
        &mut self,
        fd: i64,
        path: &str,
        lookup: i64,
        oflags: i64,
        rights: i64,
        fdflags: i64,
    ) -> Result<i64, i64> {
        let [ptr, len] = self.path(path);
        // A directory is never open for writing, but what is opened below it may be.
        let base = if oflags & DIRECTORY != 0 {
            rights & !(1 << 6)
        } else {
            rights
        };
        match self.call(
            "path_open",
            &[fd, lookup, ptr, len, oflags, base, rights, fdflags, OUT.into()],
        ) {
            0 => Ok(self.u32(OUT).into()),
            errno => Err(errno),
        }
    }

    /// Reads a whole file through the guest.
    pub(crate) fn read(&mut self, path: &str) -> Result<Vec<u8>, i64> {
        self.read_at(3, path)
    }

    pub(crate) fn read_at(&mut self, fd: i64, path: &str) -> Result<Vec<u8>, i64> {
        let fd = self.open_at(fd, path, 1, 0, READ_RIGHTS, 0)?;
        let mut bytes = Vec::new();
        loop {
            let [list, count] = self.buffer(DATA, 4096);
            match self.call("fd_read", &[fd, list, count, OUT.into()]) {
                0 => {}
                errno => return Err(errno),
            }
            let len = self.u32(OUT);
            if len == 0 {
                break;
            }
            bytes.extend(self.bytes(DATA, len));
        }
        self.call("fd_close", &[fd]);
        Ok(bytes)
    }

    /// Writes a whole file through the guest.
    pub(crate) fn write(&mut self, path: &str, bytes: &[u8]) -> Result<(), i64> {
        self.write_at(3, path, bytes)
    }

    pub(crate) fn write_at(&mut self, fd: i64, path: &str, bytes: &[u8]) -> Result<(), i64> {
        let fd = self.open_at(fd, path, 1, CREAT | TRUNC, ALL_RIGHTS, 0)?;
        self.put(DATA, bytes);
        let [list, count] = self.buffer(DATA, bytes.len() as u32);
        let errno = self.call("fd_write", &[fd, list, count, OUT.into()]);
        self.call("fd_close", &[fd]);
        if errno == 0 { Ok(()) } else { Err(errno) }
    }

    pub(crate) fn mkdir(&mut self, path: &str) -> i64 {
        self.mkdir_at(3, path)
    }

    pub(crate) fn mkdir_at(&mut self, fd: i64, path: &str) -> i64 {
        let [ptr, len] = self.path(path);
        self.call("path_create_directory", &[fd, ptr, len])
    }

    pub(crate) fn rmdir_at(&mut self, fd: i64, path: &str) -> i64 {
        let [ptr, len] = self.path(path);
        self.call("path_remove_directory", &[fd, ptr, len])
    }

    pub(crate) fn unlink(&mut self, path: &str) -> i64 {
        self.unlink_at(3, path)
    }

    pub(crate) fn unlink_at(&mut self, fd: i64, path: &str) -> i64 {
        let [ptr, len] = self.path(path);
        self.call("path_unlink_file", &[fd, ptr, len])
    }

    pub(crate) fn symlink(&mut self, target: &str, path: &str) -> i64 {
        self.symlink_at(target, 3, path)
    }

    pub(crate) fn symlink_at(&mut self, target: &str, fd: i64, path: &str) -> i64 {
        let [target, target_len] = self.other_path(target);
        let [ptr, len] = self.path(path);
        self.call("path_symlink", &[target, target_len, fd, ptr, len])
    }

    pub(crate) fn hard_link(&mut self, old: &str, new: &str) -> i64 {
        self.hard_link_at(3, old, 3, new)
    }

    pub(crate) fn hard_link_at(&mut self, old_fd: i64, old: &str, new_fd: i64, new: &str) -> i64 {
        let [old, old_len] = self.other_path(old);
        let [ptr, len] = self.path(new);
        self.call("path_link", &[old_fd, 0, old, old_len, new_fd, ptr, len])
    }

    pub(crate) fn rename(&mut self, old: &str, new: &str) -> i64 {
        self.rename_at(3, old, 3, new)
    }

    pub(crate) fn rename_at(&mut self, old_fd: i64, old: &str, new_fd: i64, new: &str) -> i64 {
        let [old, old_len] = self.other_path(old);
        let [ptr, len] = self.path(new);
        self.call("path_rename", &[old_fd, old, old_len, new_fd, ptr, len])
    }

    /// Sets both times to now, following links if `follow`.
    pub(crate) fn touch_at(&mut self, fd: i64, path: &str, follow: bool) -> i64 {
        let [ptr, len] = self.path(path);
        let lookup = follow.into();
        self.call("path_filestat_set_times", &[fd, lookup, ptr, len, 0, 0, 2 | 8])
    }

    pub(crate) fn stat(&mut self, path: &str, follow: bool) -> i64 {
        let [ptr, len] = self.path(path);
        self.call("path_filestat_get", &[3, follow.into(), ptr, len, OUT.into()])
    }
}

/// Returns whether a call ended because a pointer is outside the memory.
pub(crate) fn is_out_of_bounds(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Trap(Trap::MemoryOutOfBounds))
}

/// A C program of `tests/guests_c`.
pub(crate) fn c_program(name: &str, options: &[&str]) -> Module {
    Module::new(&Engine::default(), std::fs::read(c_file(name, options)).unwrap()).unwrap()
}

/// The file of a C program, compiled with clang and wasi-libc. Where there is no compiler, `DYNLOAD_GUESTS` is the directory
/// of the compiled ones.
pub(crate) fn c_file(name: &str, options: &[&str]) -> PathBuf {
    static COMPILING: Mutex<()> = Mutex::new(());
    let file = format!("{name}.wasm");
    if let Some(compiled) = std::env::var_os("DYNLOAD_GUESTS") {
        return Path::new(&compiled).join(file);
    }
    let _one_at_a_time = COMPILING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(file);
    let status = Command::new("clang")
        .args([
            "--target=wasm32-wasi",
            "-O2",
            "-Wall",
            "-Wno-unused-function",
            "-I",
        ])
        .arg(root.join("guest"))
        .arg(root.join("tests/guests_c").join(format!("{name}.c")))
        .args(options)
        .arg("-o")
        .arg(&out)
        .status()
        .expect("these tests need clang with wasi-libc (Debian: clang lld wasi-libc libclang-rt-dev-wasm32)");
    assert!(status.success(), "clang failed to compile {name}.c");
    out
}

/// Runs a command, and returns its exit code and output.
#[track_caller]
pub(crate) fn run(sandbox: &mut Sandbox, module: &Module, args: &[&str]) -> (i32, String) {
    sandbox.set_args(std::iter::once("guest").chain(args.iter().copied()));
    let mut instance = sandbox.instantiate(module).unwrap();
    let code = match instance.call("_start", &[]) {
        Ok(_) => 0,
        Err(error) => error.exit_code().unwrap_or_else(|| panic!("{args:?}: {error}")),
    };
    let mut text = String::from_utf8(instance.take_output(Stream::Out)).unwrap();
    text += &String::from_utf8(instance.take_output(Stream::Err)).unwrap();
    (code, text)
}

/// Runs this test again in its own process, under `env` with these options, and calls `inside` there.
#[cfg(target_os = "linux")]
pub(crate) fn alone(options: &[&str], test: &str, inside: impl FnOnce()) {
    const INSIDE: &str = "DYNLOAD_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    let output = Command::new("env")
        .args(options)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
