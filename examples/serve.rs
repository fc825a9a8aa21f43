//! Serves divvy's models from another program's own HTTP server.
//!
//! `cargo run --example serve [LAYOUT [PORT]]`

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use axum::routing::get;
use divvy::engine::Engines;
use divvy::layout::{EngineChoice, FileCheck, demo};
use divvy::machine::this_machine;
use divvy::scheduler::{EngineLoader, Options};
use divvy::{Layout, Scheduler, server};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args_os().skip(1);
    let document = match arguments.next().map(PathBuf::from) {
        Some(path) => Layout::read(&path, FileCheck::Required)?,
        None => demo()?,
    };
    let port: u16 = match arguments.next() {
        Some(port) => port.to_string_lossy().parse()?,
        None => 8000,
    };
    let engines = Arc::new(Engines::new(EngineChoice::Auto, None));
    let options = Options::new(this_machine(None)?, Arc::new(EngineLoader::new(engines)));
    let scheduler = Scheduler::start(document.layout(), options)?;

    let routes = server::router(&scheduler).route("/", get(|| async { "models are under /v2\n" }));
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, routes).await?;
    Ok(())
}
