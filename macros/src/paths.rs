//! Every path that generated code uses: the other side of the runtime's `__private.rs`.
//!
//! Each is a unit struct that prints its path, so that templates read `impl #Operator for …`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};

macro_rules! paths {
    ($($name:ident => $path:ident)*) => {$(
        #[derive(Clone, Copy)]
        pub struct $name;
        impl ToTokens for $name {
            fn to_tokens(&self, tokens: &mut TokenStream) {
                tokens.extend(self.at(Span::call_site()));
            }
        }
        impl $name {
            /// The path at this place, for what an error may have to point at.
            pub fn at(self, span: Span) -> TokenStream {
                quote_spanned!(span=> ::staunch::__private::$path)
            }
        }
    )*};
}

paths! {
    Arc => Arc
    Clone => Clone
    Collectors => Collectors
    Context => Context
    CrashTest => CrashTest
    VariantErr => Err
    Failed => Failed
    FallibleType => FallibleType
    Flow => Flow
    FlowType => FlowType
    Fn => Fn
    Handler => Handler
    Inputs => Inputs
    Into => Into
    JobBuilder => JobBuilder
    Key => Key
    KeyedInput => KeyedInput
    Needs => Needs
    VariantNone => None
    VariantOk => Ok
    Opener => Opener
    Operator => Operator
    OperatorHarness => OperatorHarness
    OperatorWiring => OperatorWiring
    OutputType => OutputType
    Parts => Parts
    PhantomData => PhantomData
    Pipeline => Pipeline
    PipelineHarness => PipelineHarness
    Result => Result
    Schema => Schema
    Send => Send
    ShowFn => ShowFn
    Sink => Sink
    SinkFn => SinkFn
    VariantSome => Some
    Source => Source
    SourceFn => SourceFn
    State => State
    Stream => Stream
    String => String
    Sync => Sync
    Timers => Timers
    Timestamp => Timestamp
    UnkeyedInput => UnkeyedInput
    Wired => Wired
}

// Functions and macros.
paths! {
    BorrowedKey => borrowed
    ComputedKey => computed
    DecodeOpaque => decode_opaque
    DecodeVariant => decode_variant
    Described => described
    EncodeOpaque => encode_opaque
    EncodeVariant => encode_variant
    EnumSchema => enum_schema
    HarnessMacro => harness
    JobFn => job
    MainFn => main
    MetadataOf => metadata
    Never => never
    NoKey => unkeyed
    OpaqueSchema => opaque_schema
    RowMacro => row
    ShowMacro => show
    StructSchema => struct_schema
    UnknownVariant => unknown_variant
    VariantSchema => variant_schema
}
