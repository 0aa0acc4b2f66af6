//! The methods of generated harnesses, which the macros only list.

/// A typed `push` for each input, an `out` for each output, and those of the runtime's harness that
/// return the harness itself.
#[doc(hidden)]
#[macro_export]
macro_rules! __harness {
    (
        [$($generics:tt)*] [$($bounds:tt)*] $harness:ident, $operator:ty, $key:ty;
        $($input:literal: $record:ty => $push:ident $push_at:ident $push_all:ident $($watermark:ident $idle:ident)?;)*
        $(out $output:tt: $emitted:ty => $out:ident;)*
    ) => {
        impl $($generics)* $harness<$operator, $key> $($bounds)* {
            $(
                /// Processes a record without event time.
                #[track_caller]
                pub fn $push(&mut self, record: impl ::core::convert::Into<$record>) -> &mut Self {
                    self.0.push::<$input>(record.into());
                    self
                }
                /// Processes a record with this event time.
                #[track_caller]
                pub fn $push_at(&mut self, time: $crate::Timestamp, record: impl ::core::convert::Into<$record>) -> &mut Self {
                    self.0.push_at::<$input>(time, record.into());
                    self
                }
                /// Processes records without event time, one after the other.
                #[track_caller]
                pub fn $push_all(
                    &mut self,
                    records: impl ::core::iter::IntoIterator<Item = impl ::core::convert::Into<$record>>,
                ) -> &mut Self {
                    for record in records {
                        self.0.push::<$input>(record.into());
                    }
                    self
                }
                $(
                    /// Advances the watermark of this input alone; the operator's is the least of all inputs'.
                    #[track_caller]
                    pub fn $watermark(&mut self, to: $crate::Timestamp) -> &mut Self {
                        self.0.input_watermark::<$input>(to);
                        self
                    }
                    /// This input is idle: the operator's watermark does not wait for it until its next record.
                    #[track_caller]
                    pub fn $idle(&mut self) -> &mut Self {
                        self.0.input_idle::<$input>();
                        self
                    }
                )?
            )*
            $(
                /// What this output emitted, to be taken or compared.
                #[track_caller]
                pub fn $out(&mut self) -> $crate::testing::Emitted<'_, $emitted> {
                    self.0.emitted($output, |collected| &collected.$output)
                }
            )*
        }
        impl<__O, __K> $harness<__O, __K>
        where
            __O: $crate::__private::Operator<Outputs: $crate::__private::Wired> + $crate::__private::Timers<__K>,
            __K: $crate::__private::Key + ?::core::marker::Sized,
        {
            /// [`OperatorHarness::provide`]($crate::testing::OperatorHarness::provide)
            #[track_caller]
            pub fn provide<C: ::core::marker::Send + ::core::marker::Sync + 'static>(&mut self, config: C) -> &mut Self {
                self.0.provide(config);
                self
            }
            /// [`OperatorHarness::resource`]($crate::testing::OperatorHarness::resource)
            #[track_caller]
            pub fn resource<R: 'static>(
                &mut self,
                make: impl ::core::ops::Fn() -> R + ::core::marker::Send + ::core::marker::Sync + 'static,
            ) -> &mut Self {
                self.0.resource(make);
                self
            }
            /// [`OperatorHarness::with_metadata`]($crate::testing::OperatorHarness::with_metadata)
            pub fn with_metadata(&mut self, metadata: impl ::core::convert::Into<$crate::Metadata>) -> &mut Self {
                self.0.with_metadata(metadata);
                self
            }
            /// [`OperatorHarness::watermark`]($crate::testing::OperatorHarness::watermark)
            #[track_caller]
            pub fn watermark(&mut self, to: $crate::Timestamp) -> &mut Self {
                self.0.watermark(to);
                self
            }
            /// [`OperatorHarness::processing_time`]($crate::testing::OperatorHarness::processing_time)
            #[track_caller]
            pub fn processing_time(&mut self, to: $crate::Timestamp) -> &mut Self {
                self.0.processing_time(to);
                self
            }
            /// [`OperatorHarness::advance`]($crate::testing::OperatorHarness::advance)
            #[track_caller]
            pub fn advance(&mut self, by: ::std::time::Duration) -> &mut Self {
                self.0.advance(by);
                self
            }
            /// [`OperatorHarness::restore`]($crate::testing::OperatorHarness::restore)
            #[must_use]
            #[track_caller]
            pub fn restore(self, snapshot: &$crate::testing::Snapshot<__O>) -> Self {
                Self(self.0.restore(snapshot))
            }
            /// [`OperatorHarness::try_restore`]($crate::testing::OperatorHarness::try_restore)
            pub fn try_restore(self, snapshot: &$crate::testing::Snapshot<__O>) -> $crate::Result<Self> {
                self.0.try_restore(snapshot).map(Self)
            }
            /// [`OperatorHarness::restore_file`]($crate::testing::OperatorHarness::restore_file)
            #[must_use]
            #[track_caller]
            pub fn restore_file(self, path: impl ::core::convert::AsRef<::std::path::Path>) -> Self {
                Self(self.0.restore_file(path))
            }
            /// [`OperatorHarness::restore_share`]($crate::testing::OperatorHarness::restore_share)
            pub fn restore_share(
                self,
                snapshots: &[$crate::testing::Snapshot<__O>],
                worker: usize,
                workers: usize,
            ) -> $crate::Result<Self> {
                self.0.restore_share(snapshots, worker, workers).map(Self)
            }
            /// [`OperatorHarness::restore_workers`]($crate::testing::OperatorHarness::restore_workers)
            #[must_use]
            #[track_caller]
            pub fn restore_workers(
                self,
                snapshots: &[$crate::testing::Snapshot<__O>],
                workers: usize,
            ) -> ::std::vec::Vec<Self> {
                self.0.restore_workers(snapshots, workers).into_iter().map(Self).collect()
            }
            /// [`OperatorHarness::workers`]($crate::testing::OperatorHarness::workers)
            #[must_use]
            #[track_caller]
            pub fn workers(self, workers: usize) -> ::std::vec::Vec<Self> {
                self.0.workers(workers).into_iter().map(Self).collect()
            }
        }
        impl<__O, __K> ::core::ops::Deref for $harness<__O, __K>
        where
            __O: $crate::__private::Operator<Outputs: $crate::__private::Wired>,
            __K: $crate::__private::Key + ?::core::marker::Sized,
        {
            type Target = $crate::testing::OperatorHarness<__O, __K>;
            fn deref(&self) -> &Self::Target {
                &self.0
            }
        }
        impl<__O, __K> ::core::ops::DerefMut for $harness<__O, __K>
        where
            __O: $crate::__private::Operator<Outputs: $crate::__private::Wired>,
            __K: $crate::__private::Key + ?::core::marker::Sized,
        {
            fn deref_mut(&mut self) -> &mut Self::Target {
                &mut self.0
            }
        }
    };
}
