//! TLS with certificates made as the test runs, asked by a client that trusts nothing else.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use limbic::serve::probe;
use limbic::serve::proto::inference::ServerLiveRequest;
use limbic::serve::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use limbic::serve::telemetry::Telemetry;
use limbic::serve::tls::{Tls, TlsConfig, TlsError};
use rcgen::generate_simple_self_signed;
use serde_json::{Value, json};
use tonic::transport::{ClientTlsConfig, Endpoint};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig as ClientTls, parse_pem};

use super::harness::{PATIENCE, Plan, until};

/// A certificate for the loopback interface and its key, as PEM.
fn pair() -> (String, String) {
    let made = generate_simple_self_signed(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    (made.cert.pem(), made.signing_key.serialize_pem())
}

struct Pair {
    _dir: tempfile::TempDir,
    config: TlsConfig,
}

impl Pair {
    fn new((cert, key): &(String, String)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| -> PathBuf {
            fs::write(dir.path().join(name), content).unwrap();
            dir.path().join(name)
        };
        let config = TlsConfig { cert: write("tls.crt", cert), key: write("tls.key", key), reload: Duration::from_millis(20) };
        Self { _dir: dir, config }
    }
}

/// A client that trusts one certificate.
fn client(root: &str) -> ureq::Agent {
    let certs: Vec<Certificate<'static>> = parse_pem(root.as_bytes())
        .filter_map(|item| match item.unwrap() {
            PemItem::Certificate(cert) => Some(cert),
            _ => None,
        })
        .collect();
    assert_eq!(certs.len(), 1);
    let tls = ClientTls::builder().root_certs(RootCerts::from(certs)).build();
    // Connections are not kept: each request sees the certificate of its moment.
    ureq::Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .timeout_global(Some(PATIENCE))
        .max_idle_connections(0)
        .build()
        .into()
}

fn classify(agent: &ureq::Agent, address: SocketAddr) -> Result<Value, ureq::Error> {
    let mut reply = agent.post(format!("https://127.0.0.1:{}/v1/emotions", address.port())).send_json(json!({"input": "a"}))?;
    reply.body_mut().read_json()
}

#[test]
fn both_ports_speak_tls_and_nothing_else() {
    let made = pair();
    let pair = Pair::new(&made);
    let mut plan = Plan::default();
    plan.safety.tls = Some(pair.config.clone());
    let server = plan.start_with_admin();
    let (api, admin) = (server.address, server.admin.unwrap());
    let agent = client(&made.0);
    assert_eq!(classify(&agent, api).unwrap()["model"]["name"], "scripted");
    let models = agent.get(format!("https://127.0.0.1:{}/admin/models", admin.port())).call().unwrap();
    assert_eq!(models.status(), 200);
    // Who trusts another certificate does not believe it.
    let stranger = client(&self::pair().0);
    assert!(matches!(classify(&stranger, api), Err(ureq::Error::Rustls(_) | ureq::Error::Io(_) | ureq::Error::Tls(_))));
    // Plain HTTP gets no HTTP back.
    let mut plain = TcpStream::connect(api).unwrap();
    plain.set_read_timeout(Some(PATIENCE)).unwrap();
    plain.write_all(b"GET /health/live HTTP/1.1\r\nhost: a\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP/"), "{}", String::from_utf8_lossy(&answer));
    probe::probe(&format!("https://127.0.0.1:{}/health/ready", api.port())).unwrap();
    assert!(probe::probe(&format!("http://127.0.0.1:{}/health/ready", api.port())).is_err());
    assert!(probe::probe(&format!("https://127.0.0.1:{}/nowhere", api.port())).unwrap_err().to_string().contains("404"));
}

#[test]
fn a_renewed_certificate_serves_and_half_of_one_does_not() {
    let (first, second) = (pair(), pair());
    let pair = Pair::new(&first);
    let mut plan = Plan::default();
    plan.safety.tls = Some(pair.config.clone());
    let server = plan.start();
    let trusts = |root: &(String, String)| classify(&client(&root.0), server.address).is_ok();
    assert!(trusts(&first) && !trusts(&second));
    let replace = |path: &Path, content: &str| {
        let staged = path.with_extension("new");
        fs::write(&staged, content).unwrap();
        fs::rename(staged, path).unwrap();
    };
    // The certificate alone is not of the key that is there.
    replace(&pair.config.cert, &second.0);
    std::thread::sleep(Duration::from_millis(100));
    assert!(trusts(&first) && !trusts(&second));
    replace(&pair.config.key, &second.1);
    until("the new certificate serves", || trusts(&second));
    assert!(!trusts(&first));
    // A file that is gone changes nothing.
    fs::remove_file(&pair.config.key).unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert!(trusts(&second));
}

#[test]
fn grpc_speaks_tls_by_the_same_certificate() {
    let (first, second) = (pair(), pair());
    let pair = Pair::new(&first);
    let mut plan = Plan::default();
    plan.safety.tls = Some(pair.config.clone());
    let server = plan.start_with_grpc(Telemetry::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let port = server.grpc.unwrap().port();
    let live = async |root: &(String, String)| {
        let trust = ClientTlsConfig::new().ca_certificate(tonic::transport::Certificate::from_pem(&root.0)).domain_name("localhost");
        let endpoint = Endpoint::from_shared(format!("https://127.0.0.1:{port}")).unwrap().tls_config(trust).unwrap();
        let channel = endpoint.connect().await.ok()?;
        GrpcInferenceServiceClient::new(channel).server_live(ServerLiveRequest {}).await.ok().map(|answer| answer.into_inner().live)
    };
    // A handshake that never ends holds no other up.
    let stalled = TcpStream::connect(server.grpc.unwrap()).unwrap();
    assert_eq!(runtime.block_on(live(&first)), Some(true));
    assert_eq!(runtime.block_on(live(&second)), None);
    let plain = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
    let plain = runtime.block_on(async {
        let channel = plain.connect().await.ok()?;
        GrpcInferenceServiceClient::new(channel).server_live(ServerLiveRequest {}).await.ok()
    });
    assert!(plain.is_none(), "it answers in the clear");
    fs::write(&pair.config.cert, &second.0).unwrap();
    fs::write(&pair.config.key, &second.1).unwrap();
    until("the new certificate serves", || runtime.block_on(live(&second)) == Some(true));
    drop(stalled);
}

#[track_caller]
fn refused(pair: &(String, String), parts: &[&str]) {
    let pair = Pair::new(pair);
    let error = Tls::start(&pair.config).err().expect("it was refused");
    let text = match std::error::Error::source(&error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    for part in parts {
        assert!(text.contains(part), "{text:?} does not say {part:?}");
    }
    assert!(!text.contains("BEGIN") && !pair_leaks(&text, &pair.config), "{text}");
}

/// Whether a line of the key's file stands in a message.
fn pair_leaks(text: &str, config: &TlsConfig) -> bool {
    let key = fs::read_to_string(&config.key).unwrap();
    key.lines().any(|line| line.len() > 20 && !line.starts_with('-') && text.contains(line))
}

#[test]
fn what_cannot_serve_is_said_with_its_file() {
    let (cert, key) = pair();
    let with = |cert: &str, key: &str| (cert.to_owned(), key.to_owned());
    refused(&with("", &key), &["tls.crt", "CERTIFICATE", "no section of PEM"]);
    refused(&with(&key, &key), &["tls.crt", "CERTIFICATE", "found PRIVATE KEY"]);
    refused(&with(&cert, ""), &["tls.key", "PRIVATE KEY", "no section of PEM"]);
    refused(&with(&cert, &cert), &["tls.key", "found CERTIFICATE"]);
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    refused(&with(&cert, &encrypted), &["tls.key", "not encrypted", "found ENCRYPTED PRIVATE KEY"]);
    refused(&with(&cert[..cert.len() - 30], &key), &["tls.crt", "expected PEM"]);
    refused(&with(&cert, &pair().1), &["tls.key: not the key of the certificate in", "tls.crt"]);
    refused(&with("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", &key), &["tls.crt", "cannot be used together"]);
    let missing = Pair::new(&(cert, key));
    fs::remove_file(&missing.config.cert).unwrap();
    assert!(matches!(Tls::start(&missing.config), Err(TlsError::Read { path, .. }) if path == missing.config.cert));
}
