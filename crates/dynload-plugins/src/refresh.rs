//! Compares what is found with what is running.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use dynload_discovery::{ConfigValue, Discovery, Format, Manifest, Plugin, Severity};
use dynload_hotreload::{Builder, Config, Reloader, StartError};
use dynload_sandbox::Sandbox;

use crate::event::{EventKind, LoadFailure};
use crate::forward::Forward;
use crate::loader::{EntryLoader, WasmLoader};
use crate::plugins::{Running, Shared, unpoisoned};
use crate::settings::Setting;

/// What the last refresh knew.
#[derive(Default)]
pub(crate) struct Known {
    /// The texts of the problems and duplicates that were reported.
    problems: BTreeSet<String>,
    /// What was tried of each plugin, whether it runs or not.
    tried: BTreeMap<String, State>,
    /// What was found last time and not tried.
    pending: BTreeMap<String, State>,
    /// Why plugins were not even tried.
    refused: BTreeMap<String, String>,
}

/// What distinguishes two states of a plugin.
#[derive(Clone, PartialEq)]
struct State {
    manifest: Option<Manifest>,
    entry: Option<(PathBuf, Signature)>,
}

/// The metadata of a file.
#[derive(Clone, PartialEq)]
struct Signature {
    len: u64,
    modified: Option<SystemTime>,
    #[cfg(unix)]
    inode: (u64, u64, i64, i64),
}

impl Signature {
    fn of(metadata: &fs::Metadata) -> Signature {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        Signature {
            len: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            inode: (
                metadata.dev(),
                metadata.ino(),
                metadata.ctime(),
                metadata.ctime_nsec(),
            ),
        }
    }
}

impl State {
    fn of(plugin: &Plugin) -> State {
        State {
            manifest: plugin.manifest().cloned(),
            entry: plugin.entry_path().and_then(|path| {
                let metadata = fs::metadata(&path).ok()?;
                Some((path, Signature::of(&metadata)))
            }),
        }
    }
}

impl Shared {
    /// Searches, and loads, reloads or drops what has changed.
    pub(crate) fn refresh(&self) {
        let mut known = self.lock_known();
        let found = self.settings.scanner.scan();
        self.report_problems(&mut known, &found);
        self.drop_missing(&mut known, &found);
        let resolution = found.resolve_all();
        for id in &resolution.order {
            if let Some(plugin) = found.get(id.as_str()) {
                known.refused.remove(id.as_str());
                self.update(&mut known, plugin);
            }
        }
        let ordered: BTreeSet<_> = resolution.order.iter().collect();
        for plugin in &found.plugins {
            let id = plugin.id().as_str();
            if ordered.contains(plugin.id()) {
                continue;
            }
            let dependency = resolution.problems.iter().find(|problem| problem.is_about(id));
            let reason = match (plugin.incompatibilities().first(), dependency) {
                (Some(reason), _) => LoadFailure::Incompatible(reason.to_string()),
                (None, Some(problem)) => LoadFailure::Dependency(problem.clone()),
                (None, None) => continue,
            };
            let text = reason.to_string();
            if known.refused.get(id) != Some(&text) {
                known.refused.insert(id.to_owned(), text);
                self.fail(id, reason);
            }
        }
    }

    fn report_problems(&self, known: &mut Known, found: &Discovery) {
        let mut texts = BTreeSet::new();
        for problem in &found.problems {
            let text = problem.to_string();
            if !known.problems.contains(&text) && problem.severity != Severity::Note {
                let plugin = problem.plugin.as_ref().map(|id| id.as_str());
                self.events
                    .push(plugin, EventKind::Problem(Arc::new(problem.clone())));
            }
            texts.insert(text);
        }
        for duplicate in &found.duplicates {
            let text = duplicate.to_string();
            if !known.problems.contains(&text) {
                let plugin = Some(duplicate.id.as_str());
                self.events
                    .push(plugin, EventKind::Duplicate(Arc::new(duplicate.clone())));
            }
            texts.insert(text);
        }
        known.problems = texts;
    }

    /// Drops the plugins that are gone. One whose manifest or file has an error keeps running.
    fn drop_missing(&self, known: &mut Known, found: &Discovery) {
        let has_error = |id: &str| {
            let about = |problem: &dynload_discovery::Problem| {
                problem.severity == Severity::Error
                    && problem
                        .plugin
                        .as_ref()
                        .is_some_and(|plugin| plugin.as_str() == id)
            };
            found.problems.iter().any(about)
        };
        let is_gone = |id: &str| found.get(id).is_none() && !has_error(id);
        known.tried.retain(|id, _| !is_gone(id));
        known.refused.retain(|id, _| !is_gone(id));
        let mut running = unpoisoned(self.running.write());
        let gone: Vec<String> = running.keys().filter(|id| is_gone(id)).cloned().collect();
        let dropped: Vec<_> = gone.iter().filter_map(|id| running.remove(id)).collect();
        drop(running);
        for id in &gone {
            self.events.push(Some(id), EventKind::Removed);
        }
        // Not while others wait for the lock: it waits for threads.
        drop(dropped);
    }

    /// Loads a plugin if it is new or has changed.
    fn update(&self, known: &mut Known, plugin: &Plugin) {
        let id = plugin.id().as_str();
        let state = State::of(plugin);
        let tried = known.tried.get(id);
        if tried == Some(&state) {
            known.pending.remove(id);
            return;
        }
        let running = unpoisoned(self.running.read()).get(id).cloned();
        let is_watching = self.is_watching.load(Ordering::SeqCst);
        if let Some(running) = running.as_ref().filter(|running| {
            // Not what was tried last: that may have failed, and then this runs under the manifest before it.
            running.plugin.manifest() == plugin.manifest()
                && running.plugin.entry_path() == plugin.entry_path()
        }) {
            // Only the file has changed. While it is watched, the reloader notices by itself, and is already started.
            running.is_outdated.store(false, Ordering::SeqCst);
            let started = running.reloader.start();
            match started.and_then(|()| self.follow(running)) {
                // By `unwatch`: the next search tries again.
                Err(StartError::Stopped) => return,
                Err(error) => self.fail(id, failure(error)),
                Ok(()) => {}
            }
            known.pending.remove(id);
            known.tried.insert(id.to_owned(), state);
            return;
        }
        if is_watching && known.pending.get(id) != Some(&state) {
            known.pending.insert(id.to_owned(), state);
            return;
        }
        known.pending.remove(id);
        known.tried.insert(id.to_owned(), state);
        let reason = match self.load(plugin, running.is_some()) {
            Ok(Some((loaded, forward))) => {
                let loaded = Arc::new(loaded);
                let old = unpoisoned(self.running.write()).insert(id.to_owned(), Arc::clone(&loaded));
                drop(old);
                forward.release();
                // After it is found by `watch` and `unwatch`. It is started, so only they can interrupt this.
                let _ = self.follow(&loaded);
                return;
            }
            // The reloader has reported it.
            Ok(None) => None,
            Err(reason) => Some(reason),
        };
        if let Some(running) = running {
            running.is_outdated.store(true, Ordering::SeqCst);
            running.reloader.stop();
        }
        if let Some(reason) = reason {
            self.fail(id, reason);
        }
    }

    fn fail(&self, id: &str, reason: LoadFailure) {
        let keeps_running = unpoisoned(self.running.read()).contains_key(id);
        self.events.push(
            Some(id),
            EventKind::Failed {
                reason,
                keeps_running,
            },
        );
    }

    /// Loads a plugin. Returns `None` if its code cannot be loaded, which is reported.
    fn load(&self, plugin: &Plugin, replaces: bool) -> Result<Option<(Running, Arc<Forward>)>, LoadFailure> {
        let Some(entry) = plugin.entry_path() else {
            let reason = plugin.incompatibilities().first().map_or_else(
                || "it has no file for this platform".to_owned(),
                ToString::to_string,
            );
            return Err(LoadFailure::Incompatible(reason));
        };
        let admission = plugin.admit(&self.settings.policy).map_err(failure)?;
        let reductions = admission.reductions.clone();
        let settings = self.configuration(plugin)?;
        let config = Config::new(entry);
        let (loader, config) = match plugin.format() {
            Format::Wasm => {
                let sandbox = self.sandbox(plugin, admission, settings)?;
                let loader = WasmLoader::new(self.engine.clone(), Arc::new(sandbox));
                let loader = loader.with_instances(self.settings.instances);
                (EntryLoader::Wasm(loader), config.with_builder(Builder::None))
            }
            format => {
                let loader = self
                    .settings
                    .native
                    .clone()
                    .ok_or(LoadFailure::NativeNotAllowed)?
                    .with_settings(settings);
                let config = match format {
                    Format::Native => config.with_builder(Builder::None),
                    _ => config,
                };
                (EntryLoader::Native(loader), config)
            }
        };
        let reloader = Reloader::new(config, loader).map_err(failure)?;
        let forward = Arc::new(Forward::new(
            Arc::clone(&self.events),
            plugin,
            reductions,
            replaces,
        ));
        let of_reloader = Arc::clone(&forward);
        reloader.on_event(move |event| of_reloader.take(&event.kind));
        reloader.start().map_err(failure)?;
        if reloader.version() == 0 {
            // The thread of the reloader, which refers to it too, may end later.
            drop(reloader);
            forward.release();
            return Ok(None);
        }
        let running = Running {
            plugin: plugin.clone(),
            reloader,
            is_outdated: AtomicBool::new(false),
        };
        Ok(Some((running, forward)))
    }

    /// Returns the settings of a plugin, as texts.
    fn configuration(&self, plugin: &Plugin) -> Result<Vec<(String, String)>, LoadFailure> {
        let Some(manifest) = plugin.manifest() else {
            return Ok(Vec::new());
        };
        let settings = manifest.configure(&self.values(manifest)).map_err(failure)?;
        let texts = settings
            .into_iter()
            .map(|(name, value)| (name, value.to_string()));
        Ok(texts.collect())
    }

    /// Creates the sandbox of a Wasm plugin.
    fn sandbox(
        &self,
        plugin: &Plugin,
        admission: dynload_discovery::Admission,
        settings: Vec<(String, String)>,
    ) -> Result<Sandbox, LoadFailure> {
        let mut sandbox = Sandbox::new(admission.limits)
            .with_grant(admission.grant)
            .with_plugin_config(settings);
        #[cfg(unix)]
        sandbox.check_directories().map_err(failure)?;
        if let Some(prepare) = &self.settings.prepare {
            // A panic would end the watching thread without a word.
            catch_unwind(AssertUnwindSafe(|| prepare(plugin, &mut sandbox)))
                .map_err(|_| failure(PreparePanicked))?
                .map_err(|error| LoadFailure::Error(error.into()))?;
        }
        Ok(sandbox)
    }

    /// Returns the host's values for the settings of a plugin.
    fn values(&self, manifest: &Manifest) -> BTreeMap<String, ConfigValue> {
        let settings = self.settings.config.get(manifest.id.as_str());
        let values = settings.into_iter().flatten().map(|(name, setting)| {
            let value = match setting {
                Setting::Value(value) => value.clone(),
                Setting::Text(text) => {
                    let declared = manifest.config.get(name);
                    let value = declared.and_then(|field| field.value_type.parse(text));
                    // As a text it is an error that names both types.
                    value.unwrap_or_else(|| ConfigValue::String(text.clone()))
                }
            };
            (name.clone(), value)
        });
        values.collect()
    }
}

fn failure(error: impl std::error::Error + Send + Sync + 'static) -> LoadFailure {
    LoadFailure::Error(Arc::new(error))
}

/// The function of [`Settings::with_sandbox`](crate::Settings::with_sandbox) panicked.
#[derive(Debug)]
struct PreparePanicked;

impl fmt::Display for PreparePanicked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the host's function that prepares its sandbox panicked")
    }
}

impl std::error::Error for PreparePanicked {}
