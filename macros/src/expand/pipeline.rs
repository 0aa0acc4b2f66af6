//! `#[pipeline]`: the graph's builder, the command line and the job.

use super::{empty_struct, hidden};
use crate::model::{PipelineFn, peel};
use crate::paths::{CrashTest, Flow, FlowType, Inputs, JobBuilder, JobFn, MainFn, Pipeline, PipelineHarness, Result};
use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::spanned::Spanned;
use syn::{GenericArgument, PathArguments, Type};

/// Where the configuration's type stands in `Flow<Config>`, or the whole of it where an alias is written.
fn config_span(flow: &Type) -> Span {
    if let Type::Path(path) = peel(flow)
        && let Some(last) = path.path.segments.last()
        && let PathArguments::AngleBracketed(arguments) = &last.arguments
        && let Some(GenericArgument::Type(config)) = arguments.args.first()
    {
        return config.span();
    }
    flow.span()
}

/// Everything that stands beside the function.
pub fn pipeline(pipeline: &PipelineFn) -> TokenStream {
    let Some(flow) = pipeline.flow() else { return TokenStream::new() };
    let (type_name, function, vis) = (&pipeline.type_name, &pipeline.sig.ident, &pipeline.vis);
    let name = &pipeline.name.text;
    let span = config_span(flow);
    let this = Ident::new("Self", span);
    let main_fn = MainFn.at(span);
    let main = (!pipeline.no_main).then(|| {
        quote! {
            /// The whole command line: `run`, `graph`, `checkpoints`, …
            #vis fn main() -> #Result<()> {
                #main_fn::<#this>()
            }
        }
    });
    let row = empty_struct(&pipeline.cfgs, vis, type_name);
    let content = quote! {
        #[automatically_derived]
        impl #Pipeline for #type_name {
            const NAME: &'static str = #name;
            type Config = <#flow as #FlowType>::Config;
            fn build(flow: &#Flow<Self::Config>) {
                #function(flow);
            }
        }
        impl #type_name {
            #main
            /// The pipeline as a job in this process, with this configuration.
            #vis fn job(config: <Self as #Pipeline>::Config) -> #JobBuilder<Self> {
                #JobFn::<Self>(config)
            }
            /// The whole pipeline in a test: its sources and sinks are the test's, its time is virtual.
            #vis fn harness(config: <Self as #Pipeline>::Config) -> #PipelineHarness<Self> {
                #PipelineHarness::new(config)
            }
            /// A test that crashes the pipeline at every step and compares what it has committed.
            #vis fn crash_test(inputs: #Inputs<<Self as #Pipeline>::Config>) -> #CrashTest<Self> {
                #CrashTest::new(inputs)
            }
        }
    };
    let hidden = hidden(&pipeline.cfgs, &content);
    quote!(#row #hidden)
}
