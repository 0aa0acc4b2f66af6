//! Keeps the balance of each account from a stream of transfers: whatever happens to the job, money is
//! neither made nor lost. Transfers that are not allowed go to an output of their own.
//!
//! ```sh
//! cargo run --release --bin transfers -- run
//! cat target/transfers/balances/* target/transfers/rejected/*
//! ```

use serde::{Deserialize, Serialize};
use staunch::file::{FileSink, FileSource};
use staunch::format::Json;
use staunch::{Failed, Flow, Output, State, operator, pipeline, sink, source};
use std::fmt;
use std::path::PathBuf;

/// What the job can be told in the `[config]` table of its file, or with `--set`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// JSON lines: the accounts as they were opened.
    pub accounts: PathBuf,
    /// JSON lines: the transfers between them.
    pub transfers: PathBuf,
    /// The directory for balances and rejected transfers.
    pub output: PathBuf,
    /// No single transfer may be greater, in cents.
    pub limit_cents: i64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            accounts: "examples/data/accounts.jsonl".into(),
            transfers: "examples/data/transfers.jsonl".into(),
            output: "target/transfers".into(),
            limit_cents: 1_000_000,
        }
    }
}

/// An account and the money that it starts with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Opened {
    pub account: u32,
    pub cents: i64,
}

/// Money that moves from one account to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    pub id: u64,
    pub from: u32,
    pub to: u32,
    pub cents: i64,
}

/// One side of a transfer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub account: u32,
    pub cents: i64,
}

/// What an account holds after an entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Balance {
    pub account: u32,
    pub cents: i64,
    pub entries: u64,
}

/// Why a transfer was not carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rejected {
    pub transfer: Transfer,
    pub reason: String,
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "transfer {} was rejected: {}", self.transfer.id, self.reason)
    }
}

#[source]
fn accounts(config: &Config) -> FileSource<Json<Opened>> {
    FileSource::json(&config.accounts)
}

#[source]
fn transfers_made(config: &Config) -> FileSource<Json<Transfer>> {
    FileSource::json(&config.transfers)
}

/// Lets through what is allowed; the rest becomes a stream of failures, which cannot be forgotten.
#[operator]
fn validate(transfer: Transfer, #[config] config: &Config) -> Result<Transfer, Rejected> {
    let reason = if transfer.cents <= 0 {
        "the amount is not positive"
    } else if transfer.from == transfer.to {
        "both accounts are the same"
    } else if transfer.cents > config.limit_cents {
        "the amount is above the limit"
    } else {
        return Ok(transfer);
    };
    Err(Rejected { transfer, reason: reason.into() })
}

#[operator]
fn book(transfer: &Transfer, #[output] entries: &mut Output<Entry>) {
    entries.emit(Entry { account: transfer.from, cents: -transfer.cents });
    entries.emit(Entry { account: transfer.to, cents: transfer.cents });
}

/// One account: what was put in when it was opened, and every entry since.
#[derive(State, Clone, Debug, Default, PartialEq)]
pub struct Account {
    cents: i64,
    entries: u64,
}

#[operator]
impl Account {
    #[input]
    fn opened(&mut self, opened: &Opened) -> Balance {
        self.cents += opened.cents;
        Balance { account: opened.account, cents: self.cents, entries: self.entries }
    }

    #[input]
    fn entry(&mut self, entry: &Entry) -> Balance {
        self.cents += entry.cents;
        self.entries += 1;
        Balance { account: entry.account, cents: self.cents, entries: self.entries }
    }
}

#[sink]
fn balances(config: &Config) -> FileSink<Json<Balance>> {
    FileSink::json(config.output.join("balances"))
}

#[sink]
fn rejected(config: &Config) -> FileSink<Json<Failed<Rejected>>> {
    FileSink::json(config.output.join("rejected"))
}

#[pipeline]
pub fn transfers(flow: &Flow<Config>) {
    let (valid, refused) = validate::on(transfers_made::open(flow));
    let entries = book::on(valid);
    let opened = accounts::open(flow).key_by(|opened| &opened.account);
    let balance = Account::on(opened, entries.key_by(|entry| &entry.account));
    balances::write(balance);
    rejected::write(refused);
}

fn main() -> staunch::Result<()> {
    transfers::main()
}

#[cfg(test)]
mod tests {
    use super::*;
    use staunch::file::committed_lines;
    use staunch::testing::{Compare, Inputs};
    use std::collections::BTreeMap;
    use std::path::Path;

    fn transfer(id: u64, from: u32, to: u32, cents: i64) -> Transfer {
        Transfer { id, from, to, cents }
    }

    #[test]
    fn what_is_not_allowed_is_rejected_with_its_reason() {
        let mut h = validate::harness();
        h.provide(Config { limit_cents: 100, ..Config::default() });
        h.push(transfer(1, 1, 2, 100)).push(transfer(2, 1, 1, 5)).push(transfer(3, 1, 2, 101));
        let (valid, refused) = h.take();
        assert_eq!(valid, [transfer(1, 1, 2, 100)]);
        let reasons: Vec<_> = refused.iter().map(|failed| failed.error.reason.as_str()).collect();
        assert_eq!(reasons, ["both accounts are the same", "the amount is above the limit"]);
    }

    #[test]
    fn an_account_adds_up_both_inputs() {
        let mut h = Account::harness(|opened: &Opened| &opened.account, |entry: &Entry| &entry.account);
        h.push_entry(Entry { account: 7, cents: -30 });
        h.push_opened(Opened { account: 7, cents: 100 });
        assert_eq!(h.state(&7), Some(&Account { cents: 70, entries: 1 }));
        assert_eq!(h.take().last(), Some(&Balance { account: 7, cents: 70, entries: 1 }));
    }

    #[test]
    fn no_crash_makes_or_loses_money() {
        let opened = (0..4).map(|account| Opened { account, cents: 100 });
        let made = (0..9).map(|id| transfer(id, id as u32 % 4, (id * 7 % 5 % 4) as u32, 10 * id as i64 - 10));
        let inputs = Inputs::new(Config::default()).source::<accounts>(opened).source::<transfers_made>(made);
        // Which of the two inputs comes first is anybody's; what an account holds in the end is not.
        let test = transfers::crash_test(inputs).key::<balances, _>(|balance| balance.account);
        test.compare_sink::<balances>(Compare::LastPerKey).run();
    }

    fn write_lines<T: Serialize>(path: &Path, records: impl Iterator<Item = T>) {
        let lines: Vec<_> = records.map(|record| serde_json::to_string(&record).unwrap() + "\n").collect();
        std::fs::write(path, lines.concat()).unwrap();
    }

    #[test]
    fn the_sum_of_all_balances_never_changes() {
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            accounts: dir.path().join("accounts.jsonl"),
            transfers: dir.path().join("transfers.jsonl"),
            output: dir.path().join("out"),
            ..Config::default()
        };
        write_lines(&config.accounts, (0..100).map(|account| Opened { account, cents: 10_000 }));
        let made = (0..20_000u64).map(|id| transfer(id, (id % 97) as u32, (id * 31 % 100) as u32, (id % 500) as i64));
        write_lines(&config.transfers, made);
        transfers::job(config.clone()).checkpoint_dir(dir.path().join("checkpoints")).workers(2).run().unwrap();

        let mut last: BTreeMap<u32, Balance> = BTreeMap::new();
        for line in committed_lines(config.output.join("balances")).unwrap() {
            let balance: Balance = serde_json::from_str(&line.unwrap()).unwrap();
            last.insert(balance.account, balance);
        }
        assert_eq!(last.values().map(|balance| balance.cents).sum::<i64>(), 100 * 10_000);
        let rejected = committed_lines(config.output.join("rejected")).unwrap().count() as u64;
        let entries: u64 = last.values().map(|balance| balance.entries).sum();
        assert_eq!(entries / 2 + rejected, 20_000);
        assert!(rejected > 0 && entries > 0);
    }
}
