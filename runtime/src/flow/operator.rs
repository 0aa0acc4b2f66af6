//! Wires operators: what the generated `on` calls.

use super::handle::Shared;
use super::inputs::{KeyedInput, UnkeyedInput};
use super::select::Unkeyed;
use super::stream::Stream;
use crate::api::context::Context;
use crate::api::key::Key;
use crate::api::needs::{Needs, Opener};
use crate::api::operator::{Collectors, Handler, Operator, Timers};
use crate::api::state::{Schema, State};
use crate::data::build::BuildOperator;
use crate::data::outputs::Wired;
use crate::data::port::{BuildPort, TypedPort};
use crate::error::Result;
use crate::graph::logical::{Input, KeyedState, Node, NodeKind};
use std::marker::PhantomData;
use std::sync::Arc;

/// Collects the inputs of one use of an operator, then puts it into the graph.
///
/// `K` is the key's type, `()` for operators that are not keyed.
pub struct OperatorWiring<O, K: ?Sized> {
    id: String,
    wiring: Option<Shared>,
    inputs: Vec<Input>,
    ports: Vec<Arc<dyn BuildPort<O, K>>>,
}

impl<O, K> OperatorWiring<O, K>
where
    O: Operator<Outputs: Wired> + Timers<K>,
    K: Key + ?Sized,
{
    /// Starts the wiring of an operator under this id.
    #[must_use]
    pub fn new(id: &str) -> Self {
        Self { id: id.to_owned(), wiring: None, inputs: Vec::new(), ports: Vec::new() }
    }

    /// Connects the next input, number `INPUT`, of a keyed operator.
    #[must_use]
    pub fn keyed<const INPUT: usize, S>(mut self, input: S) -> Self
    where
        O: Handler<INPUT, K>,
        S: KeyedInput<<O as Handler<INPUT, K>>::Record, K>,
    {
        let (stream, select) = input.keyed();
        self.connect(INPUT, &stream, Some(K::type_name()));
        self.ports.push(Arc::new(TypedPort::<O, K, _, S::Selector, INPUT>::new(select)));
        self
    }

    fn connect<T>(&mut self, number: usize, stream: &Stream<T>, key: Option<String>) {
        debug_assert_eq!(number, self.inputs.len(), "inputs are connected in order");
        self.inputs.push(Input { name: O::INPUTS[number], from: stream.port, key });
        self.wiring.get_or_insert_with(|| stream.wiring().clone());
    }

    /// Puts the operator into the graph and returns its outputs: nothing, a stream, or a tuple of streams.
    ///
    /// # Panics
    /// If no input was connected; generated code always connects one.
    pub fn finish(self) -> <O::Outputs as Wired>::Streams {
        let wiring = self.wiring.expect("an operator has an input");
        let mut needs = Needs::default();
        O::needs(&mut needs);
        let keyed = self.inputs.iter().any(|input| input.key.is_some());
        let state = keyed.then(|| KeyedState {
            key: K::type_name(),
            schema: O::schema(),
            event_timers: O::EVENT,
            processing_timers: O::PROCESSING,
        });
        let node = Node {
            id: self.id,
            kind: NodeKind::Operator,
            describe: describe::<O>(),
            inputs: self.inputs,
            outputs: <O::Outputs as Wired>::ports(O::OUTPUTS),
            needs,
            state,
            participant: None,
            endless: false,
        };
        let build = Arc::new(BuildOperator { ports: self.ports });
        let at = wiring.borrow_mut().add(node, build);
        <O::Outputs as Wired>::streams(&wiring, at)
    }
}

impl<O> OperatorWiring<O, ()>
where
    O: Operator<Outputs: Wired> + Timers<()>,
{
    /// Connects the next input, number `INPUT`, of an operator that is not keyed.
    #[must_use]
    pub fn unkeyed<const INPUT: usize, S>(mut self, input: S) -> Self
    where
        O: Handler<INPUT, ()>,
        S: UnkeyedInput<<O as Handler<INPUT, ()>>::Record>,
    {
        let stream = input.stream();
        self.connect(INPUT, &stream, None);
        self.ports.push(Arc::new(TypedPort::<O, (), _, _, INPUT>::new(Unkeyed(PhantomData))));
        self
    }
}

fn describe<O>() -> String {
    let name = std::any::type_name::<O>();
    format!("operator {}", name.rsplit("::").next().unwrap_or(name))
}

/// Passes on the records of two inputs.
struct Union<T>(PhantomData<fn(T)>);

impl<T> Clone for Union<T> {
    fn clone(&self) -> Self {
        Self(PhantomData)
    }
}

impl<T> Default for Union<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T: 'static> State for Union<T> {
    fn schema() -> Schema {
        Schema::Struct("union".into(), Vec::new())
    }
    fn encode(&self, _out: &mut Vec<u8>) {}
    fn decode(_bytes: &mut &[u8]) -> Result<Self> {
        Ok(Self(PhantomData))
    }
}

impl<T: Send + 'static> Operator for Union<T> {
    const ID: &'static str = "union";
    const INPUTS: &'static [&'static str] = &["left", "right"];
    const OUTPUTS: &'static [&'static str] = &["both"];
    type Outputs = (T,);
    type Env = ();
    fn needs(_needs: &mut Needs) {}
    fn open(_opener: &mut Opener<'_>) -> Result<()> {
        Ok(())
    }
}

impl<T: Send + 'static> Timers<()> for Union<T> {}

macro_rules! union_input {
    ($number:literal) => {
        impl<T: Send + 'static> Handler<$number, ()> for Union<T> {
            type Record = T;
            fn handle(&mut self, record: T, _: &(), _: &mut (), _: &mut Context<'_>, out: &mut Collectors<Self>) {
                out.0.emit(record);
            }
        }
    };
}
union_input!(0);
union_input!(1);

pub(super) fn wire_union<T: Send + 'static>(left: Stream<T>, right: Stream<T>) -> Stream<T> {
    // Unions have no state, so their number within the graph is name enough.
    let id = format!("union-{}", left.wiring.borrow().graph.nodes.len());
    OperatorWiring::<Union<T>, ()>::new(&id).unkeyed::<0, _>(left).unkeyed::<1, _>(right).finish()
}
