//! What every request may need of the agent.

use crate::application::{Application, Applications};
use crate::context::Context;
use crate::error::Refused;
use mainstay_core::ApplicationName;
use std::sync::Arc;

#[derive(Clone)]
pub struct Agent {
    pub context: Arc<Context>,
    pub applications: Applications,
}

impl Agent {
    pub fn application(&self, name: &ApplicationName) -> Result<&Arc<Application>, Refused> {
        self.applications.get(name).ok_or_else(|| {
            Refused::new(
                "MS-AGENT-010",
                format!("{name} is not an application of {}'s configuration", self.context.here()),
                "give every site the same configuration",
            )
        })
    }
}
