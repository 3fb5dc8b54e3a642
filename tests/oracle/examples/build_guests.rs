//! Compiles every guest and writes it to `tests/guests/wasm`: `cargo run -p dynload-oracle --example build_guests`.

use dynload_oracle::guests;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = guests::folder().join("wasm");
    std::fs::create_dir_all(&folder)?;
    for guest in guests::ALL {
        let wasm = guests::build(guest.name)?;
        println!("{}: {} bytes", guest.name, wasm.len());
        std::fs::write(folder.join(guest.name).with_extension("wasm"), wasm)?;
    }
    Ok(())
}
