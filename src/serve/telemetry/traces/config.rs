//! Where traces go and which: the standard variables of OpenTelemetry as they are typed, then as they are meant.
//!
//! Those that name a secret or a resource (`OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_SERVICE_NAME`,
//! `OTEL_BSP_...`) are read by the SDK itself.

use std::fmt;

use clap::Args;
use thiserror::Error;

/// Where an endpoint for all signals takes traces over HTTP.
const TRACES_PATH: &str = "/v1/traces";

/// Traces to an OpenTelemetry collector, as typed.
#[derive(Debug, Default, Args)]
#[command(next_help_heading = "Traces")]
pub struct TraceArgs {
    /// The collector that traces are told to, http://HOST:PORT; none are made without it.
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    pub otlp_endpoint: Option<String>,
    /// The same for traces alone, taken as it is, path and all.
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")]
    pub otlp_traces_endpoint: Option<String>,
    /// How the collector is spoken to: grpc or http/protobuf.
    #[arg(long, value_name = "NAME", env = "OTEL_EXPORTER_OTLP_PROTOCOL", default_value = "http/protobuf")]
    pub otlp_protocol: String,
    /// Which traces are told: always_on, always_off, traceidratio, or one of these after parentbased_, which does as
    /// the request's traceparent says where there is one.
    #[arg(long, value_name = "NAME", env = "OTEL_TRACES_SAMPLER", default_value = "parentbased_always_on")]
    pub traces_sampler: String,
    /// The share that traceidratio tells, in [0, 1].
    #[arg(long, value_name = "SHARE", env = "OTEL_TRACES_SAMPLER_ARG")]
    pub traces_sampler_arg: Option<String>,
}

/// What was typed of traces makes no configuration.
#[derive(Debug, Error)]
#[error("{option} {found:?}: expected {expected}")]
pub struct TraceArgsError {
    option: &'static str,
    found: String,
    expected: &'static str,
}

/// Where traces go, and which.
#[derive(Debug, Clone, PartialEq)]
pub struct TracesConfig {
    /// The collector's full address.
    pub endpoint: String,
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Which traces are told.
    pub sampling: Sampling,
}

/// How a collector is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP, binary.
    HttpProtobuf,
}

/// Which traces are told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// Whether a request's own parent decides where there is one.
    pub parent_based: bool,
    /// What decides otherwise.
    pub root: Root,
}

/// Which traces that begin here are told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Root {
    /// All.
    On,
    /// None.
    Off,
    /// This share of them, by their id.
    Ratio(f64),
}

impl TraceArgs {
    /// What was typed; nothing without an endpoint, whatever else the environment says.
    ///
    /// # Errors
    /// [`TraceArgsError`] naming the option.
    pub fn resolve(&self) -> Result<Option<TracesConfig>, TraceArgsError> {
        let given = |typed: &Option<String>| typed.clone().filter(|typed| !typed.is_empty());
        let wrong = |option, found: &str, expected| TraceArgsError { option, found: found.to_owned(), expected };
        let protocol = match self.otlp_protocol.as_str() {
            "grpc" => Some(Protocol::Grpc),
            "http/protobuf" => Some(Protocol::HttpProtobuf),
            _ => None,
        };
        let (option, endpoint, path) = match (given(&self.otlp_traces_endpoint), given(&self.otlp_endpoint)) {
            (Some(endpoint), _) => ("--otlp-traces-endpoint", endpoint, ""),
            (None, Some(endpoint)) if protocol == Some(Protocol::HttpProtobuf) => ("--otlp-endpoint", endpoint, TRACES_PATH),
            (None, Some(endpoint)) => ("--otlp-endpoint", endpoint, ""),
            (None, None) => return Ok(None),
        };
        let protocol = protocol.ok_or_else(|| wrong("--otlp-protocol", &self.otlp_protocol, "grpc or http/protobuf"))?;
        if !endpoint.starts_with("http://") {
            return Err(wrong(option, &endpoint, "http://HOST:PORT; for TLS put a collector beside this server"));
        }
        let endpoint = if path.is_empty() { endpoint } else { format!("{}{path}", endpoint.trim_end_matches('/')) };
        Ok(Some(TracesConfig { endpoint, protocol, sampling: self.sampling()? }))
    }

    fn sampling(&self) -> Result<Sampling, TraceArgsError> {
        let name = self.traces_sampler.as_str();
        let (parent_based, root) = name.strip_prefix("parentbased_").map_or((false, name), |root| (true, root));
        let root = match root {
            "always_on" => Root::On,
            "always_off" => Root::Off,
            "traceidratio" => Root::Ratio(self.ratio()?),
            _ => {
                let expected = "always_on, always_off or traceidratio, perhaps after parentbased_";
                return Err(TraceArgsError { option: "--traces-sampler", found: name.to_owned(), expected });
            }
        };
        Ok(Sampling { parent_based, root })
    }

    fn ratio(&self) -> Result<f64, TraceArgsError> {
        let typed = self.traces_sampler_arg.clone().unwrap_or_default();
        let ratio = typed.parse::<f64>().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.ok_or(TraceArgsError { option: "--traces-sampler-arg", found: typed, expected: "a number in [0, 1]" })
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Grpc => "grpc",
            Self::HttpProtobuf => "http/protobuf",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(edit: impl FnOnce(&mut TraceArgs)) -> Result<Option<TracesConfig>, String> {
        let mut args = TraceArgs {
            otlp_endpoint: Some("http://collector:4317".to_owned()),
            otlp_protocol: "grpc".to_owned(),
            traces_sampler: "parentbased_always_on".to_owned(),
            ..TraceArgs::default()
        };
        edit(&mut args);
        args.resolve().map_err(|error| error.to_string())
    }

    #[test]
    fn the_standard_words_are_understood() {
        let endpoint = |edit: fn(&mut TraceArgs)| typed(edit).unwrap().map(|config| config.endpoint);
        assert_eq!(endpoint(|_| {}).as_deref(), Some("http://collector:4317"));
        assert_eq!(endpoint(|args| args.otlp_protocol = "http/protobuf".into()).as_deref(), Some("http://collector:4317/v1/traces"));
        assert_eq!(endpoint(|args| args.otlp_traces_endpoint = Some("http://b/x".into())).as_deref(), Some("http://b/x"));
        assert_eq!(endpoint(|args| args.otlp_endpoint = Some(String::new())), None);
        // Words that only other signals or other programs know do not matter without an endpoint.
        assert_eq!(typed(|args| (args.otlp_endpoint, args.traces_sampler) = (None, "xray".into())), Ok(None));
        let sampling = |name: &str| typed(|args| (args.traces_sampler, args.traces_sampler_arg) = (name.into(), Some("0.25".into())));
        for (name, parent_based, root) in [
            ("always_on", false, Root::On),
            ("always_off", false, Root::Off),
            ("traceidratio", false, Root::Ratio(0.25)),
            ("parentbased_always_on", true, Root::On),
            ("parentbased_always_off", true, Root::Off),
            ("parentbased_traceidratio", true, Root::Ratio(0.25)),
        ] {
            assert_eq!(sampling(name).unwrap().unwrap().sampling, Sampling { parent_based, root }, "{name}");
        }
    }

    #[test]
    fn other_words_are_refused_by_their_option() {
        let refused = |edit: fn(&mut TraceArgs), option: &str| {
            let error = typed(edit).unwrap_err();
            assert!(error.starts_with(option) && error.contains("expected"), "{error}");
        };
        refused(|args| args.otlp_protocol = "http/json".into(), "--otlp-protocol \"http/json\"");
        refused(|args| args.otlp_endpoint = Some("https://collector".into()), "--otlp-endpoint \"https://collector\"");
        refused(|args| args.otlp_traces_endpoint = Some("collector:4317".into()), "--otlp-traces-endpoint");
        refused(|args| args.traces_sampler = "xray".into(), "--traces-sampler \"xray\"");
        refused(|args| args.traces_sampler = "traceidratio".into(), "--traces-sampler-arg \"\"");
        refused(
            |args| (args.traces_sampler, args.traces_sampler_arg) = ("traceidratio".into(), Some("1.5".into())),
            "--traces-sampler-arg \"1.5\"",
        );
    }
}
