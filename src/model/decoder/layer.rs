//! One layer of a decoder: attention over what stands before, then a gated feed-forward block
//! (Shazeer 2020, arXiv:2002.05202), each on normalised rows and added to them.

use super::DecoderConfig;
use crate::model::{ConfigError, Reach};
use crate::nn::{Attention, BinaryOp, Linear, Ops, ParamSpec, RmsNorm, Rotary, UnaryOp};

#[derive(Debug)]
pub(super) struct Layer {
    attention_norm: RmsNorm,
    query: Linear,
    key: Linear,
    value: Linear,
    attention_output: Linear,
    /// Of the heads of queries and of keys.
    head_norms: Option<[RmsNorm; 2]>,
    rotary: Rotary,
    attention: Attention,
    /// Of what the attention block adds.
    attended_norm: Option<RmsNorm>,
    feed_forward_norm: RmsNorm,
    gate: Linear,
    up: Linear,
    down: Linear,
    function: UnaryOp,
    /// Of what the feed-forward block adds.
    output_norm: Option<RmsNorm>,
}

impl Layer {
    /// Names the parameters of layer `index`.
    pub(super) fn new(config: &DecoderConfig, index: usize) -> Result<Self, ConfigError> {
        let (family, width, inner) = (config.family(), config.hidden_size, config.intermediate_size);
        let (head, init) = (config.head_width(), config.init());
        let (queries, keys) = (config.num_attention_heads * head, config.key_heads() * head);
        let path = |name: &str| format!("model.layers.{index}.{name}");
        let linear = |name: &str, inputs, outputs, bias| Linear { name: path(name), inputs, outputs, bias, init };
        let norm = |name: &str| config.norm(path(name), width);
        let (query_bias, output_bias) = if family.query_bias { (true, false) } else { (config.attention_bias, config.attention_bias) };
        let bias = family.mlp_bias && config.mlp_bias;
        let head_norm = |name: &str| config.norm(path(name), head);
        // Gemma 2 calls what stands before its feed-forward block otherwise, having one behind attention.
        let before = if family.capped { "pre_feedforward_layernorm" } else { "post_attention_layernorm" };
        Ok(Self {
            attention_norm: norm("input_layernorm"),
            query: linear("self_attn.q_proj", width, queries, query_bias),
            key: linear("self_attn.k_proj", width, keys, query_bias),
            value: linear("self_attn.v_proj", width, keys, query_bias),
            attention_output: linear("self_attn.o_proj", queries, width, output_bias),
            head_norms: family.head_norms.then(|| ["self_attn.q_norm", "self_attn.k_norm"].map(head_norm)),
            rotary: config.rotary()?,
            attention: attention(config, index),
            attended_norm: family.capped.then(|| norm("post_attention_layernorm")),
            feed_forward_norm: norm(before),
            gate: linear("mlp.gate_proj", width, inner, bias),
            up: linear("mlp.up_proj", width, inner, bias),
            down: linear("mlp.down_proj", inner, width, bias),
            function: config.function()?,
            output_norm: family.capped.then(|| norm("post_feedforward_layernorm")),
        })
    }

    /// The dense layers, in the order of the modules of `transformers`.
    pub(super) fn linears(&self) -> [&Linear; 7] {
        [&self.query, &self.key, &self.value, &self.attention_output, &self.gate, &self.up, &self.down]
    }

    pub(super) fn params(&self) -> Vec<ParamSpec> {
        let norms = [Some(&self.attention_norm), self.attended_norm.as_ref(), Some(&self.feed_forward_norm), self.output_norm.as_ref()];
        let norms = norms.into_iter().flatten().chain(self.head_norms.iter().flatten());
        self.linears().into_iter().flat_map(Linear::params).chain(norms.flat_map(RmsNorm::params)).collect()
    }

    /// The layer for the rows that `reach` asks for, which look at all rows of `x`.
    pub(super) fn forward<O: Ops>(&self, ops: &mut O, x: &O::Value, reach: Reach) -> Result<O::Value, O::Error> {
        let mixed = self.attend(ops, x, reach)?;
        let asked = reach.rows(ops, x)?;
        let attended = ops.binary(BinaryOp::Add, &asked, &mixed)?;
        let output = self.feed_forward(ops, &attended)?;
        ops.binary(BinaryOp::Add, &attended, &output)
    }

    /// What the attention block adds.
    fn attend<O: Ops>(&self, ops: &mut O, x: &O::Value, reach: Reach) -> Result<O::Value, O::Error> {
        let normal = ops.rms_norm(&self.attention_norm, x)?;
        let mut query = ops.linear(&self.query, &normal)?;
        let mut key = ops.linear(&self.key, &normal)?;
        let value = ops.linear(&self.value, &normal)?;
        if let Some([query_norm, key_norm]) = &self.head_norms {
            (query, key) = (ops.rms_norm(query_norm, &query)?, ops.rms_norm(key_norm, &key)?);
        }
        let (query, key) = (ops.rotate(&self.rotary, &query)?, ops.rotate(&self.rotary, &key)?);
        let query = reach.rows(ops, &query)?;
        let mixed = ops.attention(&self.attention, &query, &key, &value)?;
        let mixed = ops.linear(&self.attention_output, &mixed)?;
        normalised(ops, self.attended_norm.as_ref(), mixed)
    }

    /// What the feed-forward block adds.
    fn feed_forward<O: Ops>(&self, ops: &mut O, x: &O::Value) -> Result<O::Value, O::Error> {
        let normal = ops.rms_norm(&self.feed_forward_norm, x)?;
        let gates = ops.linear(&self.gate, &normal)?;
        let gates = ops.unary(self.function, &gates)?;
        let numbers = ops.linear(&self.up, &normal)?;
        let gated = ops.binary(BinaryOp::Multiply, &gates, &numbers)?;
        let output = ops.linear(&self.down, &gated)?;
        normalised(ops, self.output_norm.as_ref(), output)
    }
}

fn attention(config: &DecoderConfig, layer: usize) -> Attention {
    Attention {
        heads: config.num_attention_heads,
        key_heads: config.key_heads(),
        head_width: config.head_width(),
        scale: config.score_scale(),
        direction: config.direction(),
        window: config.window(layer),
        soft_cap: config.attn_logit_softcapping.filter(|_| config.family().capped),
        dropout: config.attention_dropout,
    }
}

fn normalised<O: Ops>(ops: &mut O, norm: Option<&RmsNorm>, x: O::Value) -> Result<O::Value, O::Error> {
    match norm {
        Some(norm) => ops.rms_norm(norm, &x),
        None => Ok(x),
    }
}
