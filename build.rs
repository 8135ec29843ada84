//! Compiles the services of `proto/` where the server is built; a build without it needs none of that.

#![allow(clippy::print_stdout, reason = "cargo is told things on standard output")]

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo::rerun-if-changed=proto");
    #[cfg(feature = "serve")]
    tonic_prost_build::compile_fds(protox::compile(["open_inference.proto", "health.proto"], ["proto"])?)?;
    Ok(())
}
