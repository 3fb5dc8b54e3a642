//! Instances of one module that calls from several threads share.

use std::fmt;
use std::num::NonZero;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use dynload_sandbox::{Error, Instance, Module, Sandbox, Totals};

/// A bounded number of instances of one module.
///
/// An instance is created when it is first needed. One whose call was aborted is reset before its next use. A thread that needs
/// an instance while all are in use waits for one.
///
/// # Examples
///
/// ```
/// use std::num::NonZero;
/// use std::sync::Arc;
/// use std::time::Duration;
/// use dynload_plugins::Pool;
/// use dynload_plugins::sandbox::{Engine, Limits, Module, Sandbox};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let module = r#"(module (func (export "answer") (result i64) (i64.const 42)))"#;
/// # let module = Module::new(&Engine::default(), wat::parse_str(module)?)?;
/// let sandbox = Arc::new(Sandbox::new(Limits::DEFAULT));
/// let pool = Pool::new(sandbox, module, NonZero::new(4).unwrap());
/// let mut instance = pool.checkout(Duration::from_secs(1))?;
/// assert_eq!(instance.call_i64("answer", &[])?, 42);
/// # Ok(())
/// # }
/// ```
pub struct Pool {
    sandbox: Arc<Sandbox>,
    module: Module,
    most: usize,
    state: Mutex<State>,
    returned: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<Instance>,
    /// The threads that use an instance.
    users: Vec<ThreadId>,
    totals: Totals,
}

/// Why there is no instance.
#[derive(Clone)]
#[non_exhaustive]
pub enum PoolError {
    /// All instances were in use for the whole time.
    #[non_exhaustive]
    Busy {
        /// The number of instances.
        instances: usize,
        /// The time.
        waited: Duration,
    },
    /// All instances are in use, and this thread uses one of them: it would wait for itself.
    Reentered,
    /// An instance could not be created or reset.
    Instance(Error),
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PoolError::Busy { instances, waited } => write!(
                f,
                "all instances ({instances}) were in use for {waited:?}: allow more, or call less often"
            ),
            PoolError::Reentered => f.write_str(
                "all instances are in use, one of them by this thread: allow more, or do not call a plugin from its own host functions",
            ),
            PoolError::Instance(_) => f.write_str("an instance cannot be created"),
        }
    }
}

impl std::error::Error for PoolError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            PoolError::Instance(error) => Some(error),
            _ => None,
        }
    }
}

dynload_diagnostics::debug_with_causes!(PoolError);

impl Pool {
    /// Creates a pool of at most `most` instances, without creating any.
    #[must_use]
    pub fn new(sandbox: Arc<Sandbox>, module: Module, most: NonZero<usize>) -> Pool {
        Pool {
            sandbox,
            module,
            most: most.get(),
            state: Mutex::default(),
            returned: Condvar::new(),
        }
    }

    /// Takes an instance, and waits for one for at most `patience`. It is returned when the result is dropped.
    ///
    /// # Errors
    ///
    /// [`PoolError`].
    pub fn checkout(&self, patience: Duration) -> Result<Checkout<'_>, PoolError> {
        let start = Instant::now();
        let thread = thread::current().id();
        let mut state = self.lock();
        while state.users.len() >= self.most {
            if state.users.contains(&thread) {
                return Err(PoolError::Reentered);
            }
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Err(PoolError::Busy {
                    instances: self.most,
                    waited: patience,
                });
            }
            let waited = self.returned.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        state.users.push(thread);
        let idle = state.idle.pop();
        drop(state);
        // From here on, dropping it gives the place back.
        let mut checkout = Checkout {
            pool: self,
            instance: idle,
            user: thread,
            before: None,
        };
        match &mut checkout.instance {
            Some(instance) if instance.poisoned_by().is_some() => {
                instance.reset().map_err(PoolError::Instance)?;
            }
            Some(_) => {}
            None => {
                let instance = self.sandbox.instantiate(&self.module);
                checkout.instance = Some(instance.map_err(PoolError::Instance)?);
            }
        }
        checkout.before = Some(checkout.totals());
        Ok(checkout)
    }

    /// Runs calls in an instance.
    ///
    /// # Errors
    ///
    /// That of [`checkout`](Pool::checkout), or in the inner result that of the call.
    pub fn run<R>(
        &self,
        patience: Duration,
        call: impl FnOnce(&mut Instance) -> Result<R, Error>,
    ) -> Result<Result<R, Error>, PoolError> {
        let mut instance = self.checkout(patience)?;
        Ok(call(&mut instance))
    }

    /// Returns what the calls in all instances used that were returned to the pool. What the pool itself does to create and
    /// reset instances does not count.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.lock().totals
    }

    /// Returns the sandbox of the instances.
    #[must_use]
    pub fn sandbox(&self) -> &Sandbox {
        &self.sandbox
    }

    /// Returns the module.
    #[must_use]
    pub fn module(&self) -> &Module {
        &self.module
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Pool")
            .field("most", &self.most)
            .field("in_use", &state.users.len())
            .field("idle", &state.idle.len())
            .finish_non_exhaustive()
    }
}

/// An instance that was taken from a [`Pool`].
#[derive(Debug)]
pub struct Checkout<'a> {
    pool: &'a Pool,
    /// `None` only until it is created.
    instance: Option<Instance>,
    user: ThreadId,
    /// What the instance had used before; `None` until it is ready.
    before: Option<Totals>,
}

impl Deref for Checkout<'_> {
    type Target = Instance;

    fn deref(&self) -> &Instance {
        match &self.instance {
            Some(instance) => instance,
            None => unreachable!("`checkout` returns it with an instance"),
        }
    }
}

impl DerefMut for Checkout<'_> {
    fn deref_mut(&mut self) -> &mut Instance {
        match &mut self.instance {
            Some(instance) => instance,
            None => unreachable!("`checkout` returns it with an instance"),
        }
    }
}

impl Drop for Checkout<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.lock();
        if let Some(at) = state.users.iter().position(|user| *user == self.user) {
            state.users.swap_remove(at);
        }
        if let Some(instance) = self.instance.take() {
            if let Some(before) = self.before {
                let used = instance.totals().saturating_sub(before);
                state.totals = state.totals.saturating_add(used);
            }
            state.idle.push(instance);
        }
        drop(state);
        self.pool.returned.notify_one();
    }
}
