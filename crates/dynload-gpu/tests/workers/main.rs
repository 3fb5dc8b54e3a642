//! The host's side against programs that are not the worker: they hang, lie, flood, die, and leave processes behind.
//!
//! This program is its own fake worker, so it has no test harness: a variable says what the fake does. The tests run one after
//! another, because they count the processes and descriptors of this one.

#[cfg(unix)]
mod fake;
#[cfg(unix)]
mod left;
#[cfg(unix)]
mod sessions;
#[cfg(unix)]
mod starts;

#[cfg(unix)]
fn main() {
    if let Some(behavior) = std::env::var_os(fake::VARIABLE) {
        fake::run(&behavior.to_string_lossy());
    }
    // Cargo passes a filter, and options that have no meaning here.
    let filters: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let tests = starts::TESTS.iter().chain(sessions::TESTS);
    for (name, test) in tests {
        if filters.is_empty() || filters.iter().any(|filter| name.contains(filter)) {
            print!("test {name} ... ");
            left::nothing_is_left(test);
            println!("ok");
        }
    }
}

#[cfg(not(unix))]
fn main() {}
