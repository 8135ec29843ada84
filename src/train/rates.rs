//! How fast each parameter learns, beside the others: layer-wise decay of the learning rate
//! (Howard and Ruder 2018, arXiv:1801.06146), and a rate of the head's own.

use crate::model::Depth;
use crate::nn::ParamSpec;

/// The factors of one network.
#[derive(Debug, Clone, PartialEq)]
pub struct Rates {
    layers: usize,
    layer_decay: f64,
    head: Vec<String>,
    head_factor: f64,
}

impl Rates {
    /// For a network of these parameters, `head` among them: the topmost layer and what stands above
    /// it learn at the rate of the schedule, each layer below at `layer_decay` times that of the one
    /// above, the embeddings at that times the lowest layer's, and the head at `head_factor` times
    /// the schedule's.
    #[must_use]
    pub fn new(params: &[ParamSpec], head: &[ParamSpec], layer_decay: f64, head_factor: f64) -> Self {
        let number = |spec: &ParamSpec| if let Depth::Layer(layer) = Depth::of(&spec.name) { layer + 1 } else { 0 };
        Self {
            layers: params.iter().map(number).max().unwrap_or(0),
            layer_decay,
            head: head.iter().map(|spec| spec.name.clone()).collect(),
            head_factor,
        }
    }

    /// What the learning rate of the parameter with this name is multiplied by.
    #[must_use]
    pub fn factor(&self, name: &str) -> f64 {
        if self.head.iter().any(|head| head == name) {
            return self.head_factor;
        }
        let below_top = match Depth::of(name) {
            Depth::Top => 0,
            Depth::Layer(layer) => self.layers - 1 - layer,
            Depth::Embeddings => self.layers,
        };
        self.layer_decay.powi(i32::try_from(below_top).unwrap_or(i32::MAX))
    }
}
