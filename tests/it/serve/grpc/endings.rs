//! How calls end before their answer: a deadline, a client that leaves, a server that stops; and who is told of that.

use std::time::{Duration, Instant};

use limbic::serve::proto::health::HealthCheckRequest;
use limbic::serve::proto::health::health_check_response::ServingStatus;
use limbic::serve::proto::health::health_client::HealthClient;
use limbic::serve::proto::inference::infer_parameter::ParameterChoice;
use limbic::serve::proto::inference::{ModelInferRequest, ServerReadyRequest};
use tonic::{Code, Request};

use super::super::harness::{Plan, until};
use super::{INFER, Talk, choices, says, typed};

fn asks(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[test]
fn a_deadline_is_the_clients_the_requests_or_the_servers() {
    let mut plan = Plan::default();
    plan.settings.times.deadline = Duration::from_millis(400);
    let (talk, gate) = Talk::gated(plan);
    gate.close();
    let mut client = talk.client();
    let held = talk.runtime.spawn(async move { client.model_infer(typed(&["held"])).await.map(|_| ()) });
    gate.wait_for_batches(1);

    let micros = choices(&[("timeout", ParameterChoice::Int64Param(60_000))]);
    let start = Instant::now();
    says(&talk.refused(ModelInferRequest { parameters: micros, ..typed(&["late"]) }), Code::DeadlineExceeded, "no answer within 60 ms");
    assert!((60..390).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
    let mut request = Request::new(typed(&["later"]));
    request.metadata_mut().insert("grpc-timeout", "80m".parse().unwrap());
    // The client's own clock may be first to say so, in its own words.
    let status = talk.refused(request);
    assert!([Code::DeadlineExceeded, Code::Cancelled].contains(&status.code()), "{status:?}");
    let mut request = Request::new(typed(&["never"]));
    request.metadata_mut().insert("grpc-timeout", "soon".parse().unwrap());
    says(&talk.refused(request), Code::InvalidArgument, "grpc-timeout: expected up to 8 digits");

    says(&talk.runtime.block_on(held).unwrap().unwrap_err(), Code::DeadlineExceeded, "no answer within 400 ms");
    gate.open();
    talk.infer(typed(&["next"])).unwrap();
    // What was late never reached the engine.
    assert_eq!(gate.texts(), 2);
    let ended = || talk.counted(INFER, "DEADLINE_EXCEEDED") + talk.server.metric("limbic_rejected_total{reason=\"abandoned\"}");
    until("all three are counted", || ended() == 3.0);
}

#[test]
fn work_whose_client_left_is_dropped() {
    let (talk, gate) = Talk::gated(Plan::default());
    gate.close();
    let ask = |text: &'static str| {
        let mut client = talk.client();
        talk.runtime.spawn(async move { client.model_infer(typed(&[text])).await.map(|_| ()) })
    };
    let held = ask("held");
    gate.wait_for_batches(1);
    let leaving: Vec<_> = ["a", "b", "c"].into_iter().map(ask).collect();
    until("three wait", || talk.server.metric("limbic_queue_texts") == 3.0);
    leaving.iter().for_each(tokio::task::JoinHandle::abort);
    until("none waits", || talk.server.metric("limbic_queue_texts") == 0.0);
    until("they are counted", || talk.server.metric("limbic_rejected_total{reason=\"abandoned\"}") == 3.0);
    gate.open();
    talk.runtime.block_on(held).unwrap().unwrap();
    assert_eq!((gate.texts(), talk.counted(INFER, "OK")), (1, 1.0));
}

#[test]
fn a_stop_answers_what_is_in_flight_and_tells_who_watches() {
    let mut plan = Plan::default();
    plan.settings.times.drain_delay = Duration::from_millis(400);
    let (mut talk, gate) = Talk::gated(plan);
    let mut health = HealthClient::new(talk.channel.clone());
    let serving = |status: i32| ServingStatus::try_from(status).unwrap();
    let mut watched = talk.runtime.block_on(health.watch(asks("inference.GRPCInferenceService"))).unwrap().into_inner();
    assert_eq!(serving(talk.runtime.block_on(watched.message()).unwrap().unwrap().status), ServingStatus::Serving);
    gate.close();
    let mut client = talk.client();
    let held = talk.runtime.spawn(async move { client.model_infer(typed(&["held"])).await.map(|_| ()) });
    gate.wait_for_batches(1);

    talk.server.say_stop();
    assert_eq!(serving(talk.runtime.block_on(watched.message()).unwrap().unwrap().status), ServingStatus::NotServing);
    assert!(talk.runtime.block_on(watched.message()).unwrap().is_none(), "the stream goes on");
    let checked = talk.runtime.block_on(health.check(asks(""))).unwrap().into_inner();
    assert_eq!(serving(checked.status), ServingStatus::NotServing);
    let mut client = talk.client();
    assert!(!talk.runtime.block_on(client.server_ready(ServerReadyRequest {})).unwrap().into_inner().ready);
    let impatient = || {
        let micros = choices(&[("timeout", ParameterChoice::Int64Param(20_000))]);
        talk.refused(ModelInferRequest { parameters: micros, ..typed(&["too late"]) })
    };
    until("admission ends", || impatient().code() == Code::Unavailable);
    says(&impatient(), Code::Unavailable, "this server is shutting down");
    assert!(!talk.server.is_finished(), "the server left with a call in flight");

    gate.open();
    talk.runtime.block_on(held).unwrap().unwrap();
    talk.server.join().unwrap();
    assert_eq!(gate.texts(), 1);
}

#[test]
fn connections_and_watchers_do_not_hold_the_end_up() {
    let mut talk = Talk::start(Plan::default());
    let mut health = HealthClient::new(talk.channel.clone());
    let watched = talk.runtime.block_on(health.watch(asks(""))).unwrap();
    let start = Instant::now();
    talk.server.say_stop();
    talk.server.join().unwrap();
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    drop(watched);
}

#[test]
fn health_follows_the_engine_and_knows_its_services() {
    let (talk, gate) = Talk::gated(Plan { rebuilds: false, ..Plan::default() });
    let mut health = HealthClient::new(talk.channel.clone());
    let mut other = talk.runtime.block_on(health.watch(asks("other"))).unwrap().into_inner();
    let unknown = talk.runtime.block_on(other.message()).unwrap().unwrap();
    assert_eq!(unknown.status, i32::from(ServingStatus::ServiceUnknown));
    says(&talk.runtime.block_on(health.check(asks("other"))).unwrap_err(), Code::NotFound, "no such service");
    let mut watched = talk.runtime.block_on(health.watch(asks(""))).unwrap().into_inner();
    let mut next = || talk.runtime.block_on(watched.message()).unwrap().unwrap().status;
    assert_eq!(next(), i32::from(ServingStatus::Serving));
    gate.panic_next(1);
    talk.refused(typed(&["a"]));
    assert_eq!(next(), i32::from(ServingStatus::NotServing));
    assert_eq!(talk.counted("/grpc.health.v1.Health/Watch", "OK"), 2.0);
    assert_eq!(talk.counted("/grpc.health.v1.Health/Check", "NOT_FOUND"), 1.0);
}
