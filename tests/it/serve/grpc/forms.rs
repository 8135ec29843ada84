//! What is asked and answered, in both forms of a tensor, is what it is over REST.

use limbic::serve::proto::inference::infer_parameter::ParameterChoice;
use limbic::serve::proto::inference::{
    InferTensorContents, ModelInferRequest, ModelMetadataRequest, ModelReadyRequest, ServerLiveRequest, ServerMetadataRequest,
    ServerReadyRequest,
};
use serde_json::{Value, json};
use tonic::Request;

use super::super::collector::{ALL, Collector, words};
use super::super::harness::{LABELS, Plan};
use super::{INFER, Talk, choices, output, packed, raw, typed};

const TEXTS: [&str; 2] = ["so happy", "\u{1F602} no"];

/// What the same request gets over REST: the outputs' data.
fn rest(talk: &Talk, more: Value) -> Vec<Value> {
    let mut body = json!({"inputs": [{"name": "text", "shape": [2], "datatype": "BYTES", "data": TEXTS}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let answer = talk.server.post("/v2/models/scripted/infer", &body).expect(200).json();
    answer["outputs"].as_array().unwrap().iter().map(|output| output["data"].clone()).collect()
}

/// JSON writes the shortest digits that give the same number.
fn numbers(values: &Value) -> Vec<f32> {
    values.as_array().unwrap().iter().map(|value| value.as_f64().unwrap() as f32).collect()
}

fn strings(contents: &InferTensorContents) -> Value {
    json!(contents.bytes_contents.iter().map(|bytes| std::str::from_utf8(bytes).unwrap()).collect::<Vec<_>>())
}

#[test]
fn contents_in_the_message_are_answered_in_the_message() {
    let talk = Talk::start(Plan::default());
    let answer = talk.infer(ModelInferRequest { id: "a-7".to_owned(), ..typed(&TEXTS) }).unwrap().into_inner();
    assert_eq!((answer.model_name.as_str(), answer.model_version.as_str(), answer.id.as_str()), ("scripted", "7", "a-7"));
    let [probabilities, labels] = &answer.outputs[..] else { panic!("{answer:?}") };
    assert_eq!((probabilities.name.as_str(), probabilities.datatype.as_str()), ("probabilities", "FP32"));
    assert_eq!((labels.name.as_str(), labels.datatype.as_str(), &labels.shape[..]), ("labels", "BYTES", &[2][..]));
    assert_eq!(probabilities.shape, [2, 4]);
    assert!(answer.raw_output_contents.is_empty());
    let expected = rest(&talk, json!({}));
    assert_eq!(probabilities.contents.as_ref().unwrap().fp32_contents, numbers(&expected[0]));
    assert_eq!(strings(labels.contents.as_ref().unwrap()), expected[1]);
}

#[test]
fn bytes_behind_the_message_are_answered_by_bytes_behind_the_message() {
    let talk = Talk::start(Plan::default());
    let answer = talk.infer(ModelInferRequest { model_version: "7".to_owned(), ..raw(&TEXTS) }).unwrap().into_inner();
    assert!(answer.outputs.iter().all(|output| output.contents.is_none()), "{answer:?}");
    let [probabilities, labels] = &answer.raw_output_contents[..] else { panic!("{answer:?}") };
    let values: Vec<f32> = probabilities.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    let expected = rest(&talk, json!({}));
    assert_eq!(values, numbers(&expected[0]));
    let held: Vec<&str> = expected[1].as_array().unwrap().iter().map(|held| held.as_str().unwrap()).collect();
    assert_eq!(*labels, packed(&held));
}

#[test]
fn what_is_asked_for_changes_the_answer_as_over_rest() {
    let talk = Talk::start(Plan::default());
    let mut message = typed(&TEXTS);
    message.outputs = vec![output("labels", &[("classification", ParameterChoice::Int64Param(2))]), output("probabilities", &[])];
    message.parameters = choices(&[
        ("threshold", ParameterChoice::DoubleParam(0.01)),
        ("priority", ParameterChoice::Uint64Param(1)),
        ("timeout", ParameterChoice::Int64Param(5_000_000)),
        ("a_habit", ParameterChoice::StringParam("of some client".to_owned())),
    ]);
    let answer = talk.infer(message.clone()).unwrap().into_inner();
    let expected = rest(&talk, json!({"outputs": [{"name": "labels", "parameters": {"classification": 2}}, {"name": "probabilities"}]}));
    assert_eq!(answer.outputs[0].shape, [2, 2]);
    assert_eq!(strings(answer.outputs[0].contents.as_ref().unwrap()), expected[0]);
    assert_eq!(answer.outputs[1].contents.as_ref().unwrap().fp32_contents, numbers(&expected[1]));

    message.outputs = vec![output("labels", &[])];
    message.inputs[0].shape = vec![2, 1];
    let answer = talk.infer(message).unwrap().into_inner();
    let expected = rest(&talk, json!({"parameters": {"threshold": 0.01}, "outputs": [{"name": "labels"}]}));
    assert_eq!(strings(answer.outputs[0].contents.as_ref().unwrap()), expected[0]);
    assert_ne!(expected, rest(&talk, json!({"outputs": [{"name": "labels"}]})), "the threshold changes nothing, so nothing was seen");
}

#[test]
fn server_and_model_say_of_themselves_what_they_say_over_rest() {
    let talk = Talk::start(Plan::default());
    let mut client = talk.client();
    let name = || "scripted".to_owned();
    let (server, model) = talk.runtime.block_on(async {
        assert!(client.server_live(ServerLiveRequest {}).await.unwrap().into_inner().live);
        assert!(client.server_ready(ServerReadyRequest {}).await.unwrap().into_inner().ready);
        for version in ["", "7"] {
            let asked = ModelReadyRequest { name: name(), version: version.to_owned() };
            assert!(client.model_ready(asked).await.unwrap().into_inner().ready);
        }
        let server = client.server_metadata(ServerMetadataRequest {}).await.unwrap().into_inner();
        let model = client.model_metadata(ModelMetadataRequest { name: name(), version: String::new() }).await.unwrap().into_inner();
        (server, model)
    });
    let told = json!({"name": server.name, "version": server.version, "extensions": server.extensions});
    assert_eq!(told, talk.server.get("/v2").json());
    let tensors = |tensors: &[limbic::serve::proto::inference::model_metadata_response::TensorMetadata]| {
        json!(
            tensors
                .iter()
                .map(|tensor| json!({"name": tensor.name, "datatype": tensor.datatype, "shape": tensor.shape}))
                .collect::<Vec<_>>()
        )
    };
    let told = json!({"name": model.name, "versions": model.versions, "platform": model.platform,
        "inputs": tensors(&model.inputs), "outputs": tensors(&model.outputs)});
    assert_eq!(told, talk.server.get("/v2/models/scripted").json());
    assert_eq!(model.outputs[0].shape[1], i64::try_from(LABELS.len()).unwrap());
}

#[test]
fn a_call_has_an_id_and_tells_where_its_time_went() {
    let talk = Talk::start(Plan::default());
    let mut request = Request::new(typed(&["so happy"]));
    request.metadata_mut().insert("x-request-id", "mine-1".parse().unwrap());
    let answer = talk.infer(request).unwrap();
    assert_eq!(answer.metadata().get("x-request-id").unwrap(), "mine-1");
    let timing = answer.metadata().get("server-timing").unwrap().to_str().unwrap();
    assert!(timing.starts_with("tok;dur=") && timing.contains("infer;dur="), "{timing}");
    let mut request = Request::new(typed(&[""]));
    request.metadata_mut().insert("x-request-id", "no good".parse().unwrap());
    let refused = talk.refused(request);
    assert_eq!(refused.metadata().get("x-request-id").unwrap().to_str().unwrap().len(), 36);
    assert_eq!((talk.counted(INFER, "OK"), talk.counted(INFER, "INVALID_ARGUMENT")), (1.0, 1.0));
}

#[test]
fn a_call_is_told_to_a_collector_under_its_parent() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    let collector = Collector::grpc();
    let mut talk = Talk::start_telling(Plan::default(), collector.telemetry(ALL));
    let under = |message: ModelInferRequest| {
        let mut request = Request::new(message);
        request.metadata_mut().insert("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01").parse().unwrap());
        request
    };
    talk.infer(under(typed(&["zyxwcanary"]))).unwrap();
    talk.refused(under(typed(&[""])));
    let mut client = talk.client();
    assert!(talk.runtime.block_on(client.server_live(ServerLiveRequest {})).unwrap().into_inner().live);
    talk.server.say_stop();
    talk.server.join().unwrap();
    let spans = collector.spans();
    let calls: Vec<_> = spans.iter().filter(|span| span.name == INFER[1..]).collect();
    let [good, bad] = calls[..] else { panic!("{spans:#?}") };
    for (span, code) in [(good, "0"), (bad, "3")] {
        let trace: String = span.trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(trace, TRACE);
        let told: Vec<_> = words(&span.attributes).into_iter().filter(|(name, _)| name.starts_with("rpc.")).collect();
        let expected = [
            ("rpc.grpc.status_code", code),
            ("rpc.method", "ModelInfer"),
            ("rpc.service", "inference.GRPCInferenceService"),
            ("rpc.system", "grpc"),
        ];
        assert_eq!(told, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    assert_eq!(spans.iter().filter(|span| span.parent_span_id == good.span_id).count(), 3, "{spans:#?}");
    assert!(!spans.iter().any(|span| span.name.contains("ServerLive")), "{spans:#?}");
    assert!(!collector.written().contains("zyxwcanary"));
}
