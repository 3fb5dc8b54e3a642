//! `dynload audit`: compares plugins with their manifests.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use dynload_caps::ImportNeeds;
use dynload_diagnostics::{listed, nearest_name, printable};
use dynload_discovery::{
    Audit, DependencyProblem, Discovery, Duplicate, Plugin, Problem, Scanner, Severity, Undeclared,
};
use serde_json::{Value, json};

use crate::exit::{Failure, chain, code, print};
use crate::progress;
use crate::scan::{ScanOptions, Scanned, count, documents, duplicates, names};

/// Compares the imports and exports of plugins with their manifests. No plugin code is loaded.
///
/// Without ID, all plugins are audited. An import that the sandbox does not provide, or provides with another type, is a
/// finding. So are the errors and warnings of `dynload list`, duplicates, and dependencies that are not satisfied; with ID,
/// those of these plugins.
#[derive(Args)]
#[command(after_help = "Exit codes:
  0    nothing was found
  1    something was found, or the output could not be written
  2    the arguments are wrong
  141  the reader of standard output has closed it

Examples:
  dynload audit --path plugins
  dynload audit --json org.example.thumbnails")]
pub(crate) struct Options {
    #[command(flatten)]
    scan: ScanOptions,
    /// The plugins to audit.
    id: Vec<String>,
}

/// What the audit of one plugin found. The facts about its file are not kept, because their size is the choice of its author.
struct Audited<'a> {
    plugin: &'a Plugin,
    remarks: Vec<String>,
    /// Only with `--json`.
    document: Value,
}

/// What is wrong without a look at the files of plugins.
struct Findings<'a> {
    problems: Vec<&'a Problem>,
    duplicates: Vec<&'a Duplicate>,
    dependencies: Vec<&'a DependencyProblem>,
}

pub(crate) fn run(options: &Options) -> Result<ExitCode, Failure> {
    let scanned = options.scan.scan()?;
    let plugins = selected(&scanned.found, &options.id)?;
    let audits: Vec<Audited<'_>> = progress::during("auditing plugins", || {
        let audit = |plugin| {
            let result = scanned.scanner.audit(plugin).map_err(|error| chain(&error));
            Audited {
                plugin,
                remarks: remarks(&result),
                document: if options.scan.json {
                    document(plugin, &result)
                } else {
                    Value::Null
                },
            }
        };
        plugins.into_iter().map(audit).collect()
    });
    let findings = Findings::of(&scanned, &options.id);
    report_cache(&scanned.scanner);
    let is_clean = findings.count() == 0 && audits.iter().all(|audited| audited.remarks.is_empty());
    if options.scan.json {
        let audits: Vec<Value> = audits.into_iter().map(|audited| audited.document).collect();
        let dependencies = findings.dependencies.iter().map(ToString::to_string);
        let document = json!({
            "clean": is_clean,
            "audits": audits,
            "problems": documents(findings.problems),
            "duplicates": duplicates(findings.duplicates),
            "dependencies": dependencies.collect::<Vec<_>>(),
        });
        print(&format!("{document:#}\n"))?;
    } else {
        print(&(report(&audits, &findings) + &scanned.searched()))?;
    }
    Ok(ExitCode::from(if is_clean { 0 } else { code::FAILED }))
}

impl<'a> Findings<'a> {
    /// Returns the findings about these plugins, or all of them if there are no ids.
    fn of(scanned: &'a Scanned, ids: &[String]) -> Findings<'a> {
        let is_selected =
            |is_about: &dyn Fn(&str) -> bool| ids.is_empty() || ids.iter().any(|id| is_about(id));
        let found = &scanned.found;
        Findings {
            problems: found
                .problems
                .iter()
                .filter(|problem| {
                    problem.severity > Severity::Note && is_selected(&|id| is_about(problem, id))
                })
                .collect(),
            duplicates: found
                .duplicates
                .iter()
                .filter(|duplicate| is_selected(&|id| duplicate.id.as_str() == id))
                .collect(),
            dependencies: scanned
                .dependencies
                .iter()
                .filter(|dependency| is_selected(&|id| dependency.is_about(id)))
                .collect(),
        }
    }

    fn count(&self) -> usize {
        self.problems.len() + self.duplicates.len() + self.dependencies.len()
    }
}

fn is_about(problem: &Problem, id: &str) -> bool {
    let plugin = problem.plugin.as_ref();
    plugin.is_some_and(|plugin| plugin.as_str() == id)
}

/// Returns the plugins with these ids, or all of them if there are none. One that cannot be listed has a problem instead.
fn selected<'a>(found: &'a Discovery, ids: &[String]) -> Result<Vec<&'a Plugin>, Failure> {
    if ids.is_empty() {
        return Ok(found.plugins.iter().collect());
    }
    let mut plugins: Vec<&Plugin> = Vec::new();
    for id in ids {
        // An id that is repeated is audited once.
        if plugins.iter().any(|plugin| plugin.id().as_str() == id) {
            continue;
        }
        match found.get(id) {
            Some(plugin) => plugins.push(plugin),
            None => check_known(found, id)?,
        }
    }
    Ok(plugins)
}

/// Checks that a plugin that is not listed has a problem.
fn check_known(found: &Discovery, id: &str) -> Result<(), Failure> {
    let is_reported = |problem: &Problem| problem.severity > Severity::Note && is_about(problem, id);
    if found.problems.iter().any(is_reported) {
        return Ok(());
    }
    let known = found.plugins.iter().map(|plugin| plugin.id().as_str());
    let remedy = match nearest_name(id, known) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => "`dynload list` lists the plugins and what is wrong with them".to_owned(),
    };
    let message = format!("no such plugin: `{}`; {remedy}", printable(id));
    Err(Failure::new(code::USAGE, message))
}

/// Writes the cache of audits, and says what is not in it.
fn report_cache(scanner: &Scanner) {
    let text = match scanner.save_cache() {
        Ok(files) if files.is_empty() => return,
        Ok(files) => {
            let files: Vec<String> = files
                .iter()
                .map(|file| format!("`{}`", printable(file.display()).path()))
                .collect();
            format!(
                "note: too large to be cached, and audited again next time: {}",
                listed(&files)
            )
        }
        Err(error) => format!("note: the audits are not cached: {error}"),
    };
    // Not a finding, and of no use to a program that reads the output.
    let _ = writeln!(io::stderr(), "dynload: {text}");
}

/// Returns the findings of an audit, one line each.
fn remarks(result: &Result<Audit, String>) -> Vec<String> {
    match result {
        Err(error) => vec![error.clone()],
        Ok(audit) => {
            let undeclared = audit.undeclared.iter().map(ToString::to_string);
            let findings = audit.findings.iter().map(ToString::to_string);
            let unused =
                (!audit.unused.is_empty()).then(|| format!("declares {} but never uses it", audit.unused));
            undeclared.chain(findings).chain(unused).collect()
        }
    }
}

fn report(audits: &[Audited<'_>], findings: &Findings<'_>) -> String {
    let mut text = String::new();
    let mut number = findings.count();
    for audited in audits {
        number += audited.remarks.len();
        if audited.remarks.is_empty() {
            text += &format!("{}: ok\n", audited.plugin.id());
        }
        for remark in &audited.remarks {
            text += &format!("{}: {remark}\n", audited.plugin.id());
        }
    }
    for problem in &findings.problems {
        text += &format!("{problem}\n");
    }
    for duplicate in &findings.duplicates {
        text += &format!("duplicate: {duplicate}\n");
    }
    for dependency in &findings.dependencies {
        text += &format!("dependency: {dependency}\n");
    }
    text + &format!(
        "\n{}, {}\n",
        count(audits.len(), "plugin"),
        count(number, "finding")
    )
}

fn document(plugin: &Plugin, result: &Result<Audit, String>) -> Value {
    let mut document = json!({
        "id": plugin.id().as_str(),
        "entry": plugin.entry_path().map(|path| path.to_string_lossy().into_owned()),
        "error": null,
        "sha256": null,
        "undeclared": [],
        "unused": [],
        "findings": [],
    });
    match result {
        Err(error) => document["error"] = json!(error),
        Ok(audit) => {
            document["sha256"] = audit
                .hash
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect::<String>()
                .into();
            document["undeclared"] = audit.undeclared.iter().map(undeclared).collect();
            document["unused"] = json!(names(audit.unused));
            document["findings"] = audit.findings.iter().map(ToString::to_string).collect();
        }
    }
    document
}

fn undeclared(one: &Undeclared) -> Value {
    let capabilities = names(one.needs.capabilities());
    let is_any = matches!(one.needs, ImportNeeds::AnyOf(_));
    json!({
        "module": one.module,
        "name": one.name,
        "needs_all": if is_any { Vec::new() } else { capabilities.clone() },
        "needs_any": if is_any { capabilities } else { Vec::new() },
        "message": one.to_string(),
    })
}
