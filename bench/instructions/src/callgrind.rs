//! Runs this program under Callgrind.

use std::error::Error;
use std::process::{Command, Stdio};

use crate::paths::{Path, Side};

/// Returns the instructions of one repetition. Subtracts the count of a run from that of a run with twice as many
/// repetitions, so that one-time work (process start, setup) does not count.
pub(crate) fn instructions(path: &Path, side: Side) -> Result<u64, Box<dyn Error>> {
    let once = total(path, side, path.times)?;
    let twice = total(path, side, path.times * 2)?;
    let difference = twice.checked_sub(once).ok_or_else(|| {
        format!(
            "`{}`: {} repetitions took fewer instructions than half as many",
            path.name,
            path.times * 2
        )
    })?;
    Ok(difference / u64::from(path.times))
}

/// Returns the instructions of a whole process.
fn total(path: &Path, side: Side, times: u32) -> Result<u64, Box<dyn Error>> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe()?)
        .args(["run", path.name, side.name(), &times.to_string()])
        .stdin(Stdio::null())
        .output()
        .map_err(|cause| {
            format!(
                "cannot start valgrind ({cause}): install it, for example with `apt-get install valgrind`"
            )
        })?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("`{}` failed under valgrind:\n{said}", path.name).into());
    }
    collected(&said).ok_or_else(|| format!("valgrind reported no count:\n{said}").into())
}

/// Returns the number in Callgrind's last line of the form `==PID== Collected : NUMBER`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().rev().find(|line| line.contains("Collected : "))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_parsed() {
        let said = "==7== Callgrind\n==7== Events    : Ir\n==7== Collected : 123456\n==7== \n==7== I   refs:      123,456\n";
        assert_eq!(collected(said), Some(123_456));
        assert_eq!(collected("==7== nothing"), None);
    }
}
