//! Gauges that say how things stand as the page is written. Nothing sets them in between, so a version that was
//! swapped out leaves no series behind.

use prometheus::{GaugeVec, IntGauge, IntGaugeVec, Opts, Registry};

use super::make::{ONCE, gauge, gauges};
use super::words::{LabelsInfo, ModelInfo, Sample};

/// See the module.
pub(super) struct Sampled {
    queue_texts: IntGauge,
    queue_tokens: IntGauge,
    info: IntGaugeVec,
    load: GaugeVec,
    expected: GaugeVec,
    drift: GaugeVec,
    window: GaugeVec,
}

impl Sampled {
    pub(super) fn register(registry: &Registry) -> Self {
        const LOAD: &str = "Time to open, verify and warm the version.";
        const EXPECTED: &str = "Share of the rows judged out of fold that the label was decided for: what to expect of live texts.";
        const DRIFT: &str = "Population stability index of the label's live scores beside those judged out of fold.";
        const WINDOW: &str = "Texts scored in the window that the drift is of, about the last hour.";
        let info = Opts::new("limbic_model_info", "A version that can be asked; always 1.");
        let info = IntGaugeVec::new(info, &["model", "version", "digest", "backend", "precision"]).expect(ONCE);
        registry.register(Box::new(info.clone())).expect(ONCE);
        let (version, label) = (&["model", "version"], &["model", "version", "label"]);
        Self {
            queue_texts: gauge(registry, "limbic_queue_texts", "Texts waiting or with a place reserved."),
            queue_tokens: gauge(registry, "limbic_queue_tokens", "Tokens waiting."),
            info,
            load: gauges(registry, "limbic_model_load_duration_seconds", LOAD, version),
            expected: gauges(registry, "limbic_label_expected_ratio", EXPECTED, label),
            drift: gauges(registry, "limbic_label_score_drift", DRIFT, label),
            window: gauges(registry, "limbic_drift_window_texts", WINDOW, version),
        }
    }

    pub(super) fn set(&self, sample: &Sample) {
        self.queue_texts.set(i64::try_from(sample.depth.texts).unwrap_or(i64::MAX));
        self.queue_tokens.set(i64::try_from(sample.depth.tokens).unwrap_or(i64::MAX));
        self.info.reset();
        self.load.reset();
        for model in &sample.models {
            let ModelInfo { name, version, digest, backend, precision, load } = model;
            self.info.with_label_values(&[name.as_str(), version, digest, backend, precision]).set(1);
            self.load.with_label_values(&[name, version]).set(load.as_secs_f64());
        }
        [&self.expected, &self.drift, &self.window].into_iter().for_each(GaugeVec::reset);
        sample.labels.iter().for_each(|labels| self.set_labels(labels));
    }

    fn set_labels(&self, LabelsInfo { model, version, texts, labels }: &LabelsInfo) {
        if let Some(texts) = texts {
            self.window.with_label_values(&[model, version]).set(*texts as f64);
        }
        for label in labels {
            let at = [model, version, &label.name];
            for (gauge, value) in [(&self.expected, label.expected), (&self.drift, label.drift)] {
                if let Some(value) = value {
                    gauge.with_label_values(&at).set(value);
                }
            }
        }
    }
}
