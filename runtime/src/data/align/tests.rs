use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

#[test]
fn a_barrier_is_complete_when_every_channel_has_delivered_it() {
    let mut alignment = Alignment::new(3, true);
    assert_eq!(alignment.step(1, Epoch(7)).unwrap(), Aligned::NotYet);
    assert_eq!([0, 1, 2].map(|channel| alignment.is_held(channel)), [false, true, false]);
    assert_eq!(alignment.step(0, Epoch(7)).unwrap(), Aligned::NotYet);
    assert_eq!(alignment.step(2, Epoch(7)).unwrap(), Aligned::Complete(Epoch(7)));
    assert_eq!([0, 1, 2].map(|channel| alignment.is_held(channel)), [false; 3]);
    // Epochs may be left out, as those of another attempt.
    assert_eq!(alignment.step(2, Epoch(9)).unwrap(), Aligned::NotYet);
}

#[test]
fn what_cannot_be_is_a_bug() {
    let refused = |before: &[(usize, u64)], (channel, epoch): (usize, u64), why: &str| {
        let mut alignment = Alignment::new(2, true);
        for (channel, epoch) in before {
            let _ = alignment.step(*channel, Epoch(*epoch)).unwrap();
        }
        let error = alignment.step(channel, Epoch(epoch)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.message().contains(why), "{error}");
    };
    refused(&[], (2, 1), "channel 2 of 2");
    refused(&[(0, 1)], (0, 1), "twice");
    refused(&[(0, 1)], (1, 2), "while 1 was being aligned");
    refused(&[(0, 2), (1, 2)], (1, 2), "after 2");
    refused(&[(0, 2), (1, 2)], (1, 1), "after 2");
}

#[derive(Clone, Copy, Debug)]
enum Item {
    /// With the epoch it belongs to.
    Record(u64),
    Barrier(u64),
}

/// Each channel: `lengths` records before each barrier, and some after the last.
fn channel(lengths: &[usize], barriers: usize) -> VecDeque<Item> {
    let mut items = VecDeque::new();
    for (epoch, length) in lengths.iter().enumerate() {
        items.extend(std::iter::repeat_n(Item::Record(epoch as u64), *length));
        if epoch < barriers {
            items.push_back(Item::Barrier(epoch as u64));
        }
    }
    items
}

/// Takes items in the order `choices` says, from channels that are not held; returns how many
/// records were processed before the barrier to which they do not belong was complete, and how
/// many barriers were complete.
fn run(mut channels: Vec<VecDeque<Item>>, choices: &[usize], aligned: bool) -> Result<(usize, usize)> {
    let mut alignment = Alignment::new(channels.len(), aligned);
    let mut delivered = vec![None; channels.len()];
    let (mut early, mut complete) = (0, 0);
    for turn in 0.. {
        let ready: Vec<usize> =
            (0..channels.len()).filter(|at| !channels[*at].is_empty() && !alignment.is_held(*at)).collect();
        if ready.is_empty() {
            break;
        }
        for held in (0..channels.len()).filter(|at| alignment.is_held(*at)) {
            assert_eq!(delivered[held], Some(complete as u64), "held without a barrier");
        }
        let at = ready[choices[turn % choices.len()] % ready.len()];
        match channels[at].pop_front() {
            Some(Item::Record(epoch)) => early += usize::from(epoch > complete as u64),
            Some(Item::Barrier(epoch)) => {
                delivered[at] = Some(epoch);
                if let Aligned::Complete(epoch) = alignment.step(at, Epoch(epoch))? {
                    assert_eq!(epoch.0, complete as u64);
                    complete += 1;
                }
            }
            None => {}
        }
    }
    assert!(channels.iter().all(VecDeque::is_empty), "stuck");
    Ok((early, complete))
}

proptest! {
    #[test]
    fn nothing_overtakes_a_barrier(
        lengths in prop::collection::vec(prop::collection::vec(0..4_usize, 6), 1..5),
        barriers in 0..6_usize,
        choices in prop::collection::vec(0..100_usize, 1..50),
    ) {
        let channels: Vec<_> = lengths.iter().map(|lengths| channel(&lengths[..=barriers], barriers)).collect();
        prop_assert_eq!(run(channels.clone(), &choices, true).unwrap(), (0, barriers));
        // A channel that is not held may be several barriers ahead.
        prop_assert_eq!(run(channels, &choices, false).unwrap().1, barriers);
    }
}

#[test]
fn without_alignment_records_overtake_the_barrier() {
    let channels = vec![channel(&[1, 3], 1), channel(&[4, 1], 1)];
    // Always from the first channel that has something.
    assert_eq!(run(channels.clone(), &[0], true).unwrap(), (0, 1));
    assert_eq!(run(channels, &[0], false).unwrap(), (3, 1));
}
