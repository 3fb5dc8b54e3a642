//! The state that the threads share, and the source of random arguments.

use std::ffi::CString;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use dynload_ffi::abi::*;
use dynload_ffi::flat::*;

/// xorshift64*, by Marsaglia and Vigna.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.roll() % n as u64) as usize
    }

    pub(crate) fn one_of<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The kind of object that a handle refers to.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Sandbox,
    Instance,
    Reloader,
    List,
    /// The bytes of a file; the handle is their address.
    File,
}

/// The kinds, with the number of handles of each that are kept; older objects are destroyed. Each reloader has a thread, so few
/// of them are kept.
const KINDS: [(Kind, usize); 5] = [
    (Kind::Sandbox, 128),
    (Kind::Instance, 16),
    (Kind::Reloader, 4),
    (Kind::List, 4),
    (Kind::File, 4),
];

/// The state that all threads share: the handles that calls returned, and good arguments.
pub(crate) struct World {
    pub(crate) handles: [Mutex<Vec<i64>>; KINDS.len()],
    pub(crate) modules: Mutex<Vec<ModuleHandle>>,
    /// Texts that are passed by address: good and bad ones, all alive.
    texts: Vec<CString>,
    wasm: Vec<Vec<u8>>,
    pub(crate) calls: AtomicU64,
    reloads: AtomicU64,
    /// The number of calls that ended with each error code, 0 for success.
    pub(crate) outcomes: [AtomicU64; 23],
    /// The number of times that a guest called the host function.
    pub(crate) called_back: AtomicU64,
}

/// The number of texts, at the end, that are paths of plugins.
const FILES: usize = 5;

/// The number of texts, after the first, that are names of the plugins' exports.
const EXPORTS: usize = 16;

impl World {
    pub(crate) fn new(files: &[PathBuf], wat: &[PathBuf]) -> World {
        let mut texts: Vec<CString> = [
            "",
            "answer",
            "add",
            "add32",
            "half",
            "swap",
            "process",
            "count",
            "deep",
            "grow",
            "trap",
            "nothing",
            "run",
            "run",
            "run",
            "inner",
            "plugin_init",
            "plugin_answer",
            "i64 -> i64",
            "(i32, f64) -> ()",
            "nonsense ->",
            "env",
            "twice",
            "localhost:80",
            "*:443",
            "/bin/true",
            "/no/such/file.so",
            "LANG",
            "../x",
            "/data",
        ]
        .map(|text| CString::new(text).unwrap())
        .to_vec();
        texts.push(CString::new(b"\xff\xfe".to_vec()).unwrap());
        texts.push(CString::new(vec![b'x'; 5000]).unwrap());
        texts.extend(
            files
                .iter()
                .chain(wat)
                .map(|path| CString::new(path.to_str().unwrap()).unwrap()),
        );
        let wasm = files
            .iter()
            .filter(|path| path.extension().is_some_and(|e| e == "wasm"));
        let mut wasm: Vec<Vec<u8>> = wasm.map(|path| std::fs::read(path).unwrap()).collect();
        let cut = wasm[0][..wasm[0].len() / 2].to_vec();
        wasm.push(cut);
        World {
            handles: Default::default(),
            modules: Mutex::default(),
            texts,
            wasm,
            calls: AtomicU64::new(0),
            reloads: AtomicU64::new(0),
            outcomes: Default::default(),
            called_back: AtomicU64::new(0),
        }
    }

    /// Keeps a handle that a call returned, and returns it.
    pub(crate) fn keep(&self, kind: Kind, handle: i64) -> i64 {
        if handle == 0 {
            return handle;
        }
        let mut handles = lock(&self.handles[kind as usize]);
        let old = (handles.len() >= KINDS[kind as usize].1).then(|| handles.remove(0));
        handles.push(handle);
        drop(handles);
        if let Some(old) = old {
            destroy(old);
        }
        handle
    }

    pub(crate) fn keep_module(&self, module: ModuleHandle) {
        if module.handle == 0 {
            return;
        }
        let mut modules = lock(&self.modules);
        let old = (modules.len() >= 8).then(|| modules.remove(0));
        modules.push(module);
        drop(modules);
        if let Some(old) = old {
            // SAFETY: no thread runs code of the plugin in this test.
            unsafe { unload_module(old) };
        }
    }

    /// Keeps a module of which only the handle is known.
    pub(crate) fn keep_module_handle(&self, handle: i64) {
        self.keep_module(ModuleHandle {
            handle,
            path: dynload_ffi::primitives::vais_module_path(handle),
            version: 1,
            loaded: 1,
        });
    }

    /// Returns mostly a handle of this kind, which may have been destroyed; sometimes one of another kind, or an invalid one.
    pub(crate) fn handle(&self, dice: &mut Dice, kind: Kind) -> i64 {
        let kind = match dice.below(16) {
            0 => return dice.one_of(&[0, 1, -1, i64::MIN, i64::MAX, 1 << 56, 2 << 56, 3 << 56, 4 << 56]),
            1 => return dice.roll() as i64,
            2 => dice.one_of(&KINDS).0,
            _ => kind,
        };
        let handles = lock(&self.handles[kind as usize]);
        if handles.is_empty() {
            return 0;
        }
        let handle = dice.one_of(&handles);
        match dice.below(16) {
            0 => handle ^ 1 << dice.below(63),
            _ => handle,
        }
    }

    pub(crate) fn module(&self, dice: &mut Dice) -> ModuleHandle {
        let modules = lock(&self.modules);
        if modules.is_empty() || dice.below(8) == 0 {
            return ModuleHandle {
                handle: dice.roll() as i64,
                path: 0,
                version: 1,
                loaded: 1,
            };
        }
        dice.one_of(&modules)
    }

    pub(crate) fn text(&self, dice: &mut Dice) -> i64 {
        if dice.below(16) == 0 {
            return 0;
        }
        self.texts[dice.below(self.texts.len())].as_ptr() as i64
    }

    /// Returns whether another native library may be reloaded. The old image of each stays mapped, by design, and the system
    /// limits the number of mappings of a process.
    pub(crate) fn may_reload(&self) -> bool {
        self.reloads.fetch_add(1, Ordering::Relaxed) < 2_000
    }

    /// Returns mostly the path of a plugin.
    pub(crate) fn file(&self, dice: &mut Dice) -> i64 {
        match dice.below(4) {
            0 => self.text(dice),
            _ => self.texts[self.texts.len() - FILES + dice.below(FILES)].as_ptr() as i64,
        }
    }

    /// Returns mostly the name of an export.
    pub(crate) fn export(&self, dice: &mut Dice) -> i64 {
        match dice.below(4) {
            0 => self.text(dice),
            _ => self.texts[1 + dice.below(EXPORTS)].as_ptr() as i64,
        }
    }

    /// Returns the bytes of a module, sometimes with a length that is too small.
    pub(crate) fn bytes(&self, dice: &mut Dice) -> (i64, i64) {
        let bytes = &self.wasm[dice.below(self.wasm.len())];
        let len = bytes.len() as i64;
        let len = match dice.below(8) {
            0 => dice.one_of(&[len / 2, 0, -1, i64::MIN]),
            _ => len,
        };
        (bytes.as_ptr() as i64, len)
    }
}

/// Random arguments for a call of a flat function or a primitive.
pub(crate) struct Drawn {
    pub(crate) numbers: (i64, i64),
    pub(crate) sandbox: i64,
    pub(crate) instance: i64,
    pub(crate) reloader: i64,
    pub(crate) plugins: i64,
    pub(crate) file: i64,
    /// Mostly the name of an export.
    pub(crate) export: i64,
    /// Mostly the path of a file.
    pub(crate) path: i64,
    pub(crate) texts: (i64, i64),
    /// True one time in eight, for calls that destroy objects, which must live long enough to be used, and for calls
    /// that create reloaders, which takes long.
    pub(crate) rarely: bool,
}

impl Drawn {
    pub(crate) fn new(world: &World, dice: &mut Dice) -> Drawn {
        Drawn {
            numbers: (number(dice), number(dice)),
            sandbox: world.handle(dice, Kind::Sandbox),
            instance: world.handle(dice, Kind::Instance),
            reloader: world.handle(dice, Kind::Reloader),
            plugins: world.handle(dice, Kind::List),
            file: world.handle(dice, Kind::File),
            export: world.export(dice),
            path: world.file(dice),
            rarely: dice.below(8) == 0,
            texts: (world.text(dice), world.text(dice)),
        }
    }
}

/// Returns a number that is often at an edge.
pub(crate) fn number(dice: &mut Dice) -> i64 {
    let random = dice.roll() as i64;
    dice.one_of(&[
        0,
        1,
        2,
        3,
        8,
        100,
        1000,
        -1,
        -2,
        i64::MAX,
        i64::MIN,
        random,
        random >> 40,
    ])
}

/// Destroys an object of any kind.
pub(crate) fn destroy(handle: i64) {
    sandbox_destroy(WasmSandbox {
        handle,
        capabilities: 0,
    });
    wasm_instance_destroy(WasmInstance { handle, sandbox: 0 });
    hot_reloader_destroy(HotReloader {
        handle,
        version: 0,
        running: 0,
    });
    plugin_list_destroy(PluginList { handle, count: 0 });
    free_wasm_file(handle);
}
