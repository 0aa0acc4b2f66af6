//! The command line of the binary that a pipeline becomes: `run`, `graph`, `checkpoints`, `transactions`.
//!
//! What [`main`] is given is the pipeline's type; everything else comes from the arguments, the
//! environment and a file. Standard output belongs to data and to what was asked for; progress, logs
//! and the summary go to standard error. It must not know how a job is run, only how to start one,
//! to watch it and to ask it to leave.
//!
//! Exit codes: 0 when all input was processed or the job was suspended, 1 for a failure, 2 for wrong
//! arguments or settings, 130 and 143 when a second signal ended the process at once.

mod args;
mod checkpoints;
mod live;
mod logs;
mod numbers;
mod status;
#[cfg(test)]
mod tests;
mod transactions;
mod watch;

use crate::error::{Error, ErrorKind, Result};
use crate::flow::Pipeline;
use crate::graph::show::GraphFormat;
use crate::job::JobBuilder;
use crate::settings::layers::{Layered, Layers};
use clap::ArgMatches;
use live::Live;
use serde::de::DeserializeOwned;
use std::io::{self, Write};
use std::path::Path;

/// The whole program: reads the arguments and does what they ask for.
///
/// ```text
/// fn main() -> staunch::Result<()> { staunch::main::<word_count>() }
/// ```
///
/// # Errors
/// Why the job failed; returned from `main` it is printed, and the exit code is 1.
///
/// # Exits
/// With code 2, by ending the process, when arguments or settings are wrong.
pub fn main<P: Pipeline>() -> Result<()>
where
    P::Config: DeserializeOwned,
{
    let matches = args::command(&program(P::NAME), P::NAME).get_matches();
    let result = match matches.subcommand() {
        Some(("run", matches)) => run::<P>(matches),
        Some(("graph", matches)) => graph::<P>(matches),
        Some(("checkpoints", matches)) => checkpoints::<P>(matches),
        Some(("transactions", matches)) => transactions::<P>(matches),
        _ => Err(Usage::Wrong(Error::new(ErrorKind::Internal, "clap asked for no known command"))),
    };
    match result {
        Ok(()) => Ok(()),
        Err(Usage::Failed(error)) => Err(error),
        Err(Usage::Wrong(error)) => {
            // The same words as clap's own, so that both kinds of usage errors look alike.
            let _ = writeln!(io::stderr(), "error: {error}\n\nFor more information, try '--help'.");
            std::process::exit(2);
        }
    }
}

/// What the program was called as, for examples that can be copied.
fn program(pipeline: &str) -> String {
    let called = std::env::args_os().next();
    let called = called.as_deref().map(Path::new).and_then(Path::file_name).and_then(|name| name.to_str());
    called.unwrap_or(pipeline).to_owned()
}

/// How a command ends that did not succeed.
enum Usage {
    /// The arguments or settings are wrong: nothing was done.
    Wrong(Error),
    /// It was tried.
    Failed(Error),
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads settings from the environment")]
fn layered(matches: &ArgMatches) -> Result<Layered, Usage> {
    let file = match matches.get_one::<String>("config") {
        None => None,
        Some(path) => Some((path.clone(), read(Path::new(path)).map_err(Usage::Wrong)?)),
    };
    // Variables that are not text cannot be ours: all of ours are.
    let environment = std::env::vars_os();
    let environment =
        environment.filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect();
    // Commands that only look at checkpoints have no `--set`.
    let sets = matches.try_get_many::<String>("set").ok().flatten();
    let sets = sets.map(|sets| sets.cloned().collect()).unwrap_or_default();
    let layers = Layers { file, environment, flags: args::flags(matches), sets };
    layers.read().map_err(Usage::Wrong)
}

fn read(path: &Path) -> Result<String> {
    std::fs::read_to_string(path).map_err(|error| {
        let message = format!("the file {} given with --config cannot be read", path.display());
        Error::new(ErrorKind::Config, message).caused_by(error)
    })
}

fn run<P: Pipeline>(matches: &ArgMatches) -> Result<(), Usage>
where
    P::Config: DeserializeOwned,
{
    let Layered { settings, config, warnings } = layered(matches)?;
    let live = Live::on_stderr();
    logs::start(matches.get_one::<String>("log").map(String::as_str), &live).map_err(Usage::Wrong)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let config = config.read::<P::Config>().map_err(Usage::Wrong)?;
    if matches.get_flag("dry-run") {
        let mut look = JobBuilder::<P>::new(config).settings(settings).look().map_err(Usage::Failed)?;
        return print(&transactions::dry_run(&mut look).map_err(Usage::Failed)?).map_err(Usage::Failed);
    }
    let name = settings.job_name(P::NAME).to_owned();
    let dir = settings.checkpoint_dir(P::NAME);
    tracing::info!(job = name, workers = settings.workers, checkpoints = %dir.display(), "starting");
    let job = JobBuilder::<P>::new(config).settings(settings).observe(watch::Watch::new(&name, live.clone()));
    let above = live.clone();
    crate::signals::stop_on_signals(job.stop_handle(), move |text| above.say(text)).map_err(Usage::Failed)?;
    let ended = job.run();
    live.clear();
    let summary = ended.map_err(Usage::Failed)?;
    let _ = writeln!(io::stderr(), "{}", status::summary(&name, &summary));
    Ok(())
}

fn graph<P: Pipeline>(matches: &ArgMatches) -> Result<(), Usage>
where
    P::Config: DeserializeOwned,
{
    let Layered { settings, config, .. } = layered(matches)?;
    let config = config.read::<P::Config>().map_err(Usage::Wrong)?;
    let format = match matches.get_one::<String>("format").map(String::as_str) {
        Some("dot") => GraphFormat::Dot,
        Some("mermaid") => GraphFormat::Mermaid,
        Some("layout") => GraphFormat::Layout,
        _ => GraphFormat::Text,
    };
    let shown = JobBuilder::<P>::new(config).settings(settings).graph(format).map_err(Usage::Failed)?;
    print(&shown).map_err(Usage::Failed)
}

fn checkpoints<P: Pipeline>(matches: &ArgMatches) -> Result<(), Usage> {
    let (what, matches) = matches.subcommand().unwrap_or(("list", matches));
    let dir = layered(matches)?.settings.checkpoint_dir(P::NAME);
    let shown = match what {
        "show" => {
            let which = matches.get_one::<String>("slot").map_or("latest", String::as_str);
            checkpoints::show(&dir, which, matches.get_flag("json"))
        }
        _ => checkpoints::list(&dir),
    };
    print(&shown.map_err(Usage::Failed)?).map_err(Usage::Failed)
}

fn transactions<P: Pipeline>(matches: &ArgMatches) -> Result<(), Usage>
where
    P::Config: DeserializeOwned,
{
    let (what, matches) = matches.subcommand().unwrap_or(("list", matches));
    let Layered { settings, config, .. } = layered(matches)?;
    logs::start(Some("warn"), &Live::on_stderr()).map_err(Usage::Wrong)?;
    let config = config.read::<P::Config>().map_err(Usage::Wrong)?;
    let mut look = JobBuilder::<P>::new(config).settings(settings).look().map_err(Usage::Failed)?;
    let shown = match what {
        "list" => transactions::list(&mut look, matches.get_flag("all")),
        verb => {
            let id = matches.get_one::<String>("id").map_or("", String::as_str);
            let (yes, force) = (matches.get_flag("yes"), matches.get_flag("force"));
            transactions::end(&mut look, id, verb == "commit", yes, force)
        }
    };
    print(&shown.map_err(Usage::Failed)?).map_err(Usage::Failed)
}

/// Prints to standard output. A reader that has seen enough (`| head`) is no failure.
fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Error::new(ErrorKind::Sink, "standard output cannot be written").caused_by(error))
        }
        _ => Ok(()),
    }
}
