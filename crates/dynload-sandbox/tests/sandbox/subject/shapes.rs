//! Hostile modules, parameterized by the number of one of their parts.

/// Unsigned LEB128. ([Wasm spec, integers](https://webassembly.github.io/spec/core/binary/values.html#integers))
pub(crate) fn leb(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            out.push(byte);
            return out;
        }
        out.push(byte | 0x80);
    }
}

/// A section with `count` entries.
pub(crate) fn section(id: u8, count: u64, entries: &[u8]) -> Vec<u8> {
    let mut contents = leb(count);
    contents.extend_from_slice(entries);
    let mut out = vec![id];
    out.extend(leb(contents.len() as u64));
    out.extend(contents);
    out
}

pub(crate) fn binary(sections: &[Vec<u8>]) -> Vec<u8> {
    let mut out = b"\0asm\x01\0\0\0".to_vec();
    out.extend(sections.concat());
    out
}

/// A module of functions of type 0 with these bodies, locals included.
pub(crate) fn functions(ty: &[u8], bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut code = Vec::new();
    for body in bodies {
        code.extend(leb(body.len() as u64));
        code.extend_from_slice(body);
    }
    let count = bodies.len() as u64;
    binary(&[
        section(1, 1, ty),
        section(3, count, &vec![0; bodies.len()]),
        section(10, count, &code),
    ])
}

pub(crate) const EMPTY_TYPE: &[u8] = &[0x60, 0, 0];

/// A module of size `n`, in some unit.
pub(crate) type Family = (&'static str, usize, fn(usize) -> Vec<u8>);

/// A body with a part that occurs `n` times.
pub(crate) fn body(before: &[u8], part: &[u8], n: usize, after: &[u8]) -> Vec<u8> {
    let mut body = vec![0];
    body.extend_from_slice(before);
    body.extend(part.repeat(n));
    body.extend_from_slice(after);
    body.push(0x0b);
    body
}

/// Inserts a section before the code of a module that [`functions`] created from the empty type and one function.
fn before_code(module: &[u8], section: &[u8]) -> Vec<u8> {
    // Header, types and functions.
    let at = 8 + 6 + 4;
    [&module[..at], section, &module[at..]].concat()
}

fn with_memory(module: &[u8]) -> Vec<u8> {
    before_code(module, &section(5, 1, &[0, 1]))
}

pub(crate) const BLOCK: [u8; 2] = [0x02, 0x40];
pub(crate) const END: u8 = 0x0b;

pub(crate) fn families() -> Vec<Family> {
    vec![
        ("straight code", 40_000, |n| {
            functions(EMPTY_TYPE, &[body(&[], &[0x41, 1, 0x1a], n, &[])])
        }),
        ("operators of a byte", 100_000, |n| {
            functions(EMPTY_TYPE, &[body(&[0x41, 1], &[0x67], n, &[0x1a])])
        }),
        ("loads", 40_000, |n| {
            let code = functions(EMPTY_TYPE, &[body(&[0x41, 1], &[0x28, 0, 0], n, &[0x1a])]);
            with_memory(&code)
        }),
        ("calls", 40_000, |n| {
            functions(EMPTY_TYPE, &[body(&[], &[0x10, 0], n, &[])])
        }),
        ("nops", 100_000, |n| {
            functions(EMPTY_TYPE, &[body(&[], &[0x01], n, &[])])
        }),
        ("dead code", 100_000, |n| {
            functions(EMPTY_TYPE, &[body(&[0x00], &[0x41, 1, 0x1a], n, &[])])
        }),
        ("empty loops", 20_000, |n| {
            functions(EMPTY_TYPE, &[body(&[], &[0x03, 0x40, END], n, &[])])
        }),
        ("arms that return values", 10_000, |n| {
            let part = [0x41, 1, 0x04, 0x7f, 0x41, 2, 0x05, 0x41, 3, END, 0x1a];
            functions(EMPTY_TYPE, &[body(&[], &part, n, &[])])
        }),
        ("returns", 10_000, |n| {
            let part = [0x41, 1, 0x04, 0x40, 0x0f, END];
            functions(EMPTY_TYPE, &[body(&[], &part, n, &[])])
        }),
        ("locals that are set", 40_000, |n| {
            let part = [0x20, 0, 0x21, 1, 0x20, 1, 0x21, 0];
            let locals = [vec![1, 2, 0x7f], part.repeat(n), vec![END]].concat();
            functions(EMPTY_TYPE, &[locals])
        }),
        ("globals that are set", 40_000, |n| {
            let code = functions(EMPTY_TYPE, &[body(&[], &[0x23, 0, 0x24, 0], n, &[])]);
            before_code(&code, &section(6, 1, &[0x7f, 1, 0x41, 1, END]))
        }),
        ("empty ifs", 20_000, |n| {
            functions(EMPTY_TYPE, &[body(&[], &[0x41, 1, 0x04, 0x40, END], n, &[])])
        }),
        ("branches out of many blocks", 5_000, |n| {
            let branch = [0x41, 1, 0x0d, 0xe3, 0x07];
            functions(
                EMPTY_TYPE,
                &[body(&BLOCK.repeat(999), &branch, n, &[END].repeat(999))],
            )
        }),
        (
            "many branches to two labels with much code after them",
            10_000,
            |n| {
                let branches = [0x41, 1, 0x0d, 0, 0x41, 1, 0x0d, 1];
                let after = [vec![END], [0x41, 1, 0x1a].repeat(n)].concat();
                functions(
                    EMPTY_TYPE,
                    &[body(&BLOCK.repeat(2), &branches, n, &after.repeat(2))],
                )
            },
        ),
        ("a large br_table out of many blocks", 20_000, |n| {
            let targets: Vec<u8> = (0..n).flat_map(|i| leb((i % 999) as u64)).collect();
            let table = [vec![0x41, 1, 0x0e], leb(n as u64), targets, vec![0]].concat();
            functions(
                EMPTY_TYPE,
                &[body(&BLOCK.repeat(999), &table, 1, &[END].repeat(999))],
            )
        }),
        ("many small br_tables", 10_000, |n| {
            functions(
                EMPTY_TYPE,
                &[body(&[], &[0x02, 0x40, 0x41, 1, 0x0e, 1, 0, 0, END], n, &[])],
            )
        }),
        ("table growth", 5_000, |n| {
            let code = functions(
                EMPTY_TYPE,
                &[body(&[], &[0xd0, 0x70, 0x41, 1, 0xfc, 15, 0, 0x1a], n, &[])],
            );
            before_code(&code, &section(4, 1, &[0x70, 0, 0]))
        }),
        ("memory growth", 5_000, |n| {
            let code = functions(EMPTY_TYPE, &[body(&[], &[0x41, 1, 0x40, 0, 0x1a], n, &[])]);
            with_memory(&code)
        }),
        ("selects after comparisons", 10_000, |n| {
            let part = [0x41, 1, 0x41, 2, 0x20, 0, 0x45, 0x1b, 0x1a];
            let locals = [vec![1, 1, 0x7f], part.repeat(n), vec![END]].concat();
            functions(EMPTY_TYPE, &[locals])
        }),
        ("addresses beyond a memory", 10_000, |n| {
            let part = [0x41, 0x80, 0x80, 0x80, 0x08, 0x41, 1, 0x36, 0, 0];
            with_memory(&functions(EMPTY_TYPE, &[body(&[], &part, n, &[])]))
        }),
        ("br_tables that carry values", 2_000, |n| {
            let part = [
                vec![0x02, 1, 0x02, 1],
                CONSTANTS.repeat(2),
                vec![0x41, 0, 0x0e, 1, 0, 1, END, END, 0x1a, 0x1a],
            ]
            .concat();
            let types = [vec![0x60, 0, 0], vec![0x60, 0, 2, 0x7f, 0x7f]].concat();
            let code = body(&[], &part, n, &[]);
            binary(&[
                section(1, 2, &types),
                section(3, 1, &[0]),
                section(10, 1, &[leb(code.len() as u64), code].concat()),
            ])
        }),
        ("functions", 20_000, |n| {
            functions(EMPTY_TYPE, &vec![vec![0, END]; n])
        }),
        ("functions with many locals", 400, |n| {
            functions(
                EMPTY_TYPE,
                &vec![[leb(1), leb(9_000), vec![0x7f, END]].concat(); n],
            )
        }),
        ("groups of locals", 1_000, |n| {
            functions(
                EMPTY_TYPE,
                &[[leb(n as u64), [1, 0x7f].repeat(n), vec![END]].concat()],
            )
        }),
        ("types", 20_000, |n| {
            let types: Vec<u8> = (0..n)
                .flat_map(|i| {
                    let params: Vec<u8> = (0..16)
                        .map(|bit| if i >> bit & 1 == 1 { 0x7f } else { 0x7e })
                        .collect();
                    [vec![0x60, 16], params, vec![0]].concat()
                })
                .collect();
            binary(&[section(1, n as u64, &types)])
        }),
        ("exports", 20_000, |n| {
            let exports: Vec<u8> = (0..n)
                .flat_map(|i| {
                    let name = format!("{i:08}");
                    [leb(8), name.into_bytes(), vec![0, 0]].concat()
                })
                .collect();
            binary(&[
                section(1, 1, EMPTY_TYPE),
                section(3, 1, &[0]),
                section(7, n as u64, &exports),
                section(10, 1, &[2, 0, END]),
            ])
        }),
        ("globals", 20_000, |n| {
            binary(&[section(6, n as u64, &[0x7f, 0, 0x41, 1, END].repeat(n))])
        }),
        ("data segments", 20_000, |n| {
            binary(&[section(11, n as u64, &[1, 1, 0].repeat(n))])
        }),
        // 16 values are not counted.
        ("values through blocks", 5_000, |n| {
            functions(
                &values(16),
                &[body(&CONSTANTS.repeat(16), &[0x02, 0, END], n, &[])],
            )
        }),
        ("branches that carry values", 5_000, |n| {
            functions(
                &values(16),
                &[body(&CONSTANTS.repeat(16), &[0x41, 1, 0x0d, 0], n, &[])],
            )
        }),
    ]
}

pub(crate) const CONSTANTS: [u8; 2] = [0x41, 1];

/// The type of functions and blocks that take and return `n` i32 values.
pub(crate) fn values(n: usize) -> Vec<u8> {
    [
        vec![0x60],
        leb(n as u64),
        vec![0x7f; n],
        leb(n as u64),
        vec![0x7f; n],
    ]
    .concat()
}
