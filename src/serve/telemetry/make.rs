//! Metrics made and registered in one call, and the buckets of the histograms.

use prometheus::{GaugeVec, Histogram, HistogramOpts, IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// Why a metric can always be made.
pub(super) const ONCE: &str = "a metric name is malformed or registered twice: this is a bug";

pub(super) fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> IntCounterVec {
    let metric = IntCounterVec::new(Opts::new(name, help), labels).expect(ONCE);
    registry.register(Box::new(metric.clone())).expect(ONCE);
    metric
}

pub(super) fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
    let metric = GaugeVec::new(Opts::new(name, help), labels).expect(ONCE);
    registry.register(Box::new(metric.clone())).expect(ONCE);
    metric
}

pub(super) fn counter(registry: &Registry, name: &str, help: &str) -> IntCounter {
    let metric = IntCounter::new(name, help).expect(ONCE);
    registry.register(Box::new(metric.clone())).expect(ONCE);
    metric
}

pub(super) fn gauge(registry: &Registry, name: &str, help: &str) -> IntGauge {
    let metric = IntGauge::new(name, help).expect(ONCE);
    registry.register(Box::new(metric.clone())).expect(ONCE);
    metric
}

pub(super) fn histogram(registry: &Registry, name: &str, help: &str, buckets: Vec<f64>) -> Histogram {
    let metric = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets)).expect(ONCE);
    registry.register(Box::new(metric.clone())).expect(ONCE);
    metric
}

/// 26 steps of 1.6 from 50 microseconds to about 6 seconds: fine below a millisecond.
pub(super) fn seconds() -> Vec<f64> {
    prometheus::exponential_buckets(50e-6, 1.6, 26).expect(ONCE)
}

pub(super) fn powers_of_two(first: i32, last: i32) -> Vec<f64> {
    (first..=last).map(|power| 2_f64.powi(power)).collect()
}

pub(super) fn tenths() -> Vec<f64> {
    (1..=10).map(|tenth| f64::from(tenth) / 10.0).collect()
}
