//! Prints the table of imports, or the capabilities that one import needs:
//! `cargo run -p dynload-caps --example needs -- wasi_snapshot_preview1 path_open`.

use dynload_caps::ImportNeeds;
use dynload_caps::imports::{self, Import};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [module, name] => match imports::find(module, name) {
            Some(import) => print(import),
            None => println!("{module}.{name}: unknown import"),
        },
        _ => imports::all().for_each(print),
    }
}

fn print(import: &Import) {
    let needs = match import.needs {
        ImportNeeds::AllOf(caps) => caps.to_string(),
        ImportNeeds::AnyOf(caps) => format!("any of {caps}"),
        _ => "nothing".to_owned(),
    };
    println!("{:<45} {needs}", format!("{}.{}", import.module, import.name));
}
