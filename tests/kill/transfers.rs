//! Money moves between accounts while the job is killed: none is made, none is lost, and every entry is
//! booked once.

use serde::Deserialize;
use staunch::file::committed_lines;
use staunch_tests::process::{End, Folder, Job, tail};
use staunch_tests::texts::{Random, number};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_killed_transfers");
const ACCOUNTS: u32 = 200;
const OPENED_CENTS: i64 = 10_000;
const TRANSFERS: u64 = 300_000;

#[derive(Deserialize)]
struct Balance {
    account: u32,
    cents: i64,
    entries: u64,
}

/// Writes the input; what each account should have in the end, and how many entries.
fn write_input(folder: &Path) -> (BTreeMap<u32, (i64, u64)>, u64) {
    let mut accounts = BufWriter::new(File::create(folder.join("accounts.jsonl")).unwrap());
    for account in 0..ACCOUNTS {
        writeln!(accounts, r#"{{"account":{account},"cents":{OPENED_CENTS}}}"#).unwrap();
    }
    let mut balances: BTreeMap<u32, (i64, u64)> = (0..ACCOUNTS).map(|account| (account, (OPENED_CENTS, 0))).collect();
    let mut transfers = BufWriter::new(File::create(folder.join("transfers.jsonl")).unwrap());
    let (mut random, mut rejected) = (Random::new(7), 0);
    for id in 0..TRANSFERS {
        let mut account = || u32::try_from(random.below(u64::from(ACCOUNTS))).unwrap();
        let (from, to) = (account(), account());
        let cents = i64::try_from(random.below(500)).unwrap();
        writeln!(transfers, r#"{{"id":{id},"from":{from},"to":{to},"cents":{cents}}}"#).unwrap();
        if cents == 0 || from == to {
            rejected += 1;
            continue;
        }
        for (account, cents) in [(from, -cents), (to, cents)] {
            let (balance, entries) = balances.get_mut(&account).unwrap();
            *balance += cents;
            *entries += 1;
        }
    }
    (balances, rejected)
}

/// The last balance of each account, after as many lines as it has entries, and one for its opening.
#[track_caller]
fn read_balances(job: &Job) -> BTreeMap<u32, (i64, u64)> {
    let mut balances: BTreeMap<u32, (i64, u64, u64)> = BTreeMap::new();
    for line in committed_lines(job.output().join("balances")).unwrap() {
        let Balance { account, cents, entries } = serde_json::from_str(&line.unwrap()).unwrap();
        let lines = balances.get(&account).map_or(0, |before| before.2) + 1;
        // Behind its opening an account has had one line more than entries.
        assert!(lines == entries || lines == entries + 1, "account {account}: {lines} lines and {entries} entries");
        balances.insert(account, (cents, entries, lines));
    }
    balances.into_iter().map(|(account, (cents, entries, _))| (account, (cents, entries))).collect()
}

#[test]
fn no_money_is_made_or_lost_and_every_entry_is_booked_once() {
    let mut random = Random::seeded("transfers");
    let folder = Folder::new().unwrap();
    let (want, rejected) = write_input(folder.path());
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let job = Job::new(PROGRAM, folder.path().join("job"), 50).unwrap();
    let job = job.set("accounts", &path("accounts.jsonl")).set("transfers", &path("transfers.jsonl"));
    let mut done = 0;
    for _ in 0..number("STAUNCH_KILLS").unwrap_or(10) {
        let after = Duration::from_millis(60 + random.below(400));
        let workers = 1 + usize::try_from(random.below(3)).unwrap();
        match job.start(workers, None).unwrap().kill_after(after) {
            End::Killed => done += 1,
            End::Success => break,
            End::Failure | End::Broken => panic!("the job fails:\n{}", tail(&job.log())),
        }
    }
    println!("{done} kills");
    assert!(done > 0, "the job ended before it could be killed");
    job.finish(2);
    let got = read_balances(&job);
    assert_eq!(got.values().map(|(cents, _)| cents).sum::<i64>(), i64::from(ACCOUNTS) * OPENED_CENTS);
    assert_eq!(got, want);
    assert_eq!(committed_lines(job.output().join("rejected")).unwrap().count() as u64, rejected);
}
