//! Whole processes that are killed with SIGKILL, at random and at every step of the protocol, paused beside
//! their successors, and cut off from Kafka: their output has to be what an undisturbed run writes.
//!
//! | variable | meaning | default | long |
//! |---|---|---|---|
//! | `STAUNCH_KILLS` | how often a job is killed on its way | 10; with Kafka 20 | 300 |
//! | `STAUNCH_KILL_MB` | size of the text whose words are counted | 20 | 1000 |
//! | `STAUNCH_KILL_KAFKA_MB` | the same, where it comes from Kafka and goes to Kafka | 8 | 100 |
//! | `STAUNCH_KILL_INTERVAL_MS` | time between checkpoints | 100 | |
//! | `STAUNCH_BROKER_KILLS` | how often the broker is killed under the job with two sinks | 3 | 30 |
//! | `STAUNCH_KILL_RECORDS` | how many records that job has to read at least | 200,000 | 5,000,000 |
//! | `STAUNCH_ZOMBIES` | how often a copy is stopped, succeeded and woken | 10 | 100 |
//! | `STAUNCH_PROXY_RUNS` | how many jobs run through the bad network | 10 | 100 |
//! | `STAUNCH_LEADER_KILLS` | how often one of three brokers is killed, the one that decides transactions | 2 | 20 |
//! | `STAUNCH_SEED` | to run a failure again | the clock | |
//!
//! The seed gives the same kills at the same places; what the operating system makes of them it does not
//! repeat. What concerns Kafka needs a broker: see `staunch_tests::kafka`.

mod kafka;
mod points;
mod transfers;
mod words;
