//! Everything that is refused, with its code, its message and what a client can act on.

use std::num::NonZeroUsize;
use std::time::Duration;

use limbic::serve::proto::inference::infer_parameter::ParameterChoice;
use limbic::serve::proto::inference::{ModelInferRequest, ModelReadyRequest};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request};
use tonic_types::StatusExt;

use super::super::harness::{Plan, until};
use super::{INFER, Talk, choices, output, raw, says, typed};

/// A request with something wrong about it.
fn broken(how: impl FnOnce(&mut ModelInferRequest)) -> ModelInferRequest {
    let mut message = typed(&["a"]);
    how(&mut message);
    message
}

fn with(name: &str, choice: ParameterChoice) -> ModelInferRequest {
    broken(|message| message.parameters = choices(&[(name, choice)]))
}

#[test]
fn what_is_wrong_is_told_and_where() {
    let talk = Talk::start(Plan::default());
    let long = "a".repeat(20_001);
    let cases = [
        (broken(|message| message.inputs.clear()), "/inputs", "expected one input"),
        (broken(|message| message.inputs.push(message.inputs[0].clone())), "/inputs", "expected one input, \"text\", found 2"),
        (broken(|message| message.inputs[0].name = "input".to_owned()), "/inputs/0/name", "expected \"text\""),
        (broken(|message| message.inputs[0].datatype = "FP32".to_owned()), "/inputs/0/datatype", "expected \"BYTES\""),
        (broken(|message| message.inputs[0].shape = vec![2]), "/inputs/0/shape", "expected [1] or [1, 1]"),
        (broken(|message| message.inputs[0].shape = vec![-1]), "/inputs/0/shape", "expected [n] or [n, 1]"),
        (broken(|message| message.inputs[0].shape = vec![i64::MAX, 1]), "/inputs/0/shape", "expected [n] or [n, 1]"),
        (broken(|message| message.inputs[0].contents = None), "/inputs/0/contents", "at least one text"),
        (broken(|message| message.raw_input_contents = vec![Vec::new()]), "/inputs/0/contents", "both contents and raw_input_contents"),
        (
            broken(|message| message.inputs[0].contents.as_mut().unwrap().fp32_contents = vec![1.0]),
            "/inputs/0/contents",
            "expected bytes_contents alone",
        ),
        (
            broken(|message| message.inputs[0].contents.as_mut().unwrap().bytes_contents = vec![vec![0xff]]),
            "/inputs/0/contents/0",
            "element 0: expected UTF-8",
        ),
        (ModelInferRequest { raw_input_contents: vec![vec![1, 0]], ..raw(&["a"]) }, "/inputs/0/contents", "four bytes of length, found 2"),
        (ModelInferRequest { raw_input_contents: vec![Vec::new(); 2], ..raw(&["a"]) }, "/inputs/0/contents", "expected one entry"),
        (typed(&["fine", " "]), "/inputs/0/contents/1", "is empty"),
        (typed(&[&long]), "/inputs/0/contents/0", "has 20001 characters"),
        (typed(&["a"; 65]), "/inputs/0/contents", "has 65 texts; the limit is 64"),
        (broken(|message| message.outputs = vec![output("logits", &[])]), "/outputs/0/name", "expected \"probabilities\" or \"labels\""),
        (
            broken(|message| message.outputs = vec![output("labels", &[("classification", ParameterChoice::Int64Param(-1))])]),
            "/outputs/0/parameters/classification",
            "expected a whole number",
        ),
        (with("threshold", ParameterChoice::DoubleParam(f64::NAN)), "/parameters/threshold", "expected a number in [0, 1]"),
        (with("threshold", ParameterChoice::StringParam("high".to_owned())), "/parameters/threshold", "expected a number"),
        (with("priority", ParameterChoice::Int64Param(-1)), "/parameters/priority", "expected a whole number"),
        (with("timeout", ParameterChoice::Uint64Param(u64::MAX)), "/parameters/timeout", "expected a whole number"),
    ];
    let count = cases.len();
    for (message, field, told) in cases {
        let status = talk.refused(message);
        says(&status, Code::InvalidArgument, told);
        let details = status.get_error_details();
        assert_eq!(details.bad_request().unwrap().field_violations[0].field, field, "{status:?}");
        assert!(details.error_info().is_some_and(|info| info.domain == "limbic"), "{status:?}");
    }
    assert_eq!((talk.counted(INFER, "INVALID_ARGUMENT"), count), (22.0, 22));
    assert!(talk.infer(typed(&["fine"])).is_ok());
}

#[test]
fn what_is_not_here_is_not_found() {
    let talk = Talk::start(Plan::default());
    for (model, version) in [("other", ""), ("scripted", "8"), ("", ""), ("../x", "")] {
        let named = ModelInferRequest { model_name: model.to_owned(), model_version: version.to_owned(), ..typed(&["a"]) };
        says(&talk.refused(named), Code::NotFound, "expected one of scripted");
    }
    let (mut client, asked) = (talk.client(), ModelReadyRequest { name: "other".to_owned(), version: String::new() });
    says(&talk.runtime.block_on(client.model_ready(asked)).unwrap_err(), Code::NotFound, "no such model");
    for path in ["/inference.GRPCInferenceService/ModelStreamInfer", "/inference.Other/ModelInfer"] {
        says(&talk.runtime.block_on(call(&talk, path, typed(&["a"]))).unwrap_err(), Code::Unimplemented, "");
    }
    assert_eq!(talk.counted("unmatched", "UNIMPLEMENTED"), 2.0);
}

/// Sends any message to any method.
async fn call<M: prost::Message + 'static>(talk: &Talk, path: &'static str, message: M) -> Result<(), tonic::Status> {
    let mut grpc = tonic::client::Grpc::new(talk.channel.clone());
    grpc.ready().await.unwrap();
    let codec = tonic_prost::ProstCodec::<M, ModelInferRequest>::default();
    grpc.unary(Request::new(message), PathAndQuery::from_static(path), codec).await.map(|_| ())
}

/// What no request begins with: its inputs are no messages.
#[derive(Clone, PartialEq, prost::Message)]
struct Junk {
    #[prost(string, tag = "5")]
    inputs: String,
}

#[test]
fn a_message_that_is_too_long_or_none_is_refused() {
    let mut plan = Plan::default();
    plan.settings.limits.body_bytes = 4096;
    let talk = Talk::start(plan);
    let text = "a ".repeat(2000);
    assert!(talk.infer(typed(&[&text])).is_ok());
    let status = talk.refused(typed(&[&text, &text]));
    says(&status, Code::ResourceExhausted, "larger than 4096 bytes");
    assert!(status.get_error_details().retry_info().is_none(), "trying again would not help: {status:?}");
    let junk = talk.runtime.block_on(call(&talk, INFER, Junk { inputs: "\u{f}".to_owned() }));
    says(&junk.unwrap_err(), Code::InvalidArgument, "the message could not be read");
    let mut compressed = Request::new(typed(&["a"]));
    compressed.metadata_mut().insert("grpc-encoding", "gzip".parse().unwrap());
    says(&talk.refused(compressed), Code::Unimplemented, "gzip");
    assert!(talk.infer(typed(&["fine"])).is_ok());
}

#[test]
fn a_full_queue_says_when_to_come_back() {
    let mut plan = Plan::default();
    plan.settings.queue.texts = NonZeroUsize::new(1).unwrap();
    let (talk, gate) = Talk::gated(plan);
    gate.close();
    let ask = |text: &'static str| {
        let mut client = talk.client();
        talk.runtime.spawn(async move { client.model_infer(typed(&[text])).await.map(|_| ()) })
    };
    let computed = ask("computed");
    gate.wait_for_batches(1);
    let waiting = ask("waiting");
    until("one waits", || talk.server.metric("limbic_queue_texts") == 1.0);
    let refused = talk.refused(typed(&["too many"]));
    says(&refused, Code::ResourceExhausted, "too many texts are waiting");
    let wait = refused.get_error_details().retry_info().unwrap().retry_delay.unwrap();
    assert!(wait >= Duration::from_secs(1), "{wait:?}");
    assert_eq!(refused.metadata().get("grpc-retry-pushback-ms").unwrap().to_str().unwrap(), wait.as_millis().to_string());
    assert_eq!(refused.get_error_details().error_info().unwrap().reason, "OVERLOADED");
    gate.open();
    for held in [computed, waiting] {
        talk.runtime.block_on(held).unwrap().unwrap();
    }
    assert_eq!(talk.server.metric("limbic_rejected_total{reason=\"overloaded\"}"), 1.0);
}

#[test]
fn an_engine_that_fails_is_no_fault_of_the_client() {
    let (talk, gate) = Talk::gated(Plan { rebuilds: false, ..Plan::default() });
    gate.refuse_next(1);
    says(&talk.refused(typed(&["a"])), Code::Internal, "the server failed on this request");
    gate.panic_next(1);
    says(&talk.refused(typed(&["b"])), Code::Internal, "the server failed on this request");
    let status = talk.refused(typed(&["c"]));
    says(&status, Code::Unavailable, "no engine is up");
    assert!(status.get_error_details().retry_info().is_some(), "{status:?}");
    assert_eq!(talk.counted(INFER, "INTERNAL"), 2.0);
}
