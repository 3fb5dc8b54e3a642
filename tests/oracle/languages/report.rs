//! Reports what a program of Rust sees and does through its standard library. The other programs print the same.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, ErrorKind, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, process, thread};

fn numbers() -> u32 {
    let mut all = Vec::new();
    for part in 0..4_u32 {
        let mut state = part;
        for _ in 0..25_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            all.push(state);
        }
    }
    all.sort_unstable();
    all.into_iter()
        .fold(0, |hash: u32, number| hash.wrapping_mul(31).wrapping_add(number))
}

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    println!("arguments: {}", arguments.join("|"));
    let mut variables: Vec<String> = env::vars().map(|(name, value)| format!("{name}={value}")).collect();
    variables.sort();
    println!("environment: {}", variables.join(" "));
    let mut input = String::new();
    io::stdin().read_to_string(&mut input)?;
    println!("input: {input}");

    let root = Path::new("/data");
    let mut entries = fs::read_dir(root)?.collect::<io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let ty = entry.file_type()?;
        let kind = match (ty.is_symlink(), ty.is_dir()) {
            (true, _) => "symlink",
            (_, true) => "directory",
            _ => "file",
        };
        println!("{kind} {}", entry.file_name().display());
    }
    println!("through a symlink: {}", fs::read_to_string(root.join("link/deep"))?);
    let missing = fs::read(root.join("missing")).map_err(|error| error.kind());
    println!("missing: {}", missing == Err(ErrorKind::NotFound));
    println!("outside: refused {}", fs::read(root.join("outside/secret")).is_err());
    let exists = fs::create_dir(root.join("directory")).map_err(|error| error.kind());
    println!("exists: {}", exists == Err(ErrorKind::AlreadyExists));

    let (inner, lines) = (root.join("made/inner"), root.join("made/lines"));
    fs::create_dir_all(&inner)?;
    let mut writer = BufWriter::new(File::create(inner.join("lines"))?);
    for number in 0..1000 {
        writeln!(writer, "line {number}")?;
    }
    writer.flush()?;
    drop(writer);
    fs::rename(inner.join("lines"), &lines)?;
    fs::remove_dir(&inner)?;
    OpenOptions::new().append(true).open(&lines)?.write_all(b"end\n")?;
    let text = fs::read_to_string(&lines)?;
    println!("lines: {} bytes: {}", text.lines().count(), fs::metadata(&lines)?.len());
    OpenOptions::new().write(true).open(&lines)?.set_len(7)?;

    println!("numbers: {}", numbers());
    let start = Instant::now();
    thread::sleep(Duration::from_millis(1));
    println!("slept: {}", start.elapsed() >= Duration::from_millis(1));
    // The hasher of a map takes its keys from the random numbers of the system.
    let maps = [HashMap::<u32, u32>::from([(1, 2)]), HashMap::from([(1, 2)])];
    println!("random: {}", maps[0] == maps[1]);
    eprintln!("to standard error");
    process::exit(7)
}
