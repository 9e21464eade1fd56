//! Runs a script for one event after another.

use std::cell::RefCell;
use std::rc::Rc;

use crate::sandbox::{Engine, Failure};
use crate::{Event, Host, Limit, Limits, Run, RunError, Script};

/// Runs a script for one event after another on one thread, in an engine that it keeps warm.
///
/// A run sees nothing of those before it. An engine in which that is not certain (it was stopped, or ran out of memory) is
/// thrown away; the next run has a new one. Workers have nothing in common.
pub struct Worker {
    script: Script,
    limits: Limits,
    engine: Option<Engine>,
}

impl Worker {
    /// A worker for a script. Nothing of the script runs before the first event.
    pub fn new(script: &Script, limits: Limits) -> Self {
        Self { script: script.clone(), limits, engine: None }
    }

    /// Runs the handler for an event.
    pub fn run(&mut self, event: &Event, host: Rc<RefCell<dyn Host>>) -> Run {
        let made = match self.engine.take() {
            Some(engine) => Ok(engine),
            None => Engine::new(&self.script.graph, &self.limits),
        };
        let engine = match made {
            Ok(engine) => engine,
            Err(_) => {
                let message = "its limit of memory is too small to begin with".to_owned();
                let result = Err(RunError::from(Failure::limit(Limit::Memory, message)));
                return Run {
                    result,
                    recorded: Vec::new(),
                    took: Default::default(),
                    cpu: Default::default(),
                };
            }
        };
        let result = engine.run(event, host);
        let (took, cpu) = (engine.turn.took(), engine.turn.cpu());
        let recorded = engine.turn.end();
        let spoilt = result.as_ref().is_err_and(|failure| failure.spoilt);
        if !spoilt && engine.stays() {
            self.engine = Some(engine);
        }
        Run { result: result.map_err(RunError::from), recorded, took, cpu }
    }
}
