//! Reads of the project's own files, which no provider answers and no mode simulates.

use crate::effect::{Failure, Fault};
use crate::gate::{Act, Errand, Simulation};
use crate::value::Value;

/// Carries out such a read. What fails will fail the same when asked again, so it is attempted once.
pub struct Reading<F>(pub F);

impl<F> Act for Reading<F>
where
    F: Fn(&mut Errand<'_>) -> Result<Value, Failure>,
{
    /// Never asked for: without a provider there is nothing whose switch could be off.
    fn simulate(&self, simulation: &Simulation<'_>) -> Result<Value, Failure> {
        Err(Failure::new(
            "NOT_SIMULATED",
            format!("{} has no simulation: it works on real files", simulation.name),
        ))
    }

    fn carry_out(&self, errand: &mut Errand<'_>) -> Result<Value, Fault> {
        (self.0)(errand).map_err(Fault::refused)
    }
}
