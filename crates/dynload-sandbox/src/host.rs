//! What the host provides to a sandbox: a clock, entropy, a console, host functions.
//!
//! With `std` there is a default for clock and entropy; without `std` the embedder provides them.

mod caller;
mod console;
mod entropy;
mod first_use;
mod function;
mod functions;
mod growth;
mod guest_memory;
mod vais;

pub use caller::{Caller, MAX_REENTRY};
pub use console::{Console, ConsoleOutput, OutputError, OutputFn, Stream};
#[cfg(feature = "std")]
pub use entropy::OsEntropy;
pub use entropy::{Entropy, EntropyError, EntropyStream, SeededEntropy};
pub use function::{HostArgs, HostResults};
pub use functions::{HostFunctions, UnsupportedSignature};
pub use guest_memory::{GuestMemory, NoMemory, OutOfBounds};

pub(crate) use console::{ConsoleState, OpenConsole};
pub(crate) use first_use::define as define_first_use;
pub(crate) use function::HostFunction;
pub(crate) use growth::define as define_growth;
pub(crate) use vais::define as define_vais;
