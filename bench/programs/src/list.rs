//! The programs.

/// A program to measure.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// The name of the program, and the name of its driver's file without extension.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
    /// An argument of `run` for benchmarks.
    pub argument: i32,
    pub(crate) made: Made,
}

/// Where a program comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Made {
    /// A library and a driver, compiled.
    Compiled {
        /// Crates, each with the parts that are used.
        sources: &'static [Sources],
        /// Compiler flags, such as definitions.
        flags: &'static [&'static str],
    },
    /// CoreMark, from a header file in a crate.
    CoreMark {
        /// The crate's name.
        package: &'static str,
        /// The path of the header in the crate.
        header: &'static str,
    },
}

/// The parts of a crate that are used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sources {
    /// The crate's name.
    pub(crate) package: &'static str,
    /// The folder in the crate that the other paths are relative to.
    pub(crate) folder: &'static str,
    /// Folders of headers.
    pub(crate) include: &'static [&'static str],
    /// The files to compile.
    pub(crate) files: &'static [&'static str],
}

const fn program(
    name: &'static str,
    about: &'static str,
    argument: i32,
    sources: &'static [Sources],
    flags: &'static [&'static str],
) -> Program {
    Program {
        name,
        about,
        argument,
        made: Made::Compiled { sources, flags },
    }
}

/// All programs.
pub const PROGRAMS: &[Program] = &[
    program("blake3", "hashes", 1_000, BLAKE3, &[]),
    Program {
        name: "coremark",
        about: "sorts lists, multiplies matrices, runs a state machine",
        argument: 6,
        made: Made::CoreMark {
            package: "wasm3x-sys",
            header: "wasm3/source/extra/coremark_minimal.wasm.h",
        },
    },
    program("bzip2", "compresses and unpacks", 60, BZIP2, &["-DBZ_NO_STDIO"]),
    program(
        "lua",
        "interprets a Lua program",
        12,
        LUA,
        &["-D_WASI_EMULATED_SIGNAL", "-Ilua"],
    ),
    program("lz4", "compresses and unpacks", 60, LZ4, &[]),
    program("markdown", "turns Markdown into HTML", 1_000, HOEDOWN, &[]),
    program(
        "quickjs",
        "interprets a JavaScript program",
        8,
        QUICKJS,
        &["-D_GNU_SOURCE"],
    ),
    program(
        "sqlite",
        "fills and queries a database",
        4_000,
        SQLITE,
        SQLITE_FLAGS,
    ),
    program("tree_sitter", "parses JSON, incrementally", 120, TREE_SITTER, &[]),
    program("zlib", "compresses and unpacks", 100, ZLIB, &[]),
    program(
        "zstd",
        "compresses and unpacks",
        1_400,
        ZSTD,
        &["-DZSTD_DISABLE_ASM=1"],
    ),
];

const BLAKE3: &[Sources] = &[Sources {
    package: "blake3",
    folder: "c",
    include: &["."],
    files: &["blake3.c", "blake3_dispatch.c", "blake3_portable.c"],
}];

const BZIP2: &[Sources] = &[Sources {
    package: "bzip2-sys",
    folder: "bzip2-1.0.8",
    include: &["."],
    files: &[
        "blocksort.c",
        "bzlib.c",
        "compress.c",
        "crctable.c",
        "decompress.c",
        "huffman.c",
        "randtable.c",
    ],
}];

const HOEDOWN: &[Sources] = &[Sources {
    package: "hoedown",
    folder: "libhoedown/src",
    include: &["."],
    files: &[
        "autolink.c",
        "buffer.c",
        "document.c",
        "escape.c",
        "html.c",
        "html_blocks.c",
        "html_smartypants.c",
        "stack.c",
    ],
}];

const LUA: &[Sources] = &[Sources {
    package: "lua-src",
    folder: "lua-5.5.1",
    include: &["."],
    files: &[
        "lapi.c",
        "lauxlib.c",
        "lbaselib.c",
        "lcode.c",
        "lctype.c",
        "ldebug.c",
        "ldo.c",
        "ldump.c",
        "lfunc.c",
        "lgc.c",
        "llex.c",
        "lmem.c",
        "lobject.c",
        "lopcodes.c",
        "lparser.c",
        "lstate.c",
        "lstring.c",
        "lstrlib.c",
        "ltable.c",
        "ltablib.c",
        "ltm.c",
        "lundump.c",
        "lvm.c",
        "lzio.c",
    ],
}];

const LZ4: &[Sources] = &[Sources {
    package: "lz4-sys",
    folder: "liblz4/lib",
    include: &["."],
    files: &["lz4.c", "lz4hc.c"],
}];

const QUICKJS: &[Sources] = &[Sources {
    package: "rquickjs-sys",
    folder: "quickjs",
    include: &["."],
    files: &["dtoa.c", "libregexp.c", "libunicode.c", "quickjs.c"],
}];

const SQLITE: &[Sources] = &[Sources {
    package: "libsqlite3-sys",
    folder: "sqlite3",
    include: &["."],
    files: &["sqlite3.c"],
}];

const SQLITE_FLAGS: &[&str] = &[
    "-DSQLITE_OS_OTHER=1",
    "-DSQLITE_THREADSAFE=0",
    "-DSQLITE_OMIT_LOAD_EXTENSION",
    "-DSQLITE_OMIT_WAL",
    "-DSQLITE_TEMP_STORE=3",
];

const TREE_SITTER: &[Sources] = &[
    Sources {
        package: "tree-sitter",
        folder: ".",
        include: &["include", "src"],
        files: &["src/lib.c"],
    },
    Sources {
        package: "tree-sitter-json",
        folder: "src",
        include: &["."],
        files: &["parser.c"],
    },
];

const ZLIB: &[Sources] = &[Sources {
    package: "libz-sys",
    folder: "src/zlib",
    include: &["."],
    files: &[
        "adler32.c",
        "compress.c",
        "crc32.c",
        "deflate.c",
        "inffast.c",
        "inflate.c",
        "inftrees.c",
        "trees.c",
        "uncompr.c",
        "zutil.c",
    ],
}];

const ZSTD: &[Sources] = &[Sources {
    package: "zstd-sys",
    folder: "zstd/lib",
    include: &["."],
    files: &[
        "common/debug.c",
        "common/entropy_common.c",
        "common/error_private.c",
        "common/fse_decompress.c",
        "common/pool.c",
        "common/threading.c",
        "common/xxhash.c",
        "common/zstd_common.c",
        "compress/fse_compress.c",
        "compress/hist.c",
        "compress/huf_compress.c",
        "compress/zstd_compress.c",
        "compress/zstd_compress_literals.c",
        "compress/zstd_compress_sequences.c",
        "compress/zstd_compress_superblock.c",
        "compress/zstd_double_fast.c",
        "compress/zstd_fast.c",
        "compress/zstd_lazy.c",
        "compress/zstd_ldm.c",
        "compress/zstd_opt.c",
        "compress/zstd_preSplit.c",
        "compress/zstdmt_compress.c",
        "decompress/huf_decompress.c",
        "decompress/zstd_ddict.c",
        "decompress/zstd_decompress.c",
        "decompress/zstd_decompress_block.c",
    ],
}];
