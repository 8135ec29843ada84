//! A hundred swaps under load: no request fails, and each is answered whole by one version.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use limbic::serve::registry::Opener;
use serde_json::json;

use super::harness::{Plan, until};
use super::zoo::{Zoo, animal, standing, version_of};

const SWAPS: usize = 100;

#[test]
fn a_hundred_swaps_under_load_fail_no_request() {
    let zoo = Zoo::of(&["joy-1"]);
    let server = zoo.serve(Plan { workers: 2, ..Plan::default() }, "joy");
    zoo.add("joy-2");
    let (done, seen) = (AtomicBool::new(false), Mutex::new(BTreeMap::<String, usize>::new()));
    let answered = |version: &str| seen.lock().unwrap().get(version).copied().unwrap_or(0);
    thread::scope(|scope| {
        let client = |number: usize| {
            let (server, done, seen) = (&server, &done, &seen);
            move || {
                let mut asked = 0;
                while !done.load(Ordering::SeqCst) {
                    let text = format!("client {number} asks for the {asked} time");
                    let version = version_of(&server.classify(&text), &text);
                    *seen.lock().unwrap().entry(version).or_default() += 1;
                    asked += 1;
                }
                asked
            }
        };
        let clients: Vec<_> = (0..6).map(|number| scope.spawn(client(number))).collect();
        for swap in 0..SWAPS {
            let version = ["2", "1"][swap % 2];
            let before = answered(version);
            let change = json!({"bundle": format!("joy-{version}"), "previous": "unload"});
            assert_eq!(server.change("/admin/load", &change).expect(200).json()["version"], version);
            // Some requests to each version, so that every swap happens under load.
            until("the new version answers", || answered(version) > before);
        }
        done.store(true, Ordering::SeqCst);
        let asked: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
        assert_eq!(asked, answered("1") + answered("2"));
        assert_eq!(server.metric("limbic_requests_total{code=\"200\",route=\"/v1/emotions\"}"), asked as f64);
    });
    assert_eq!((standing(&server), zoo.opened()), (vec!["joy@1*".to_owned()], SWAPS + 1));
    assert_eq!(server.metric("limbic_model_loads_total{outcome=\"loaded\"}"), (SWAPS + 1) as f64);
    // What was swapped out has left: two workers serve, whatever came and went.
    until("the others' workers left", || workers() <= 2);
}

/// Engine threads of this process. Each test is a process of its own under nextest; under `cargo
/// test` others run beside this one, and nothing can be said.
fn workers() -> usize {
    if std::env::var_os("NEXTEST").is_none() {
        return 0;
    }
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
    tasks.filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|name| name.starts_with("limbic-engine"))).count()
}

#[test]
fn many_loads_of_one_model_at_once_come_one_after_the_other() {
    let zoo = Zoo::of(&["joy-1"]);
    let server = zoo.serve(Plan::default(), "joy");
    thread::scope(|scope| {
        let load = || server.change("/admin/load", &json!({"bundle": "joy-1"})).status;
        let loads: Vec<_> = (0..8).map(|_| scope.spawn(load)).collect();
        assert!(loads.into_iter().all(|load| load.join().unwrap() == 200));
    });
    assert_eq!((standing(&server), zoo.opened()), (vec!["joy@1*".to_owned()], 9));
    assert_eq!(version_of(&server.classify("a"), "a"), "1");
}

#[test]
fn a_load_that_takes_for_ever_does_not_hold_the_end_up() {
    let zoo = Zoo::of(&["joy-1"]);
    let (quick, (stuck, free)) = (Plan::default().opener(animal), channel::<()>());
    let free = Mutex::new(free);
    let opener: Opener = Arc::new(move |folder: &Path| {
        if folder.ends_with("joy-2") {
            // Until the test is over.
            let _ = free.lock().unwrap().recv();
        }
        quick(folder)
    });
    let mut server = zoo.serve_by(zoo.counted(opener), "joy", None);
    zoo.add("joy-2");
    let body = r#"{"bundle":"joy-2"}"#;
    let request = format!("POST /admin/load HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n{body}", body.len());
    let mut loading = TcpStream::connect(server.admin.unwrap()).unwrap();
    loading.write_all(request.as_bytes()).unwrap();
    until("it is loading", || zoo.opened() == 2);
    assert_eq!(version_of(&server.classify("a"), "a"), "1");
    let start = Instant::now();
    server.say_stop();
    server.join().unwrap();
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    drop((loading, stuck));
}
