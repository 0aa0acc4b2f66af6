//! What the macros understand of an annotated item: the only thing that checks and expansion see.
//!
//! Parsing fills every part even where the item is wrong (with a placeholder type, an empty name),
//! so that all checks can run and the fallback knows the outputs. Expansion only sees models that
//! passed the checks.

use proc_macro2::Span;
use syn::{Attribute, Generics, Ident, Pat, Signature, Type, Visibility};

/// Where a parameter's argument comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Record,
    Key,
    State {
        opaque: bool,
    },
    Output,
    Config,
    Resource,
    Context,
    EventTime,
    ProcessingTime,
    Metadata,
    /// The time that a timer was set for.
    At,
}

/// A parameter of an operator's function or method.
pub struct Param {
    pub role: Role,
    pub pat: Pat,
    /// `None` where the pattern is not a plain name.
    pub name: Option<Ident>,
    /// As written.
    pub ty: Type,
}

impl Param {
    /// The type without the reference.
    pub fn target(&self) -> &Type {
        match peel(&self.ty) {
            Type::Reference(reference) => &reference.elem,
            other => other,
        }
    }

    /// The reference, if it is one.
    pub fn reference(&self) -> Option<&syn::TypeReference> {
        match peel(&self.ty) {
            Type::Reference(reference) => Some(reference),
            _ => None,
        }
    }

    /// `&mut T`, where a mutable one is meant.
    pub fn is_mut(&self) -> bool {
        self.reference().is_some_and(|reference| reference.mutability.is_some())
    }

    /// The name without the underscores of an unused parameter, or `other` where there is none.
    pub fn plain_name(&self, other: &str) -> String {
        self.name.as_ref().map(plain_name).filter(|name| !name.is_empty()).unwrap_or_else(|| other.to_owned())
    }
}

/// An identifier without `r#` and leading underscores.
pub fn plain_name(ident: &Ident) -> String {
    let text = ident.to_string();
    text.strip_prefix("r#").unwrap_or(&text).trim_start_matches('_').to_owned()
}

/// A type without the invisible groups that `macro_rules` leave, and without parentheses.
pub fn peel(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => peel(&group.elem),
        Type::Paren(paren) => peel(&paren.elem),
        other => other,
    }
}

/// What a returned value, or the `Ok` of it, means.
#[derive(Clone)]
pub enum Emits {
    Nothing,
    One(Type),
    Optional(Type),
}

/// The type of the error of a fallible function.
#[derive(Clone)]
pub enum ErrorType {
    Written(Type),
    /// `io::Result<T>`: the error of this whole type.
    Of(Type),
}

/// A function's return type, recognised as it is spelled.
pub struct Returns {
    pub spelled: Option<Type>,
    pub emits: Emits,
    pub error: Option<ErrorType>,
}

/// When a function of an operator is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    Record,
    EventTimer,
    ProcessingTimer,
}

/// A function operator's function, or an `#[input]` or `#[timer]` method.
pub struct Function {
    pub trigger: Trigger,
    pub sig: Signature,
    pub params: Vec<Param>,
    pub returns: Returns,
}

impl Function {
    pub fn with_role(&self, role: impl Fn(Role) -> bool) -> impl Iterator<Item = &Param> {
        self.params.iter().filter(move |param| role(param.role))
    }

    pub fn record(&self) -> Option<&Param> {
        self.with_role(|role| role == Role::Record).next()
    }
}

/// An id, and what to point at when it is wrong.
pub struct Id {
    pub text: String,
    pub span: Span,
}

/// The type of the records of an output.
#[derive(Clone)]
pub enum RecordType {
    Written(Type),
    /// Of an `#[output]` parameter with this type behind its reference.
    OfOutput(Type),
    Failed(ErrorType),
}

/// One output of an operator.
#[derive(Clone)]
pub struct Port {
    pub name: String,
    pub record: RecordType,
}

/// How an operator's inputs are keyed.
pub enum Keying {
    /// Not at all.
    Unkeyed,
    /// By any key.
    Any,
    /// By a key of this type.
    By(Box<Type>),
}

/// What the operator's type is.
pub enum Shape {
    /// A function; its type is generated.
    Function { vis: Visibility, type_name: Ident },
    /// The methods of this type, which is the state.
    Methods { ty: Box<Type> },
}

/// An operator.
pub struct Operator {
    pub shape: Shape,
    pub id: Id,
    /// Repeated on all that is generated.
    pub cfgs: Vec<Attribute>,
    pub generics: Generics,
    /// A function operator has one.
    pub functions: Vec<Function>,
}

/// The stream of failures.
pub const FAILED: &str = "failed";
/// The stream of returned records.
pub const OUT: &str = "out";

impl Operator {
    pub fn inputs(&self) -> impl Iterator<Item = &Function> {
        self.functions.iter().filter(|function| function.trigger == Trigger::Record)
    }

    pub fn timer(&self, trigger: Trigger) -> Option<&Function> {
        self.functions.iter().find(|function| function.trigger == trigger)
    }

    pub fn params(&self, role: Role) -> impl Iterator<Item = &Param> {
        self.functions.iter().flat_map(|function| &function.params).filter(move |param| param.role == role)
    }

    /// The fields of a generated state row.
    pub fn states(&self) -> impl Iterator<Item = &Param> {
        self.functions.iter().flat_map(|function| function.with_role(|role| matches!(role, Role::State { .. })))
    }

    /// An operator is keyed as soon as it has a key, a state or a timer.
    pub fn keying(&self) -> Keying {
        if let Some(key) = self.params(Role::Key).next() {
            return Keying::By(Box::new(key.target().clone()));
        }
        let stateful = match &self.shape {
            Shape::Function { .. } => self.states().next().is_some(),
            Shape::Methods { .. } => self.functions.iter().any(|function| function.sig.receiver().is_some()),
        };
        let timers = self.functions.iter().any(|function| function.trigger != Trigger::Record);
        if stateful || timers { Keying::Any } else { Keying::Unkeyed }
    }

    /// The outputs, in the order in which they first appear; that of failures is the last.
    pub fn ports(&self) -> Vec<Port> {
        let mut ports: Vec<Port> = Vec::new();
        let mut failed = None;
        let mut add = |port: Port| {
            if ports.iter().all(|known| known.name != port.name) {
                ports.push(port);
            }
        };
        for function in &self.functions {
            for param in function.with_role(|role| role == Role::Output) {
                add(Port { name: param.plain_name("output"), record: RecordType::OfOutput(param.target().clone()) });
            }
            if let Emits::One(ty) | Emits::Optional(ty) = &function.returns.emits {
                add(Port { name: OUT.to_owned(), record: RecordType::Written(ty.clone()) });
            }
            failed = failed.or_else(|| function.returns.error.clone());
        }
        ports.extend(failed.map(|error| Port { name: FAILED.to_owned(), record: RecordType::Failed(error) }));
        ports
    }

    /// The types of the `#[config]` and then of the `#[resource]` parameters, each once.
    pub fn env(&self) -> (Vec<&Type>, Vec<&Type>) {
        let once = |role| {
            let mut types: Vec<&Type> = Vec::new();
            for param in self.params(role) {
                if !types.contains(&param.target()) {
                    types.push(param.target());
                }
            }
            types
        };
        (once(Role::Config), once(Role::Resource))
    }
}

/// Which end of a pipeline a function describes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Source,
    Sink,
}

impl End {
    pub fn attribute(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Sink => "sink",
        }
    }
}

/// A `#[source]` or `#[sink]` function.
pub struct Endpoint {
    pub end: End,
    pub vis: Visibility,
    pub type_name: Ident,
    pub id: Id,
    pub cfgs: Vec<Attribute>,
    pub sig: Signature,
    pub params: Vec<Type>,
    /// What is returned, without the `Result` around it.
    pub connector: Option<Type>,
    pub fallible: bool,
}

/// A `#[pipeline]` function.
pub struct PipelineFn {
    pub vis: Visibility,
    pub type_name: Ident,
    pub name: Id,
    pub cfgs: Vec<Attribute>,
    pub sig: Signature,
    pub no_main: bool,
}

impl PipelineFn {
    /// `Flow<Config>`, from `flow: &Flow<Config>`.
    pub fn flow(&self) -> Option<&Type> {
        let Some(syn::FnArg::Typed(param)) = self.sig.inputs.first() else { return None };
        match peel(&param.ty) {
            Type::Reference(reference) if reference.mutability.is_none() => Some(&reference.elem),
            _ => None,
        }
    }
}

/// A field of a state type.
pub struct StateField {
    /// A name, or a number.
    pub member: syn::Member,
    pub ty: Type,
    pub opaque: bool,
}

/// A struct, or one variant of an enum.
pub struct StateVariant {
    pub name: Ident,
    pub fields: Vec<StateField>,
}

/// What `#[derive(State)]` stands above.
pub enum StateBody {
    Struct(StateVariant),
    Enum(Vec<StateVariant>),
}

/// A type with `#[derive(State)]`.
pub struct StateType {
    pub name: Ident,
    pub generics: Generics,
    pub body: StateBody,
}
