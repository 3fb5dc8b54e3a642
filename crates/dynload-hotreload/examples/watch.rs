//! Watches a plugin's source, rebuilds and reloads it on every save, and calls its `int64_t NAME(void)`:
//! `cargo run -p dynload-hotreload --example watch -- SOURCE NAME`. The command `dynload` of `dynload-cli` does this for
//! WebAssembly.

use std::error::Error;

use dynload_hotreload::{Config, EventKind, Reloader, native_loader};

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(source), Some(name)) = (args.next(), args.next()) else {
        return Err("usage: watch SOURCE NAME".into());
    };
    // SAFETY: users who start this program on their source want its code to run.
    let loader = unsafe { native_loader!() };
    let reloader = Reloader::new(Config::new(source), loader)?;
    let events = reloader.subscribe();
    reloader.start()?;
    for event in events {
        match &event.kind {
            EventKind::Failed { step, error, .. } => println!("failed to {step}: {}", error.report()),
            _ => println!("{event}"),
        }
        if let (EventKind::Swapped { .. }, Some(plugin)) = (&event.kind, reloader.current()) {
            // SAFETY: the user asserts that the plugin exports such a function.
            let function = unsafe { plugin.library().symbol::<extern "C" fn() -> i64>(name.as_str()) };
            match function {
                Ok(function) => println!("{name}() = {}", function()),
                Err(error) => println!("{error:?}"),
            }
        }
    }
    Ok(())
}
