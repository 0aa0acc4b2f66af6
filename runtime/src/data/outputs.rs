//! An operator's outputs, connected: the streams that the wiring returns, and what takes the batches.

use super::build::WorkerBuilder;
use super::event::Control;
use super::push::{Next, Push};
use crate::api::batch::Batch;
use crate::api::output::Outputs;
use crate::error::Result;
use crate::flow::Shared;
use crate::flow::Stream;
use crate::graph::logical::{Port, PortRef};
use crate::time::Timestamp;
use std::any::type_name;
use std::cell::RefCell;
use std::rc::Rc;

/// Outputs that can be wired: every tuple that is [`Outputs`]. Implemented by this crate only.
pub trait Wired: Outputs {
    /// Nothing, one stream, or a tuple of streams.
    type Streams;
    /// What takes the batches of each output.
    type Nexts: 'static;
    /// What a harness collected: nothing, a `Vec` of records with their times, or a tuple of these.
    type Taken;
    /// The same without times.
    type Records;
    /// Where a harness collects.
    #[doc(hidden)]
    type Collected: 'static;

    #[doc(hidden)]
    fn ports(names: &[&'static str]) -> Vec<Port>;
    #[doc(hidden)]
    fn streams(wiring: &Shared, node: usize) -> Self::Streams;
    #[doc(hidden)]
    fn nexts(builder: &mut WorkerBuilder<'_>, node: usize) -> Result<Self::Nexts>;
    /// Ends that collect, for a harness.
    #[doc(hidden)]
    fn collect() -> (Self::Nexts, Self::Collected);
    /// How many records each output holds that were not taken.
    #[doc(hidden)]
    fn counts(collected: &Self::Collected) -> Vec<usize>;
    #[doc(hidden)]
    fn take(collected: &Self::Collected) -> Self::Taken;
    #[doc(hidden)]
    fn untimed(taken: Self::Taken) -> Self::Records;
    #[doc(hidden)]
    fn ready(nexts: &mut Self::Nexts) -> Result<bool>;
    /// Passes on everything collected.
    #[doc(hidden)]
    fn emit(nexts: &mut Self::Nexts, collectors: &mut Self::Collectors) -> Result<u64>;
    #[doc(hidden)]
    fn control(nexts: &mut Self::Nexts, control: Control) -> Result<()>;
    #[doc(hidden)]
    fn flush(nexts: &mut Self::Nexts) -> Result<()>;
}

/// Collects records for a harness.
pub struct Bucket<T>(Rc<RefCell<Vec<(T, Timestamp)>>>);

impl<T> Bucket<T> {
    pub(crate) fn records(&self) -> std::cell::RefMut<'_, Vec<(T, Timestamp)>> {
        self.0.borrow_mut()
    }
}

impl<T> Default for Bucket<T> {
    fn default() -> Self {
        Self(Rc::default())
    }
}

impl<T> Push<T> for Bucket<T> {
    fn ready(&mut self) -> Result<bool> {
        Ok(true)
    }

    fn batch(&mut self, batch: &mut Batch<T>) -> Result<()> {
        self.0.borrow_mut().extend(batch.drain());
        Ok(())
    }

    fn control(&mut self, _control: Control) -> Result<()> {
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}

macro_rules! wired {
    ($($T:ident $at:tt),*) => {
        #[allow(unused_variables, unused_mut, clippy::unused_unit)]
        impl<$($T: Send + 'static),*> Wired for ($($T,)*) {
            type Streams = wired!(@streams $($T)*);
            type Nexts = ($(Next<$T>,)*);
            type Taken = wired!(@taken $($T)*);
            type Records = wired!(@records $($T)*);
            type Collected = ($(Bucket<$T>,)*);

            fn ports(names: &[&'static str]) -> Vec<Port> {
                vec![$(Port { name: names[$at], record: type_name::<$T>() }),*]
            }
            fn streams(wiring: &Shared, node: usize) -> Self::Streams {
                wired!(@make wiring node $($T $at)*)
            }
            fn nexts(builder: &mut WorkerBuilder<'_>, node: usize) -> Result<Self::Nexts> {
                Ok(($(builder.next::<$T>(PortRef { node, port: $at })?,)*))
            }
            fn collect() -> (Self::Nexts, Self::Collected) {
                let collected: Self::Collected = ($(Bucket::<$T>::default(),)*);
                (($(Box::new(Bucket(collected.$at.0.clone())) as Next<$T>,)*), collected)
            }
            fn counts(collected: &Self::Collected) -> Vec<usize> {
                vec![$(collected.$at.0.borrow().len()),*]
            }
            fn take(collected: &Self::Collected) -> Self::Taken {
                wired!(@take collected $($T $at)*)
            }
            fn untimed(taken: Self::Taken) -> Self::Records {
                wired!(@untimed taken $($T $at)*)
            }
            fn ready(nexts: &mut Self::Nexts) -> Result<bool> {
                let mut all = true;
                $(all &= nexts.$at.ready()?;)*
                Ok(all)
            }
            fn emit(nexts: &mut Self::Nexts, collectors: &mut Self::Collectors) -> Result<u64> {
                let mut emitted = 0;
                $(if !collectors.$at.batch.is_empty() {
                    emitted += collectors.$at.batch.len() as u64;
                    nexts.$at.batch(&mut collectors.$at.batch)?;
                    collectors.$at.batch.clear();
                })*
                Ok(emitted)
            }
            fn control(nexts: &mut Self::Nexts, control: Control) -> Result<()> {
                $(nexts.$at.control(control)?;)*
                Ok(())
            }
            fn flush(nexts: &mut Self::Nexts) -> Result<()> {
                $(nexts.$at.flush()?;)*
                Ok(())
            }
        }
    };
    (@streams) => { () };
    (@streams $T:ident) => { Stream<$T> };
    (@streams $($T:ident)*) => { ($(Stream<$T>,)*) };
    (@taken) => { () };
    (@taken $T:ident) => { Vec<($T, Timestamp)> };
    (@taken $($T:ident)*) => { ($(Vec<($T, Timestamp)>,)*) };
    (@records) => { () };
    (@records $T:ident) => { Vec<$T> };
    (@records $($T:ident)*) => { ($(Vec<$T>,)*) };
    (@untimed $from:ident) => { () };
    (@untimed $from:ident $T:ident $at:tt) => { $from.into_iter().map(|(record, _)| record).collect() };
    (@untimed $from:ident $($T:ident $at:tt)*) => { ($($from.$at.into_iter().map(|(record, _)| record).collect(),)*) };
    (@take $from:ident) => { () };
    (@take $from:ident $T:ident $at:tt) => { $from.$at.0.take() };
    (@take $from:ident $($T:ident $at:tt)*) => { ($($from.$at.0.take(),)*) };
    (@make $wiring:ident $node:ident) => { () };
    (@make $wiring:ident $node:ident $T:ident $at:tt) => { Stream::new($wiring.clone(), PortRef { node: $node, port: $at }) };
    (@make $wiring:ident $node:ident $($T:ident $at:tt)*) => {
        ($(Stream::<$T>::new($wiring.clone(), PortRef { node: $node, port: $at }),)*)
    };
}
wired!();
wired!(A 0);
wired!(A 0, B 1);
wired!(A 0, B 1, C 2);
wired!(A 0, B 1, C 2, D 3);
