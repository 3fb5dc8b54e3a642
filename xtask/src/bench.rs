//! `cargo xtask bench`.

use crate::arguments::Arguments;
use crate::cargo::{cargo, root, run};
use crate::failure::Failure;

/// The comparison with other systems has its own workspace, so that their dependencies stay out of the default build; the
/// crates' own benchmarks are always there.
pub(crate) fn command(arguments: Arguments) -> Result<(), Failure> {
    let rest = arguments.rest();
    let peers = root().join("bench");
    if peers.join("Cargo.toml").is_file() {
        return run(cargo(["run", "--release", "--"]).args(rest).current_dir(peers));
    }
    let mut command = cargo(["bench", "--workspace", "--bench", "*"]);
    if !rest.is_empty() {
        command.arg("--").args(rest);
    }
    run(&mut command)
}
