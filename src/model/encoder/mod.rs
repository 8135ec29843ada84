//! Encoders: networks that read a whole text at once.

mod bert;
mod distilbert;
mod modernbert;
mod post_norm;

pub use bert::{BertConfig, RobertaConfig};
pub use distilbert::DistilBertConfig;
pub use modernbert::{ModernBert, ModernBertConfig};
pub use post_norm::PostNorm;
