//! The numbers of a daemon, in the text form of Prometheus. Record them with the macros of the crate `metrics`.

use std::{sync::OnceLock, time::Duration};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tokio_util::sync::CancellationToken;
use tracing::warn;

/// Bounds of the histograms of seconds: from an index lookup to the longest build.
const SECONDS: &[f64] = &[0.001, 0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 7200.0];

/// How often samples are folded into their histograms, if nobody asks for them.
const UPKEEP: Duration = Duration::from_secs(5);

static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();

/// All numbers, as Prometheus reads them.
pub fn render() -> String {
    recorder().render()
}

/// The one recorder of the process.
fn recorder() -> &'static PrometheusHandle {
    RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new();
        let recorder = match builder.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS) {
            Ok(builder) => builder.build_recorder(),
            // Only an empty list of bounds is refused.
            Err(_) => PrometheusBuilder::new().build_recorder(),
        };
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            warn!("another recorder of metrics is installed: /metrics stays empty");
        }
        handle
    })
}

/// Records from here on. What is counted before is lost.
pub(crate) fn install() {
    recorder();
}

/// Keeps samples from piling up while nobody asks for them.
pub(crate) async fn keep_up(shutdown: CancellationToken) {
    let mut ticks = tokio::time::interval(UPKEEP);
    while shutdown.run_until_cancelled(ticks.tick()).await.is_some() {
        recorder().run_upkeep();
    }
}
