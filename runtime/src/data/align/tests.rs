use super::*;
use proptest::prelude::*;
use std::collections::VecDeque;

fn barrier(channel: usize, epoch: u64) -> AlignEvent {
    AlignEvent::Barrier { channel, epoch: Epoch(epoch) }
}

fn end(channel: usize) -> AlignEvent {
    AlignEvent::End { channel }
}

#[test]
fn a_barrier_is_complete_when_every_channel_has_delivered_it() {
    let mut alignment = Alignment::new(3, true);
    assert_eq!(alignment.step(barrier(1, 7)).unwrap(), Aligned::NotYet);
    assert_eq!([0, 1, 2].map(|channel| alignment.is_held(channel)), [false, true, false]);
    assert_eq!(alignment.step(barrier(0, 7)).unwrap(), Aligned::NotYet);
    assert_eq!(alignment.running(), Some(Epoch(7)));
    assert_eq!(alignment.step(barrier(2, 7)).unwrap(), Aligned::Complete(Epoch(7)));
    assert_eq!([0, 1, 2].map(|channel| alignment.is_held(channel)), [false; 3]);
    // Epochs may be left out, as those of another attempt.
    assert_eq!(alignment.step(barrier(2, 9)).unwrap(), Aligned::NotYet);
}

#[test]
fn an_ended_channel_counts_as_aligned() {
    let mut alignment = Alignment::new(3, true);
    assert_eq!(alignment.step(end(0)).unwrap(), Aligned::NotYet);
    assert_eq!(alignment.step(barrier(1, 1)).unwrap(), Aligned::NotYet);
    assert_eq!(alignment.step(end(2)).unwrap(), Aligned::Complete(Epoch(1)));
    assert_eq!(alignment.step(barrier(1, 2)).unwrap(), Aligned::Complete(Epoch(2)));
    assert!(!alignment.has_ended());
    assert_eq!(alignment.step(end(1)).unwrap(), Aligned::NotYet);
    assert!(alignment.has_ended());
}

#[test]
fn a_channel_may_end_while_it_is_held() {
    let mut alignment = Alignment::new(2, true);
    assert_eq!(alignment.step(barrier(0, 1)).unwrap(), Aligned::NotYet);
    assert_eq!(alignment.step(end(0)).unwrap(), Aligned::NotYet);
    assert_eq!(alignment.step(end(1)).unwrap(), Aligned::Complete(Epoch(1)));
}

#[test]
fn what_cannot_be_is_a_bug() {
    let refused = |before: &[AlignEvent], event: AlignEvent, why: &str| {
        let mut alignment = Alignment::new(2, true);
        for event in before {
            let _ = alignment.step(*event).unwrap();
        }
        let error = alignment.step(event).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.message().contains(why), "{error}");
    };
    refused(&[], barrier(2, 1), "channel 2 of 2");
    refused(&[], end(2), "channel 2 of 2");
    refused(&[barrier(0, 1)], barrier(0, 1), "twice");
    refused(&[barrier(0, 1)], barrier(1, 2), "while 1 was being aligned");
    refused(&[barrier(0, 2), barrier(1, 2)], barrier(1, 2), "after 2 was complete");
    refused(&[barrier(0, 2), barrier(1, 2)], barrier(1, 1), "after 2 was complete");
    refused(&[end(0)], barrier(0, 1), "after its end");
    refused(&[end(0)], end(0), "after its end");
}

#[derive(Clone, Copy, Debug)]
enum Item {
    /// With the epoch it belongs to.
    Record(u64),
    Barrier(u64),
    End,
}

/// Each channel: `lengths` records before each barrier, then the end, perhaps before the last barriers.
fn channel(lengths: &[usize], barriers: usize) -> VecDeque<Item> {
    let mut items = VecDeque::new();
    for (epoch, length) in lengths.iter().enumerate() {
        items.extend(std::iter::repeat_n(Item::Record(epoch as u64), *length));
        if epoch < barriers {
            items.push_back(Item::Barrier(epoch as u64));
        }
    }
    items.push_back(Item::End);
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
            assert_eq!(delivered[held], alignment.running().map(|epoch| epoch.0), "held without a barrier");
        }
        let at = ready[choices[turn % choices.len()] % ready.len()];
        let event = match channels[at].pop_front() {
            Some(Item::Record(epoch)) => {
                early += usize::from(epoch > complete as u64);
                continue;
            }
            Some(Item::Barrier(epoch)) => {
                delivered[at] = Some(epoch);
                barrier(at, epoch)
            }
            _ => end(at),
        };
        if let Aligned::Complete(epoch) = alignment.step(event)? {
            assert_eq!(epoch.0, complete as u64);
            complete += 1;
        }
    }
    assert!(alignment.has_ended() && channels.iter().all(VecDeque::is_empty), "stuck");
    Ok((early, complete))
}

proptest! {
    #[test]
    fn nothing_overtakes_a_barrier(
        lengths in prop::collection::vec(prop::collection::vec(0..4_usize, 5), 1..5),
        ends in prop::collection::vec(0..6_usize, 4),
        choices in prop::collection::vec(0..100_usize, 1..50),
    ) {
        let channels: Vec<_> = lengths.iter().zip(&ends).map(|(lengths, end)| channel(&lengths[..lengths.len().min(end + 1)], *end)).collect();
        let most = ends[..channels.len()].iter().max().map_or(0, |most| *most.min(&5));
        let (early, complete) = run(channels, &choices, true).unwrap();
        prop_assert_eq!((early, complete), (0, most));
    }
}

#[test]
fn without_alignment_records_overtake_the_barrier() {
    let channels = vec![channel(&[1, 3], 1), channel(&[4, 1], 1)];
    // Always from the first channel that has something.
    assert_eq!(run(channels.clone(), &[0], true).unwrap(), (0, 1));
    assert_eq!(run(channels, &[0], false).unwrap(), (3, 1));
}
