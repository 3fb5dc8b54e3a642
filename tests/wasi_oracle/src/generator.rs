//! Chooses calls at random.

use crate::call::{Arg, Call, Clock, Out};
use crate::compare::{Kind, World};
use crate::random::Random;

/// All rights.
pub const ALL: u64 = (1 << 30) - 1;
/// The rights to read, seek, tell, list, stat and poll.
pub const READ: u64 = 1 << 1 | 1 << 2 | 1 << 5 | 1 << 14 | 1 << 21 | 1 << 27;

/// Names in the directory, among them symlinks of every kind, and two that do not exist at first.
const NAMES: &[&str] = &[
    "a", "b", "c", "d", "x", "g", "\u{e9}", "l", "ld", "slash", "dangling", "loop", "chain", "self", "out",
    "abs", "round", "new", "other", "e", "f", "h", "up", "upper", "back",
];

/// Names that lead somewhere more often than not.
const COMMON: &[&str] = &[
    "a", "b", "c", "d", "d/a", "d/e", "d/e/f", "x", "g", "l", "ld", "new", "x/new", "other",
];

/// Targets of new symlinks.
const TARGETS: &[&[u8]] = &[
    b"a", b"d", b"d/", b"d/a", b"nowhere", b".", b"./a", b"e", b"", b"..", b"../a", b"/a", b"/", b"d/../a",
    b"new", b"a\0b",
];

/// Times far from now, in nanoseconds.
const TIMES: &[u64] = &[
    0,
    1,
    1_000_000_000,
    1_234_567_890,
    500_000_000_000_000,
    1 << 62,
    (1 << 63) + 999_999_999,
    u64::MAX,
];

const OFFSETS: &[u64] = &[
    0,
    1,
    3,
    5,
    100,
    4096,
    5000,
    65_537,
    i64::MAX as u64,
    1 << 63,
    u64::MAX,
];

const LENGTHS: &[u32] = &[0, 1, 3, 5, 16, 100, 4096, 6000];

/// Returns the next call of a sequence.
pub fn call(random: &mut Random, world: &World) -> Call {
    Chooser { random, world }.call()
}

struct Chooser<'a> {
    random: &'a mut Random,
    world: &'a World,
}

impl Chooser<'_> {
    fn call(&mut self) -> Call {
        match self.random.below(100) {
            0..14 => self.open(),
            14..20 => self.fd_read("fd_read", false),
            20..23 => self.fd_read("fd_pread", true),
            23..28 => self.fd_write("fd_write", false),
            28..32 => self.fd_write("fd_pwrite", true),
            32..36 => self.seek(),
            36..38 => Call::new("fd_tell", [self.file(), Arg::Out(Out::U64)]),
            38..40 => Call::new("fd_close", [self.any()]),
            40..42 => Call::new(
                "list",
                [
                    self.directory(),
                    Arg::I32(self.random.pick(&[300, 400, 1000, 4096])),
                ],
            ),
            42..44 => self.readdir(),
            44..46 => Call::new("fd_fdstat_get", [self.any(), Arg::Out(Out::Fdstat)]),
            46..48 => {
                let flags = self.random.pick(&[
                    0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 4, 4, 4, 5, 5, 5, 5, 2, 8, 16, 31, 32,
                ]);
                Call::new("fd_fdstat_set_flags", [self.file(), Arg::I32(flags)])
            }
            48..51 => Call::new("fd_filestat_get", [self.any(), Arg::Out(Out::Filestat)]),
            51..54 => {
                let size = self.offset();
                Call::new("fd_filestat_set_size", [self.file(), Arg::I64(size)])
            }
            54..56 => {
                let [atim, mtim, flags] = self.times();
                let fd = if self.random.percent(30) {
                    self.directory()
                } else {
                    self.any()
                };
                Call::new("fd_filestat_set_times", [fd, atim, mtim, flags])
            }
            56 => self.allocate(),
            57 => {
                let advice = self.random.pick(&[0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4, 5, 6]);
                let (offset, len) = (self.offset(), self.offset());
                Call::new(
                    "fd_advise",
                    [self.file(), Arg::I64(offset), Arg::I64(len), Arg::I32(advice)],
                )
            }
            58 => {
                let function = self.random.pick(&["fd_sync", "fd_datasync"]);
                Call::new(function, [self.any()])
            }
            59..61 => Call::new("fd_renumber", [self.any(), self.any()]),
            61 => match self.random.below(2) {
                0 => Call::new("fd_prestat_get", [self.preopen(), Arg::Out(Out::Prestat)]),
                _ => {
                    let len = self.random.pick(&[0, 4, 5, 6, 100]);
                    Call::new("fd_prestat_dir_name", [self.preopen(), Arg::Buffer(len)])
                }
            },
            62..67 => {
                let out = self.out(Out::Filestat);
                Call::new(
                    "path_filestat_get",
                    [self.directory(), self.lookup(), self.path(), out],
                )
            }
            67..70 => {
                let [atim, mtim, flags] = self.times();
                let (fd, lookup, path) = (self.directory(), self.lookup(), self.path());
                Call::new("path_filestat_set_times", [fd, lookup, path, atim, mtim, flags])
            }
            70..74 => Call::new("path_create_directory", [self.directory(), self.path()]),
            74..77 => Call::new("path_remove_directory", [self.directory(), self.path()]),
            77..81 => Call::new("path_unlink_file", [self.directory(), self.path()]),
            81..86 => {
                let (old, old_path) = (self.directory(), self.path());
                Call::new("path_rename", [old, old_path, self.directory(), self.path()])
            }
            86..90 => {
                let (old, lookup, old_path) = (self.directory(), self.lookup(), self.path());
                Call::new(
                    "path_link",
                    [old, lookup, old_path, self.directory(), self.path()],
                )
            }
            90..93 => {
                let target = self.random.pick(TARGETS).to_vec();
                Call::new("path_symlink", [Arg::Path(target), self.directory(), self.path()])
            }
            93..96 => {
                let len = self.random.pick(&[0, 1, 3, 100, 100, 100]);
                let (fd, path) = (self.directory(), self.path());
                Call::new("path_readlink", [fd, path, Arg::Buffer(len), Arg::Out(Out::U32)])
            }
            _ => self.without_descriptor(),
        }
    }

    fn without_descriptor(&mut self) -> Call {
        let sizes = [Arg::Out(Out::U32), Arg::Out(Out::U32)];
        match self.random.below(12) {
            0 => Call::new("args_sizes_get", sizes),
            1 => Call::new("args_get", [Arg::Area(64), Arg::Area(256)]),
            2 => Call::new("environ_sizes_get", sizes),
            3 => Call::new("environ_get", [Arg::Area(64), Arg::Area(256)]),
            4 => {
                let id = self.random.pick(&[0, 1, 2, 3, 4]);
                Call::new("clock_res_get", [Arg::I32(id), Arg::Out(Out::Time)])
            }
            5 => Call::new(
                "random_get",
                [Arg::Buffer(self.random.pick(&[0, 1, 100, 70_000]))],
            ),
            6 => Call::new("sched_yield", []),
            7 => {
                let count = self.random.pick(&[0, 1, 1, 2, 3]);
                let clocks = (0..count).map(|_| {
                    let flags = self.random.pick(&[0, 0, 0, 0, 1, 1, 1, 1, 2]);
                    Clock {
                        id: self.random.pick(&[0, 1, 0, 1, 0, 1, 0, 1, 2, 7]),
                        // An absolute time that has passed, or no time: every clock is ready.
                        timeout: if flags == 1 {
                            self.random.below(2) as u64
                        } else {
                            0
                        },
                        flags,
                    }
                });
                let clocks = Arg::Clocks(clocks.collect());
                Call::new("poll_oneoff", [clocks, Arg::Out(Out::U32)])
            }
            8..11 => {
                let Arg::Fd(fd) = self.any() else {
                    unreachable!("a descriptor");
                };
                let write = self.random.percent(50);
                Call::new("poll_oneoff", [Arg::Ready { fd, write }, Arg::Out(Out::U32)])
            }
            _ if self.random.percent(20) => {
                let code = self.random.pick(&[0, 1, 125, 126, 255, u32::MAX]);
                Call::new("proc_exit", [Arg::I32(code)])
            }
            _ => Call::new("sched_yield", []),
        }
    }

    fn open(&mut self) -> Call {
        let oflags = match self.random.below(10) {
            0..4 => 0,
            4 => 1,
            5 => 2,
            6 => 1 | 4,
            7 => 1 | 8,
            8 => 8,
            _ => self.random.below(16) as u32,
        };
        let fdflags = if self.random.percent(92) {
            self.random.pick(&[0, 0, 1, 4])
        } else {
            self.random.below(32) as u32
        };
        // Rarely, flags that are not defined.
        let (oflags, fdflags) = match self.random.below(100) {
            0 => (oflags | 16, fdflags),
            1 => (oflags, fdflags | 32),
            _ => (oflags, fdflags),
        };
        // Libraries do not request the right to write to a directory.
        let all = if oflags & 2 == 0 { ALL } else { ALL & !(1 << 6) };
        let base = match self.random.below(20) {
            0..8 => all,
            8..13 => READ,
            13 => READ & !(1 << 5),
            14 => all & !(1 << 6),
            15 => 0,
            16 => 1 << 1,
            17 => 1 << 6,
            18 => 1 << 1 | 1 << 6,
            _ => all & !(1 << self.random.below(30)),
        };
        let inheriting = match self.random.below(10) {
            0..8 => ALL,
            8 => base,
            _ => 0,
        };
        let (fd, lookup, path) = (self.directory(), self.lookup(), self.path());
        let out = self.out(Out::Fd);
        Call::new(
            "path_open",
            [
                fd,
                lookup,
                path,
                Arg::I32(oflags),
                Arg::I64(base),
                Arg::I64(inheriting),
                Arg::I32(fdflags),
                out,
            ],
        )
    }

    fn fd_read(&mut self, function: &'static str, at: bool) -> Call {
        let fd = self.file();
        let buffers = match self.random.below(20) {
            0 => vec![],
            1 => vec![self.length(), self.length()],
            2 => vec![0, self.length()],
            _ => vec![self.length()],
        };
        let mut args = vec![fd, Arg::Read(buffers)];
        if at {
            args.push(Arg::I64(self.offset()));
        }
        args.push(self.out(Out::U32));
        Call::new(function, args)
    }

    fn fd_write(&mut self, function: &'static str, at: bool) -> Call {
        let fd = self.file();
        let buffers = match self.random.below(20) {
            0 => vec![],
            1 => vec![self.bytes(), self.bytes()],
            2 => vec![vec![], self.bytes()],
            _ => vec![self.bytes()],
        };
        let mut args = vec![fd, Arg::Write(buffers)];
        if at {
            args.push(Arg::I64(self.offset()));
        }
        args.push(self.out(Out::U32));
        Call::new(function, args)
    }

    fn seek(&mut self) -> Call {
        let offset = match self.random.below(4) {
            0 => self.random.pick(&[-1_i64, -5, i64::MIN]) as u64,
            1 => 0,
            _ => self.offset(),
        };
        let whence = self
            .random
            .pick(&[0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 3]);
        let fd = self.file();
        Call::new(
            "fd_seek",
            [fd, Arg::I64(offset), Arg::I32(whence), self.out(Out::U64)],
        )
    }

    fn readdir(&mut self) -> Call {
        let cookie = self.random.pick(&[0, 0, 0, 1, 2, 5, 100, 1 << 32, u64::MAX]);
        let len = self.random.pick(&[0, 1, 23, 24, 25, 60, 300, 4096]);
        let fd = self.directory();
        Call::new(
            "fd_readdir",
            [fd, Arg::Buffer(len), Arg::I64(cookie), self.out(Out::U32)],
        )
    }

    /// Never a range that could fill the disk.
    fn allocate(&mut self) -> Call {
        let (offset, len) = self.random.pick(&[
            (0, 0),
            (0, 1),
            (0, 6000),
            (5, 70_000),
            (i64::MAX as u64, 1),
            (1 << 63, 1),
            (u64::MAX, 1),
            (1, u64::MAX),
            (1, i64::MAX as u64),
        ]);
        Call::new("fd_allocate", [self.file(), Arg::I64(offset), Arg::I64(len)])
    }

    /// Returns a result pointer; rarely one outside of the memory or misaligned.
    fn out(&mut self, out: Out) -> Arg {
        Arg::Out(match self.random.below(500) {
            0 => Out::OutOfBounds,
            1 => Out::Misaligned,
            _ => out,
        })
    }

    fn offset(&mut self) -> u64 {
        self.random.pick(OFFSETS)
    }

    fn length(&mut self) -> u32 {
        self.random.pick(LENGTHS)
    }

    fn bytes(&mut self) -> Vec<u8> {
        let len = self.length() as usize;
        let first = self.random.below(26);
        (first..first + len).map(|n| b'A' + (n % 26) as u8).collect()
    }

    fn times(&mut self) -> [Arg; 3] {
        let flags = self.random.pick(&[
            0, 1, 4, 5, 5, 5, 5, 5, 5, 5, 5, 2, 8, 10, 6, 9, 6, 9, 1, 4, 5, 10, 3, 12, 15, 16,
        ]);
        let (atim, mtim) = (self.random.pick(TIMES), self.random.pick(TIMES));
        [Arg::I64(atim), Arg::I64(mtim), Arg::I32(flags)]
    }

    fn lookup(&mut self) -> Arg {
        let flags = if self.random.below(80) == 0 {
            2
        } else {
            self.random.below(2)
        };
        Arg::I32(flags as u32)
    }

    /// Returns an open descriptor for which `is` holds, if there is one; sometimes any number.
    fn fd(&mut self, is: impl Fn(Kind) -> bool) -> Arg {
        let fitting: Vec<u32> = self
            .world
            .open()
            .iter()
            .enumerate()
            .filter(|(_, open)| open.as_ref().is_some_and(|open| is(open.kind)))
            .map(|(fd, _)| fd as u32)
            .collect();
        if fitting.is_empty() || self.random.percent(6) {
            return Arg::Fd(self.random.below(13) as u32);
        }
        Arg::Fd(self.random.pick(&fitting))
    }

    fn any(&mut self) -> Arg {
        if self.random.percent(60) {
            return self.fd(|kind| matches!(kind, Kind::File | Kind::Directory));
        }
        self.fd(|_| true)
    }

    fn file(&mut self) -> Arg {
        if self.random.percent(8) {
            return self.fd(|kind| matches!(kind, Kind::Input | Kind::Output));
        }
        self.fd(|kind| kind == Kind::File)
    }

    fn directory(&mut self) -> Arg {
        if self.random.percent(70) {
            return self.fd(|kind| kind == Kind::Preopen);
        }
        self.fd(|kind| matches!(kind, Kind::Directory | Kind::Preopen))
    }

    fn preopen(&mut self) -> Arg {
        self.fd(|kind| matches!(kind, Kind::Preopen | Kind::Directory))
    }

    fn path(&mut self) -> Arg {
        let mut path = match self.random.below(100) {
            0 => return Arg::Path(vec![]),
            1 => b"a\0b".to_vec(),
            2 => vec![b'n'; 256],
            3 => b"d/".repeat(2100),
            4 => b"a\xff".to_vec(),
            5 => b"/".repeat(1 + self.random.below(3)),
            6..50 => self.random.pick(COMMON).as_bytes().to_vec(),
            _ => {
                let mut components = Vec::new();
                for _ in 0..=self.random.below(3) {
                    components.push(match self.random.below(10) {
                        0 => ".",
                        1 => "..",
                        _ => self.random.pick(NAMES),
                    });
                }
                let separator = if self.random.percent(10) { "//" } else { "/" };
                components.join(separator).into_bytes()
            }
        };
        if self.random.percent(12) {
            path.extend(self.random.pick(&["/", "//", "/.", "/.."]).as_bytes());
        }
        if self.random.percent(3) {
            path.insert(0, b'/');
        }
        if self.random.percent(3) {
            path.splice(..0, *b"./");
        }
        Arg::Path(path)
    }
}
