//! Traces of a command that drives runs itself: what they did is sent when they are at rest, once.

use std::sync::Arc;

use super::export::Exporter;
use super::settings::Settings;
use crate::app::App;
use crate::config::ConfigError;
use crate::gate::{Gate, Lookout, Observer};
use crate::io::clock::Clock;
use crate::journal::Begun;

struct Once {
    exporter: Exporter,
    clock: Arc<dyn Clock>,
}

/// Makes traces of the runs that `gate` sees from here on, where the environment names a collector.
pub fn watch(app: &App, gate: &Gate) -> Result<(), ConfigError> {
    let Some(settings) = Settings::read(&app.config)?.filter(|settings| settings.traces.is_some()) else {
        return Ok(());
    };
    let exporter = Exporter {
        settings,
        traces: Arc::default(),
        sent: Arc::default(),
    };
    let clock = app.clock.clone();
    gate.lookout.get_or_init(|| Arc::new(Once { exporter, clock }));
    Ok(())
}

impl Lookout for Once {
    fn watch(&self, begun: &Begun, again: u32, beside: Arc<dyn Observer>) -> Arc<dyn Observer> {
        self.exporter.traces.watch(begun, again, beside)
    }

    fn finish(&self) {
        self.exporter.send_left(&*self.clock);
    }
}
