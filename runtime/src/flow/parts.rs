//! Parts of the configuration and resources, by type.

use crate::api::needs::MakeResource;
use crate::error::{Error, ErrorKind, Result};
use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::sync::Arc;

/// What the pipeline provides to sources, sinks and operators: the configuration, parts of it, and
/// recipes for resources.
#[derive(Clone, Default)]
pub struct Parts {
    configs: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
    resources: HashMap<TypeId, MakeResource>,
}

impl Parts {
    /// The configuration, or the part of it, of this type.
    ///
    /// # Errors
    /// [`ErrorKind::Graph`] when the pipeline provides none.
    pub fn config<C: Send + Sync + 'static>(&self) -> Result<Arc<C>> {
        self.configs.get(&TypeId::of::<C>()).and_then(|part| part.clone().downcast().ok()).ok_or_else(|| {
            let name = type_name::<C>();
            Error::new(
                ErrorKind::Graph,
                format!("the pipeline's configuration has no `{name}`; take the pipeline's own configuration type, or add `flow.provide(|config| config.….clone())` before this is wired"),
            )
        })
    }

    pub(crate) fn provide<C: Send + Sync + 'static>(&mut self, part: Arc<C>) {
        self.configs.insert(TypeId::of::<C>(), part);
    }

    pub(crate) fn provide_resource(&mut self, id: TypeId, make: MakeResource) {
        self.resources.insert(id, make);
    }

    pub(crate) fn find_config(&self, id: TypeId) -> Option<Arc<dyn Any + Send + Sync>> {
        self.configs.get(&id).cloned()
    }

    pub(crate) fn find_resource(&self, id: TypeId) -> Option<MakeResource> {
        self.resources.get(&id).cloned()
    }
}
