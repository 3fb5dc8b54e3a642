//! The parts of the table: a world with one descriptor of each kind, and a row for each function.

use super::guest::{errno::*, *};
use dynload_caps::{Access, EnvScope};
use dynload_sandbox::*;
use std::net::{TcpListener, TcpStream};

/// Descriptors of the world, in the order in which `World::new` opens them.
pub(crate) const DIR: i64 = 3;
pub(crate) const FILE: i64 = 4;
pub(crate) const STREAM: i64 = 5;
pub(crate) const LISTENER: i64 = 6;
pub(crate) const CONSOLE: i64 = 1;
pub(crate) const CLOSED: i64 = 200;

pub(crate) const ANY: Capabilities = Capabilities::all();
pub(crate) const B: i64 = BUFFERS as i64;
pub(crate) const O: i64 = OUT as i64;
pub(crate) const O2: i64 = OUT2 as i64;
pub(crate) const D: i64 = DATA as i64;

/// Paths in the world, each a pointer and a length.
pub(crate) const FILE_PATH: [i64; 2] = [PATH as i64, 8];
pub(crate) const NEW_PATH: [i64; 2] = [PATH as i64 + 64, 7];
pub(crate) const EMPTY_DIR: [i64; 2] = [PATH as i64 + 128, 5];
pub(crate) const LINK: [i64; 2] = [PATH as i64 + 192, 4];
pub(crate) const SUBSCRIPTION: i64 = 20_000;
pub(crate) const EVENTS: i64 = 24_000;
pub(crate) const LOOPBACK: [i64; 2] = [PATH as i64 + 256, 9];

/// The files in its directory: on Windows there is no link.
pub(crate) const ENTRIES: usize = if cfg!(unix) { 3 } else { 2 };

pub(crate) struct World {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) sandbox: Sandbox,
    pub(crate) guest: Guest,
    pub(crate) _peers: (TcpStream, TcpListener),
}

impl World {
    pub(crate) fn new(access: Access) -> World {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file.txt"), "sixteen bytes of").unwrap();
        std::fs::create_dir(dir.path().join("empty")).unwrap();
        if cfg!(unix) {
            symlink("file.txt", dir.path().join("link")).unwrap();
        }
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut sandbox = sandbox(dir.path(), access, ANY)
            .with_console(Console::new(ConsoleOutput::Buffer).with_input(b"sixteen bytes in".as_slice()));
        let mut scopes = sandbox.scopes().clone();
        scopes.net.push("127.0.0.1:*".parse().unwrap());
        scopes.env.push(EnvScope::fixed("NAME", "value").unwrap());
        sandbox.set_scopes(scopes);
        sandbox.set_args(["guest", "argument"]);
        let mut guest = Guest::new(&sandbox);
        for (at, text) in [
            (FILE_PATH, "file.txt"),
            (NEW_PATH, "new.txt"),
            (EMPTY_DIR, "empty"),
            (LINK, "link"),
            (LOOPBACK, "127.0.0.1"),
        ] {
            guest.put(at[0] as u32, text.as_bytes());
            assert_eq!(at[1] as usize, text.len());
        }
        let rights = if access == Access::ReadWrite {
            ALL_RIGHTS
        } else {
            READ_RIGHTS | 1 | 1 << 4 | 1 << 7 | 1 << 3
        };
        let open = [DIR, 1, FILE_PATH[0], FILE_PATH[1], 0, rights, 0, 0, O];
        assert_eq!(guest.call("path_open", &open), SUCCESS);
        let port = server.local_addr().unwrap().port().into();
        assert_eq!(
            guest.call("tcp_connect", &[LOOPBACK[0], LOOPBACK[1], port, O]),
            SUCCESS
        );
        let (peer, _) = server.accept().unwrap();
        std::io::Write::write_all(&mut &peer, b"from the peer").unwrap();
        assert_eq!(
            guest.call("tcp_listen", &[LOOPBACK[0], LOOPBACK[1], 0, O]),
            SUCCESS
        );
        let listening = guest.u32(OUT + 4) as u16;
        // A client that waits to be accepted.
        let waiting = TcpStream::connect(("127.0.0.1", listening)).unwrap();
        std::mem::forget(waiting);
        // A buffer of 16 bytes, and a clock that is due immediately.
        guest.buffer(DATA, 16);
        guest.put(SUBSCRIPTION as u32 + 16, &1_u32.to_le_bytes());
        World {
            dir,
            sandbox,
            guest,
            _peers: (peer, server),
        }
    }
}

/// What a function returns without its capability.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Denied {
    Errno,
    /// The guest asked what is available: nothing is.
    As(i64),
}

pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) args: Vec<i64>,
    /// The indices of the arguments that are pointers, and of those that are lengths.
    pub(crate) pointers: &'static [usize],
    pub(crate) lengths: &'static [usize],
    /// The index of the argument that is a descriptor.
    pub(crate) fd: Option<usize>,
    pub(crate) denied: Denied,
    /// Whether it is refused in a directory that was granted read-only.
    pub(crate) writes: bool,
    /// What it returns for the console, a file, a directory and a listening socket.
    pub(crate) kinds: [Option<i64>; 4],
}

pub(crate) fn row(name: &'static str, args: &[i64]) -> Row {
    Row {
        name,
        args: args.to_vec(),
        pointers: &[],
        lengths: &[],
        fd: None,
        denied: Denied::Errno,
        writes: false,
        kinds: [None; 4],
    }
}

impl Row {
    fn pointers(mut self, pointers: &'static [usize]) -> Row {
        self.pointers = pointers;
        self
    }
    fn lengths(mut self, lengths: &'static [usize]) -> Row {
        self.lengths = lengths;
        self
    }
    fn fd(mut self, fd: usize, kinds: [i64; 4]) -> Row {
        self.fd = Some(fd);
        self.kinds = kinds.map(|errno| (errno >= 0).then_some(errno));
        self
    }
    fn writes(mut self) -> Row {
        self.writes = true;
        self
    }
    fn denied(mut self, errno: i64) -> Row {
        self.denied = Denied::As(errno);
        self
    }
}

/// A function on directories, for the console, files, directories (as in the row) and sockets.
pub(crate) const DIRS: [i64; 4] = [NOTDIR, NOTDIR, -1, NOTDIR];
/// A function on files: seeking makes no sense on streams.
pub(crate) const SEEKS: [i64; 4] = [SPIPE, -1, BADF, SPIPE];

pub(crate) fn rows() -> Vec<Row> {
    let [p, pl] = FILE_PATH;
    let [n, nl] = NEW_PATH;
    let [e, el] = EMPTY_DIR;
    let [l, ll] = LINK;
    let mut rows = vec![
        row("args_get", &[D, D + 64]).pointers(&[0, 1]).denied(SUCCESS),
        row("args_sizes_get", &[O, O2]).pointers(&[0, 1]).denied(SUCCESS),
        row("environ_get", &[D, D + 64]).pointers(&[0, 1]).denied(SUCCESS),
        row("environ_sizes_get", &[O, O2])
            .pointers(&[0, 1])
            .denied(SUCCESS),
        row("clock_res_get", &[0, O]).pointers(&[1]),
        row("clock_time_get", &[1, 0, O]).pointers(&[2]),
        row("fd_advise", &[FILE, 0, 8, 1]).fd(0, SEEKS),
        row("fd_allocate", &[FILE, 0, 32])
            .fd(0, [BADF, -1, BADF, BADF])
            .writes(),
        row("fd_close", &[FILE]).fd(0, [SUCCESS, SUCCESS, SUCCESS, SUCCESS]),
        row("fd_datasync", &[FILE]).fd(0, [INVAL, SUCCESS, SUCCESS, INVAL]),
        row("fd_fdstat_get", &[FILE, O])
            .pointers(&[1])
            .fd(0, [SUCCESS; 4]),
        row("fd_fdstat_set_flags", &[FILE, 1]).fd(0, [SUCCESS; 4]),
        row("fd_fdstat_set_rights", &[FILE, 0, 0]).fd(0, [SUCCESS; 4]),
        row("fd_filestat_get", &[FILE, O])
            .pointers(&[1])
            .fd(0, [SUCCESS; 4]),
        row("fd_filestat_set_size", &[FILE, 3])
            .fd(0, [BADF, -1, BADF, BADF])
            .writes(),
        row("fd_filestat_set_times", &[FILE, 1, 2, 5])
            .fd(0, [BADF, SUCCESS, SUCCESS, BADF])
            .writes(),
        row("fd_pread", &[FILE, B, 1, 0, O])
            .pointers(&[1, 4])
            .lengths(&[2])
            .fd(0, SEEKS),
        row("fd_prestat_dir_name", &[DIR, D, 5])
            .pointers(&[1])
            .fd(0, [BADF, BADF, -1, BADF])
            .denied(BADF),
        row("fd_prestat_get", &[DIR, O])
            .pointers(&[1])
            .fd(0, [BADF, BADF, -1, BADF])
            .denied(BADF),
        row("fd_pwrite", &[FILE, B, 1, 0, O])
            .pointers(&[1, 4])
            .lengths(&[2])
            .fd(0, SEEKS)
            .writes(),
        row("fd_read", &[FILE, B, 1, O])
            .pointers(&[1, 3])
            .lengths(&[2])
            .fd(0, [NOTCAPABLE, -1, BADF, NOTCAPABLE]),
        row("fd_readdir", &[DIR, D, 256, 0, O])
            .pointers(&[1, 4])
            .lengths(&[2])
            .fd(0, DIRS),
        row("fd_renumber", &[FILE, STREAM]).fd(0, [SUCCESS; 4]),
        row("fd_seek", &[FILE, 3, 0, O]).pointers(&[3]).fd(0, SEEKS),
        row("fd_sync", &[FILE]).fd(0, [INVAL, SUCCESS, SUCCESS, INVAL]),
        row("fd_tell", &[FILE, O]).pointers(&[1]).fd(0, SEEKS),
        row("fd_write", &[FILE, B, 1, O])
            .pointers(&[1, 3])
            .lengths(&[2])
            .fd(0, [SUCCESS, -1, BADF, NOTCAPABLE])
            .writes(),
        row("path_create_directory", &[DIR, n, nl])
            .pointers(&[1])
            .lengths(&[2])
            .fd(0, DIRS)
            .writes(),
        row("path_filestat_get", &[DIR, 0, p, pl, O])
            .pointers(&[2, 4])
            .lengths(&[3])
            .fd(0, DIRS),
        row("path_filestat_set_times", &[DIR, 0, p, pl, 1, 2, 5])
            .pointers(&[2])
            .lengths(&[3])
            .fd(0, DIRS)
            .writes(),
        row("path_link", &[DIR, 0, p, pl, DIR, n, nl])
            .pointers(&[2, 5])
            .lengths(&[3, 6])
            .fd(0, DIRS)
            .writes(),
        row("path_link", &[DIR, 0, p, pl, DIR, n, nl])
            .fd(4, DIRS)
            .writes(),
        row("path_open", &[DIR, 1, p, pl, 0, READ_RIGHTS, 0, 0, O])
            .pointers(&[2, 8])
            .lengths(&[3])
            .fd(0, DIRS),
        row("path_open", &[DIR, 1, n, nl, CREAT, ALL_RIGHTS, 0, 0, O])
            .fd(0, DIRS)
            .writes(),
        row("path_open", &[DIR, 1, p, pl, TRUNC, READ_RIGHTS, 0, 0, O]).writes(),
        row("path_open", &[DIR, 1, p, pl, 0, READ_RIGHTS, 0, 1, O]).writes(),
        row("path_readlink", &[DIR, l, ll, D, 64, O])
            .pointers(&[1, 3, 5])
            .lengths(&[2])
            .fd(0, DIRS),
        row("path_remove_directory", &[DIR, e, el])
            .pointers(&[1])
            .lengths(&[2])
            .fd(0, DIRS)
            .writes(),
        row("path_rename", &[DIR, p, pl, DIR, n, nl])
            .pointers(&[1, 4])
            .lengths(&[2, 5])
            .fd(0, DIRS)
            .writes(),
        row("path_rename", &[DIR, p, pl, DIR, n, nl]).fd(3, DIRS).writes(),
        row("path_symlink", &[p, pl, DIR, n, nl])
            .pointers(&[0, 3])
            .lengths(&[1, 4])
            .fd(2, DIRS)
            .writes(),
        row("path_unlink_file", &[DIR, p, pl])
            .pointers(&[1])
            .lengths(&[2])
            .fd(0, DIRS)
            .writes(),
        row("poll_oneoff", &[SUBSCRIPTION, EVENTS, 1, O])
            .pointers(&[0, 1, 3])
            .lengths(&[2]),
        row("random_get", &[D, 100]).pointers(&[0]).lengths(&[1]),
        row("sched_yield", &[]).denied(SUCCESS),
        row("sock_accept", &[LISTENER, 0, O])
            .pointers(&[2])
            .fd(0, [NOTSOCK, NOTSOCK, NOTSOCK, -1]),
        row("sock_recv", &[STREAM, B, 1, 0, O, O2])
            .pointers(&[1, 4, 5])
            .lengths(&[2])
            .fd(0, [NOTSOCK, NOTSOCK, NOTSOCK, NOTCAPABLE]),
        row("sock_send", &[STREAM, B, 1, 0, O])
            .pointers(&[1, 4])
            .lengths(&[2])
            .fd(0, [NOTSOCK, NOTSOCK, NOTSOCK, NOTCAPABLE]),
        row("sock_shutdown", &[STREAM, 3]).fd(0, [NOTSOCK, NOTSOCK, NOTSOCK, -1]),
    ];
    if cfg!(windows) {
        rows.retain(|row| !matches!(row.name, "path_readlink" | "path_symlink"));
    }
    rows
}
