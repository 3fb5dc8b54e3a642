//! Builds a plugin, calls it, rebuilds it, reloads it, and breaks it: `cargo run --example reload`
//!
//! It requires a C compiler named `cc`.

use std::error::Error;
use std::path::Path;
use std::process::Command;

use dynload_native::{Flags, Module, library_filename};

fn build(source: &str, out: &Path) -> Result<(), Box<dyn Error>> {
    let file = out.with_extension("c");
    std::fs::write(&file, source)?;
    let status = Command::new("cc")
        .args(["-shared", "-fPIC"])
        .arg(file)
        .arg("-o")
        .arg(out)
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("cc: {status}").into())
    }
}

fn price(module: &Module) -> Result<i64, Box<dyn Error>> {
    let call = module.enter()?;
    // SAFETY: each version of the source below declares `price` with this type.
    let price = unsafe { call.symbol::<extern "C" fn(i64) -> i64>("price") }?;
    Ok(price(100))
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::temp_dir().join(format!("reload-example-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let path = directory.join(library_filename("shop"));

    build("long long price(long long net) { return net; }", &path)?;
    // SAFETY: the plugin is ours; none of its versions has constructors.
    let module = unsafe { Module::load(&path, Flags::NOW) }?;
    println!("version {}: the price is {}", module.version(), price(&module)?);

    build("long long price(long long net) { return net + net / 5; }", &path)?;
    // SAFETY: as above.
    let version = unsafe { module.reload() }?;
    println!("version {version}: the price is {}", price(&module)?);

    // An interrupted build: half of a library. A bare dlopen would die of SIGBUS here.
    let whole = std::fs::read(&path)?;
    std::fs::write(&path, &whole[..whole.len() / 2])?;
    // SAFETY: as above.
    if let Err(error) = unsafe { module.reload() } {
        println!("the {} step failed: {error}", error.step());
        let mut cause = error.source();
        while let Some(error) = cause {
            println!("  caused by: {error}");
            cause = error.source();
        }
    }
    println!(
        "version {} keeps running: the price is {}",
        module.version(),
        price(&module)?
    );
    println!(
        "{} image(s) are still mapped and no longer used",
        dynload_native::detached_images().len()
    );

    std::fs::remove_dir_all(directory)?;
    Ok(())
}
