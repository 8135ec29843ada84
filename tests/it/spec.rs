//! The plain words: people and files read the same names.

use limbic::spec::{Activation, Architecture, Pooling, Precision, Task};
use serde::Serialize;

#[test]
fn names_are_those_of_serde() {
    fn check<T: Serialize>(cases: &[(T, &str)]) {
        for (value, name) in cases {
            assert_eq!(serde_json::to_value(value).expect("a unit variant"), *name);
        }
    }
    check(&[Task::MultiLabel, Task::MultiClass].map(|task| (task, task.name())));
    check(&[Activation::Sigmoid, Activation::Softmax].map(|activation| (activation, activation.name())));
    check(
        &[Pooling::ClsTanh, Pooling::ClsRelu, Pooling::ClsGeluNorm, Pooling::MeanGeluNorm, Pooling::Mean, Pooling::LastToken, Pooling::Cls]
            .map(|pooling| (pooling, pooling.name())),
    );
    check(
        &[Architecture::Bert, Architecture::Roberta, Architecture::DistilBert, Architecture::ModernBert]
            .map(|family| (family, family.name())),
    );
    check(
        &[Architecture::Llama, Architecture::Qwen2, Architecture::Qwen3, Architecture::Gemma, Architecture::Gemma2]
            .map(|family| (family, family.name())),
    );
    check(&[Precision::Fp32, Precision::Int8Weights].map(|precision| (precision, precision.name())));
}
