//! The arguments: which commands there are, and what `--help` says.
//!
//! The flags of the settings are made from the one table of keys, so that a flag, a variable and a key
//! of the file cannot differ.

use crate::settings::keys::KEYS;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, ArgMatches, Command};

const SETTINGS: &str = "Settings";

/// All commands of the pipeline's binary, which was called as `name`.
pub(super) fn command(name: &str, pipeline: &str) -> Command {
    Command::new(name.to_owned())
        .about(format!("{pipeline}: a stream processing job, exactly once"))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(run(name))
        .subcommand(graph(name))
        .subcommand(checkpoints(name))
        .subcommand(transactions(name))
}

/// The settings' flags that were given, by their keys.
pub(super) fn flags(matches: &ArgMatches) -> Vec<(&'static str, String)> {
    let given = |key: &'static str| matches.try_get_one::<String>(key).ok().flatten().cloned();
    KEYS.iter().filter_map(|key| Some((key.name, given(key.name)?))).collect()
}

fn run(name: &str) -> Command {
    let command = Command::new("run")
        .about("Run the job, from its newest checkpoint where there is one")
        .long_about(
            "Run the job, from its newest checkpoint where there is one, until its input ends or it is asked to leave. \
             SIGTERM or Ctrl-C suspends it: a last checkpoint is taken and committed, and the next start goes on from \
             there. A second signal ends it at once; then what was not committed is read again.",
        )
        .after_help(format!(
            "Each setting can be given in three places; the later wins:\n  \
               the file given with --config   [checkpoint] interval = \"1s\"\n  \
               the environment                STAUNCH_CHECKPOINT_INTERVAL=1s\n  \
               a flag                         --checkpoint-interval 1s\n\n\
             So can the pipeline's own configuration:\n  \
               the file's table [config]      topic = \"words\"\n  \
               the environment                STAUNCH_CONFIG_TOPIC=words\n  \
               --set                          --set topic=words\n\n\
             Examples:\n  \
               {name} run --config job.toml\n  \
               {name} run --workers 4 --checkpoint-dir /var/lib/{name} --checkpoint-interval 100ms\n  \
               {name} run --config job.toml --set kafka.brokers=localhost:9092 --log warn,staunch=debug\n  \
               {name} run --config job.toml --restore 17\n  \
               {name} run --config job.toml --dry-run"
        ))
        .arg(Arg::new("dry-run").long("dry-run").action(ArgAction::SetTrue).help(
            "Only tell which checkpoint it would go on from, and what it would commit and abort; changes nothing",
        ))
        .arg(
            Arg::new("log").long("log").value_name("FILTER").help(
                "What is logged: a level, or levels by module (`info,staunch=debug`) [default: RUST_LOG, else info]",
            ),
        )
        .args(configuration());
    KEYS.iter().fold(command, |command, key| command.arg(setting(key.name)))
}

fn graph(name: &str) -> Command {
    Command::new("graph")
        .about("Print the graph that the pipeline wires, without running it")
        .long_about(
            "Print the graph that the pipeline wires, without running it: its nodes, what flows between them, and which \
             of them run in one chain. Nothing connects; a graph with errors prints them instead.",
        )
        .after_help(format!(
            "Examples:\n  {name} graph --config job.toml\n  {name} graph --config job.toml --format dot | dot -Tsvg > graph.svg"
        ))
        .arg(
            Arg::new("format")
                .long("format")
                .value_name("FORMAT")
                .value_parser(PossibleValuesParser::new(["text", "dot", "mermaid", "layout"]))
                .default_value("text")
                .help("`text` for a terminal, `dot` for Graphviz, `mermaid` for Markdown, `layout` for what checkpoints hold"),
        )
        .args(configuration())
        .args([setting("workers"), setting("name")])
}

fn checkpoints(name: &str) -> Command {
    let store = || {
        let dir = setting("checkpoint.dir")
            .visible_alias("dir")
            .help("The folder of the checkpoint store [default: .staunch/<name>]");
        [configuration_file(), setting("name"), dir]
    };
    Command::new("checkpoints")
        .about("Look at the job's checkpoints; changes nothing, also while the job runs")
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(Command::new("list").about("List everything in the checkpoint store, oldest first").args(store()))
        .subcommand(
            Command::new("show")
                .about("Show a checkpoint: positions of sources, state of operators, what sinks prepared")
                .after_help(format!(
                    "Examples:\n  {name} checkpoints show latest\n  {name} checkpoints show 17 --json | jq .cut.sources"
                ))
                .arg(
                    Arg::new("slot")
                        .value_name("SLOT")
                        .default_value("latest")
                        .help("A slot's number, as `checkpoints list` shows it, or `latest`"),
                )
                .arg(
                    Arg::new("json")
                        .long("json")
                        .action(ArgAction::SetTrue)
                        .help("The manifest as it is kept, as JSON"),
                )
                .args(store()),
        )
}

fn transactions(name: &str) -> Command {
    let job = || {
        let dir = setting("checkpoint.dir").visible_alias("dir");
        configuration().into_iter().chain([setting("name"), dir])
    };
    let switch =
        |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    let end = |verb: &'static str, about: &'static str| {
        Command::new(verb)
            .about(about)
            .arg(
                Arg::new("id")
                    .value_name("ID")
                    .required(true)
                    .help("The transactional id, as `transactions list` shows it"),
            )
            .arg(switch("yes", "Do it; without this it is only told what would be done"))
            .arg(switch("force", "Also when it breaks exactly-once: output may be lost, or be there twice"))
            .args(job())
    };
    Command::new("transactions")
        .about("Look at the transactions that the job left open in its sinks' Kafka clusters, and end them by hand")
        .after_help(format!(
            "The next start of the job settles all of its own by itself; these commands are for jobs that will not start \
             again, and for readers that wait meanwhile. Stop the job before `commit` and `abort`.\n\n\
             Examples:\n  \
               {name} transactions list --config job.toml\n  \
               {name} transactions commit my_job/0b6e…/7-2 --config job.toml --yes"
        ))
        .subcommand_required(true)
        .arg_required_else_help(true)
        .disable_help_subcommand(true)
        .subcommand(
            Command::new("list")
                .about("List open transactions: their age, what they hold back, what the next start does with them")
                .arg(switch("all", "Those of others, too"))
                .args(job()),
        )
        .subcommand(end("commit", "Commit an open transaction: one that a checkpoint lists"))
        .subcommand(end("abort", "Abort an open transaction: one that no checkpoint lists"))
}

fn configuration_file() -> Arg {
    Arg::new("config")
        .long("config")
        .value_name("FILE")
        .help("A TOML file: settings at the top, the pipeline's configuration in [config]")
}

fn configuration() -> [Arg; 2] {
    let set = Arg::new("set")
        .long("set")
        .value_name("KEY=VALUE")
        .action(ArgAction::Append)
        .help("Set a field of the pipeline's configuration; dots lead into tables, values are TOML or plain text");
    [configuration_file(), set]
}

/// The flag of a setting.
fn setting(name: &'static str) -> Arg {
    let arg = Arg::new(name).help_heading(SETTINGS);
    let Some(key) = KEYS.iter().find(|key| key.name == name) else { return arg };
    let arg = arg.long(key.flag()).value_name(key.value).help(key.help);
    // `--allow-dropped-state` alone means true.
    if key.is_switch() { arg.num_args(0..=1).default_missing_value("true").require_equals(true) } else { arg }
}
