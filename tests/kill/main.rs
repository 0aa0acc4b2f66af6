//! Whole processes that are killed with SIGKILL, at random and at every step of the protocol, and started
//! again: their output has to be what an undisturbed run writes.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `STAUNCH_KILL_MB` | size of the text whose words are counted | 20 |
//! | `STAUNCH_KILL_KAFKA_MB` | the same, where it comes from Kafka and goes to Kafka | 8 |
//! | `STAUNCH_KILLS` | how often the job is killed on its way | 10 |
//! | `STAUNCH_KILL_INTERVAL_MS` | time between checkpoints | 100 |
//! | `STAUNCH_SEED` | to run a failure again | the clock |
//!
//! What concerns Kafka needs a broker: see `staunch_tests::kafka`.

mod kafka;
mod points;
mod transfers;
mod words;
