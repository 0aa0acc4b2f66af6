//! Jobs between Kafka topics: killed at every step and at random, with their broker or without it, paused
//! beside their successor, cut off.

mod cluster;
mod entries;
mod ledger;
mod lost;
mod outage;
mod points;
mod proxied;
mod random;
mod words;
mod zombies;
