//! Writes a random program: `cargo run -p dynload-oracle --example show SEED > program.wasm`.

use std::io::Write;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seed: u64 = std::env::args()
        .nth(1)
        .ok_or("missing argument: the seed")?
        .parse()?;
    std::io::stdout().write_all(&dynload_oracle::random::module(seed))?;
    Ok(())
}
