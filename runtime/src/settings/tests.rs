use super::layers::{Layered, Layers};
use super::*;
use crate::error::{Error, ErrorKind};

fn read(file: &str, environment: &[(&str, &str)], flags: &[(&'static str, &str)], sets: &[&str]) -> Result<Layered> {
    Layers {
        file: (!file.is_empty()).then(|| ("job.toml".to_owned(), file.to_owned())),
        environment: environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        flags: flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect(),
        sets: sets.iter().map(|set| (*set).to_owned()).collect(),
    }
    .read()
}

fn refused<T: std::fmt::Debug>(result: Result<T>) -> String {
    let error: Error = result.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Config);
    error.to_string()
}

#[test]
fn nothing_set_means_the_defaults_and_they_are_valid() {
    let layered = read("", &[], &[], &[]).unwrap();
    assert_eq!(layered.settings, Settings::default());
    assert_eq!(layered.warnings, Vec::<String>::new());
    assert_eq!(layered.settings.checkpoint_dir("word_count"), PathBuf::from(".staunch/word_count"));
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let file = "workers = 2\nshutdown_timeout = '5s'\n[checkpoint]\ninterval = '2s'\nretain = 7";
    let environment = [("STAUNCH_WORKERS", "3"), ("STAUNCH_CHECKPOINT_INTERVAL", "250ms"), ("HOME", "/")];
    let settings = read(file, &environment, &[("workers", "4")], &[]).unwrap().settings;
    assert_eq!(settings.workers, 4);
    assert_eq!(settings.checkpoint.interval, Duration::from_millis(250));
    assert_eq!(settings.checkpoint.retain, 7);
    assert_eq!(settings.shutdown_timeout, Duration::from_secs(5));
}

#[test]
fn every_key_is_read_from_every_layer() {
    for key in keys::KEYS {
        let value = match (key.name, key.value) {
            (_, "N" | "SLOT" | "X") => "5",
            (_, "TIME") => "5s",
            (_, "true|false") => "true",
            _ => "five",
        };
        let variable = key.variable();
        let by_variable = read("", &[(&variable, value)], &[], &[]).unwrap().settings;
        let by_flag = read("", &[], &[(key.name, value)], &[]).unwrap().settings;
        let by_file = read(&format!("{} = '{value}'", key.name), &[], &[], &[]).unwrap().settings;
        assert_eq!(by_variable, by_flag, "{}", key.name);
        assert_eq!(by_variable, by_file, "{}", key.name);
    }
}

#[test]
fn settings_written_as_toml_can_be_read_again_and_have_no_key_that_the_table_lacks() {
    let mut settings = Settings { name: Some("totals".to_owned()), ..Settings::default() };
    settings.checkpoint.restore = Some(9);
    settings.checkpoint.dir = Some("there".into());
    let text = toml::to_string(&settings).unwrap();
    assert_eq!(toml::from_str::<Settings>(&text).unwrap(), settings);
    assert_eq!(read(&text, &[], &[], &[]).unwrap().settings, settings);
    let written: toml::Table = text.parse().unwrap();
    let leaves: usize = written.values().map(|value| value.as_table().map_or(1, toml::Table::len)).sum();
    assert_eq!(leaves, keys::KEYS.len());
}

#[test]
fn everything_wrong_is_told_at_once_with_its_layer_and_key() {
    let said = refused(read(
        "worker = 2\n[checkpoint]\ninterval = 5\n[chekpoint]\n",
        &[("STAUNCH_WORKERS", "many")],
        &[("checkpoint.timeout", "soon")],
        &["brokers"],
    ));
    for part in [
        "job.toml: there is no setting `worker`; did you mean `workers`?",
        "job.toml: `checkpoint.interval`: `5` has no unit; write a duration such as `250ms`",
        "job.toml: there is no setting `chekpoint`",
        "STAUNCH_WORKERS: `many` is not a whole number",
        "--checkpoint-timeout: `soon` is not a duration",
        "--set brokers: write `--set key=value`",
    ] {
        assert!(said.contains(part), "{part}\n--- in ---\n{said}");
    }
}

#[test]
fn an_unknown_key_without_a_likely_meaning_lists_the_known_ones() {
    let said = refused(read("interval = '1s'", &[], &[], &[]));
    assert!(said.contains("did you mean `checkpoint.interval`?"), "{said}");
    let said = refused(read("brokers = 'localhost'", &[], &[], &[]));
    assert!(said.contains("checkpoint.interval, checkpoint.timeout"), "{said}");
    assert!(said.contains("goes into `[config]`"), "{said}");
}

#[test]
fn a_misspelt_variable_warns_and_a_foreign_one_does_not() {
    let layered = read("", &[("STAUNCH_WORKRS", "2"), ("STAUNCH_SERVICE_HOST", "10.0.0.1")], &[], &[]).unwrap();
    assert_eq!(layered.warnings, ["the variable STAUNCH_WORKRS sets nothing; did you mean STAUNCH_WORKERS?"]);
}

#[test]
fn values_that_make_no_sense_are_refused_together() {
    let flags = [
        ("workers", "0"),
        ("checkpoint.interval", "0s"),
        ("checkpoint.retain", "0"),
        ("restart.factor", "0.5"),
        ("restart.initial", "2m"),
        ("name", "a/b"),
        ("shutdown_timeout", "0s"),
    ];
    let said = refused(read("", &[], &flags, &[]));
    for part in [
        "`workers` is 0",
        "`checkpoint.interval`",
        "`checkpoint.retain`",
        "`restart.factor` is 0.5",
        "`restart.initial` (2m)",
        "`name` is `a/b`",
        "`shutdown_timeout` is 0",
    ] {
        assert!(said.contains(part), "{part}\n--- in ---\n{said}");
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    input: String,
    #[serde(default)]
    limits: Limits,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
struct Limits {
    max: u32,
    names: Vec<String>,
}

#[test]
fn the_pipelines_configuration_is_layered_too() {
    let layered = read(
        "[config]\ninput = 'a'\nlimits = { max = 1, names = ['x'] }",
        &[("STAUNCH_CONFIG_LIMITS__MAX", "2"), ("STAUNCH_CONFIG_INPUT", "b")],
        &[],
        &["input=localhost:9092", "limits.names=[\"y\", \"z\"]"],
    )
    .unwrap();
    let expected =
        Config { input: "localhost:9092".into(), limits: Limits { max: 2, names: vec!["y".into(), "z".into()] } };
    assert_eq!(layered.config.read::<Config>().unwrap(), expected);
}

#[test]
fn a_wrong_configuration_names_the_field_and_who_set_it() {
    let layered = read("[config]\ninput = 'a'", &[], &[], &["limits.max=lots"]).unwrap();
    let said = refused(layered.config.read::<Config>());
    assert!(said.contains("limits.max") && said.contains("is set by --set"), "{said}");
    let said = refused(read("", &[], &[], &["limits.max=1"]).unwrap().config.read::<Config>());
    assert!(said.contains("missing field `input`") && said.contains("STAUNCH_CONFIG_<FIELD>"), "{said}");
    let said = refused(read("", &[], &[], &["input=a", "a..b=1", "input.x=2"]));
    assert!(said.contains("`a..b` is not a key") && said.contains("`input` is a value, not a table"), "{said}");
}

#[test]
fn a_pipeline_without_configuration_needs_none() {
    read("", &[], &[], &[]).unwrap().config.read::<()>().unwrap();
    refused(read("[config]\na = 1", &[], &[], &[]).unwrap().config.read::<()>());
}
