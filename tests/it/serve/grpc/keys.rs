//! Keys and rates over gRPC: the same as over HTTP, in gRPC's words.

use limbic::serve::access::KeyHash;
use limbic::serve::proto::inference::{ModelMetadataRequest, ServerLiveRequest, ServerReadyRequest};
use tonic::{Code, Request};
use tonic_types::StatusExt;

use super::super::harness::Plan;
use super::{INFER, Talk, says, typed};

const LAB: &str = "limbic_lab";

#[test]
fn a_call_brings_its_key_and_is_held_to_its_rate() {
    let talk = Talk::start(Plan::default().keys([format!("lab:{}:texts=0.01:burst=3", KeyHash::of(LAB.as_bytes()))]));
    let with = |name: &'static str, value: &str| {
        let mut request = Request::new(typed(&["a", "b"]));
        request.metadata_mut().insert(name, value.parse().unwrap());
        request
    };
    says(&talk.refused(typed(&["a"])), Code::Unauthenticated, "no key");
    says(&talk.refused(with("x-api-key", "limbic_other")), Code::Unauthenticated, "none of this server's");
    talk.infer(with("authorization", &format!("Bearer {LAB}"))).unwrap();
    let spent = talk.refused(with("x-api-key", LAB));
    says(&spent, Code::ResourceExhausted, "this key may bring 3 texts in 300 s");
    let wait = spent.get_details_retry_info().and_then(|info| info.retry_delay).unwrap().as_secs();
    assert!((90..=100).contains(&wait), "{wait}");
    // What tells nothing is open, what tells of a model is not.
    talk.runtime.block_on(async {
        let mut client = talk.client();
        assert!(client.server_live(ServerLiveRequest {}).await.is_ok());
        assert!(client.server_ready(ServerReadyRequest {}).await.is_ok());
        let refused = client.model_metadata(ModelMetadataRequest::default()).await.unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated);
    });
    assert_eq!(
        (talk.counted(INFER, "UNAUTHENTICATED"), talk.counted(INFER, "RESOURCE_EXHAUSTED"), talk.counted(INFER, "OK")),
        (2.0, 1.0, 1.0)
    );
    assert_eq!(talk.server.metric("limbic_key_texts_total{key=\"lab\"}"), 2.0);
    assert_eq!(talk.server.metric("limbic_key_requests_total{key=\"lab\"}"), 2.0);
}
