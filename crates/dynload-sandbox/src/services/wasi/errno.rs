//! The error numbers of WASI preview 1 (`errno` in the WASI documents).

use std::io;

/// An error number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
#[allow(dead_code, reason = "the list is that of the WASI documents")]
pub(in crate::services) enum Errno {
    Success = 0,
    TooBig = 1,
    Acces = 2,
    Addrinuse = 3,
    Addrnotavail = 4,
    Afnosupport = 5,
    Again = 6,
    Already = 7,
    Badf = 8,
    Badmsg = 9,
    Busy = 10,
    Canceled = 11,
    Child = 12,
    Connaborted = 13,
    Connrefused = 14,
    Connreset = 15,
    Deadlk = 16,
    Destaddrreq = 17,
    Dom = 18,
    Dquot = 19,
    Exist = 20,
    Fault = 21,
    Fbig = 22,
    Hostunreach = 23,
    Idrm = 24,
    Ilseq = 25,
    Inprogress = 26,
    Intr = 27,
    Inval = 28,
    Io = 29,
    Isconn = 30,
    Isdir = 31,
    Loop = 32,
    Mfile = 33,
    Mlink = 34,
    Msgsize = 35,
    Multihop = 36,
    Nametoolong = 37,
    Netdown = 38,
    Netreset = 39,
    Netunreach = 40,
    Nfile = 41,
    Nobufs = 42,
    Nodev = 43,
    Noent = 44,
    Noexec = 45,
    Nolck = 46,
    Nolink = 47,
    Nomem = 48,
    Nomsg = 49,
    Noprotoopt = 50,
    Nospc = 51,
    Nosys = 52,
    Notconn = 53,
    Notdir = 54,
    Notempty = 55,
    Notrecoverable = 56,
    Notsock = 57,
    Notsup = 58,
    Notty = 59,
    Nxio = 60,
    Overflow = 61,
    Ownerdead = 62,
    Perm = 63,
    Pipe = 64,
    Proto = 65,
    Protonosupport = 66,
    Prototype = 67,
    Range = 68,
    Rofs = 69,
    Spipe = 70,
    Srch = 71,
    Stale = 72,
    Timedout = 73,
    Txtbsy = 74,
    Xdev = 75,
    Notcapable = 76,
}

impl From<&io::Error> for Errno {
    fn from(error: &io::Error) -> Errno {
        #[cfg(unix)]
        if let Some(code) = error.raw_os_error() {
            return from_unix(rustix::io::Errno::from_raw_os_error(code));
        }
        #[cfg(windows)]
        if let Some(errno) = error.raw_os_error().and_then(from_windows) {
            return errno;
        }
        from_kind(error.kind())
    }
}

/// Maps errors of the operating system one to one.
#[cfg(unix)]
fn from_unix(errno: rustix::io::Errno) -> Errno {
    use rustix::io::Errno as Os;
    match errno {
        Os::TOOBIG => Errno::TooBig,
        Os::ACCESS => Errno::Acces,
        Os::ADDRINUSE => Errno::Addrinuse,
        Os::ADDRNOTAVAIL => Errno::Addrnotavail,
        Os::AFNOSUPPORT => Errno::Afnosupport,
        Os::AGAIN => Errno::Again,
        Os::ALREADY => Errno::Already,
        Os::BADF => Errno::Badf,
        Os::BUSY => Errno::Busy,
        Os::CANCELED => Errno::Canceled,
        Os::CHILD => Errno::Child,
        Os::CONNABORTED => Errno::Connaborted,
        Os::CONNREFUSED => Errno::Connrefused,
        Os::CONNRESET => Errno::Connreset,
        Os::DEADLK => Errno::Deadlk,
        Os::DESTADDRREQ => Errno::Destaddrreq,
        Os::DQUOT => Errno::Dquot,
        Os::EXIST => Errno::Exist,
        Os::FAULT => Errno::Fault,
        Os::FBIG => Errno::Fbig,
        Os::HOSTUNREACH => Errno::Hostunreach,
        Os::ILSEQ => Errno::Ilseq,
        Os::INPROGRESS => Errno::Inprogress,
        Os::INTR => Errno::Intr,
        Os::INVAL => Errno::Inval,
        Os::ISCONN => Errno::Isconn,
        Os::ISDIR => Errno::Isdir,
        Os::LOOP => Errno::Loop,
        Os::MFILE => Errno::Mfile,
        Os::MLINK => Errno::Mlink,
        Os::MSGSIZE => Errno::Msgsize,
        Os::NAMETOOLONG => Errno::Nametoolong,
        Os::NETDOWN => Errno::Netdown,
        Os::NETRESET => Errno::Netreset,
        Os::NETUNREACH => Errno::Netunreach,
        Os::NFILE => Errno::Nfile,
        Os::NOBUFS => Errno::Nobufs,
        Os::NODEV => Errno::Nodev,
        Os::NOENT => Errno::Noent,
        Os::NOEXEC => Errno::Noexec,
        Os::NOLCK => Errno::Nolck,
        Os::NOMEM => Errno::Nomem,
        Os::NOPROTOOPT => Errno::Noprotoopt,
        Os::NOSPC => Errno::Nospc,
        Os::NOSYS => Errno::Nosys,
        Os::NOTCONN => Errno::Notconn,
        Os::NOTDIR => Errno::Notdir,
        Os::NOTEMPTY => Errno::Notempty,
        Os::NOTSOCK => Errno::Notsock,
        Os::OPNOTSUPP => Errno::Notsup,
        Os::NOTTY => Errno::Notty,
        Os::NXIO => Errno::Nxio,
        Os::OVERFLOW => Errno::Overflow,
        Os::PERM => Errno::Perm,
        Os::PIPE => Errno::Pipe,
        Os::PROTO => Errno::Proto,
        Os::PROTONOSUPPORT => Errno::Protonosupport,
        Os::PROTOTYPE => Errno::Prototype,
        Os::RANGE => Errno::Range,
        Os::ROFS => Errno::Rofs,
        Os::SPIPE => Errno::Spipe,
        Os::SRCH => Errno::Srch,
        Os::STALE => Errno::Stale,
        Os::TIMEDOUT => Errno::Timedout,
        Os::TXTBSY => Errno::Txtbsy,
        Os::XDEV => Errno::Xdev,
        _ => Errno::Io,
    }
}

/// Maps the codes of `GetLastError` and Windows Sockets whose kind in the standard library says less, or nothing.
#[cfg(windows)]
fn from_windows(code: i32) -> Option<Errno> {
    Some(match code {
        // ERROR_TOO_MANY_OPEN_FILES, WSAEMFILE
        4 | 10024 => Errno::Mfile,
        // ERROR_ACCESS_DENIED
        5 => Errno::Acces,
        // ERROR_INVALID_HANDLE
        6 => Errno::Badf,
        // ERROR_SHARING_VIOLATION, ERROR_LOCK_VIOLATION
        32 | 33 => Errno::Busy,
        // ERROR_HANDLE_DISK_FULL, ERROR_DISK_FULL
        39 | 112 => Errno::Nospc,
        // ERROR_INVALID_NAME, ERROR_BAD_PATHNAME
        123 | 161 => Errno::Inval,
        // ERROR_NEGATIVE_SEEK
        131 => Errno::Inval,
        // ERROR_FILE_TOO_LARGE
        223 => Errno::Fbig,
        // ERROR_DIRECTORY
        267 => Errno::Notdir,
        // ERROR_DIRECTORY_NOT_SUPPORTED
        336 => Errno::Isdir,
        // ERROR_STOPPED_ON_SYMLINK, ERROR_CANT_RESOLVE_FILENAME
        681 | 1921 => Errno::Loop,
        // ERROR_TOO_MANY_LINKS
        1142 => Errno::Mlink,
        // ERROR_PRIVILEGE_NOT_HELD
        1314 => Errno::Perm,
        // ERROR_NOT_A_REPARSE_POINT
        4390 => Errno::Inval,
        // WSAEMSGSIZE
        10040 => Errno::Msgsize,
        // WSAEPROTONOSUPPORT, WSAEOPNOTSUPP
        10043 => Errno::Protonosupport,
        10045 => Errno::Notsup,
        // WSAEPFNOSUPPORT, WSAEAFNOSUPPORT
        10046 | 10047 => Errno::Afnosupport,
        // WSAENOBUFS
        10055 => Errno::Nobufs,
        // WSAEISCONN
        10056 => Errno::Isconn,
        // WSAESHUTDOWN
        10058 => Errno::Pipe,
        _ => return None,
    })
}

/// Maps errors by their kind: those that do not come from the operating system, and most of Windows.
fn from_kind(kind: io::ErrorKind) -> Errno {
    use io::ErrorKind as Kind;
    match kind {
        Kind::NotFound => Errno::Noent,
        // The error of `cap-std` for a path that leaves its directory.
        Kind::PermissionDenied => Errno::Perm,
        Kind::AlreadyExists => Errno::Exist,
        Kind::InvalidInput => Errno::Inval,
        Kind::WouldBlock => Errno::Again,
        Kind::NotADirectory => Errno::Notdir,
        Kind::IsADirectory => Errno::Isdir,
        Kind::DirectoryNotEmpty => Errno::Notempty,
        Kind::ConnectionRefused => Errno::Connrefused,
        Kind::ConnectionReset => Errno::Connreset,
        Kind::ConnectionAborted => Errno::Connaborted,
        Kind::NotConnected => Errno::Notconn,
        Kind::AddrInUse => Errno::Addrinuse,
        Kind::AddrNotAvailable => Errno::Addrnotavail,
        Kind::BrokenPipe => Errno::Pipe,
        Kind::HostUnreachable => Errno::Hostunreach,
        Kind::NetworkUnreachable => Errno::Netunreach,
        Kind::NetworkDown => Errno::Netdown,
        Kind::StorageFull => Errno::Nospc,
        Kind::QuotaExceeded => Errno::Dquot,
        Kind::FileTooLarge => Errno::Fbig,
        Kind::ReadOnlyFilesystem => Errno::Rofs,
        Kind::NotSeekable => Errno::Spipe,
        Kind::CrossesDevices => Errno::Xdev,
        Kind::TooManyLinks => Errno::Mlink,
        Kind::ResourceBusy => Errno::Busy,
        Kind::ExecutableFileBusy => Errno::Txtbsy,
        Kind::Deadlock => Errno::Deadlk,
        Kind::InvalidData => Errno::Ilseq,
        Kind::TimedOut => Errno::Timedout,
        Kind::Interrupted => Errno::Intr,
        Kind::OutOfMemory => Errno::Nomem,
        Kind::Unsupported => Errno::Notsup,
        Kind::InvalidFilename => Errno::Nametoolong,
        _ => Errno::Io,
    }
}
